"""The format of packed shards: what `pack` writes and the trainer reads.

A folder holds `manifest.json`, `tokenizer.json` and, for each split, Arrow IPC files with one row of
`seq_len` tokens per record and the segments (documents, or pieces of one) that lie in it. Everything that
is read from a shard is memory-mapped; the manifest says what must be there, and `verify` holds the shards
to it.

This module and `manifest.py` know numpy and Arrow only: no stages, no tokenizer, no torch. They do not
decide what is packed where.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import ids, whole
from stages.manifest import (
    DTYPES,
    SPLITS,
    Manifest,
    PackedError,
    ShardEntry,
    SplitEntry,
    token_dtype,
    write_manifest,
)

__all__ = [
    "BATCH_ROWS",
    "SPLITS",
    "TOKENIZER",
    "Manifest",
    "Packed",
    "PackedError",
    "Segments",
    "ShardEntry",
    "Split",
    "SplitEntry",
    "digest",
    "packed_schema",
    "token_dtype",
    "write_batches",
    "write_manifest",
    "write_shard",
]

TOKENIZER: Final = "tokenizer.json"
BATCH_ROWS: Final = 1024
"""Rows of a record batch (the last one of a shard may have fewer): 4 MB at 2,048 tokens of two bytes."""

Ints = npt.NDArray[np.int64]
Indices = Sequence[int] | npt.NDArray[np.integer[Any]]


def packed_schema(seq_len: int, dtype: str) -> pa.Schema:
    """The columns of a shard; `dtype` is the type of a token, "uint16" or "uint32"."""
    if dtype not in DTYPES:
        raise PackedError(f"tokens of type {dtype!r}: expected one of {', '.join(DTYPES)}")
    return pa.schema(
        [
            ("input_ids", pa.list_(getattr(pa, dtype)(), seq_len)),
            ("segment_lengths", pa.list_(pa.uint32())),
            ("segment_doc", pa.list_(pa.binary(16))),
            ("segment_start", pa.list_(pa.uint32())),
            ("segment_bytes", pa.list_(pa.uint32())),
            ("segment_source", pa.list_(pa.uint16())),
        ]
    )


def write_shard(path: Path, table: pa.Table) -> dict[str, Any]:
    """Writes rows in the schema of the format, synced to disk; returns the shard's entry for the manifest.

    The same rows give the same bytes, however the table is chunked.
    """
    batches = table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
    return write_batches(path, table.schema, batches)


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
    """The same from record batches of `BATCH_ROWS` rows (the last may have fewer), each written at once."""
    rows = tokens = 0
    # A Python file would copy every batch.
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
            tokens += int(np.asarray(batch.column("segment_lengths").flatten()).sum(dtype=np.int64))
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return {"file": path.name, "rows": rows, "tokens": tokens, "sha256": digest(path)}


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Segments:
    """The segments of some rows, flat, row after row.

    Attributes:
        offsets: int64 (rows + 1): segments of row i are `offsets[i]:offsets[i + 1]`.
        lengths: int64 (n): tokens. Of a row they sum to its used length; the rest is padding.
        doc: uint8 (n, 16): doc_id.
        start: int64 (n): position of the first token inside its document.
        bytes: int64 (n): UTF-8 bytes that the segment stands for.
        source: int64 (n): index into the manifest's sources.
    """

    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    doc: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """The segments of the rows of a table.

        Raises:
            PackedError: columns of a row that do not name the same number of segments.
        """
        offsets = _segment_bounds(table)
        arrays = {name: whole(table[name]) for name in table.column_names if name != "input_ids"}
        numbers = {
            name: np.asarray(array.flatten()).astype(np.int64)
            for name, array in arrays.items()
            if name != "segment_doc"
        }
        return cls(
            offsets if len(offsets) else np.zeros(1, np.int64), numbers["segment_lengths"],
            ids(arrays["segment_doc"].flatten()), numbers["segment_start"], numbers["segment_bytes"],
            numbers["segment_source"],
        )  # fmt: skip


class _Shard:
    """A memory-mapped shard: its record batches, and where in the file the values of each column begin.

    Rows are gathered by their places in the file, many at once; nothing is decoded, so nothing may be
    compressed.
    """

    def __init__(self, path: Path, manifest: Manifest, rows: int) -> None:
        expected = packed_schema(manifest.seq_len, manifest.dtype)
        try:
            file = pa.memory_map(str(path)).read_buffer()
            reader = pa.ipc.open_file(file)
            self.batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        except (OSError, pa.ArrowInvalid) as error:
            raise PackedError(f"{path}: cannot be read as an Arrow IPC file ({error}); pack again") from None
        if not reader.schema.equals(expected):
            raise PackedError(f"{path}: has columns\n{reader.schema}\nexpected\n{expected}\nPack again")
        sizes = [batch.num_rows for batch in self.batches]
        if sum(sizes) != rows:
            raise PackedError(f"{path}: has {sum(sizes)} rows, the manifest says {rows}; pack again")
        self.first = np.cumsum([0, *sizes])
        self._file = np.frombuffer(file, np.uint8)
        self._views: dict[np.dtype[Any], npt.NDArray[Any]] = {}
        self._row = np.dtype((manifest.dtype, manifest.seq_len))

        # byte in the file: of tokens and of segment columns, by record batch; of the offsets of segments
        self._begins = {name: np.zeros(len(self.batches), np.int64) for name in expected.names}
        self._bounds = np.zeros(len(self.batches), np.int64)
        for number, batch in enumerate(self.batches):
            _segment_bounds(batch)  # so that one column's bounds serve all
            for name, column in zip(expected.names, batch.columns, strict=True):
                buffers = column.buffers()
                place = (buffers[-1].address if buffers[-1] is not None else file.address) - file.address
                if not 0 <= place <= file.size:
                    raise PackedError(f"{path}: is compressed and cannot be memory-mapped; pack again")
                self._begins[name][number] = place
                if name == "segment_lengths":
                    self._bounds[number] = buffers[1].address - file.address

    def batch_of(self, rows: Ints) -> Ints:
        """The record batches of rows of this shard."""
        return np.searchsorted(self.first, rows, side="right") - 1

    def rows(self, rows: Ints) -> npt.NDArray[Any]:
        """Tokens of these rows, copied."""
        batch = self.batch_of(rows)
        return self._at(
            self._row, self._begins["input_ids"][batch] + (rows - self.first[batch]) * self._row.itemsize
        )

    def bounds(self, rows: Ints) -> Ints:
        """First segment and the one behind the last of these rows, counted in their record batches: (n, 2)."""
        batch, pairs = self.batch_of(rows), np.dtype((np.int32, 2))
        return self._at(pairs, self._bounds[batch] + (rows - self.first[batch]) * 4).astype(np.int64)

    def values(self, name: str, kind: np.dtype[Any], batch: Ints, segment: Ints) -> npt.NDArray[Any]:
        """Values of a column at these segments of these record batches."""
        return self._at(kind, self._begins[name][batch] + segment * kind.itemsize)

    def _at(self, kind: np.dtype[Any], places: Ints) -> npt.NDArray[Any]:
        """What lies at these bytes of the file, which are multiples of the element's size."""
        size = kind.base.itemsize
        if kind not in self._views:
            elements = self._file[: len(self._file) // size * size].view(kind.base)
            self._views[kind] = (
                np.lib.stride_tricks.sliding_window_view(elements, kind.shape[0]) if kind.shape else elements
            )
        return self._views[kind][places // size]


def _segment_bounds(table: pa.Table | pa.RecordBatch) -> Ints:
    """The offsets of the segments of each row, from 0.

    Raises:
        PackedError: columns of a row that do not name the same number of segments.
    """
    offsets = {
        name: np.asarray(whole(table[name]).offsets).astype(np.int64)
        for name in table.schema.names
        if name != "input_ids"
    }
    found = {name: bounds - bounds[:1] for name, bounds in offsets.items()}
    for name, bounds in found.items():
        if not np.array_equal(bounds, found["segment_lengths"]):
            raise PackedError(f"{name} has other segments than segment_lengths; pack again")
    return found["segment_lengths"]


_KINDS: Final[dict[str, np.dtype[Any]]] = {
    "segment_lengths": np.dtype(np.uint32), "segment_start": np.dtype(np.uint32),
    "segment_bytes": np.dtype(np.uint32), "segment_source": np.dtype(np.uint16),
    "segment_doc": np.dtype((np.uint8, 16)),
}  # fmt: skip


class Split:
    """The rows of one split, by number; shards are opened when first touched."""

    def __init__(self, folder: Path, manifest: Manifest, name: str) -> None:
        self._folder, self._manifest = folder, manifest
        self.entry = manifest.splits[name]
        self._first = np.cumsum([0, *(shard.rows for shard in self.entry.shards)])
        self._open: dict[int, _Shard] = {}

    def __len__(self) -> int:
        return self.entry.rows

    def rows(self, indices: Indices) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint32]:
        """The tokens of these rows, copied: (n, seq_len) in the manifest's dtype.

        Raises:
            IndexError: a row that the split does not have.
        """
        out = np.empty((len(indices), self._manifest.seq_len), self._manifest.dtype)
        for shard, here, rows in self._by_shard(indices):
            out[here] = shard.rows(rows)
        return out

    def segments(self, indices: Indices) -> Segments:
        """The segments of these rows.

        Raises:
            IndexError: a row that the split does not have.
        """
        parts = list(self._by_shard(indices))
        bounds = np.zeros((len(indices), 2), np.int64)
        for shard, here, rows in parts:
            bounds[here] = shard.bounds(rows)
        counts = bounds[:, 1] - bounds[:, 0]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        row_of = np.repeat(np.arange(len(counts)), counts)
        segment = np.arange(len(row_of)) - (offsets[:-1] - bounds[:, 0])[row_of]
        out = {
            name: np.empty((len(row_of), *kind.shape), np.uint8 if kind.shape else np.int64)
            for name, kind in _KINDS.items()
        }
        for shard, here, rows in parts:
            wanted, batch = np.flatnonzero(here[row_of]), np.zeros(len(counts), np.int64)
            batch[here] = shard.batch_of(rows)
            for name, kind in _KINDS.items():
                out[name][wanted] = shard.values(name, kind, batch[row_of[wanted]], segment[wanted])
        return Segments(
            offsets, out["segment_lengths"], out["segment_doc"], out["segment_start"], out["segment_bytes"],
            out["segment_source"],
        )  # fmt: skip

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Every shard's file name and its rows, memory-mapped."""
        for number, entry in enumerate(self.entry.shards):
            schema = packed_schema(self._manifest.seq_len, self._manifest.dtype)
            yield entry.file, pa.Table.from_batches(self._shard(number).batches, schema)

    def _by_shard(self, indices: Indices) -> Iterator[tuple[_Shard, npt.NDArray[np.bool_], Ints]]:
        """Shards, which of the indices lie in each, and their rows there."""
        wanted = np.asarray(indices, np.int64)
        wrong = (wanted < 0) | (wanted >= len(self))
        if wrong.any():
            raise IndexError(f"row {wanted[wrong][0]} of a split of {len(self)} rows")
        numbers = np.searchsorted(self._first, wanted, side="right") - 1
        for number in np.unique(numbers):
            here = numbers == number
            yield self._shard(int(number)), here, wanted[here] - self._first[number]

    def _shard(self, number: int) -> _Shard:
        if number not in self._open:
            entry = self.entry.shards[number]
            self._open[number] = _Shard(self._folder / entry.file, self._manifest, entry.rows)
        return self._open[number]


class Packed:
    """A folder of packed shards, opened for reading."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.read(folder)

    def split(self, name: str) -> Split:
        """One of the two splits."""
        if name not in SPLITS:
            raise PackedError(f"no split {name!r}: expected {' or '.join(SPLITS)}")
        return Split(self.folder, self.manifest, name)

    def verify(self) -> list[str]:
        """Everything that is wrong with the folder, one sentence each; empty when all is well.

        Digests of the shards and of the tokenizer, counts, sums of segments, padding, ids below the
        vocabulary size, sources in range, and no document in both splits.
        """
        problems = []
        tokenizer = self.folder / TOKENIZER
        if not tokenizer.is_file():
            problems.append(f"{tokenizer.name}: missing")
        elif digest(tokenizer) != self.manifest.tokenizer_sha256:
            problems.append(f"{tokenizer.name}: its digest is not the manifest's")
        held_out = np.zeros(0, "V16")
        for name in reversed(SPLITS):  # validation first: its documents are few enough to remember
            split = self.split(name)
            for number, entry in enumerate(split.entry.shards):
                found, documents = self._verify_shard(split, number, entry)
                problems.extend(found)
                if name == "validation":
                    held_out = np.union1d(held_out, documents)
                elif len(both := np.intersect1d(held_out, documents)):
                    problems.append(
                        f"{entry.file}: {len(both)} documents are in the validation split too, "
                        f"{both[0].tobytes().hex()} first"
                    )
        return problems

    def _verify_shard(
        self, split: Split, number: int, entry: ShardEntry
    ) -> tuple[list[str], npt.NDArray[np.void]]:
        path, manifest = self.folder / entry.file, self.manifest
        nothing = np.zeros(0, "V16")
        if not path.is_file():
            return [f"{entry.file}: missing"], nothing
        problems = []
        if digest(path) != entry.sha256:
            problems.append(f"{entry.file}: its digest is not the manifest's")
        try:
            shard = split._shard(number)  # noqa: SLF001 - same module
            flats = [Segments.of(pa.Table.from_batches([batch])) for batch in shard.batches]
        except PackedError as error:
            return [*problems, f"{entry.file}: {error}"], nothing
        tokens, documents = 0, [nothing]
        for flat, batch, first in zip(flats, shard.batches, shard.first, strict=False):
            rows = np.asarray(batch.column(0).flatten()).reshape(-1, manifest.seq_len)
            used = np.add.reduceat(np.append(flat.lengths, 0), flat.offsets[:-1]) * (
                np.diff(flat.offsets) > 0
            )
            tokens += int(used.sum())
            padding = np.arange(manifest.seq_len) >= used[:, None]
            for wrong, what in (
                (used > manifest.seq_len, f"its segments are longer than {manifest.seq_len} tokens"),
                ((rows >= manifest.vocab_size).any(axis=1), f"an id is not below {manifest.vocab_size}"),
                (((rows != manifest.pad_id) & padding).any(axis=1), "tokens beyond its segments"),
            ):
                problems += [f"{entry.file}: row {row + int(first)}: {what}" for row in np.flatnonzero(wrong)]
            if (flat.lengths == 0).any():
                problems.append(f"{entry.file}: a segment of no tokens")
            if (flat.source >= len(manifest.sources)).any():
                problems.append(f"{entry.file}: a source beyond the {len(manifest.sources)} of the manifest")
            documents.append(np.unique(np.ascontiguousarray(flat.doc).view("V16").ravel()))
        if tokens != entry.tokens:
            problems.append(f"{entry.file}: has {tokens} tokens, the manifest says {entry.tokens}")
        return problems, np.unique(np.concatenate(documents))
