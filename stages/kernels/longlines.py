"""Counts the lines of a text that are long enough to be paragraphs of mC4 (RULES 4, `c4.paragraphs`)."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt


@nb.njit(cache=True, nogil=True)
def _long_lines(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], least: int, found: npt.NDArray[np.int64]
) -> None:
    for row in range(len(bounds) - 1):
        length = 0
        for at in range(bounds[row], bounds[row + 1]):
            if data[at] == 10:
                found[row] += length >= least
                length = 0
            else:
                length += (data[at] & 0xC0) != 0x80
        found[row] += length >= least


def count_long_lines(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], least: int
) -> npt.NDArray[np.int64]:
    """Lines of at least `least` characters, line feeds not counted: int64[n].

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        least: characters, at least 1.
    """
    found = np.zeros(len(bounds) - 1, np.int64)
    _long_lines(data, bounds, least, found)
    return found
