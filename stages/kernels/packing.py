"""Which row each piece of a document goes into, and the copying that puts it there.

Best-fit decreasing after Ding et al. 2024 (arXiv 2404.10830), with the ties of RULES §14.2. The kernels know
lengths and positions only; what a token or a document is, `stages/pack.py` knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types

I64 = npt.NDArray[np.int64]

_EMPTY = -1


@njit("i8[:](i8[:], i8)", cache=True, nogil=True)
def by_length(lengths: I64, longest: int) -> I64:
    """The order of decreasing length, equal lengths in input order (a counting sort)."""
    starts = np.zeros(longest + 2, np.int64)
    for length in lengths:
        starts[longest - length + 1] += 1
    for at in range(longest + 1):
        starts[at + 1] += starts[at]
    order = np.empty(len(lengths), np.int64)
    for piece in range(len(lengths)):
        slot = longest - lengths[piece]
        order[starts[slot]] = piece
        starts[slot] += 1
    return order


@njit("Tuple((i8[:], i8))(i8[:], i8)", cache=True, nogil=True)
def best_fit(lengths: I64, capacity: int) -> tuple[I64, int]:
    """The row of each piece, and the number of rows.

    The longest pieces go first, each to the open row with the least room that still holds it; among rows with
    the same room to the one that reached that room first; else to a new row. O(N log capacity): rows with
    the same room wait in a queue, and a binary tree over rooms finds the next one with a queue.

    Args:
        lengths: of the pieces, each 1 to `capacity`.
        capacity: tokens of a row.
    """
    order = by_length(lengths, capacity)
    rows = np.empty(len(lengths), np.int64)
    following = np.empty(len(lengths), np.int64)  # the next row in the queue of the same room
    first = np.full(capacity + 1, _EMPTY, np.int64)
    last = np.full(capacity + 1, _EMPTY, np.int64)
    leaves = 1
    while leaves < capacity + 1:
        leaves *= 2
    waiting = np.zeros(2 * leaves, np.bool_)  # node i has children 2i and 2i + 1; room r is leaf leaves + r
    opened = 0
    for piece in order:
        length = lengths[piece]
        node = leaves + length
        if not waiting[node]:
            # Up to the first right neighbour with a queue.
            while node and (node & 1 or not waiting[node + 1]):
                node >>= 1
            if node:
                node += 1
                while node < leaves:
                    node = 2 * node + (0 if waiting[2 * node] else 1)
        if node:
            room = node - leaves
            row = first[room]
            first[room] = following[row]
            if first[room] == _EMPTY:
                waiting[node] = False
                node >>= 1
                while node and not (waiting[2 * node] or waiting[2 * node + 1]):
                    waiting[node] = False
                    node >>= 1
        else:
            room, row = capacity, opened
            opened += 1
        rows[piece] = row
        room -= length
        if room:
            following[row] = _EMPTY
            if first[room] == _EMPTY:
                first[room] = row
                node = leaves + room
                while node and not waiting[node]:
                    waiting[node] = True
                    node >>= 1
            else:
                following[last[room]] = row
            last[room] = row
    return rows, opened


@njit(
    [
        types.void(types.Array(kind, 1, "C", readonly=True), *[types.int64[:]] * 3, kind[::1])
        for kind in (types.uint16, types.uint32)
    ],
    cache=True,
    nogil=True,
)
def place(tokens: npt.NDArray[Any], starts: I64, lengths: I64, targets: I64, out: npt.NDArray[Any]) -> None:
    """Copies `tokens[starts[p]:][:lengths[p]]` to `out[targets[p]:]` for each piece p."""
    for piece in range(len(starts)):
        # Unsigned, so that no index can mean "from the end" and the loop becomes a block copy (7 times as fast).
        start, target = np.uint64(starts[piece]), np.uint64(targets[piece])
        for at in range(np.uint64(lengths[piece])):
            out[target + at] = tokens[start + at]


def cut_rows(lengths: I64, capacity: int) -> tuple[I64, I64, I64]:
    """Documents laid end to end and cut every `capacity` tokens: the pieces' documents, starts and lengths.

    Row of a piece: the sum of the lengths before it, divided by `capacity`.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.union1d(ends[lengths > 0], np.arange(capacity, total, capacity))
    begins = np.concatenate([np.zeros(min(len(cuts), 1), np.int64), cuts[:-1]])
    documents = np.searchsorted(ends, begins, side="right")
    return documents, begins - (ends - lengths)[documents], cuts - begins


def cut_documents(lengths: I64, capacity: int | I64) -> tuple[I64, I64, I64]:
    """Each document in consecutive pieces of `capacity` tokens, the last one shorter: document, start, length.

    Args:
        lengths: tokens of each document.
        capacity: tokens of a piece; one number or one a document.
    """
    capacity = np.broadcast_to(capacity, lengths.shape)
    counts = -(-lengths // capacity)
    documents = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = number * capacity[documents]
    return documents, starts, np.minimum(lengths[documents] - starts, capacity[documents])
