"""What repeats inside a document: lines, paragraphs and word n-grams (RULES 3, and lines of RULES 5).

N-grams are counted from short to long. An n-gram occurs twice only if both its (n-1)-grams do, so each
length looks only at what the one before left over, and compares pairs of numbers: exact, and soon empty.
Words, pairs of words, lines and paragraphs are compared by 64-bit hashes.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import SPACE, classes
from stages.kernels.reading import decode, eight
from stages.kernels.words import JOINS, hash_bytes, word_breaks, words

# Columns of the result.
WORDS: Final = 0
WORD_CHARS: Final = 1
TOP_2: Final = 2  # and 3, 4: characters of the most frequent n-gram, all its occurrences
DUP_5: Final = 5  # and 6 to 10: characters of words covered by n-grams that occur more than once
LINES: Final = 11
DUP_LINES: Final = 12  # lines that are not alone, all copies
LINE_CHARS: Final = 13
DUP_LINE_CHARS: Final = 14
PARAGRAPHS: Final = 15
DUP_PARAGRAPHS: Final = 16
PARAGRAPH_CHARS: Final = 17
DUP_PARAGRAPH_CHARS: Final = 18
EXTRA_LINE_CHARS: Final = 19  # characters of the second and later copies of lines, stripped on the right only
COLUMNS: Final = 20

_LONGEST: Final = 10
_ONES: Final = np.uint64(0x0101010101010101)
_HIGHS: Final = np.uint64(0x8080808080808080)


@nb.njit(cache=True, nogil=True)
def _number(
    key: np.uint64,
    mask: int,
    stamp: int,
    keys: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int64],
    fresh: int,
) -> int:
    """The number of a key in the table of this stamp; `fresh` if it is new."""
    spread = key * nb.uint64(0x9E3779B97F4A7C15)
    slot = nb.int64(spread >> nb.uint64(32)) & mask
    while numbers[slot] >> 32 == stamp:
        if keys[slot] == key:
            return int(numbers[slot] & 0xFFFFFFFF)
        slot = (slot + 1) & mask
    keys[slot] = key
    numbers[slot] = stamp << 32 | fresh
    return fresh


@nb.njit(cache=True, nogil=True)
def _pair(first: np.uint64, second: np.uint64) -> np.uint64:
    """Hash of two neighbouring words."""
    key: np.uint64 = (first * nb.uint64(0x9E3779B97F4A7C15) + second) * nb.uint64(0xBF58476D1CE4E5B9)
    return key


@nb.njit(cache=True, nogil=True)
def _mask(entries: int) -> int:
    size = 16
    while size < 2 * entries:
        size *= 2
    return size - 1


@nb.njit(cache=True, nogil=True)
def _repeated(
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    count: int,
    stamp: int,
    keys: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
) -> tuple[int, int, int, int]:
    """Segments that are not alone: how many, their characters; of the later copies; of all segments."""
    mask = _mask(count)
    distinct = 0
    extra = 0
    total = 0
    for place in range(count):
        number = _number(hashes[place], mask, stamp, keys, numbers, distinct)
        total += lengths[place]
        if number == distinct:
            counts[number] = 1
            distinct += 1
        else:
            counts[number] += 1
            extra += lengths[place]
        ids[place] = number
    many = 0
    chars = 0
    if distinct < count:
        for place in range(count):
            if counts[ids[place]] > 1:
                many += 1
                chars += lengths[place]
    return many, chars, extra, total


@nb.njit(cache=True, nogil=True)
def _ngrams(
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    count: int,
    stamp: int,
    keys: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
    places: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
    marks: npt.NDArray[np.uint8],
    found: npt.NDArray[np.int64],
) -> None:
    """TOP_2 to TOP_4 and DUP_5 to DUP_10 of one document's words, into `found`."""
    ends[0] = 0
    for place in range(count):
        ends[place + 1] = ends[place] + lengths[place]
    # Pairs whose hash nobody shares are alone: a small table of counts rules most of them out.
    mask = _mask(2 * count)
    marks[: mask + 1] = 0
    for place in range(count - 1):
        slot = nb.int64(_pair(hashes[place], hashes[place + 1]) >> nb.uint64(32)) & mask
        marks[slot] = min(marks[slot] + 1, 2)
    alive = 0  # places of n-grams that may occur more than once, ascending
    for place in range(count - 1):
        if marks[nb.int64(_pair(hashes[place], hashes[place + 1]) >> nb.uint64(32)) & mask] > 1:
            places[alive] = place
            alive += 1
    for n in range(2, _LONGEST + 1):
        # Candidates are runs of two neighbouring places; the later one's number is still the shorter one's.
        mask = _mask(alive)
        candidates = 0
        distinct = 0
        for entry in range(alive):
            place = places[entry]
            if n == 2:
                key = _pair(hashes[place], hashes[place + 1])
            elif entry + 1 < alive and places[entry + 1] == place + 1:
                key = nb.uint64(ids[place]) << nb.uint64(32) | nb.uint64(ids[place + 1])
            else:
                continue
            number = _number(key, mask, stamp + n, keys, numbers, distinct)
            ids[place] = number
            places[candidates] = place
            candidates += 1
            if number == distinct:
                distinct += 1
        counts[:distinct] = 0
        for entry in range(candidates):
            counts[ids[places[entry]]] += 1
        alive = 0
        most = 1
        longest = 0
        covered = 0  # end of the words covered so far
        chars = 0
        for entry in range(candidates):
            place = places[entry]
            times = counts[ids[place]]
            if times < 2:
                continue
            places[alive] = place
            alive += 1
            if n <= 4:
                if times >= most:
                    length = ends[place + n] - ends[place]
                    if times > most or length > longest:
                        most, longest = times, length
            else:
                first = max(place, covered)
                covered = place + n
                chars += ends[covered] - ends[first]
        if n <= 4:
            found[TOP_2 + n - 2] = most * longest
        else:
            found[DUP_5 + n - 5] = chars
        if alive < 2:
            break


