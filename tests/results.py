"""What a run left behind, in a form that two runs can be compared by."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def run_folder(work: Path) -> Path:
    """The newest run's folder."""
    return max(path.parent for path in (work / "runs").glob("*/report.json"))


def data(work: Path) -> dict[str, str]:
    """Data files of the store by name -> sha256. Markers tell times, so they differ between runs."""
    return {
        path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((work / "store").rglob("*"))
        if path.is_file() and (path.suffix in {".parquet", ".arrow"} or "packed" in path.parts)
    }


def packed(work: Path) -> dict[str, str]:
    """The packed folder's files by name -> sha256."""
    folder = run_folder(work) / "packed"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def documents(work: Path) -> list[dict[str, Any]]:
    """The documents table."""
    files = sorted((run_folder(work) / "documents").glob("*.parquet"))
    rows: list[dict[str, Any]] = pq.ParquetDataset(files).read().to_pylist()
    return rows


def fates(work: Path) -> dict[str, tuple[Any, ...]]:
    """doc_id -> fate, reason, duplicate_of, repeats."""
    return {r["doc_id"]: (r["fate"], r["reason"], r["duplicate_of"], r["repeats"]) for r in documents(work)}
