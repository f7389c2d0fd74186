"""Which lines ftfy could change: one pass over bytes that proves all others unchanged.

A line is what `ftfy.fix_text` takes as a segment: up to and with a line feed. Under our configuration
(`stages.repair`) it can change only if it holds an HTML entity before the document has shown a "<", if ftfy's
automaton finds mojibake in it, if it holds a character that ftfy always replaces or removes, if it may not be
NFC (UAX #15, quick check), or if it is so long that ftfy cuts it. CRLF is left to the caller: ftfy makes it
LF.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt
from ftfy.chardata import CONTROL_CHARS, LIGATURES

from stages.kernels.badness import BAD, FRESH, NEUTRAL, mojibake
from stages.kernels.reading import decode

# What a line is suspected of.
REPLACED: Final = 1  # a character that ftfy always replaces or removes
UNCOMPOSED: Final = 2  # perhaps not NFC
MOJIBAKE: Final = 4
ENTITY: Final = 8
LONG: Final = 16
TAGGED: Final = 32  # no suspicion: an earlier line of the document holds a "<"

LONGEST: Final = 1_000_000  # ftfy's max_decode_length, here in bytes

# Bits of the table's entries above the class of the automaton; the combining class stands above them.
_REPLACED: Final = 1 << 8
_UNCOMPOSED: Final = 1 << 9
_COMBINING: Final = 16

# Bytes that mean nothing unless a character that is not ASCII is near.
_PLAIN: Final = np.array([byte in range(32, 127) and byte not in b"<&" for byte in range(256)], np.bool_)

_NORMALISED: Final = ((0xC0, 0x33FF), (0xA000, 0xABFF), (0xF900, 0x1FFFF), (0x2F800, 0x2FA1F))


@cache
def _table() -> npt.NDArray[np.uint32]:
    """What a code point is to the automaton, to ftfy and to NFC: uint32[0x110000]."""
    table = mojibake().classes.astype(np.uint32)
    for code in (*CONTROL_CHARS, *LIGATURES, *range(0x80, 0xA0), 0x2028, 0x2029):
        table[code] |= _REPLACED
    # The second half of a composition may compose with what stands before it: Hangul vowels and finals too.
    seconds = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
    for first, last in _NORMALISED:
        for code in range(first, last + 1):
            character = chr(code)
            parts = unicodedata.decomposition(character)
            if parts and parts[0] != "<":
                seconds.update(int(part, 16) for part in parts.split()[1:])
                if unicodedata.normalize("NFC", character) != character:
                    table[code] |= _UNCOMPOSED
            table[code] |= unicodedata.combining(character) << _COMBINING
    table[list(seconds)] |= _UNCOMPOSED
    return table


@nb.njit(cache=True, nogil=True)
def _is_entity(data: npt.NDArray[np.uint8], at: int, stop: int) -> bool:
    """Does "&#?[0-9A-Za-z]{1,24};" match at this ampersand?"""
    at += 1
    if at < stop and data[at] == 35:
        at += 1
    begin = at
    while at < stop and at - begin <= 24:
        byte = data[at]
        if byte == 59:
            return bool(at > begin)
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122):
            return False
        at += 1
    return False


@nb.njit(cache=True, nogil=True)
def _suspicious(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint32],
    moves: npt.NDArray[np.uint16],
    reach: int,
    plain: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    found = np.empty((1024, 4), np.int64)
    count = 0
    for row in range(len(bounds) - 1):
        at, stop = bounds[row], bounds[row + 1]
        tagged = False
        while at < stop:
            start = at
            sins = 0
            before = tagged
            entity = False
            state = FRESH
            watch = 0  # ASCII characters that the automaton still has to see after one that is not
            combining = 0
            while at < stop:
                if watch == 0:
                    while at < stop and plain[data[at]]:
                        at += 1
                    if at == stop:
                        break
                byte = data[at]
                if byte < 0x80:
                    if watch > 0:
                        watch -= 1
                        state = moves[state, table[byte] & 0xFF]
                        combining = 0
                    at += 1
                    if byte == 10:
                        break
                    if byte == 60:
                        tagged = True
                    elif byte == 38:
                        entity = entity or _is_entity(data, at - 1, stop)
                    elif byte == 13:
                        if not (at < stop and data[at] == 10) or (at - 2 >= start and data[at - 2] == 13):
                            sins |= REPLACED
                    elif table[byte] & _REPLACED:
                        sins |= REPLACED
                    continue
                if watch == 0:
                    # Whatever it looks for begins at most reach - 1 characters back, and those are ASCII.
                    back = max(start, at - reach)
                    if state != BAD:
                        state = FRESH if back == start else NEUTRAL
                        for earlier in range(back, at):
                            state = moves[state, table[data[earlier]] & 0xFF]
                    combining = 0
                watch = reach
                code, size = decode(data, at)
                entry = table[code]
                state = moves[state, entry & 0xFF]
                if entry >= _REPLACED:
                    if entry & _REPLACED:
                        sins |= REPLACED
                    rank = entry >> _COMBINING
                    if entry & _UNCOMPOSED or 0 < rank < combining:
                        sins |= UNCOMPOSED
                    combining = rank
                else:
                    combining = 0
                at += size
            if state == BAD:
                sins |= MOJIBAKE
            if entity and not tagged:
                sins |= ENTITY
            if at - start > LONGEST:
                sins |= LONG
            if sins:
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0] = row
                found[count, 1] = start
                found[count, 2] = at
                found[count, 3] = sins | (TAGGED if before else 0)
                count += 1
    return found[:count]


def suspicious(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The lines that ftfy could change: int64 (lines, 4), each row's text, first byte, end, suspicions."""
    automaton = mojibake()
    lines: npt.NDArray[np.int64] = _suspicious(
        data, bounds, _table(), automaton.moves, automaton.reach, _PLAIN
    )
    return lines