@nb.njit(cache=True, nogil=True)
def _segments(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    raw_hashes: npt.NDArray[np.uint64],
    raw_lengths: npt.NDArray[np.int32],
    paragraph_hashes: npt.NDArray[np.uint64],
    paragraph_lengths: npt.NDArray[np.int32],
) -> tuple[int, int, bool]:
    """Lines, stripped and stripped on the right only, and paragraphs, stripped: those that are not blank.

    Paragraphs stand between empty lines. Returns how many lines and paragraphs there are, and whether a line
    is indented.
    """
    count = paragraphs = 0
    indented = False
    begin = end = start  # of the paragraph without outer white space
    inside = 0  # its lines
    chars = gap = 0  # its characters; those behind its last line that is not blank
    at = start
    while at <= stop:
        feed = at
        whole = 0  # characters of the line
        while feed + 8 <= stop:
            word = eight(data, feed)
            feeds = word ^ nb.uint64(0x0A0A0A0A0A0A0A0A)
            if (feeds - _ONES) & ~feeds & _HIGHS:
                break
            whole += 8 - nb.int64(
                ((((word & ~(word << nb.uint64(1))) & _HIGHS) >> nb.uint64(7)) * _ONES) >> nb.uint64(56)
            )
            feed += 8
        while feed < stop and data[feed] != 10:
            whole += (data[feed] & 0xC0) != 0x80
            feed += 1
        last, behind = feed, 0
        while last > at:
            before = last - 1
            while 0x80 <= data[before] < 0xC0:
                before -= 1
            if not table[decode(data, before)[0]] & SPACE:
                break
            last = before
            behind += 1
        first, ahead = at, 0
        while first < last:
            code, size = decode(data, first)
            if not table[code] & SPACE:
                break
            first += size
            ahead += 1
        if first < last:
            length = whole - behind - ahead
            value = hash_bytes(data, first, last, nb.uint64(0))
            hashes[count] = value
            lengths[count] = length
            raw_hashes[count] = hash_bytes(data, at, first, value) if ahead else value
            raw_lengths[count] = length + ahead
            indented = indented or ahead > 0
            if inside == 0:
                begin, chars = first, length
            else:
                chars += gap + ahead + length
            inside += 1
            end, gap = last, behind + 1
            count += 1
        else:
            gap += whole + 1
        if inside > 0 and ((feed == at and at > start) or feed >= stop):
            paragraph_hashes[paragraphs] = (
                hashes[count - 1] if inside == 1 else hash_bytes(data, begin, end, nb.uint64(0))
            )
            paragraph_lengths[paragraphs] = chars
            paragraphs += 1
            inside = 0
        at = feed + 1
    return count, paragraphs, indented


@nb.njit(cache=True, nogil=True)
def _repetition(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    breaks: npt.NDArray[np.uint8],
    joins: npt.NDArray[np.bool_],
    room: int,
    found: npt.NDArray[np.int64],
) -> None:
    size = _mask(room) + 1
    keys = np.empty(size, np.uint64)
    numbers = np.zeros(size, np.int64)  # the stamp above, so that the table need not be emptied
    hashes, raw_hashes, outer_hashes = (
        np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.uint64)
    )  # fmt: skip
    lengths, raw_lengths, outer_lengths = (
        np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    )  # fmt: skip
    ids, counts, places = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    ends = np.empty(room + 1, np.int64)
    marks = np.empty(2 * size, np.uint8)
    stamp = 1
    for row in range(len(bounds) - 1):
        start, stop = bounds[row], bounds[row + 1]
        values = found[row]
        count = words(data, start, stop, breaks, joins, hashes, lengths)
        values[WORDS] = count
        _ngrams(hashes, lengths, count, stamp, keys, numbers, ids, counts, places, ends, marks, values)
        values[WORD_CHARS] = ends[count]
        stamp += _LONGEST + 1
        count, paragraphs, indented = _segments(
            data, start, stop, table, hashes, lengths, raw_hashes, raw_lengths, outer_hashes, outer_lengths
        )
        many, chars, extra, total = _repeated(hashes, lengths, count, stamp, keys, numbers, ids, counts)
        values[LINES], values[DUP_LINES] = count, many
        values[LINE_CHARS], values[DUP_LINE_CHARS] = total, chars
        if paragraphs < count:
            many, chars, _, total = _repeated(
                outer_hashes, outer_lengths, paragraphs, stamp + 1, keys, numbers, ids, counts
            )
        values[PARAGRAPHS], values[DUP_PARAGRAPHS] = paragraphs, many
        values[PARAGRAPH_CHARS], values[DUP_PARAGRAPH_CHARS] = total, chars
        if indented:
            extra = _repeated(raw_hashes, raw_lengths, count, stamp + 2, keys, numbers, ids, counts)[2]
        values[EXTRA_LINE_CHARS] = extra
        stamp += 3


def repetition(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts of every text: int64 (n, COLUMNS), columns as named above.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
    """
    found = np.zeros((len(bounds) - 1, COLUMNS), np.int64)
    # The shortest words without anything between them are a digit and a superscript: two in three bytes.
    room = int(np.diff(bounds).max(initial=0)) * 2 // 3 + 2
    _repetition(data, bounds, classes(), word_breaks(), JOINS, room, found)
    return found
