"""The beginning of a text as one line of prose, for fastText: no fenced code, single spaces.

fastText ends its input at a line feed and splits at white space (RULES 9.1).
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import LETTER, SPACE, classes
from stages.kernels.reading import decode


@nb.njit(cache=True, nogil=True)
def _plain(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    limit: int,
    out: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    letters: npt.NDArray[np.int64],
) -> None:
    end = 0
    for row in range(len(bounds) - 1):
        at, stop = bounds[row], bounds[row + 1]
        begin = end
        written = 0
        fenced = False
        line_begins = True
        space = False
        while at < stop and written < limit:
            if line_begins:
                mark = at
                while mark < stop and data[mark] == 32 and mark < at + 3:
                    mark += 1
                fence = mark + 2 < stop and (data[mark] == 96 or data[mark] == 126)
                if fence and data[mark] == data[mark + 1] == data[mark + 2]:
                    fenced = not fenced
                    while at < stop and data[at] != 10:
                        at += 1
                    continue
                if fenced:
                    while at < stop and data[at] != 10:
                        at += 1
            line_begins = False
            if at >= stop:
                break
            code, size = decode(data, at)
            kind = table[code]
            if kind & SPACE or code < 32 or 0x7F <= code < 0xA0:
                space = True
                line_begins = code == 10
            else:
                if space and end > begin:
                    out[end] = 32
                    end += 1
                    written += 1
                space = False
                for byte in range(size):
                    out[end + byte] = data[at + byte]
                end += size
                written += 1
                if kind & LETTER:
                    letters[row] += 1
            at += size
        places[row + 1] = end


def plain(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], limit: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first `limit` characters of every text's prose, on one line.

    Lines between ``` or ~~~ fences are left out (an open fence reaches to the end, as in Markdown).

    Returns:
        The prose, uint8[]; where each text's begins, int64[n + 1]; letters in each, int64[n].
    """
    rows = len(bounds) - 1
    room = np.minimum(np.diff(bounds), 4 * (limit + 1)).sum() if rows else 0
    out = np.empty(int(room), np.uint8)
    places = np.zeros(rows + 1, np.int64)
    letters = np.zeros(rows, np.int64)
    _plain(data, bounds, classes(), limit, out, places, letters)
    return out[: places[-1]], places, letters
