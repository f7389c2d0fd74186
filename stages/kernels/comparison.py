"""The comparison form of a text, hashed: what makes two documents exact copies (RULES 10.1).

The form is the NFC text without white space at its ends, every white-space run one space. Its 128-bit hash is
two lanes of multiply and shift over eight bytes at a time: no cryptography, and no accident either (2^-128 a
pair). Case, punctuation and emoji distinguish.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.reading import decode
from stages.kernels.units import BLANK, characters, finish

_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)
_OTHER: Final = np.uint64(0xC2B2AE3D27D4EB4F)


@nb.njit(cache=True, nogil=True)
def _compact(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint32],
    out: npt.NDArray[np.uint8],
) -> int:
    """Writes the comparison form of one NFC text; returns its bytes."""
    to = 0
    blank = nb.int64(1)  # so that white space at the start disappears
    at = start
    while at < stop:
        byte = data[at]
        if byte < 0xC2 or byte > 0xE3:  # every other white space begins with C2, E1, E2 or E3
            space = nb.int64((table[byte] >> nb.uint32(25)) & nb.uint32(1)) if byte < 0x80 else 0
            out[to] = 32 if space else byte
            to += 1 - (space & blank)
            blank = space
            at += 1
            continue
        code, size = decode(data, at)
        if table[code] & BLANK:
            out[to] = 32
            to += 1 - blank
            blank = 1
        else:
            for k in range(size):
                out[to + k] = data[at + k]
            to += size
            blank = 0
        at += size
    return to - 1 if to and blank else to


@nb.njit(cache=True, nogil=True)
def _keys(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int64],
) -> None:
    longest = nb.int64(0)
    for row in range(len(lengths)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    words = np.zeros(longest // 8 + 2, np.uint64)
    form = words.view(np.uint8)
    for row in range(len(lengths)):
        size = _compact(data, offsets[row], offsets[row + 1], table, form)
        whole = (size + 7) // 8
        for k in range(size, whole * 8):
            form[k] = 0
        first = finish(nb.uint64(size))
        second = finish(first)
        for k in range(whole):
            first = (first ^ words[k]) * _PRIME
            first ^= first >> nb.uint64(29)
            second = (second + words[k]) * _OTHER
            second ^= second >> nb.uint64(32)
        keys[row, 0] = finish(first)
        keys[row, 1] = finish(second ^ (first >> nb.uint64(7)))
        count = nb.int64(0)
        for k in range(size):
            count += (form[k] & 0xC0) != 0x80
        lengths[row] = count


def exact_keys(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """128-bit hashes and lengths of the comparison forms of NFC texts.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].

    Returns:
        uint64[texts, 2], and int64[texts]: characters of the comparison form; 0 means that it is empty,
        which is no key.
    """
    texts = len(offsets) - 1
    keys = np.zeros((texts, 2), np.uint64)
    lengths = np.zeros(texts, np.int64)
    _keys(data, offsets, characters(), keys, lengths)
    return keys, lengths
