"""64-bit hashes of document ids: the only source of randomness in the stages.

A draw belongs to a document, never to a run: `unit(hash64(ids, seed))` is the same on any machine, for any
cut of the corpus and in any order. These are mixing functions, not cryptography.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

BINS: Final = 4096
"""Ranges of hashes of equal width, in which sizes are counted: one document in 4,096 lies in a given one."""

_BELOW: Final = 52  # bits of a hash that do not name its bin


def mix64(values: U64) -> U64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection on 64-bit words."""
    with np.errstate(over="ignore"):
        values = values ^ (values >> np.uint64(30))
        values = values * np.uint64(0xBF58476D1CE4E5B9)
        values = values ^ (values >> np.uint64(27))
        values = values * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def salt64(*salts: int | str) -> np.uint64:
    """One 64-bit word from a seed and the name of what is drawn (BLAKE2b of their text)."""
    text = "\x1f".join(str(salt) for salt in salts).encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


def hash64(ids: npt.NDArray[np.uint8], *salts: int | str) -> U64:
    """A 64-bit hash for each 128-bit id: ids uint8 (n, 16) -> uint64 (n,)."""
    halves = np.ascontiguousarray(ids).view("<u8").reshape(-1, 2)
    with np.errstate(over="ignore"):
        first = mix64(halves[:, 0] + salt64(*salts))
        return mix64(first ^ (halves[:, 1] * np.uint64(0x9E3779B97F4A7C15)))


def bins(hashes: U64) -> npt.NDArray[np.int64]:
    """The bin of each hash, 0 to BINS - 1, in the order of hashes: its upper 12 bits."""
    return (hashes >> np.uint64(_BELOW)).astype(np.int64)


def first_of_bin(number: int) -> int:
    """The least hash of a bin."""
    return number << _BELOW


def unit(hashes: U64) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1), from their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
