"""Repeated n-grams as other implementations of Gopher's rules count them (RULES 3, variants).

Every n-gram is numbered in the order of first occurrence, for each length anew; an n-gram is a pair of the
number of the one before and a word. What the numbers mean for a value differs by implementation.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import classes
from stages.kernels.tokens import all_breaks, pieces, punctuation, segments
from stages.kernels.words import JOINS, word_breaks, words

# Implementations.
DATATROVE: Final = 0
DOLMA: Final = 1
NEMO: Final = 2
POSITIONS: Final = 3

# Columns of the result. Values of n-grams stand at VALUES + n - 2, n = 2 to 10.
TOKENS: Final = 0
TOKEN_CHARS: Final = 1
VALUES: Final = 2
TOTALS: Final = 11  # likewise, from n = 5: what DOLMA divides by
COLUMNS: Final = 20

_LONGEST: Final = 10


@nb.njit(cache=True, nogil=True)
def _numbered(
    values: npt.NDArray[np.uint64],
    count: int,
    keys: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    times: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
) -> int:
    """Numbers equal values alike, in order; how often each occurs, and where first; how many there are."""
    mask = 15
    while mask < 2 * count:
        mask = 2 * mask + 1
    slots[: mask + 1] = -1
    distinct = 0
    for place in range(count):
        value = values[place]
        spread = (value ^ (value >> nb.uint64(31))) * nb.uint64(0xBF58476D1CE4E5B9)
        slot = nb.int64(spread >> nb.uint64(33)) & mask
        while slots[slot] >= 0 and keys[slot] != value:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            keys[slot] = value
            slots[slot] = distinct
            times[distinct] = 0
            firsts[distinct] = place
            distinct += 1
        ids[place] = slots[slot]
        times[slots[slot]] += 1
    return distinct


@nb.njit(cache=True, nogil=True)
def _top(
    kind: int,
    n: int,
    grams: int,
    distinct: int,
    ids: npt.NDArray[np.int32],
    times: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
) -> int:
    """The value of the most frequent n-gram: the first of equals, or (NEMO, POSITIONS) the longest."""
    best = 0
    longest = ends[firsts[0] + n] - ends[firsts[0]]
    for number in range(1, distinct):
        length = ends[firsts[number] + n] - ends[firsts[number]]
        if times[number] > times[best] or (
            times[number] == times[best] and kind >= NEMO and length > longest
        ):
            best, longest = number, length
    if kind == DATATROVE:
        return int(times[best] * (longest + n - 1))
    if kind == DOLMA:
        return int(times[best] * longest)
    if kind == NEMO:
        return int(firsts[best])
    chars = 0
    if times[best] > 1:
        covered = 0
        for place in range(grams):
            if ids[place] == best:
                chars += ends[place + n] - ends[max(place, covered)]
                covered = place + n
    return int(chars)


@nb.njit(cache=True, nogil=True)
def _duplicated(
    kind: int,
    n: int,
    grams: int,
    ids: npt.NDArray[np.int32],
    times: npt.NDArray[np.int32],
    firsts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
    seen: npt.NDArray[np.bool_],
) -> tuple[int, int]:
    """Numerator and (DOLMA) denominator of the share of repeated n-grams."""
    chars = 0
    total = 0
    if kind == DOLMA:
        for place in range(grams):
            length = ends[place + n] - ends[place]
            total += length
            if times[ids[place]] > 1:
                chars += length
    elif kind == DATATROVE:
        # Later copies, scanned so that no two overlap; what was skipped is not remembered.
        seen[:grams] = False
        place = 0
        while place < grams:
            if seen[ids[place]]:
                chars += ends[place + n] - ends[place]
                place += n
            else:
                seen[ids[place]] = True
                place += 1
    else:  # later copies, every word once, with the spaces between words
        overlap = 0
        for place in range(grams):
            if firsts[ids[place]] != place:
                chars += ends[place + n] - ends[place + overlap] + min(n - overlap, n - 1)
                overlap = n
            overlap = max(overlap - 1, 0)
    return chars, total


@nb.njit(cache=True, nogil=True)
def _ngrams(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    kind: int,
    table: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.bool_],
    breaks: npt.NDArray[np.uint8],
    joins: npt.NDArray[np.bool_],
    room: int,
    found: npt.NDArray[np.int64],
) -> None:
    keys, slots = np.empty(1 << 16, np.uint64), np.empty(1 << 16, np.int32)
    hashes, powers = np.empty(room, np.uint64), np.empty(room, np.uint64)
    lengths, flags = np.empty(room, np.int32), np.empty(room, np.uint8)
    values, ends, seen = np.empty(room, np.uint64), np.empty(room + 1, np.int64), np.empty(room, np.bool_)
    words_, ids = np.empty(room, np.int32), np.empty(room, np.int32)
    joined, times, firsts = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    for row in range(len(bounds) - 1):
        start, stop = bounds[row], bounds[row + 1]
        if kind == DATATROVE:
            count = segments(
                data, start, stop, table, marks, breaks, joins, hashes, powers, lengths, flags
            )  # fmt: skip
        elif kind == POSITIONS:
            count = words(data, start, stop, breaks, joins, hashes, lengths)
        else:
            count = pieces(data, start, stop, table, hashes, lengths)
        ends[0] = 0
        for place in range(count):
            ends[place + 1] = ends[place] + lengths[place]
        found[row, TOKENS] = count
        found[row, TOKEN_CHARS] = ends[count]
        if count < 2:
            continue
        if 4 * count > len(slots):  # `_numbered` uses fewer than four slots a token, and at least 16
            keys, slots = np.empty(4 * count, np.uint64), np.empty(4 * count, np.int32)
        _numbered(hashes, count, keys, slots, words_, times, firsts)
        ids[:count] = words_[:count]
        last = 4 if kind == POSITIONS else _LONGEST
        for n in range(2, min(last, count) + 1):
            grams = count - n + 1
            for place in range(grams):
                values[place] = nb.uint64(ids[place]) << nb.uint64(32) | nb.uint64(words_[place + n - 1])
            distinct = _numbered(values, grams, keys, slots, ids, times, firsts)
            if n <= 4:
                found[row, VALUES + n - 2] = _top(kind, n, grams, distinct, ids, times, firsts, ends)
                continue
            numbers = ids
            if kind == DATATROVE:  # equal when written without spaces
                for place in range(grams):
                    value = hashes[place]
                    for word in range(place + 1, place + n):
                        value = value * powers[word] + hashes[word]
                    values[place] = value
                _numbered(values, grams, keys, slots, joined, times, firsts)
                numbers = joined
            chars, total = _duplicated(kind, n, grams, numbers, times, firsts, ends, seen)
            found[row, VALUES + n - 2] = chars
            found[row, TOTALS + n - 2] = total


def ngrams(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], kind: int) -> npt.NDArray[np.int64]:
    """Counts of every text: int64 (n, COLUMNS), columns as named above.

    At VALUES + n - 2: characters of the most frequent n-gram with all its copies (n = 2 to 4; for NEMO the
    place of its first word), characters of repeated ones (n = 5 to 10). No n-gram, no value: 0.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        kind: DATATROVE (over segments), DOLMA, NEMO (over pieces between white space) or POSITIONS (words).
    """
    found = np.zeros((len(bounds) - 1, COLUMNS), np.int64)
    breaks = all_breaks() if kind == DATATROVE else word_breaks()
    room = int(np.diff(bounds).max(initial=0)) + 2
    _ngrams(data, bounds, kind, classes(), punctuation(), breaks, JOINS, room, found)
    return found
