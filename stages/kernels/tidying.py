"""White space and control characters of stored text (RULES 8.1.3, 8.1.5), from buffer to buffer."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import SPACE, classes
from stages.kernels.reading import decode


@nb.njit(cache=True, nogil=True)
def _is_tidy(data: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    """Is there nothing to change inside this text?"""
    newlines = 0
    for at in range(start, stop):
        byte = data[at]
        if byte == 10:
            newlines += 1
            if newlines == 3:
                return False
            continue
        newlines = 0
        if byte < 32:
            if byte != 9:
                return False
        elif byte >= 0x7F:
            if byte == 0x7F or (byte == 0xC2 and data[at + 1] < 0xA0):
                return False
            if byte == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0x8B:
                return False
            if byte == 0xEF and data[at + 1] == 0xBB and data[at + 2] == 0xBF:
                return False
    return True


@nb.njit(cache=True, nogil=True)
def _before(data: npt.NDArray[np.uint8], at: int) -> int:
    """First byte of the character that ends at `at`, exclusive."""
    at -= 1
    while 0x80 <= data[at] < 0xC0:
        at -= 1
    return at


@nb.njit(cache=True, nogil=True)
def _tidy(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    joined: npt.NDArray[np.bool_],
) -> None:
    end = 0
    for row in range(len(bounds) - 1):
        start, stop = bounds[row], bounds[row + 1]
        begin = end
        if _is_tidy(data, start, stop):
            out[end : end + stop - start] = data[start:stop]
            end += stop - start
        else:
            at = start
            newlines = 0
            while at < stop:
                code, size = decode(data, at)
                if code == 13:
                    if at + 1 < stop and data[at + 1] == 10:
                        at += 1
                        continue
                    code = 10
                if code == 10:
                    at += 1
                    newlines += 1
                    if newlines <= 2:
                        out[end] = 10
                        end += 1
                    continue
                if (code < 32 and code != 9) or 0x7F <= code < 0xA0 or code in (0x200B, 0xFEFF):
                    at += size
                    joined[row] = True
                    continue
                newlines = 0
                for byte in range(size):
                    out[end + byte] = data[at + byte]
                end += size
                at += size
        while end > begin:
            last = _before(out, end)
            if not table[decode(out, last)[0]] & SPACE:
                break
            end = last
        first = begin
        while first < end:
            code, size = decode(out, first)
            if not table[code] & SPACE:
                break
            first += size
        if first > begin:
            for at in range(first, end):
                out[at - first + begin] = out[at]
            end -= first - begin
        places[row + 1] = end


def tidy(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Texts with LF line ends, at most two in a row, without control characters and outer white space.

    Tabs and the joiners U+200C and U+200D stay.

    Returns:
        The texts, uint8[], and where each begins, int64[n + 1]; bool[n], texts in which characters that stood
        between others went, so that they may not be NFC any more.
    """
    out = np.empty(len(data), np.uint8)
    places = np.zeros(len(bounds), np.int64)
    joined = np.zeros(len(bounds) - 1, np.bool_)
    _tidy(data, bounds, classes(), out, places, joined)
    return out[: places[-1]], places, joined
