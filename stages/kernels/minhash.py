"""Shingles, MinHash signatures and the keys under which near-duplicates meet.

A shingle is n consecutive match tokens (`units`); its 64-bit hash is `finish` of the polynomial
sum(u_i * BASE^(n-1-i)) mod 2^64 over the tokens' hashes. A document's shingles are a set. The upper 32 bits
are the input of datasketch 2.0's scheme `affine32`, bit for bit: MurmurHash3's finaliser once, then for each
permutation the least a * x + b mod 2^32 (Broder 1997; RULES 11.2). A band's key hashes its number and its
rows of the signature. A document with fewer than n tokens has no shingle and no key.

Comparing shingle sets is the business of `jaccard`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import DIGIT, classes
from stages.kernels.units import FOLD, characters, digest, finish, hashes

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_BASE: Final = np.uint64(0xD1342543DE82EF95)
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)
_EMPTY: Final = np.uint32(0xFFFFFFFF)


@lru_cache(maxsize=8)
def permutations(count: int, seed: int) -> tuple[U32, U32]:
    """(a, b), uint32[count] each, as `datasketch.MinHash(num_perm=count, seed=seed)` draws them.

    Drawn here by the same generator, whose stream numpy promises never to change: importing datasketch costs
    a worker a second and 40 MB, for scipy.
    """
    draw = np.random.RandomState(seed)
    a = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@lru_cache(maxsize=2)
def folding(fold_digits: bool) -> U32:
    """The table of the scans; with `fold_digits` every decimal digit of every script is read as 0."""
    if not fold_digits:
        return characters()
    table = characters().copy()
    digits = np.flatnonzero(classes() & DIGIT)
    digits = digits[[unicodedata.decimal(chr(code), None) is not None for code in digits.tolist()]]
    table[digits] = table[digits] & ~np.uint32(FOLD) | np.uint32(ord("0"))
    return table


@nb.njit(cache=True, nogil=True)
def shingle(tokens: U64, count: int, n: int, out: U64) -> int:
    """Hashes of the shingles of one text, in order and with repetitions.

    Args:
        tokens: uint64[], token hashes.
        count: how many of them count.
        n: tokens in a shingle.
        out: uint64[count] or longer; filled. It may be `tokens` itself.

    Returns:
        The number of shingles: count - n + 1, or 0.
    """
    if count < n:
        return 0
    leaving = nb.uint64(1)
    value = nb.uint64(0)
    for k in range(n):
        leaving *= _BASE
        value = value * _BASE + tokens[k]
    for k in range(count - n):
        gone = tokens[k]
        out[k] = finish(value)
        value = value * _BASE + tokens[k + n] - gone * leaving
    out[count - n] = finish(value)
    return count - n + 1


@nb.njit(cache=True, nogil=True)
def _sign(shingles: U64, count: int, a: U32, b: U32, mixed: U32, signature: U32) -> None:
    """The signature of one document with at least one shingle; `mixed` is scratch, count + 3 long."""
    for k in range(count):
        x = nb.uint32(shingles[k] >> nb.uint64(32))
        # Numba widens products of 32 bits to 64: each is cut back.
        x = nb.uint32((x ^ (x >> nb.uint32(16))) * nb.uint32(0x85EBCA6B))
        x = nb.uint32((x ^ (x >> nb.uint32(13))) * nb.uint32(0xC2B2AE35))
        mixed[k] = x ^ (x >> nb.uint32(16))
    padded = (count + 3) // 4 * 4
    for k in range(count, padded):
        mixed[k] = mixed[0]
    signature[:] = _EMPTY
    # Four shingles a pass: one load and one store of the signature for four multiplications.
    for k in range(0, padded, 4):
        x0, x1, x2, x3 = mixed[k], mixed[k + 1], mixed[k + 2], mixed[k + 3]
        for p in range(len(a)):
            one = min(nb.uint32(a[p] * x0 + b[p]), nb.uint32(a[p] * x1 + b[p]))
            two = min(nb.uint32(a[p] * x2 + b[p]), nb.uint32(a[p] * x3 + b[p]))
            least = min(one, two)
            signature[p] = min(signature[p], least)


@nb.njit(cache=True, nogil=True)
def _band_keys(signature: U32, bands: int, rows: int, keys: U64) -> None:
    for band in range(bands):
        value = finish(nb.uint64(band + 1))
        for k in range(band * rows, band * rows + rows):
            value = (value ^ nb.uint64(signature[k])) * _PRIME
        keys[band] = finish(value)


@nb.njit(cache=True, nogil=True)
def _signatures(
    data: U8,
    offsets: I64,
    table: U32,
    n: int,
    a: U32,
    b: U32,
    bands: int,
    out: U32,
    keys: U64,
    counts: I64,
    letters: U64,
) -> None:
    longest = nb.int64(0)
    for row in range(len(counts)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    spelling = np.empty(longest * 3 // 8 + 2, np.uint64)
    mixed = np.empty(longest + 4, np.uint32)
    signature = np.empty(len(a), np.uint32)
    for row in range(len(counts)):
        count, _, spelled = hashes(
            data, offsets[row], offsets[row + 1], table, tokens, spelling.view(np.uint8)
        )
        letters[row] = digest(spelling, spelled)
        counts[row] = shingle(tokens, count, n, tokens)
        if counts[row]:
            _sign(tokens, counts[row], a, b, mixed, signature)
            if len(out):
                out[row] = signature
            if bands:
                _band_keys(signature, bands, len(a) // bands, keys[row])


def signatures(
    data: U8, offsets: I64, n: int, count: int, seed: int, *, fold_digits: bool = False
) -> tuple[U32, I64]:
    """MinHash signatures of NFC texts, which datasketch loads.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        n: tokens in a shingle.
        count: permutations.
        seed: datasketch's seed.
        fold_digits: read every digit as 0 (RULES 11.1).

    Returns:
        uint32[texts, count] (all ones for a text without shingle), and int64[texts]: shingles, repetitions
        counted.
    """
    texts = len(offsets) - 1
    out = np.full((texts, count), _EMPTY, np.uint32)
    counts = np.zeros(texts, np.int64)
    a, b = permutations(count, seed)
    keys, letters = np.zeros((texts, 0), np.uint64), np.zeros(texts, np.uint64)
    _signatures(data, offsets, folding(fold_digits), n, a, b, 0, out, keys, counts, letters)
    return out, counts


def band_keys(
    data: U8, offsets: I64, n: int, bands: int, rows: int, seed: int, *, fold_digits: bool = False
) -> tuple[U64, U64, I64]:
    """The band keys of NFC texts.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        n: tokens in a shingle.
        bands: how many keys a text gets.
        rows: permutations that share a key.
        seed: datasketch's seed.
        fold_digits: read every digit as 0.

    Returns:
        uint64[texts, bands]; uint64[texts], the hashes of the letters; int64[texts], shingles, repetitions
        counted: 0 where a text has no key.
    """
    texts = len(offsets) - 1
    keys = np.zeros((texts, bands), np.uint64)
    counts = np.zeros(texts, np.int64)
    a, b = permutations(bands * rows, seed)
    letters = np.zeros(texts, np.uint64)
    out = np.zeros((0, len(a)), np.uint32)
    _signatures(data, offsets, folding(fold_digits), n, a, b, bands, out, keys, counts, letters)
    return keys, letters, counts


@nb.njit(cache=True, nogil=True)
def _shingles(data: U8, offsets: I64, table: U32, n: int, out: U64, bounds: I64, letters: U64) -> None:
    longest = nb.int64(0)
    for row in range(len(bounds) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    spelling = np.empty(longest * 3 // 8 + 2, np.uint64)
    for row in range(len(bounds) - 1):
        count, _, spelled = hashes(
            data, offsets[row], offsets[row + 1], table, tokens, spelling.view(np.uint8)
        )
        letters[row] = digest(spelling, spelled)
        count = shingle(tokens, count, n, tokens)
        out[bounds[row] : bounds[row] + count] = tokens[:count]
        bounds[row + 1] = bounds[row] + count


@nb.njit(cache=True, nogil=True)
def _unique(values: U64, bounds: I64) -> None:
    """Closes up the repetitions inside sorted rows, in place."""
    to = 0
    start = 0
    for row in range(len(bounds) - 1):
        stop = bounds[row + 1]
        for at in range(start, stop):
            if at == start or values[at] != values[at - 1]:
                values[to] = values[at]
                to += 1
        start = stop
        bounds[row + 1] = to


def shingle_sets(data: U8, offsets: I64, n: int, *, fold_digits: bool = False) -> tuple[U64, I64, U64]:
    """The shingle sets of NFC texts.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        n: tokens in a shingle.
        fold_digits: read every digit as 0.

    Returns:
        uint64[] and int64[texts + 1]: the shingles, sorted and unique within each text, and where each text's
        lie; uint64[texts]: the hashes of the letters.
    """
    found = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint64)
    bounds = np.zeros(len(offsets), np.int64)
    letters = np.zeros(len(offsets) - 1, np.uint64)
    _shingles(data, offsets, folding(fold_digits), n, found, bounds, letters)
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        found[start:stop].sort()
    _unique(found, bounds)
    return found[: bounds[-1]].copy(), bounds, letters


def signature_sets(
    data: U8, offsets: I64, n: int, count: int, seed: int, *, fold_digits: bool = False
) -> tuple[U64, I64, U64]:
    """Signatures of NFC texts as sets of (place, value): where two signatures agree, their sets do.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        n: tokens in a shingle.
        count: permutations, below 2^32.
        seed: datasketch's seed.
        fold_digits: read every digit as 0.

    Returns:
        As of `shingle_sets`: uint64[], `count` elements of each text that has a shingle, place << 32 | value;
        int64[texts + 1]; uint64[texts], the hashes of the letters.
    """
    texts = len(offsets) - 1
    out = np.empty((texts, count), np.uint32)
    counts, letters = np.zeros(texts, np.int64), np.zeros(texts, np.uint64)
    a, b = permutations(count, seed)
    keys = np.zeros((texts, 0), np.uint64)
    _signatures(data, offsets, folding(fold_digits), n, a, b, 0, out, keys, counts, letters)
    sets = out[counts > 0] | np.arange(count, dtype=np.uint64) << np.uint64(32)
    bounds = np.append(0, np.cumsum(np.where(counts > 0, count, 0))).astype(np.int64)
    return sets.ravel(), bounds, letters
