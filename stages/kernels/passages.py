"""Lines, paragraphs and sentences as bytes, each with a hash of its match tokens.

A unit begins where the one before it ends, so that units laid end to end are the text. White space and marks
without letters or numbers belong to the unit before them; what stands before the first unit belongs to it.
Which units are removed is the business of `stages.passages`.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels import characters as tables
from stages.kernels.sentences import abbreviations, sentence_ends
from stages.kernels.units import characters, finish, hashes

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

LINES: Final = 0
PARAGRAPHS: Final = 1
SENTENCES: Final = 2

_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)


@nb.njit(cache=True, nogil=True)
def _ends(data: U8, start: int, stop: int, kind: int, classes: U8, known: U64, ends: I64) -> int:
    """Ends of the units of one text, exclusive; the last one may lie before `stop`."""
    count: int = 0
    if kind == SENTENCES:
        count += sentence_ends(data, start, stop, classes, known, ends)
        return count
    blank = False  # since the last line feed there was white space only
    for at in range(start, stop):
        byte = data[at]
        if byte == 10 and (kind == LINES or blank):
            ends[count] = at + 1
            count += 1
        if byte == 10:
            blank = True
        elif byte not in (32, 9, 13):
            blank = False
    if stop > start and (count == 0 or ends[count - 1] < stop):
        ends[count] = stop
        count += 1
    return count


@nb.njit(cache=True, nogil=True)
def _scan(
    data: U8,
    offsets: I64,
    kind: int,
    table: npt.NDArray[np.uint32],
    classes: U8,
    known: U64,
    longest: int,
    rows: npt.NDArray[np.int32],
    starts: I64,
    keys: U64,
) -> int:
    tokens = np.empty(longest + 1, np.uint64)
    letters = np.empty(3 * longest + 8, np.uint8)
    ends = np.empty(longest + 1, np.int64)
    found = 0
    for row in range(len(offsets) - 1):
        begin, stop = offsets[row], offsets[row + 1]
        count = _ends(data, begin, stop, kind, classes, known, ends)
        first = found  # of this text
        for k in range(count):
            size, _, _ = hashes(data, begin, ends[k], table, tokens, letters)
            if size:
                value = finish(nb.uint64(size))
                for t in range(size):
                    value = (value ^ tokens[t]) * _PRIME
                    value ^= value >> nb.uint64(29)
                if found == len(rows):
                    return -1
                rows[found] = row
                starts[found] = begin if found > first else offsets[row]
                keys[found] = max(finish(value), nb.uint64(1))
                found += 1
            begin = ends[k]
    return found


def units(data: U8, offsets: I64, kind: int) -> tuple[npt.NDArray[np.int32], I64, U64]:
    """The units of NFC texts that hold a letter or number.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        kind: LINES, PARAGRAPHS (parted by blank lines) or SENTENCES (rule "gristmill-1").

    Returns:
        int32[units], the text; int64[units], the first byte (a unit ends where the next one of its text begins,
        or with the text); uint64[units], the hash, never 0.
    """
    longest = int(np.diff(offsets).max(initial=0))
    room = len(offsets) + int(offsets[-1] - offsets[0]) // 16
    while True:
        rows, starts, keys = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.uint64)
        count = _scan(
            data, offsets, kind, characters(), tables.classes(), abbreviations(), longest, rows, starts, keys
        )
        if count >= 0:
            return rows[:count], starts[:count], keys[:count]
        room *= 4


def words(data: U8, offsets: I64) -> int:
    """Match tokens of one NFC text: words, and characters of scripts without spaces.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[2].
    """
    size = int(offsets[1] - offsets[0])
    tokens, letters = np.empty(size + 1, np.uint64), np.empty(3 * size + 8, np.uint8)
    return int(hashes(data, offsets[0], offsets[1], characters(), tokens, letters)[0])
