"""Documents laid out in rows: which piece of which document goes where, and the record batches of a shard.

`pack` decides what belongs to a shard and in which order; the kernels decide what fits; here tokens are copied,
a batch of rows at a time, straight from the memory-mapped files they were routed through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import DOC_ID, ids
from stages.kernels import packing
from stages.kernels.hashing import mix64, salt64
from stages.packed import BATCH_ROWS

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents, sorted by row; in a row they keep the order of the documents.

    Attributes:
        document: index of each piece's document.
        start: position of its first token there.
        length: tokens.
        row: the row it lies in.
        rows: number of rows.
    """

    document: I64
    start: I64
    length: I64
    row: I64
    rows: int

    @classmethod
    def laid_out(
        cls,
        lengths: I64,
        seq_len: int,
        strategy: Literal["best_fit", "concat"],
        *salt: int | str,
        most: I64 | None = None,
    ) -> Self:
        """Documents of these lengths, in this order, in rows of `seq_len` tokens.

        Args:
            lengths: tokens of each document, at least 1.
            seq_len: tokens of a row.
            strategy: `best_fit` or `concat`.
            salt: decides the order of the rows of `best_fit`, which opens those with the longest pieces first.
            most: tokens of each document that may lie in one piece; a row's if not given.
        """
        if most is not None:
            owner, first, part = packing.cut_documents(lengths, most)
            laid = cls.laid_out(part, seq_len, strategy, *salt)
            at = laid.document
            return cls(owner[at], first[at] + laid.start, laid.length, laid.row, laid.rows)
        if strategy == "concat":
            document, start, length = packing.cut_rows(lengths, seq_len)
            row = (np.cumsum(length) - length) // seq_len
            return cls(document, start, length, row, -(-int(lengths.sum()) // seq_len))
        document, start, length = packing.cut_documents(lengths, seq_len)
        row, rows = packing.best_fit(length, seq_len)
        shuffled = np.argsort(mix64(np.arange(rows, dtype=np.uint64) + salt64(*salt)), kind="stable")
        rank = np.empty(rows, np.int64)
        rank[shuffled] = np.arange(rows)
        row = rank[row]
        order = np.argsort(row, kind="stable")
        return cls(document[order], start[order], length[order], row[order], rows)

    def batches(
        self, documents: pa.Table, order: I64, schema: pa.Schema, pad: int
    ) -> Iterator[pa.RecordBatch]:
        """Record batches in the format of shards; each is good until the next, which takes its memory.

        Args:
            documents: columns `doc_id`, `source`, `bytes`, `weight` (tokens) and `tokens`.
            order: the row of `documents` that each document of the pieces stands for.
            schema: `packed_schema`.
            pad: fills the rest of a row.
        """
        seq_len = schema.field("input_ids").type.list_size
        filled = np.empty(BATCH_ROWS * seq_len, schema.field("input_ids").type.value_type.to_pandas_dtype())
        place = order[self.document]
        tokens = _Tokens(documents["tokens"])
        doc_id = np.concatenate([ids(chunk) for chunk in documents["doc_id"].chunks])
        size, length = (documents[name].to_numpy()[place] for name in ("bytes", "weight"))
        share = size * (self.start + self.length) // length - size * self.start // length
        columns = (
            self.length.astype(np.uint32),
            doc_id[place],
            self.start.astype(np.uint32),
            share.astype(np.uint32),
            documents["source"].to_numpy()[place],
        )
        bounds = np.searchsorted(self.row, np.arange(self.rows + 1))
        before = np.cumsum(self.length) - self.length
        target = self.row * seq_len + before - before[bounds[self.row]]  # in the shard, laid flat
        for first in range(0, self.rows, BATCH_ROWS):
            offsets = bounds[first : first + BATCH_ROWS + 1]
            here = slice(offsets[0], offsets[-1])
            flat = filled[: (len(offsets) - 1) * seq_len]
            flat[:] = pad
            tokens.copy(
                place[here], self.start[here], self.length[here], target[here] - first * seq_len, flat
            )
            at = pa.array((offsets - offsets[0]).astype(np.int32))
            lists = [pa.ListArray.from_arrays(at, _array(column[here])) for column in columns]
            ids_column = pa.FixedSizeListArray.from_arrays(
                pa.array(flat), type=schema.field("input_ids").type
            )
            yield pa.record_batch([ids_column, *lists], schema=schema)


class _Tokens:
    """Lists of tokens in many chunks: the arrays they lie in, and where each list begins."""

    def __init__(self, lists: pa.ChunkedArray) -> None:
        self.arrays: list[npt.NDArray[Any]] = []
        known: dict[int, int] = {}
        arrays, starts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for chunk in lists.chunks:
            values = chunk.values
            key = values.buffers()[1].address if len(values) else -1
            if key not in known:  # slices of one file share its values
                known[key] = len(self.arrays)
                self.arrays.append(np.asarray(values))
            arrays.append(np.full(len(chunk), known[key]))
            starts.append(np.asarray(chunk.offsets)[:-1])
        self.array, self.start = np.concatenate(arrays), np.concatenate(starts)

    def copy(self, lists: I64, start: I64, length: I64, target: I64, out: npt.NDArray[Any]) -> None:
        """Copies `length` tokens from position `start` of each list to position `target` of `out`."""
        of = self.array[lists]
        order = np.argsort(of, kind="stable")
        bounds = np.searchsorted(of[order], np.arange(len(self.arrays) + 1))
        for array in np.flatnonzero(np.diff(bounds)):
            mine = order[bounds[array] : bounds[array + 1]]
            begin = self.start[lists[mine]] + start[mine]
            packing.place(self.arrays[array], begin, length[mine], target[mine], out)


def _array(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 2:
        return pa.FixedSizeBinaryArray.from_buffers(DOC_ID, len(values), [None, pa.py_buffer(values)])
    return pa.array(values)
