"""What packed shards promise their readers, and what `verify` notices."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.packed import (
    BATCH_ROWS,
    Manifest,
    Packed,
    PackedError,
    packed_schema,
    token_dtype,
    write_manifest,
    write_shard,
)

SEQ = 8
EOS = 0


def doc(number: int) -> bytes:
    """The id of a document of these tests."""
    return number.to_bytes(16, "big")


def rows_of(first: int, lengths: list[list[int]], source: int = 0, token: int = 7) -> pa.Table:
    """Rows of these segment lengths; documents are numbered from `first`."""
    ids = [[token] * sum(row) + [EOS] * (SEQ - sum(row)) for row in lengths]
    numbers = iter(range(first, first + 10**6))
    return pa.table(
        [
            ids,
            lengths,
            [[doc(next(numbers)) for _ in row] for row in lengths],
            [[0 for _ in row] for row in lengths],
            [[3 * length for length in row] for row in lengths],
            [[source for _ in row] for row in lengths],
        ],
        schema=packed_schema(SEQ, "uint16"),
    )


def write(folder: Path, train: list[pa.Table], validation: list[pa.Table]) -> Path:
    """A folder of shards."""
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    shards: dict[str, list[dict[str, Any]]] = {
        name: [
            write_shard(folder / f"{name}-{number:05d}.arrow", table) for number, table in enumerate(tables)
        ]
        for name, tables in (("train", train), ("validation", validation))
    }
    write_manifest(
        folder,
        seq_len=SEQ,
        vocab_size=100,
        eos_id=EOS,
        tokenizer_sha256=hashlib.sha256(b"{}").hexdigest(),
        sources=["web", "books"],
        shards=shards,
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards to train on, one to validate."""
    return write(
        tmp_path / "packed",
        [rows_of(0, [[3, 2], [8], [1, 1, 1]]), rows_of(100, [[4], [2, 6]], source=1, token=9)],
        [rows_of(1000, [[5]])],
    )


def test_rows_come_back_in_the_order_asked_for(folder: Path) -> None:
    """Rows are read by number across shards, in any order, repeats included."""
    train = Packed(folder).split("train")
    assert len(train) == 5
    rows = train.rows([4, 0, 4])
    assert rows.dtype == np.uint16
    assert rows.tolist() == [[9] * 8, [7] * 5 + [0] * 3, [9] * 8]


def test_segments_are_flat_with_offsets_per_row(folder: Path) -> None:
    """Segments of the rows asked for lie one after the other; offsets say whose they are."""
    found = Packed(folder).split("train").segments([4, 2])
    assert found.offsets.tolist() == [0, 2, 5]
    assert found.lengths.tolist() == [2, 6, 1, 1, 1]
    assert [value.tobytes() for value in found.doc] == [doc(101), doc(102), doc(3), doc(4), doc(5)]
    assert found.bytes.tolist() == [6, 18, 3, 3, 3]
    assert found.source.tolist() == [1, 1, 0, 0, 0]
    assert found.start.tolist() == [0] * 5


def test_no_rows_give_empty_arrays(folder: Path) -> None:
    """Nothing asked, nothing given, in the right shapes."""
    train = Packed(folder).split("train")
    assert train.rows([]).shape == (0, SEQ)
    found = train.segments([])
    assert found.offsets.tolist() == [0]
    assert found.doc.shape == (0, 16)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_row_that_is_not_there_is_an_index_error(folder: Path, index: int) -> None:
    """Rows are numbered from 0; negative numbers do not wrap."""
    with pytest.raises(IndexError, match="5 rows"):
        Packed(folder).split("train").rows([index])


def test_an_empty_split_has_no_rows(tmp_path: Path) -> None:
    """A corpus too small for a validation split is still a folder that opens."""
    packed = Packed(write(tmp_path / "packed", [rows_of(0, [[3]])], []))
    assert len(packed.split("validation")) == 0
    assert packed.verify() == []


def test_record_batches_are_of_equal_size(tmp_path: Path) -> None:
    """All batches of a shard but the last hold the same number of rows, however the table was chunked."""
    table = pa.concat_tables([rows_of(number, [[3], [4]]) for number in range(BATCH_ROWS)])
    entry = write_shard(tmp_path / "train-00000.arrow", table)
    reader = pa.ipc.open_file(tmp_path / "train-00000.arrow")
    assert [reader.get_batch(n).num_rows for n in range(reader.num_record_batches)] == [BATCH_ROWS] * 2
    assert entry["rows"] == 2 * BATCH_ROWS
    assert entry["tokens"] == 7 * BATCH_ROWS


def test_chunks_of_the_table_do_not_show_in_the_bytes(tmp_path: Path) -> None:
    """The same rows give the same file."""
    table = rows_of(0, [[3, 1], [4], [8]])
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    whole = write_shard(tmp_path / "a.arrow", table)
    assert whole["sha256"] == write_shard(tmp_path / "b.arrow", pieces)["sha256"]


def test_the_fingerprint_does_not_depend_on_the_place(folder: Path, tmp_path: Path) -> None:
    """A copied folder is the same corpus."""
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert Manifest.read(copy) == Manifest.read(folder)


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, "uint16"), (65536, "uint16"), (65537, "uint32"), (2**32, "uint32")]
)
def test_tokens_take_the_smallest_type_that_holds_them(size: int, dtype: str) -> None:
    """Two bytes up to 65,536 ids, four beyond."""
    assert token_dtype(size) == dtype


def test_a_whole_folder_verifies(folder: Path) -> None:
    """Nothing is wrong with what was just written."""
    assert Packed(folder).verify() == []


