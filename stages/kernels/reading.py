"""How kernels read text: a character from its UTF-8 bytes, or eight bytes at once over runs of ASCII letters.

Knows nothing of what the characters are (`characters` does). UTF-8 is taken to be valid, as Arrow's strings are.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt


@nb.njit(cache=True, nogil=True)
def decode(data: npt.NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Code point and length in bytes of the character that starts at `at` (valid UTF-8)."""
    first = nb.int64(data[at])
    if first < 0x80:
        return first, 1
    second = nb.int64(data[at + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = nb.int64(data[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | (nb.int64(data[at + 3]) & 0x3F), 4


@nb.njit(cache=True, nogil=True)
def eight(data: npt.NDArray[np.uint8], at: int) -> np.uint64:
    """The eight bytes from `at` on, the first lowest; the compiler makes one load of it."""
    place = nb.uint64(at)  # unsigned: negative places would have to be looked for
    word: np.uint64 = (
        nb.uint64(data[place])
        | nb.uint64(data[place + nb.uint64(1)]) << nb.uint64(8)
        | nb.uint64(data[place + nb.uint64(2)]) << nb.uint64(16)
        | nb.uint64(data[place + nb.uint64(3)]) << nb.uint64(24)
        | nb.uint64(data[place + nb.uint64(4)]) << nb.uint64(32)
        | nb.uint64(data[place + nb.uint64(5)]) << nb.uint64(40)
        | nb.uint64(data[place + nb.uint64(6)]) << nb.uint64(48)
        | nb.uint64(data[place + nb.uint64(7)]) << nb.uint64(56)
    )
    return word


@nb.njit(cache=True, nogil=True)
def first_other(word: np.uint64) -> np.uint64:
    """The high bit of the first of eight bytes that is no ASCII letter; 0 if all are letters."""
    small = word | nb.uint64(0x2020202020202020)
    low = small & nb.uint64(0x7F7F7F7F7F7F7F7F)
    from_a = low + nb.uint64(0x1F1F1F1F1F1F1F1F)  # sets the high bit from "a" on
    behind_z = low + nb.uint64(0x0505050505050505)
    others = ~(from_a & ~behind_z & ~small) & nb.uint64(0x8080808080808080)
    first: np.uint64 = others & (~others + nb.uint64(1))
    return first


@nb.njit(cache=True, nogil=True)
def bytes_before(first: np.uint64) -> int:
    """How many of the eight bytes stand before the one whose high bit this is."""
    ones = nb.uint64(0x0101010101010101)
    count: int = nb.int64((((first - nb.uint64(1)) & ones) * ones) >> nb.uint64(56)) - 1
    return count


@nb.njit(cache=True, nogil=True)
def is_ascii_letter(byte: np.uint8) -> bool:
    """A to Z or a to z: most of most texts, so that kernels hurry over runs of them."""
    return bool(nb.uint8((byte | 32) - 97) < 26)
