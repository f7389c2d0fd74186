"""How many different values there are, about: the registers of a HyperLogLog sketch.

A value's 64-bit hash names a register by its low bits; the register holds the longest run of zeros at the head
of the rest, plus one (Flajolet et al. 2007; 64 bits after Heule, Nunkesser and Hall 2013). Registers of two sets
merge by their maximum. datasketch's HyperLogLogPlusPlus reads them, and does the estimating.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.units import characters, hashes

PRECISION: Final = 14
"""Bits that name a register; the standard error of an estimate is 1.04 / sqrt(2^PRECISION) = 0.8 %."""

U8 = npt.NDArray[np.uint8]


@nb.njit(cache=True, nogil=True)
def note(registers: U8, value: np.uint64) -> None:
    """Puts a 64-bit hash into uint8[2^p] registers."""
    place = value & nb.uint64(len(registers) - 1)
    rest = value // nb.uint64(len(registers))
    rank = nb.uint8(1)
    half = nb.uint64(1) << nb.uint64(63)
    half //= nb.uint64(len(registers))  # the highest bit that is left
    while half and not rest & half:
        rank += nb.uint8(1)
        half >>= nb.uint64(1)
    registers[place] = max(registers[place], rank)


@nb.njit(cache=True, nogil=True)
def _words(
    data: U8,
    offsets: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint32],
    groups: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
) -> None:
    longest = nb.int64(0)
    for row in range(len(groups)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    letters = np.empty(longest * 3 + 8, np.uint8)
    for row in range(len(groups)):
        count, _, _ = hashes(data, offsets[row], offsets[row + 1], table, tokens, letters)
        for k in range(count):
            note(out[groups[row]], tokens[k])


def words(
    data: U8, offsets: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.uint8]:
    """Registers of the match tokens (RULES 12.1) of each group of texts.

    Args:
        data: uint8[], UTF-8 in NFC.
        offsets: int64[n + 1].
        groups: int64[n], the group of each text.
        count: how many groups there are.

    Returns:
        uint8[count, 2^PRECISION].
    """
    out = np.zeros((count, 1 << PRECISION), np.uint8)
    _words(data, offsets, characters(), groups, out)
    return out


@nb.njit(cache=True, nogil=True)
def _values(values: npt.NDArray[np.uint64], out: U8) -> None:
    for value in values:
        note(out, value)


def values(hashed: npt.NDArray[np.uint64]) -> U8:
    """Registers of some 64-bit hashes: uint8[2^PRECISION]."""
    out = np.zeros(1 << PRECISION, np.uint8)
    _values(hashed, out)
    return out