def change(folder: Path, train: pa.Table) -> Packed:
    """The folder with its first shard replaced and the manifest made to agree."""
    raw = json.loads((folder / "manifest.json").read_text())
    shards = {name: entry["shards"] for name, entry in raw["splits"].items()}
    shards["train"][0] = write_shard(folder / "train-00000.arrow", train)
    write_manifest(
        folder,
        seq_len=SEQ,
        vocab_size=100,
        eos_id=EOS,
        tokenizer_sha256=raw["tokenizer_sha256"],
        sources=raw["sources"],
        shards=shards,
    )
    return Packed(folder)


def test_verify_notices_a_flipped_byte(folder: Path) -> None:
    """A token that changed on disk changes the digest."""
    path = folder / "train-00001.arrow"
    data = bytearray(path.read_bytes())
    at = data.index(np.full(8, 9, np.uint16).tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert any("train-00001.arrow: its digest" in problem for problem in Packed(folder).verify())


def test_verify_notices_another_tokenizer(folder: Path) -> None:
    """Ids mean nothing without the tokenizer that made them."""
    (folder / "tokenizer.json").write_text("{} ")
    assert Packed(folder).verify() == ["tokenizer.json: its digest is not the manifest's"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (rows_of(0, [[3], [2]], token=100), "row 0: an id is not below 100"),
        (rows_of(0, [[3]], source=2), "a source beyond the 2"),
        (rows_of(1000, [[3]]), "1 documents are in the validation split too"),
        (
            rows_of(0, [[3]]).set_column(1, "segment_lengths", pa.array([[2]], pa.list_(pa.uint32()))),
            "row 0: tokens beyond its segments",
        ),
        (
            rows_of(0, [[3], [3]]).set_column(
                1, "segment_lengths", pa.array([[3], [9]], pa.list_(pa.uint32()))
            ),
            "row 1: its segments are longer than 8",
        ),
        (rows_of(0, [[3, 0]]), "a segment of no tokens"),
    ],
)
def test_verify_notices_what_a_digest_cannot(folder: Path, table: pa.Table, problem: str) -> None:
    """Shards are held to the format even when digests and manifest agree."""
    found = change(folder, table).verify()
    assert any(problem in one for one in found), found


def test_verify_notices_a_missing_and_a_foreign_shard(folder: Path) -> None:
    """A file that is gone and one that is not Arrow are told, and the rest is still looked at."""
    (folder / "train-00000.arrow").unlink()
    (folder / "train-00001.arrow").write_bytes(b"not Arrow")
    found = Packed(folder).verify()
    assert "train-00000.arrow: missing" in found
    assert any("cannot be read as an Arrow IPC file" in one for one in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq_len": 9}, "fingerprint"),
        ({"format_version": 99}, "format_version is 99"),
        (None, "there is no such file"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(
    folder: Path, change: dict[str, Any] | None, message: str
) -> None:
    """Changed by hand, of another version, or not there: the error says so and what to do."""
    path = folder / "manifest.json"
    if change is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PackedError, match=message):
        Packed(folder)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"eos_id": 100}, "eos_id 100"), ({"seq_len": 0}, "seq_len is 0"), ({"seq_len": 1}, "more tokens")],
)
def test_a_manifest_cannot_contradict_itself(folder: Path, wrong: dict[str, int], message: str) -> None:
    """The writer is held to the same rules as the reader."""
    raw = json.loads((folder / "manifest.json").read_text())
    fields: dict[str, Any] = {"seq_len": SEQ, "eos_id": EOS} | wrong
    with pytest.raises(PackedError, match=message):
        write_manifest(
            folder,
            vocab_size=100,
            tokenizer_sha256=raw["tokenizer_sha256"],
            sources=raw["sources"],
            shards={name: entry["shards"] for name, entry in raw["splits"].items()},
            **fields,
        )


@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=2), min_size=1, max_size=40),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_gathered_rows_are_those_of_the_tables(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[list[int]], data: st.DataObject
) -> None:
    """Rows and segments taken by number from several shards and record batches equal those read in order."""
    half = len(lengths) // 2
    tables = [rows_of(0, lengths[:half], token=5), rows_of(1000, lengths[half:], source=1, token=6)]
    with patch("stages.packed.BATCH_ROWS", 7):
        folder = write(tmp_path_factory.mktemp("any") / "packed", [t for t in tables if t.num_rows], [])
    split = Packed(folder).split("train")
    rows = [row for _, table in split.tables() for row in table.to_pylist()]
    wanted = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=20))
    assert split.rows(wanted).tolist() == [rows[at]["input_ids"] for at in wanted]
    found = split.segments(wanted)
    assert np.diff(found.offsets).tolist() == [len(lengths[at]) for at in wanted]
    assert found.lengths.tolist() == [n for at in wanted for n in rows[at]["segment_lengths"]]
    assert [one.tobytes() for one in found.doc] == [one for at in wanted for one in rows[at]["segment_doc"]]
    assert found.source.tolist() == [one for at in wanted for one in rows[at]["segment_source"]]
    assert found.bytes.tolist() == [one for at in wanted for one in rows[at]["segment_bytes"]]


def test_a_compressed_shard_is_refused(folder: Path) -> None:
    """Compressed columns cannot be memory-mapped: the message names the file and what to do."""
    path = folder / "train-00000.arrow"
    table = pa.ipc.open_file(path).read_all()
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with pytest.raises(PackedError, match=r"train-00000.*compressed.*pack again"):
        Packed(folder).split("train").rows([0])
