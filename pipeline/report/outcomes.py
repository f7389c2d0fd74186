"""What came of the run: mixture, contamination, training, and a verdict on each.

Reads the ruling of mix, the documents table and the trainer's metrics. A part of the recipe that did not run
leaves its section empty.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.report.counts import Documents
from pipeline.stored import Stored

_TOLD: Final = ("items", "repeated", "checkable", "not_checkable", "share", "longest", "matched_tokens",
                "matched_characters")  # fmt: skip

CLOSE: Final = 0.01  # a mixture that is off by less than one in a hundred is what was asked for


def mixture(stored: Stored, table: Documents) -> list[dict[str, Any]]:
    """A group each: documents, available and target tokens, epochs, and what the kept documents realise.

    `available` and `target` are mix's own: exact tokens, each document's end included, if tokenize ran before
    it, else an estimate from bytes. `realised` is counted in the documents table, ends included.
    """
    entry = stored.entry("mix")
    if entry is None:
        return []
    kept = table.table.filter(table.kept)
    column = stored.column("mix_group")
    group = (kept.column("source") if column is None else column.filter(table.kept)).combine_chunks()
    repeats = kept.column("repeats").cast(pa.int64())
    ends = pc.multiply(repeats, pc.greater(kept.column("tokens"), 0).cast(pa.int64()))
    sized = pc.add(kept.column("repeated"), ends)
    counted = pa.table({"group": group, "documents": kept.column("documents"), "realised": sized})
    sums = counted.group_by("group", use_threads=False).aggregate([("documents", "sum"), ("realised", "sum")])
    realised = {row["group"]: row for row in sums.to_pylist()}
    ruling = stored.ruling("mix")
    planned = {row["group"]: row for row in ruling.to_pylist()} if ruling is not None else {}
    total = sum(row["realised_sum"] or 0 for row in realised.values())
    aim = sum(row["target"] for row in planned.values())
    rows = []
    for name in sorted({*realised, *planned}):
        found, plan = realised.get(name, {}), planned.get(name, {})
        tokens = found.get("realised_sum")
        target = plan.get("target")
        rows.append(
            {
                "group": name,
                "documents": found.get("documents_sum", 0),
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


def contamination(stored: Stored, table: Documents) -> list[dict[str, Any]]:
    """A benchmark each: its items, found and not checkable, and the documents and regions with evidence.

    Items and phrases are counted by decontaminate (null if it published no table), documents in the documents
    table; `characters_dropped` and `tokens_dropped` are of whole documents, null where nobody counted them.
    """
    if stored.entry("decontaminate") is None:
        return []
    column = table.table.column("contamination").combine_chunks()
    row = pc.list_parent_indices(column)
    hits = column.flatten()
    found = pa.table(
        {
            "benchmark": hits.field("benchmark"),
            "item": hits.field("item"),
            "row": row,
            "dropped": pc.equal(table.table.column("fate").take(row), "decontaminate"),
            "characters": table.table.column("chars").take(row),
            "tokens": table.table.column("tokens").take(row),
        }
    )
    path = stored.artifact("decontaminate", "contamination.json")
    items = {entry["benchmark"]: entry for entry in json.loads(path.read_bytes())} if path else {}
    rows = []
    for name in sorted({*items, *pc.unique(found.column("benchmark")).to_pylist()}):
        mine = found.filter(pc.equal(found.column("benchmark"), name))
        gone = mine.filter(mine.column("dropped")).group_by("row", use_threads=False)
        lost = gone.aggregate([("characters", "min"), ("tokens", "min")])
        told = items.get(name, {})
        rows.append(
            {
                "benchmark": name,
                "documents": len(mine.column("row").unique()),
                "dropped": lost.num_rows,
                "regions": mine.num_rows,
                "items_found": len(mine.column("item").unique()),
                **{key: told.get(key) for key in _TOLD},
                "characters_dropped": pc.sum(lost.column("characters_min")).as_py(),
                "tokens_dropped": pc.sum(lost.column("tokens_min")).as_py(),
                "grams": told.get("grams", []),
                "common_phrases": told.get("common_phrases", []),
            }
        )
    return rows


def copies_lost(table: Documents) -> int:
    """Duplicates whose survivor is contaminated: near copies of it, so they are not brought back."""
    documents = table.table
    dropped = documents.filter(pc.equal(documents.column("fate"), "decontaminate")).column("doc_id")
    return int(pc.sum(pc.is_in(documents.column("duplicate_of"), dropped.combine_chunks())).as_py() or 0)


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
