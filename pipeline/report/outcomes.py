"""What came of the run: mixture, contamination, training, and a verdict on each.

Reads the ruling of mix, the parts' statistics and the trainer's metrics. A part of the recipe that did not run
leaves its section empty.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pipeline.report.counts import Counted
from pipeline.stored import Stored

_TOLD: Final = ("items", "repeated", "checkable", "not_checkable", "share", "longest", "matched_tokens",
                "matched_characters")  # fmt: skip

_NOWHERE: Final = {"documents": 0, "dropped": 0, "regions": 0, "characters_dropped": 0, "items": {}}

CLOSE: Final = 0.01  # a mixture that is off by less than one in a hundred is what was asked for


def mixture(stored: Stored, counted: Counted) -> list[dict[str, Any]]:
    """A group each: documents, available and target tokens, epochs, and what the kept documents realise.

    `available` and `target` are mix's own: exact tokens, each document's end included, if tokenize ran before
    it, else an estimate from bytes. `realised` is counted document by document, ends included.
    """
    if stored.entry("mix") is None:
        return []
    realised = counted.kept("mix_group")
    ruling = stored.ruling("mix")
    planned = {row["group"]: row for row in ruling.to_pylist()} if ruling is not None else {}
    total = sum(row["repeated"] + row["ends"] for row in realised.values())
    aim = sum(row["target"] for row in planned.values())
    rows = []
    for name in sorted({*realised, *planned}):
        found, plan = realised.get(name), planned.get(name, {})
        tokens = found["repeated"] + found["ends"] if found is not None and counted.tokenised else None
        target = plan.get("target")
        rows.append(
            {
                "group": name,
                "documents": found["documents"] if found is not None else 0,
                "available": plan.get("size"),
                "weight": plan.get("weight"),
                "target": target,
                "target_share": target / aim if target is not None and aim else None,
                "epochs": plan.get("epochs"),
                "realised": tokens,
                "realised_share": tokens / total if tokens is not None and total else None,
                "exact": plan.get("unit", "tokens") == "tokens",
            }
        )
    return rows


def contamination(stored: Stored, counted: Counted) -> list[dict[str, Any]]:
    """A benchmark each: its items, found and not checkable, and the documents and regions with evidence.

    Items and phrases are counted by decontaminate (null if it published no table), documents by part;
    `characters_dropped` and `tokens_dropped` are of whole documents, null where nobody counted them.
    """
    if stored.entry("decontaminate") is None:
        return []
    found = counted.counts["contamination"]
    path = stored.artifact("decontaminate", "contamination.json")
    items = {entry["benchmark"]: entry for entry in json.loads(path.read_bytes())} if path else {}
    rows = []
    for name in sorted({*items, *found}):
        mine, told = found.get(name, _NOWHERE), items.get(name, {})
        rows.append(
            {
                "benchmark": name,
                "documents": mine["documents"],
                "dropped": mine["dropped"],
                "regions": mine["regions"],
                "items_found": len(mine["items"]),
                **{key: told.get(key) for key in _TOLD},
                "characters_dropped": mine["characters_dropped"] if mine["dropped"] else None,
                "tokens_dropped": mine.get("tokens_dropped"),
                "grams": told.get("grams", []),
                "common_phrases": told.get("common_phrases", []),
            }
        )
    return rows


def training(folder: Path) -> dict[str, Any]:
    """The loss of each step, the evaluations and the trainer's own summary; empty if nothing was trained."""
    path = folder / "train" / "metrics.jsonl"
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    summary = folder / "train" / "summary.json"
    return {
        "loss": [[line["step"], line["loss"]] for line in lines if line.get("loss") is not None],
        "validation": [
            [line["step"], line["eval"]["loss"]]
            for line in lines
            if line.get("eval", {}).get("loss") is not None
        ],
        "summary": json.loads(summary.read_bytes()) if summary.is_file() else {},
    }


def verdicts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What a reader wants to know first.

    Returns:
        `good`: true, false, or null where it is only worth knowing; `says`: a sentence with places for `numbers`.
    """
    said: list[tuple[bool | None, str, list[str]]] = []
    broken = sum(not row["holds"] for row in found["ledger"])
    if broken:
        said.append((False, "the ledger does not add up in {} places", [f"{broken:,}"]))
    else:
        said.append((True, "every document is accounted for", []))
    if bad := found["documents"].get("quarantined", 0):
        said.append((None, "{} records quarantined", [f"{bad:,}"]))
    else:
        said.append((True, "every record could be read", []))
    if found["contamination"]:
        dropped = sum(row["dropped"] for row in found["contamination"])
        said.append((True, "{} contaminated documents dropped", [f"{dropped:,}"]))
        if left := sum(row["documents"] for row in found["contamination"]) - dropped:
            said.append((None, "{} contaminated documents kept, cut or tagged", [f"{left:,}"]))
        if lost := found["copies_lost"]:
            said.append((None, "{} near copies of contaminated documents went with them", [f"{lost:,}"]))
    aimed = [row for row in found["mixture"] if row["target_share"] is not None]
    if aimed:
        off = max(abs((row["realised_share"] or 0) - row["target_share"]) for row in aimed)
        guessed = not all(row["exact"] for row in aimed)  # from bytes: what it is off by is not mix's fault
        good = True if off <= CLOSE else None if guessed else False
        said.append((good, "shares of the mixture are off by {} at most", [f"{off:.1%}"]))
    if found["packing"]:
        said.append((None, "rows are {} full", [f"{found['packing']['fill'] or 0:.1%}"]))
    summary = found["training"].get("summary", {})
    if summary.get("unigram_entropy") is not None:
        final, entropy = summary["train_loss_final"], summary["unigram_entropy"]
        numbers = [f"{final:.3f}", f"{entropy:.3f}"]
        said.append((final < entropy, "loss {}, unigram entropy {}", numbers))
    return [{"good": good, "says": says, "numbers": numbers} for good, says, numbers in said]
