"""Excerpts of dropped documents, by stage and reason; beside a duplicate, the document that survived.

The documents with the least doc_ids are shown: the choice hangs on the corpus alone, not on how it was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow.compute as pc

from pipeline.plain import clip
from pipeline.stored import Stored, reason_sentence, rows_of

EXAMPLES: Final = 3  # per reason
CHARS: Final = 360  # per excerpt: what a phone shows without scrolling

_COLUMNS: Final = ("doc_id", "orig_id", "source", "file", "record", "fate", "reason", "lang",
                   "duplicate_of", "similarity", "contamination")  # fmt: skip


def reasons(stored: Stored, stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every reason of every stage, most documents first within a stage, with examples.

    Args:
        stored: the run.
        stages: `stages` of report.json.

    Returns:
        stage, reason, sentence, documents, share (of what the stage was given), by_source and examples: the
        columns of the documents table, `text` and, for duplicates, `survivor_text`.
    """
    table = stored.documents(list(_COLUMNS))
    found: list[dict[str, Any]] = []
    for stage in stages:
        counted = dict(stage["quarantined_by_reason"] or {}) | stage["dropped"]
        for reason, documents in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])):
            fate = "quarantined" if reason in (stage["quarantined_by_reason"] or {}) else stage["stage"]
            here = pc.and_(pc.equal(table.column("fate"), fate), pc.equal(table.column("reason"), reason))
            ids = table.column("doc_id").filter(here)
            least = pc.bottom_k_unstable(ids, min(EXAMPLES, len(ids)))
            by_source = {
                source: entry["dropped"].get(reason, 0) + entry["quarantined"].get(reason, 0)
                for source, entry in stage["by_source"].items()
            }
            found.append(
                {
                    "stage": stage["stage"],
                    "reason": reason,
                    "sentence": reason_sentence(stage["stage"], reason),
                    "documents": documents,
                    "share": documents / stage["in"] if stage["in"] else 0.0,
                    "by_source": {source: n for source, n in by_source.items() if n},
                    "ids": ids.take(least).to_pylist(),
                }
            )
    _fill(stored, table, found)
    return found


def _fill(stored: Stored, table: Any, found: list[dict[str, Any]]) -> None:
    """Adds `examples`; all texts of a part are read at once."""
    rows = rows_of(table, [doc for entry in found for doc in entry["ids"]])
    examples = {
        doc: table.slice(row, 1).to_pylist()[0] | {"row": row, "survivor_text": None}
        for doc, row in rows.items()
    }
    survivors = rows_of(table, sorted({e["duplicate_of"] for e in examples.values() if e["duplicate_of"]}))
    texts = stored.texts([*rows.values(), *survivors.values()], most=CHARS + 1)
    for example in examples.values():
        example["text"] = clip(texts.get(example["row"], ""), CHARS)
        if example["duplicate_of"] in survivors:
            example["survivor_text"] = clip(texts.get(survivors[example["duplicate_of"]], ""), CHARS)
    for entry in found:
        entry["examples"] = [examples[doc] for doc in entry.pop("ids")]
