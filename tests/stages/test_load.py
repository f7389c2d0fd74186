"""Load: how files are cut into slices, what a row is, and what must not change it."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import InputFile, Slice
from stages.formats.discover import discover, examine
from stages.formats.rows import SCHEMA, doc_ids
from stages.load import Load


def make(**keys: Any) -> Load:
    """A load stage with one source named `s`."""
    return Load(sources=[{"name": "s", "paths": ["*"]}], **keys)


def inputs(load: Load, base: Path) -> list[InputFile]:
    """The files of all sources of a stage."""
    return [
        examine(found, spec.name, load.part_bytes) for spec in load.sources for found in discover(spec, base)
    ]


def read(load: Load, pieces: Sequence[Slice]) -> pa.Table:
    """All rows of these slices, in order."""
    return pa.concat_tables(table.replace_schema_metadata() for piece in pieces for table in load.read(piece))


def test_doc_id_is_the_hash_of_source_file_and_record() -> None:
    """BLAKE2b-128 over the two names, zero-terminated, and the number as 8 bytes."""
    expected = hashlib.blake2b(b"web\0a/b.jsonl\0" + (7).to_bytes(8, "little"), digest_size=16).digest()
    assert doc_ids("web", "a/b.jsonl", [7]).to_pylist() == [expected]


def test_a_table_has_the_declared_columns_and_tallies(tmp_path: Path) -> None:
    """Also when a file is empty: then it has no rows."""
    (tmp_path / "a.jsonl").write_bytes(b"")
    load = make()
    (table,) = load.read(load.slices(inputs(load, tmp_path))[0])
    assert table.schema.remove_metadata() == SCHEMA
    assert {name: SCHEMA.field(name).type for name in load.writes} == load.writes
    assert (table.num_rows, json.loads(table.schema.metadata[b"tallies"])) == (0, {"empty_files": 1})


def test_bytes_are_those_of_the_text_in_utf8(tmp_path: Path) -> None:
    """Zero for a record that cannot be read."""
    (tmp_path / "a.jsonl").write_text('{"text": "é中"}\nbroken\n', encoding="utf-8")
    load = make()
    assert read(load, load.slices(inputs(load, tmp_path)))["bytes"].to_pylist() == [5, 0]


def test_tables_hold_about_part_bytes_of_text(tmp_path: Path) -> None:
    """A compressed file is one slice and several parts."""
    pq.write_table(pa.table({"text": ["x" * 1_500_000] * 8}), tmp_path / "a.parquet", row_group_size=8)
    load = make(part_bytes=3_000_000)
    sizes = [table.num_rows for piece in load.slices(inputs(load, tmp_path)) for table in load.read(piece)]
    assert sizes == [2, 2, 2, 2]


def test_parquet_is_cut_by_row_groups(tmp_path: Path) -> None:
    """Neighbouring row groups together up to the size of a part; row numbers go on."""
    texts = [os.urandom(1000).hex() for _ in range(40)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=10)
    load = make(part_bytes=50_000)
    pieces = load.slices(inputs(load, tmp_path))
    assert [(one.start, one.stop, one.first_record) for one in pieces] == [(0, 2, 0), (2, -1, 20)]
    rows = read(load, pieces)
    assert rows["text"].to_pylist() == texts
    assert rows["record"].to_pylist() == list(range(40))


def test_slices_do_not_depend_on_where_the_files_lie(tmp_path: Path) -> None:
    """Same names and content elsewhere: same ids."""
    tables = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("hello")
        load = make()
        tables.append(read(load, load.slices(inputs(load, tmp_path / folder))))
    assert tables[0]["doc_id"].to_pylist() == tables[1]["doc_id"].to_pylist()


FILES = st.lists(
    st.tuples(st.text("abcdef/", min_size=1, max_size=6), st.integers(1, 3_000_000)),
    min_size=1,
    max_size=40,
    unique_by=lambda pair: pair[0],
)


def described(files: list[tuple[str, int]]) -> list[InputFile]:
    """Input files of these names and sizes, which do not exist."""
    return [InputFile("s", f"/{name}", f"{name}.txt", size, "0" * 64) for name, size in files]


@settings(max_examples=300, deadline=None)
@given(FILES, st.tuples(st.text("abcdefg", min_size=7, max_size=7), st.integers(1, 3_000_000)), st.randoms())
def test_adding_a_file_touches_at_most_one_group(
    files: list[tuple[str, int]], added: tuple[str, int], order: Any
) -> None:
    """All slices but one are still there, whatever the order in which files are listed."""
    load = make(part_bytes=4_000_000)
    before = load.slices(described(files))
    shuffled = [*files, added]
    order.shuffle(shuffled)
    after = load.slices(described(shuffled))
    assert len(set(before) - set(after)) <= 1
    assert len(set(after) - set(before)) <= 2
    assert sorted(file.name for piece in after for file in piece.files) == sorted(
        f"{name}.txt" for name, _ in shuffled
    )
    assert len({piece.name for piece in after}) == len(after)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", piece.name) for piece in after)


def test_groups_of_small_files_hold_about_a_part() -> None:
    """Ten thousand files of 20 kB make about as many groups as they fill parts."""
    load = make(part_bytes=4_000_000)
    groups = load.slices(described([(f"{index:05d}", 20_000) for index in range(10_000)]))
    assert 30 <= len(groups) <= 100


def test_a_slice_is_keyed_by_what_concerns_it() -> None:
    """Another source, another path or a guard changes nothing; the text field does."""
    one = Load(sources=[{"name": "a", "paths": ["a"]}])
    piece = Slice("a-0", "a", ())
    more = Load(sources=[{"name": "a", "paths": ["x"]}, {"name": "b", "paths": ["b"]}], max_quarantine=0.5)
    assert one.slice_identity(piece) == more.slice_identity(piece)
    other = Load(sources=[{"name": "a", "paths": ["a"], "text": "body"}])
    assert one.slice_identity(piece) != other.slice_identity(piece)


def test_the_stage_pickles_small() -> None:
    """It travels with every task."""
    assert len(pickle.dumps(make())) < 1000


def test_source_names_are_unique() -> None:
    """Two sources of one name would share ids."""
    with pytest.raises(ValueError, match="'a' is the name of two sources"):
        Load(sources=[{"name": "a", "paths": ["x"]}, {"name": "a", "paths": ["y"]}])


def test_an_unknown_encoding_is_refused() -> None:
    """When the recipe is read, not when the first file fails."""
    with pytest.raises(ValueError, match="'utf-9' is no encoding"):
        Load(sources=[{"name": "a", "paths": ["x"], "encoding": "utf-9"}])


def test_a_file_that_became_a_fifo_is_not_opened(tmp_path: Path) -> None:
    """What was regular when it was found may not be when it is read."""
    os.mkfifo(tmp_path / "a.txt")
    load = make()
    piece = Slice("s-0", "s", (InputFile("s", str(tmp_path / "a.txt"), "a.txt", 5, "0" * 64),))
    assert read(load, [piece])["reason"].to_pylist() == ["not_regular"]
