"""Tokens of other implementations: pieces between white space, and all UAX #29 segments that are not white space.

Punctuation marks are segments of their own, as they are tokens of the word tokenizers that datatrove uses.
Tokens come as polynomial hashes of their bytes with the powers that join them: hashes of neighbours give the
hash of their concatenation. What is counted over tokens is in `variants`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import LETTER, SPACE, classes
from stages.kernels.reading import decode
from stages.kernels.words import ALPHANUMERIC, JOINS, word_breaks, words

PLAIN: Final = 1  # flag: a character that is not in datatrove's list of punctuation
LETTERED: Final = 2  # flag: a letter

# datatrove's list (utils/text.py), without the control characters, none of which is ever stored.
PUNCTUATION: Final = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
)

_BASE: Final = np.uint64(0x9E3779B97F4A7C15)


@cache
def punctuation() -> npt.NDArray[np.bool_]:
    """Which code points are in datatrove's list: bool[0x110000]."""
    table = np.zeros(0x110000, np.bool_)
    table[[ord(mark) for mark in PUNCTUATION]] = True
    return table


@cache
def all_breaks() -> npt.NDArray[np.uint8]:
    """`word_breaks()` in which every segment counts as a word."""
    return word_breaks() | np.uint8(ALPHANUMERIC)


@nb.njit(cache=True, nogil=True)
def pieces(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
) -> int:
    """Hash and length in characters of every piece between white space; returns how many."""
    count = 0
    length = 0
    value = nb.uint64(0)
    at = start
    while at < stop:
        code, size = decode(data, at)
        if table[code] & SPACE:
            if length:
                hashes[count] = value
                lengths[count] = length
                count += 1
            length = 0
            value = nb.uint64(0)
        else:
            length += 1
            for byte in data[at : at + size]:
                value = value * _BASE + nb.uint64(byte) + nb.uint64(1)
        at += size
    if length:
        hashes[count] = value
        lengths[count] = length
        count += 1
    return count


@nb.njit(cache=True, nogil=True)
def segments(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.bool_],
    breaks: npt.NDArray[np.uint8],
    joins: npt.NDArray[np.bool_],
    hashes: npt.NDArray[np.uint64],
    powers: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
) -> int:
    """Hash, power, length in characters and flags of every segment that is not white space; how many.

    Args:
        data: uint8[], UTF-8.
        start: first byte of the text.
        stop: end of the text, exclusive.
        table: `classes()`.
        marks: `punctuation()`.
        breaks: `all_breaks()`.
        joins: `JOINS`.
        hashes: uint64[], at least `stop - start` long; filled, as are the others.
        powers: uint64[], the base to the power of the token's bytes.
        lengths: int32[].
        flags: uint8[], PLAIN and LETTERED.
    """
    found = words(data, start, stop, breaks, joins, hashes, lengths)
    count = 0
    at = start
    half = False  # the last segment is a regional indicator without its second
    for place in range(found):
        first = decode(data, at)[0]
        blank = table[first] & SPACE != 0
        indicator = 0x1F1E6 <= first <= 0x1F1FF
        value = nb.uint64(0)
        power = nb.uint64(1)
        flag = nb.uint8(0)
        length = lengths[place]
        for _ in range(length):
            code, size = decode(data, at)
            if not marks[code]:
                flag |= nb.uint8(PLAIN)
            if table[code] & LETTER:
                flag |= nb.uint8(LETTERED)
            for byte in data[at : at + size]:
                value = value * _BASE + nb.uint64(byte) + nb.uint64(1)
                power *= _BASE
            at += size
        if half and indicator:  # WB15: two are a flag; `words` does not join what is no word
            count -= 1
            value = hashes[count] * power + value
            power *= powers[count]
            length += lengths[count]
            flag |= flags[count]
            half = False
        else:
            half = indicator
        if not blank:
            hashes[count] = value
            powers[count] = power
            lengths[count] = length
            flags[count] = flag
            count += 1
    return count


# Columns of `counts`.
TOKENS: Final = 0
WORDS: Final = 1  # tokens that are not punctuation alone
WORD_CHARS: Final = 2
LETTERLESS: Final = 3  # tokens without a letter
STOPS: Final = 4  # distinct stop words, in the case in which they are listed
COLUMNS: Final = 5


def hash_of(word: str) -> np.uint64:
    """The hash of a token, as the kernels compute it."""
    value = 0
    for byte in word.encode():
        value = (value * int(_BASE) + byte + 1) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


@nb.njit(cache=True, nogil=True)
def _counts(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.bool_],
    breaks: npt.NDArray[np.uint8],
    joins: npt.NDArray[np.bool_],
    listed: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    room: int,
    found: npt.NDArray[np.int64],
) -> None:
    hashes, powers = np.empty(room, np.uint64), np.empty(room, np.uint64)
    lengths, flags = np.empty(room, np.int32), np.empty(room, np.uint8)
    for row in range(len(bounds) - 1):
        count = segments(
            data, bounds[row], bounds[row + 1], table, marks, breaks, joins, hashes, powers, lengths, flags
        )
        first, last = ends[chosen[row]], ends[chosen[row] + 1]
        seen = nb.uint64(0)
        values = found[row]
        values[TOKENS] = count
        for place in range(count):
            if flags[place] & PLAIN:
                values[WORDS] += 1
                values[WORD_CHARS] += lengths[place]
            if not flags[place] & LETTERED:
                values[LETTERLESS] += 1
                continue
            for word in range(first, last):
                if listed[word] == hashes[place]:
                    seen |= nb.uint64(1) << nb.uint64(word - first)
        while seen:
            values[STOPS] += nb.int64(seen & nb.uint64(1))
            seen >>= nb.uint64(1)


def counts(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    lists: list[tuple[str, ...]],
    chosen: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """What datatrove counts over tokens: int64 (n, COLUMNS), columns as named above.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        lists: lists of stop words, at most 64 words each.
        chosen: int64[n], the list of each text.
    """
    found = np.zeros((len(bounds) - 1, COLUMNS), np.int64)
    listed = np.array([hash_of(word) for words_ in lists for word in words_], np.uint64)
    ends = np.cumsum([0, *(len(words_) for words_ in lists)])
    room = int(np.diff(bounds).max(initial=0)) + 1
    _counts(
        data, bounds, classes(), punctuation(), all_breaks(), JOINS, listed, ends, chosen, room, found
    )  # fmt: skip
    return found
