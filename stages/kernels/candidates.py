"""Lines that may hold an address or a number: a superset, cheap to find, for `stages.pii` to read."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

_FEWEST_DIGITS = 7  # of a telephone number


@nb.njit(cache=True, nogil=True)
def _candidates(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    found = np.empty((1024, 3), np.int64)
    count = 0
    for row in range(len(bounds) - 1):
        at, stop = bounds[row], bounds[row + 1]
        while at < stop:
            start = at
            wanted = False
            digits = 0  # in a run of digits and the marks that telephone numbers are grouped with
            dotted = 0  # full stops between digits
            colons = 0
            while at < stop and data[at] != 10:
                byte = data[at]
                at += 1
                if 48 <= byte <= 57:
                    digits += 1
                    wanted = wanted or digits >= _FEWEST_DIGITS
                    continue
                if byte == 46:
                    dotted += digits > 0
                    wanted = wanted or dotted >= 3
                elif byte == 58:
                    colons += 1
                    wanted = wanted or colons >= 2
                    digits = 0
                elif byte not in (32, 40, 41, 43, 45, 47):
                    wanted = wanted or byte == 64
                    digits = 0
                    dotted = 0
                    if not (65 <= byte <= 70 or 97 <= byte <= 102):
                        colons = 0
                elif byte == 32:
                    dotted = 0
                    colons = 0
            if at < stop:
                at += 1
            if wanted:
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0] = row
                found[count, 1] = start
                found[count, 2] = at
                count += 1
    return found[:count]


def candidates(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Lines with "@", seven grouped digits, dotted or coloned numbers: int64 (n, 3), row, first byte, end."""
    found: npt.NDArray[np.int64] = _candidates(data, bounds)
    return found
