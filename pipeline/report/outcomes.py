"""What came of the run: mixture, contamination, duplicates, shards, training, and a verdict on each.

Reads the ruling of mix, the documents table, the manifest of the shards and the trainer's metrics. A part of
the recipe that did not run leaves its section empty.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.report.counts import Documents
from pipeline.stored import Stored
from stages.packed import Packed


def mixture(stored: Stored, table: Documents) -> list[dict[str, Any]]:
    """A group each: documents, available and target tokens, epochs, and what the kept documents realise.

    `available` and `target` are mix's own: exact tokens, each document's end included, if tokenize ran before
    it, else an estimate from bytes. `realised` is counted in the documents table, ends included.
    """
    entry = stored.entry("mix")
    if entry is None:
        return []
    by = entry["identity"]["parameters"].get("by", "source")
    names = [by] if isinstance(by, str) else list(by)
    kept = table.table.filter(table.kept)
    if any(name not in kept.column_names for name in names):
        kept = kept.append_column("file", stored.documents(["file"]).column("file").filter(table.kept))
    repeats = kept.column("repeats").cast(pa.int64())
    ends = pc.multiply(repeats, pc.greater(kept.column("tokens"), 0).cast(pa.int64()))
    sized = pc.add(kept.column("repeated"), ends)
    parts = [pc.fill_null(kept.column(name).cast(pa.string()), "null") for name in names]
    group = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
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
    """A benchmark each: documents with evidence, regions, items found, and what became of the documents."""
    column = table.table.column("contamination").combine_chunks()
    if stored.entry("decontaminate") is None:
        return []
    row = pc.list_parent_indices(column)
    hits = column.flatten()
    found = pa.table(
        {
            "benchmark": hits.field("benchmark"),
            "item": hits.field("item"),
            "row": row,
            "fate": table.table.column("fate").take(row),
        }
    )
    rows = []
    for name in sorted(pc.unique(found.column("benchmark")).to_pylist()):
        mine = found.filter(pc.equal(found.column("benchmark"), name))
        dropped = mine.filter(pc.equal(mine.column("fate"), "decontaminate"))
        rows.append(
            {
                "benchmark": name,
                "documents": len(mine.column("row").unique()),
                "dropped": len(dropped.column("row").unique()),
                "regions": mine.num_rows,
                "items": len(mine.column("item").unique()),
            }
        )
    return rows


def duplicates(table: Documents) -> dict[str, Any]:
    """Dropped duplicates by similarity, clusters by size, and which source loses to which is left to samples."""
    similar = table.table.column("similarity").drop_null().to_numpy()
    sizes = table.table.filter(table.kept).column("cluster_size").drop_null().to_numpy()
    clusters = np.unique(sizes[sizes > 1], return_counts=True)
    return {
        "dropped": len(similar),
        "similarity": [int(n) for n in np.histogram(similar, bins=20, range=(0.0, 1.0))[0]],
        "clusters": {
            str(size): int(number) for size, number in zip(*(part.tolist() for part in clusters), strict=True)
        },
    }


def packing(stored: Stored) -> dict[str, Any]:
    """The shards: rows, tokens, fill, documents a row, cuts, and every file with its digest."""
    folder = stored.run.path / "packed"
    if not folder.exists():
        return {}
    packed = Packed(folder)
    manifest = packed.manifest
    splits: dict[str, Any] = {}
    for name, split in manifest.splits.items():
        segments, cuts = 0, 0
        for _, shard in packed.split(name).tables():
            starts = pc.list_flatten(shard.column("segment_start"))
            segments += len(starts)
            cuts += pc.sum(pc.greater(starts, 0)).as_py() or 0
        splits[name] = {
            "rows": split.rows,
            "tokens": split.tokens,
            "fill": split.tokens / (split.rows * manifest.seq_len) if split.rows else None,
            "segments": segments,
            "segments_per_row": segments / split.rows if split.rows else None,
            "cuts": cuts,
            "shards": [
                {"file": s.file, "rows": s.rows, "tokens": s.tokens, "sha256": s.sha256} for s in split.shards
            ],
        }
    rows, tokens = (sum(split[what] for split in splits.values()) for what in ("rows", "tokens"))
    return {
        "rows": rows,
        "tokens": tokens,
        "fill": tokens / (rows * manifest.seq_len) if rows else None,
        "seq_len": manifest.seq_len,
        "vocab_size": manifest.vocab_size,
        "dtype": manifest.dtype,
        "tokenizer_sha256": manifest.tokenizer_sha256,
        "fingerprint": manifest.fingerprint,
        "sources": list(manifest.sources),
        "splits": splits,
    }


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
    """What a reader wants to know first: `good` true, false, or null where it is only worth knowing."""
    broken = [row for row in found["ledger"] if not row["holds"]]
    said: list[tuple[bool | None, str]] = [
        (not broken, "every document is accounted for")
        if not broken
        else (False, f"the ledger does not add up in {len(broken)} places")
    ]
    bad = found["documents"].get("quarantined", 0)
    said.append(
        (None if bad else True, f"{bad:,} records quarantined" if bad else "every record could be read")
    )
    if found["contamination"]:
        left = sum(row["documents"] - row["dropped"] for row in found["contamination"])
        dropped = sum(row["dropped"] for row in found["contamination"])
        words = f"{dropped:,} contaminated documents dropped"
        said.append((None if left else True, words + (f", {left:,} cut or tagged" if left else "")))
    off = [row for row in found["mixture"] if row["target_share"] is not None]
    if off:
        worst = max(abs((row["realised_share"] or 0) - row["target_share"]) for row in off)
        said.append(
            (
                worst <= 0.01,
                f"the mixture is within {max(worst, 0.0005):.1%} of its target".replace("%", " %"),
            )
        )
    if found["packing"]:
        fill = found["packing"]["fill"]
        said.append((None, f"rows are {fill or 0:.1%} full".replace("%", " %")))
    summary = found["training"].get("summary", {})
    if summary.get("unigram_entropy") is not None:
        final, entropy = summary["train_loss_final"], summary["unigram_entropy"]
        said.append((final < entropy, f"loss {final:.3f}, unigram entropy {entropy:.3f}"))
    return [{"good": good, "says": words} for good, words in said]
