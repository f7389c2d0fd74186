"""Repair on ftfy's own cases and on planted damage: what ftfy passes, repair must pass.

python tests/bench/mojibake.py mojibake/ftfy_cases.json planted/docs.jsonl.zst planted/labels.jsonl.gz
"""

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
from ftfy import fix_text

from stages.formats.benchmark import records
from stages.repair import CONFIGURATION, repaired
from tests.kernels.references import tidied


def stored(texts: list[str]) -> list[str]:
    """The texts as `clean` stores them."""
    return [str(text) for text in repaired(pa.array(texts, pa.large_string()), ftfy=True)[0].to_pylist()]


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    outcomes: Counter[str] = Counter()
    for case in cases:
        ours = stored([case["original"]])[0]
        theirs = tidied(fix_text(case["original"], CONFIGURATION))
        # ftfy's own expectation has straight quotes and standard widths; compare under ftfy's full fixing.
        passes = fix_text(case["original"]) == case["fixed"]
        outcomes["equal to ftfy" if ours == theirs else "DIFFERS"] += 1
        outcomes["ftfy passes"] += passes
        outcomes["we pass, quotes straightened"] += passes and tidied(fix_text(ours)) == tidied(case["fixed"])
    print(len(cases), "cases", dict(outcomes))
    texts = {record["id"]: record["text"] for record in records(Path(sys.argv[2]))}
    damaged = [record for record in records(Path(sys.argv[3])) if record["kind"] == "encoding_damage"]
    equal, restored = Counter[str](), Counter[str]()
    for record in damaged:
        ours = stored([texts[record["id"]]])[0]
        equal[record["variant"]] += ours == tidied(fix_text(texts[record["id"]], CONFIGURATION))
        restored[record["variant"]] += ours == tidied(record["original"])
    print(
        len(damaged), "damaged; as ftfy gives:", sum(equal.values()), "; original restored:", dict(restored)
    )
