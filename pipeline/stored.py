"""Reads back what a run stored: any column of any document, as it stood after any stage.

Documents are named by their row: the position in the documents table, parts one after the other in load
order. Only reads; does not know what the columns mean.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import statistics
from pipeline.errors import IntegrityError, RecipeError
from pipeline.runs import Run
from pipeline.statistics import Statistics
from pipeline.store import Marker, artifacts, read_marker, read_table
from stages.naming import stage_class


class Stored:
    """The results of one run.

    Attributes:
        run: the run.
        record: its run.json.
        stages: the entries of its stages, in the order of the recipe.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.record = run.record()
        self.stages: list[dict[str, Any]] = self.record.get("stages", [])
        self._schemas: dict[str, pa.Schema] = {}

    def entry(self, word: str) -> dict[str, Any] | None:
        """What run.json says of a stage; None if the run has none of that name."""
        return next((entry for entry in self.stages if entry["stage"] == word), None)

    def marker(self, stem: str) -> Marker:
        """The marker of a result of this run.

        Raises:
            IntegrityError: it is gone or damaged.
        """
        found = read_marker(Path(stem))
        if found is None:
            raise IntegrityError(
                f"{stem}.json: the run {self.run.id} stored a result there that is gone or damaged; "
                f"run the recipe again to make it again"
            )
        return found

    def ruling(self, word: str) -> pa.Table | None:
        """The last ruling of a stage, if it made any."""
        entry = self.entry(word)
        turns = [step for step in (entry or {}).get("steps", {}) if step.startswith("ruling ")]
        if entry is None or not turns:
            return None
        last = max(turns, key=lambda step: int(step.split()[1]))
        path = self.marker(entry["steps"][last][0]).data
        return read_table(path) if path is not None else None

    def artifact(self, word: str, name: str) -> Path | None:
        """A file that a stage published (a tokenizer, a table), if it did."""
        entry = self.entry(word)
        steps: dict[str, list[str]] = entry["steps"] if entry is not None else {}
        for stems in reversed(steps.values()):
            for marker in (self.marker(stem) for stem in stems[:1]):
                for file in map(str, marker.body.get("files", {})):
                    if file.partition(".")[2] == name:
                        return marker.path.parent / file
        return None

    @cached_property
    def statistics(self) -> Statistics:
        """What was counted of all documents, dead ones included, and `shards`: of all shards.

        Raises:
            RecipeError: the run did not get as far as counting.
        """
        named = self.record.get("statistics")
        if named is None:
            self.run.documents()  # complains of a run that did not get so far
            raise RecipeError([f"run {self.run.id}: an older version made it; run its recipe again"])
        found = statistics.merged(map(self._counted, named["parts"]))
        return {**found, "shards": [self._counted(stem) for stem in named["shards"]]}

    def _counted(self, stem: str) -> dict[str, Any]:
        path, _ = artifacts([self.marker(stem)])[statistics.FILE]
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{path} is gone or damaged; run the recipe again to make it again"
            ) from error
        return found

    @cached_property
    def files(self) -> list[Path]:
        """The files of the documents table, a part each.

        Raises:
            RecipeError: the run did not get as far as writing them.
        """
        return self.run.documents()

    @cached_property
    def bounds(self) -> npt.NDArray[np.int64]:
        """Row at which each part begins, and the number of all rows."""
        return np.cumsum([0, *(pq.read_metadata(path).num_rows for path in self.files)])

    @property
    def rows(self) -> int:
        """How many documents the run has, dead ones included."""
        return int(self.bounds[-1])

    def documents(self, columns: list[str] | None = None) -> pa.Table:
        """The documents table, or some of its columns."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return pa.concat_tables(pool.map(lambda path: read_columns(path, columns), self.files))

    def place(self, row: int) -> tuple[int, int]:
        """The part that holds a row, and the row's position in it."""
        part = int(np.searchsorted(self.bounds, row, side="right")) - 1
        return part, row - int(self.bounds[part])

    def document(self, row: int, columns: list[str] | None = None) -> dict[str, Any]:
        """One row of the documents table, or some of its columns."""
        part, place = self.place(row)
        found: dict[str, Any] = read_columns(self.files[part], columns).slice(place, 1).to_pylist()[0]
        return found

    def rows_at(self, rows: Iterable[int], columns: list[str] | None = None) -> dict[int, dict[str, Any]]:
        """Some rows of the documents table, each part's file opened once."""
        return {
            row: own
            for part, places in self._by_part(rows).items()
            for row, own in zip(
                places,
                read_columns(self.files[part], columns)
                .take(pa.array([row - int(self.bounds[part]) for row in places]))
                .to_pylist(),
                strict=True,
            )
        }

    def locate(self, ids: Sequence[str]) -> dict[str, int]:
        """The rows of some doc_ids, part after part; unknown ids are left out."""

        def search(part: int) -> dict[str, int]:
            found = _rows_of(read_columns(self.files[part], ["doc_id"]), ids)
            return {doc: row + int(self.bounds[part]) for doc, row in found.items()}

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return {
                doc: row for found in pool.map(search, range(len(self.files))) for doc, row in found.items()
            }

    def _by_part(self, rows: Iterable[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for row in sorted(set(rows)):
            found.setdefault(self.place(row)[0], []).append(row)
        return found

    def names(self, entry: Mapping[str, Any]) -> list[str]:
        """The columns that a stage wrote, `reason` and `alive` among them."""
        return list(self._schema(entry).names)

    def columns(self) -> dict[str, list[str]]:
        """Column -> the stages of the run that wrote it, in order."""
        found: dict[str, list[str]] = {}
        for entry in self.stages:
            for name in self.names(entry) if entry["parts"] else ():
                found.setdefault(name, []).append(entry["stage"])
        return found

    def column(self, name: str) -> pa.ChunkedArray | None:
        """A column of all rows: of each row the last value that a stage gave it; None: nobody writes it."""
        if name not in self.columns():
            return None
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda part: self.latest(name, part, None), range(len(self.bounds) - 1)))
        return pa.chunked_array(parts)

    def texts(
        self,
        rows: Iterable[int],
        *,
        before: str | None = None,
        most: int | None = None,
        first: bool = False,
    ) -> dict[int, str]:
        """The text of documents, as the stages left it last.

        Args:
            rows: which documents.
            before: a stage; the text is what that stage read.
            most: characters to return at most of each.
            first: the text as load read it instead.

        Returns:
            Row -> text; a record that could not be read has none and is left out.
        """
        by_part = self._by_part(rows)
        if first:
            before = self.stages[1]["stage"] if len(self.stages) > 1 else None

        def read(part: int) -> dict[int, str]:
            wanted = by_part[part]
            places = pa.array([row - int(self.bounds[part]) for row in wanted])
            taken = self.latest("text", part, before, places)
            if most is not None:
                taken = pc.utf8_slice_codeunits(taken, 0, most)
            return {
                row: text for row, text in zip(wanted, taken.to_pylist(), strict=True) if text is not None
            }

        found: dict[int, str] = {}
        for part in by_part:  # one after the other: a part's texts may be a good deal of memory
            found |= read(part)
        return found

    def search(self, text: str, around: int, most: int) -> Iterator[tuple[int, str]]:
        """Rows whose text holds `text`, whatever the case, with `around` characters on each side of it."""
        for part, first in enumerate(self.bounds[:-1].tolist()):
            column = self.latest("text", part, None)
            hits = pc.fill_null(pc.match_substring(column, text, ignore_case=True), False)
            for place in np.flatnonzero(hits.to_numpy(zero_copy_only=False)).tolist():
                whole = column[place].as_py()
                at = max(0, whole.lower().find(text.lower()))
                yield first + place, whole[max(0, at - around) : at + len(text) + around]
                most -= 1
                if not most:
                    return

    def part_file(self, entry: Mapping[str, Any], part: int) -> Path:
        """The data file of a part at a stage."""
        stem = Path(entry["parts"][part])
        for suffix in (".parquet", ".arrow"):
            path = stem.with_name(stem.name + suffix)
            if path.exists():
                return path
        raise IntegrityError(f"{stem}: its data file is gone; run the recipe again to make it again")

    def latest(self, name: str, part: int, before: str | None, places: pa.Array | None = None) -> pa.Array:
        """A column of a part as a stage was given it (None: as the last one left it), or some places of it.

        A stage that drops a row may leave null what an earlier stage had written.
        """
        found: pa.Array | None = None
        for entry in self.stages:
            if entry["stage"] == before:
                break
            if entry["parts"] and name in self._schema(entry).names:
                own = read_columns(self.part_file(entry, part), [name]).column(0).combine_chunks()
                own = own if places is None else own.take(places)
                found = own if found is None else pc.coalesce(own, found)
        assert found is not None  # noqa: S101 - callers ask for columns that are there
        return found

    def _schema(self, entry: Mapping[str, Any]) -> pa.Schema:
        word = entry["stage"]
        if word not in self._schemas:
            path = self.part_file(entry, 0)
            arrow = path.suffix == ".arrow"
            self._schemas[word] = (
                pa.ipc.open_file(pa.memory_map(str(path), "rb")).schema if arrow else pq.read_schema(path)
            )
        return self._schemas[word]


def read_columns(path: Path, names: list[str] | None = None) -> pa.Table:
    """Columns of a data file, read on this thread; `pq.read_table` would import pandas where it is installed."""
    if path.suffix == ".parquet":
        return pq.ParquetFile(path, memory_map=True).read(columns=names, use_threads=False)
    return read_table(path, names)


def reason_sentence(word: str, reason: str) -> str:
    """What a reason code says; empty for a stage or a code that this version does not have."""
    try:
        return stage_class(word).reasons.get(reason, "")
    except KeyError:
        return ""


def _rows_of(table: pa.Table, ids: Sequence[str]) -> dict[str, int]:
    """The rows of some doc_ids in a table with a column `doc_id`; unknown ids are left out."""
    if not ids:
        return {}
    found = pc.index_in(pa.array(ids), value_set=table.column("doc_id").combine_chunks()).to_pylist()
    return {doc: row for doc, row in zip(ids, found, strict=True) if row is not None}
