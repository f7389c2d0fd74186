"""What the pipeline adds to the documents of a training step."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.training import curation


def test_doc_ids_are_joined_with_the_documents_table(tmp_path: Path) -> None:
    """File, record and measurements of the documents asked for, from all parts; nulls are left out."""
    (tmp_path / "documents").mkdir()
    for part in range(2):
        rows = [
            {"doc_id": f"{part}{n}", "file": f"{part}.jsonl", "record": n, "fate": "kept", "lang_score": None if n else 0.9}
            for n in range(3)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "documents" / f"{part:05d}.parquet")
    found = curation(tmp_path, {"00", "12", "99"})
    assert found == {
        "00": {"doc_id": "00", "file": "0.jsonl", "record": 0, "fate": "kept", "lang_score": 0.9},
        "12": {"doc_id": "12", "file": "1.jsonl", "record": 2, "fate": "kept"},
    }


def test_a_run_without_a_table_has_nothing_to_add(tmp_path: Path) -> None:
    """Shards trained without a recipe's run: no rows, no fault."""
    assert curation(tmp_path, {"00"}) == {}
