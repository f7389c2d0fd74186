"""Per line: characters, capitals and tokens (RULES 6), for the line rules that need no more."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import SPACE, UPPER, classes
from stages.kernels.reading import decode


@nb.njit(cache=True, nogil=True)
def _line_stats(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int32],
) -> None:
    line = 0
    inside = False
    while start < stop:
        code, size = decode(data, start)
        start += size
        kind = table[code]
        if code == 10:
            line += 1
            inside = False
            continue
        out[line, 0] += 1
        if kind & UPPER:
            out[line, 1] += 1
        if kind & SPACE:
            inside = False
        elif not inside:
            inside = True
            out[line, 2] += 1


def line_stats(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Characters, capitals (`str.isupper`) and tokens of each line of one text: int32 (line feeds + 1, 3)."""
    out = np.zeros((int(np.count_nonzero(data == 10)) + 1, 3), np.int32)
    _line_stats(data, 0, len(data), classes(), out)
    return out
