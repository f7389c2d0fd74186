"""Counts how often words and phrases of a list occur in texts, as whole words or anywhere (RULES 1, 4)."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import WORD, classes
from stages.kernels.matching import Matcher
from stages.kernels.reading import decode


@nb.njit(cache=True, nogil=True)
def _bounded(
    data: npt.NDArray[np.uint8], start: int, stop: int, first: int, last: int, table: npt.NDArray[np.uint8]
) -> bool:
    """Is there no letter, mark or number on either side of [first, last)?"""
    if last < stop and table[decode(data, last)[0]] & WORD:
        return False
    if first > start:
        first -= 1
        while 0x80 <= data[first] < 0xC0:
            first -= 1
        if table[decode(data, first)[0]] & WORD:
            return False
    return True


@nb.njit(cache=True, nogil=True)
def _occurrences(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.uint8],
    moves: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    shorter: npt.NDArray[np.int32],
    sizes: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    anywhere: bool,
    counts: npt.NDArray[np.int64],
) -> None:
    for row in rows:
        start, stop = bounds[row], bounds[row + 1]
        state = 0
        for at in range(start, stop):
            state = moves[state, columns[data[at]]]
            ending = state
            while ending != 0:
                number = ends[ending]
                if number >= 0 and (
                    anywhere or _bounded(data, start, stop, at + 1 - sizes[number], at + 1, table)
                ):
                    counts[row] += 1
                ending = shorter[ending]


def occurrences(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    found: Matcher,
    sizes: npt.NDArray[np.int64],
    *,
    anywhere: bool,
    counts: npt.NDArray[np.int64],
) -> None:
    """Adds to `counts` (int64[n]) the occurrences in these rows.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        rows: which texts to look at.
        found: the automaton of the list.
        sizes: bytes of each pattern.
        anywhere: also inside words, for scripts without spaces.
        counts: what to add to.
    """
    _occurrences(
        data,
        bounds,
        rows,
        found.columns,
        found.moves,
        found.ends,
        found.shorter,
        sizes,
        classes(),
        anywhere,
        counts,
    )
