"""The line rules of RefinedWeb (RULES 6) that look at characters and tokens only, from buffer to buffer.

Counter lines and phrases are regular expressions: texts that may hold one are only named here, for `stages.lines`
to edit. What a rule is and in which order they come is said there too; both are compared in the tests.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import DIGIT, LETTER, NUMBER, SPACE, UPPER, classes
from stages.kernels.reading import decode

# Columns of the counts.
UPPERCASE: Final = 0  # lines removed, as the next two
NUMERIC: Final = 1
SHORT: Final = 2
BEFORE: Final = 3  # tokens that begin with a letter or number, before any rule and after all
AFTER: Final = 4
UNDECIDED: Final = 5  # 1: the text may hold a counter line or a phrase, and stays as it is
COUNTS: Final = 6

# Of each line, while a text is worked on.
_BEGIN: Final = 0  # its bytes
_END: Final = 1
_FIRST: Final = 2  # its bytes without outer white space
_LAST: Final = 3
_TOKENS: Final = 4
_WORDS: Final = 5  # tokens that begin with a letter or number
_CHARS: Final = 6
_CAPITALS: Final = 7
_DIGITS: Final = 8  # 1: nothing but digits between _FIRST and _LAST
_FACTS: Final = 9


@nb.njit(cache=True, nogil=True)
def _is_phrase(data: npt.NDArray[np.uint8], start: int, at: int, stop: int) -> bool:
    """May the byte at `at` be the "." of "more...", the "-" of "sign-in", the "c" of "in cart"?"""
    if at - start < 4 or at + 2 >= stop:
        return False
    byte, before, earlier = data[at], data[at - 1] | 32, data[at - 2] | 32
    after = data[at + 1]
    if byte == 46:
        return bool(before == 101 and earlier == 114 and after == 46)
    if byte == 45:
        # Other letters than ASCII's may be an "i" to a pattern that ignores case.
        return bool(before == 110 and earlier == 103 and (after | 32 == 105 or after >= 0x80))
    return bool(before == 32 and earlier == 110 and after | 32 == 97 and data[at + 2] | 32 == 114)


@nb.njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    lines: npt.NDArray[np.int64],
) -> tuple[int, bool]:
    """Fills `lines`, and says how many there are and whether one may be a counter or hold a phrase."""
    count = 0
    undecided = False
    at = start
    while at <= stop:
        begin = first = last = at
        tokens = words = chars = capitals = others = 0
        inside = spoken = False
        told = 0  # tokens with a letter, number or low line
        opening = closing = 0  # the line's first and last letter, number or low line
        while at < stop and data[at] != 10:
            code, size = decode(data, at)
            kind = table[code]
            chars += 1
            if kind & SPACE:
                inside = False
                at += size
                continue
            if not inside:
                inside = True
                spoken = False
                if tokens == 0:
                    first = at
                tokens += 1
                words += (kind & (LETTER | NUMBER)) != 0
            capitals += (kind & UPPER) != 0
            others += (kind & DIGIT) == 0
            if kind & (LETTER | NUMBER) or code == 95:
                closing = code
                told += not spoken
                spoken = True
                if opening == 0:
                    opening = code
            if code in (45, 46, 67, 99):
                undecided = undecided or _is_phrase(data, begin, at, stop)
            at += size
            last = at
        undecided = undecided or (told == 2 and 48 <= opening <= 57 and closing in (83, 115, 0x17F))
        lines[count, _BEGIN], lines[count, _END] = begin, at
        lines[count, _FIRST], lines[count, _LAST] = first, last
        lines[count, _TOKENS], lines[count, _WORDS] = tokens, words
        lines[count, _CHARS], lines[count, _CAPITALS] = chars, capitals
        lines[count, _DIGITS] = tokens == 1 and others == 0
        count += 1
        at += 1
    return count, undecided


@nb.njit(cache=True, nogil=True)
def _strip(lines: npt.NDArray[np.int64], first: int, stop: int) -> tuple[int, int]:
    """The lines of [first, stop) without blank ones at both ends, and without white space there."""
    while first < stop and lines[first, _TOKENS] == 0:
        first += 1
    while first < stop and lines[stop - 1, _TOKENS] == 0:
        stop -= 1
    if first < stop:
        lines[first, _BEGIN] = lines[first, _FIRST]
        lines[stop - 1, _END] = lines[stop - 1, _LAST]
    return first, stop


@nb.njit(cache=True, nogil=True)
def _refine(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    capitals: float,
    numeric: bool,
    strips: bool,
    fewest: npt.NDArray[np.int64],
    phrases: bool,
    looking: bool,
    lines: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    end = 0
    for row in range(len(bounds) - 1):
        found = counts[row]
        count, undecided = _scan(data, bounds[row], bounds[row + 1], table, lines)
        for line in range(count):
            found[BEFORE] += lines[line, _WORDS]
        if undecided and looking:
            found[UNDECIDED] = 1
            size = bounds[row + 1] - bounds[row]
            out[end : end + size] = data[bounds[row] : bounds[row + 1]]
            end += size
            places[row + 1] = end
            continue
        first, stop = 0, count
        for rule in (UPPERCASE, NUMERIC, SHORT):
            kept = first
            for line in range(first, stop):
                facts = lines[line]
                if rule == UPPERCASE:
                    refused = facts[_CAPITALS] / max(facts[_CHARS], 1) > capitals
                elif rule == NUMERIC:
                    whole = facts[_BEGIN] == facts[_FIRST] and facts[_END] == facts[_LAST]
                    refused = numeric and whole and facts[_DIGITS] == 1
                else:
                    refused = facts[_TOKENS] < fewest[row] and facts[_END] > facts[_BEGIN]
                found[rule] += refused
                if not refused:
                    if kept < line:
                        lines[kept] = facts
                    kept += 1
            stop = kept
            if (rule == UPPERCASE and capitals < np.inf) or (rule == NUMERIC and (numeric or strips)):
                first, stop = _strip(lines, first, stop)
        if phrases:
            first, stop = _strip(lines, first, stop)
        for line in range(first, stop):
            found[AFTER] += lines[line, _WORDS]
            if line > first:
                out[end] = 10
                end += 1
            size = lines[line, _END] - lines[line, _BEGIN]
            out[end : end + size] = data[lines[line, _BEGIN] : lines[line, _END]]
            end += size
        places[row + 1] = end


def refine(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    *,
    capitals: float | None,
    numeric: bool,
    counters: bool,
    fewest: npt.NDArray[np.int64],
    phrases: bool,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Texts after the rules, but for those that are undecided.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        capitals: greatest share of capitals in a line; None: any.
        numeric: whether lines of digits go.
        counters: whether counter lines are looked for.
        fewest: tokens that a line of each text needs, int64[n]; 0: any.
        phrases: whether phrases are looked for.

    Returns:
        The texts, uint8[], and where each begins, int64[n + 1]; int64 (n, COUNTS), columns as named above.
    """
    counts = np.zeros((len(bounds) - 1, COUNTS), np.int64)
    places = np.zeros(len(bounds), np.int64)
    out = np.empty(int(bounds[-1] - bounds[0]), np.uint8)
    feeds = np.searchsorted(np.flatnonzero(data[: bounds[-1]] == 10), bounds)
    room = int(np.diff(feeds).max(initial=0))
    lines = np.empty((room + 1, _FACTS), np.int64)
    _refine(
        data, bounds, classes(), np.inf if capitals is None else capitals, numeric, counters, fewest, phrases,
        counters or phrases, lines, out, places, counts,
    )  # fmt: skip
    return out[: places[-1]], places, counts
