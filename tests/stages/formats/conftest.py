"""Shared by the tests of readers: load a few files, get their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages.formats.discover import discover, examine
from stages.load import Load


class Loaded(NamedTuple):
    """Rows in order, and the counts of what made none."""

    rows: list[dict[str, Any]]
    tallies: Counter[str]
    parts: int

    @property
    def texts(self) -> list[str | None]:
        """The text of every row."""
        return [row["text"] for row in self.rows]

    @property
    def reasons(self) -> list[str | None]:
        """The reason of every row."""
        return [row["reason"] for row in self.rows]


def load_all(load: Load, base: Path) -> Loaded:
    """Everything that a stage reads below a folder, slice after slice."""
    rows: list[dict[str, Any]] = []
    tallies: Counter[str] = Counter()
    parts = 0
    for spec in load.sources:
        files = [examine(found, spec.name, load.part_bytes) for found in discover(spec, base)]
        for piece in load.slices(files):
            for table in load.read(piece):
                rows += table.to_pylist()
                tallies.update(json.loads(table.schema.metadata[b"tallies"]))
                parts += 1
    return Loaded(rows, tallies, parts)


@pytest.fixture
def load_file(tmp_path: Path) -> Callable[..., Loaded]:
    """Writes one file, and loads it with these keys of the source and of the stage."""

    def load(name: str, content: bytes, *, stage: dict[str, Any] | None = None, **source: Any) -> Loaded:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return load_all(Load(sources=[{"name": "s", "paths": [name], **source}], **(stage or {})), tmp_path)

    return load
