"""Personal identifiers: recall by type on labelled texts, and hits where no identifier is labelled.

python tests/bench/pii.py pii/presidio_generated_small.jsonl planted/docs.jsonl.zst planted/labels.jsonl.gz

Recall is given twice: of all spans, and of those that are what their type says (a card that passes Luhn, an
identity number with its check digit, a number that is assigned to mobile telephones). Addresses that are not
globally reachable count as found when they are found on demand.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.pii import is_cn_id, luhn, spans
from tests.bench.records import records_of

KINDS = {
    "EMAIL": "email", "EMAIL_ADDRESS": "email", "IP": "ip", "IP_ADDRESS": "ip", "CREDIT_CARD": "card",
    "CARD": "card", "CN_ID": "cn_id", "CN_MOBILE": "phone", "PHONE_NUMBER": "phone", "PHONE": "phone",
}  # fmt: skip


def labelled(files: list[Path]) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """Texts with their spans: type, start, end."""
    for record in records_of(files[0]):
        found = [(s["entity_type"], s["start_position"], s["end_position"]) for s in record["spans"]]
        yield record["full_text"], found
    if len(files) > 2:
        texts = {record["id"]: record["text"] for record in records_of(files[1])}
        for label in records_of(files[2]):
            found = [(s["type"], s["start"], s["end"]) for s in label.get("spans", ()) if "type" in s]
            yield texts[label["id"]], found


def sound(kind: str, value: str) -> bool:
    """Whether a labelled string is what it is called."""
    digits = re.sub(r"\D", "", value)
    if kind == "card":
        return luhn(digits)
    if kind == "cn_id":
        return re.fullmatch(r"[1-9]\d{16}[\dXx]", value) is not None and is_cn_id(value)
    return kind != "phone" or not re.fullmatch(r"1[0-2]\d{9}", digits)


if __name__ == "__main__":
    total: dict[str, Counter[str]] = defaultdict(Counter)
    stray: Counter[str] = Counter()
    examples: list[Any] = []
    characters = 0
    for text, wanted in labelled([Path(name) for name in sys.argv[1:]]):
        characters += len(text)
        hits = spans(text, private=True)
        for name, start, stop in wanted:
            kind = KINDS.get(name)
            if kind is None:
                continue
            found = any(k == kind and a < stop and b > start for k, a, b in hits)
            total[name]["labelled"] += 1
            total[name]["found"] += found
            if sound(kind, text[start:stop]):
                total[name]["sound"] += 1
                total[name]["sound found"] += found
            if not found:
                examples.append((name, text[start:stop]))
        for kind, start, stop in hits:
            if not any(a < stop and b > start for _, a, b in wanted):
                stray[kind] += 1
                examples.append((f"stray {kind}", text[max(0, start - 20) : stop + 10]))
    for name, counts in sorted(total.items()):
        print(
            f"{name:14} {counts['found']}/{counts['labelled']}, of sound ones "
            f"{counts['sound found']}/{counts['sound']}"
        )
    print(f"hits without a label in {characters} characters: {dict(stray)}")
    for name, value in examples:
        print(f"  {name}: {value!r}")
