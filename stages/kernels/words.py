"""Words: the word segments of UAX #29 whose first character is alphanumeric (RULES 0.1), counted and hashed.

"isn't", "12,500" and "7.25" are one word each; every Han or Hiragana character is one; so is every Thai, Lao,
Khmer or Myanmar letter with its marks, as the standard without dictionaries has it.

The word-break classes come from the `regex` package, whose version therefore belongs to the identity of
the stages that count words. Sentences, lines and tokens between white space are `measures`' business.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt
import regex

from stages.kernels.characters import CODE_POINTS, LETTER, NUMBER, classes
from stages.kernels.reading import bytes_before, decode, eight, first_other, is_ascii_letter

# Classes of UAX #29, table 3. What is not here never joins anything on either side.
OTHER: Final = 0
LETTERS: Final = 1
HEBREW: Final = 2
NUMERIC: Final = 3
KATAKANA: Final = 4
CONNECTOR: Final = 5  # ExtendNumLet
MID_LETTER: Final = 6
MID_NUMBER: Final = 7
MID_BOTH: Final = 8  # MidNumLet
APOSTROPHE: Final = 9  # Single_Quote
QUOTE: Final = 10  # Double_Quote
EXTEND: Final = 11  # Extend, Format
JOINER: Final = 12  # zero width joiner
NEWLINE: Final = 13
_EXPECTED: Final = 14  # not a class: the rule of a middle character has promised that the next one joins

CLASS_BITS: Final = 15
PICTOGRAPH: Final = 16
ALPHANUMERIC: Final = 32

_NAMES: Final = (
    "ALetter",
    "Hebrew_Letter",
    "Numeric",
    "Katakana",
    "ExtendNumLet",
    "MidLetter",
    "MidNum",
    "MidNumLet",
    "Single_Quote",
    "Double_Quote",
    "Extend",
    "ZWJ",
    "Newline",
    "CR",
    "LF",
    "Format",
)
_CLASS_OF_NAME: Final = {"CR": NEWLINE, "LF": NEWLINE, "Format": EXTEND}


@cache
def word_breaks() -> npt.NDArray[np.uint8]:
    """Word-break class of every code point, with PICTOGRAPH and ALPHANUMERIC bits: uint8[0x110000]."""
    table = np.zeros(CODE_POINTS, np.uint8)
    numbers = [_CLASS_OF_NAME.get(name, place + 1) for place, name in enumerate(_NAMES)]
    # Beyond plane 1 only the tags and variation selectors of plane 14 have a class.
    for first, last in ((0, 0xD800), (0xE000, 0x20000), (0xE0000, 0xE1000)):
        characters = "".join(map(chr, range(first, last)))
        pattern = "|".join(rf"(\p{{Word_Break={name}}}+)" for name in _NAMES)
        for found in regex.finditer(pattern, characters):
            table[first + found.start() : first + found.end()] = numbers[(found.lastindex or 0) - 1]
        for found in regex.finditer(r"\p{Extended_Pictographic}+", characters):
            table[first + found.start() : first + found.end()] |= PICTOGRAPH
    table[(classes() & (LETTER | NUMBER)) != 0] |= ALPHANUMERIC
    return table


def _joins() -> npt.NDArray[np.bool_]:
    """WB5, WB8-WB10, WB13-WB13b: does a character of the column's class join the row's?"""
    table = np.zeros((16, 16), np.bool_)
    letters = (LETTERS, HEBREW)
    for left in (*letters, NUMERIC):
        for right in (*letters, NUMERIC):
            table[left, right] = True
    for run in (*letters, NUMERIC, KATAKANA, CONNECTOR):
        table[run, CONNECTOR] = table[CONNECTOR, run] = True
    table[KATAKANA, KATAKANA] = True
    table[_EXPECTED, [*letters, NUMERIC]] = True
    return table


JOINS: Final = _joins()


@nb.njit(cache=True, nogil=True)
def hash_short(word: np.uint64) -> np.uint64:
    """64-bit hash of fewer than eight bytes, none of them zero: one to one."""
    value: np.uint64 = word * nb.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> nb.uint64(32)
    value *= nb.uint64(0x94D049BB133111EB)
    return value


@nb.njit(cache=True, nogil=True)
def hash_bytes(data: npt.NDArray[np.uint8], start: int, stop: int, value: np.uint64) -> np.uint64:
    """64-bit hash of some bytes, eight at a time."""
    at = start
    while at + 8 <= stop:
        value = (value ^ eight(data, at)) * nb.uint64(0x9E3779B97F4A7C15)
        value ^= value >> nb.uint64(29)
        at += 8
    tail = nb.uint64(0)
    for byte in range(at, stop):
        tail |= nb.uint64(data[byte]) << nb.uint64(8 * (byte - at))
    if at == start and value == 0:
        value = hash_short(tail)
        return value  # noqa: RET504 - its type is declared
    tail |= nb.uint64(stop - start) << nb.uint64(56)
    value = (value ^ tail) * nb.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> nb.uint64(32)
    value *= nb.uint64(0x94D049BB133111EB)
    value ^= value >> nb.uint64(29)
    return value


@nb.njit(cache=True, nogil=True)
def _promised(data: npt.NDArray[np.uint8], at: int, stop: int, breaks: npt.NDArray[np.uint8]) -> int:
    """Class of the next character that is not an extender (WB4), OTHER at the end."""
    while at < stop:
        code, size = decode(data, at)
        found = breaks[code] & CLASS_BITS
        if found not in (EXTEND, JOINER):
            return int(found)
        at += size
    return OTHER


@nb.njit(cache=True, nogil=True)
def words(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    breaks: npt.NDArray[np.uint8],
    joins: npt.NDArray[np.bool_],
    hashes: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
) -> int:
    """Hash and length in characters of every word of one text, in order.

    Args:
        data: uint8[], UTF-8.
        start: first byte of the text.
        stop: end of the text, exclusive.
        breaks: `word_breaks()`; a table in which the space is ALPHANUMERIC too asks for every segment.
        joins: `JOINS`.
        hashes: uint64[], at least `stop - start` long; filled.
        lengths: int32[], likewise.

    Returns:
        The number of words.
    """
    count = 0
    spaces = breaks[32] & ALPHANUMERIC != 0  # are segments to be reported like words
    before = nb.int64(NEWLINE)  # class of the last character that is not an extender
    joiner = False  # the very last character was a zero width joiner
    is_word = False
    length = 0
    begin = start
    at = start
    while at < stop:
        if before == LETTERS:
            ahead = at
            while ahead < stop and is_ascii_letter(data[ahead]):
                ahead += 1
            if ahead > at:
                length += ahead - at
                joiner = False
                at = ahead
                if spaces or at == stop or data[at] != 32:
                    continue
                if is_word:
                    hashes[count] = hash_bytes(data, begin, at, nb.uint64(0))
                    lengths[count] = length
                    count += 1
                # Most words are short and stand behind a space, with something that never joins behind them.
                while at + 10 <= stop and data[at] == 32:
                    word = eight(data, at + 1)
                    other = first_other(word)
                    size = bytes_before(other)
                    end = at + 1 + size
                    if other == 0 or size == 0 or end + 1 >= stop:
                        break
                    # A byte from 0x80 on is no code point: 0xD7, the multiplication sign, leads Hebrew letters.
                    parts = data[end] < 0x80 and breaks[data[end]] & CLASS_BITS in (OTHER, NEWLINE)
                    if not parts and (data[end] not in (44, 46) or data[end + 1] != 32):
                        break
                    hashes[count] = hash_short(word & ((other >> nb.uint64(7)) - nb.uint64(1)))
                    lengths[count] = size
                    count += 1
                    at = end + (data[end] in (44, 46))
                is_word = False
                before = nb.int64(OTHER)
                continue
        code, size = decode(data, at)
        bits = breaks[code]
        found = nb.int64(bits & CLASS_BITS)
        if joins[before, found]:
            together = True
        elif found in (EXTEND, JOINER):
            together = before != NEWLINE
            if together:
                length += 1
                joiner = found == JOINER
                at += size
                continue
        elif before in (LETTERS, HEBREW) and found in (MID_LETTER, MID_BOTH, APOSTROPHE):
            after = _promised(data, at + size, stop, breaks)
            together = after in (LETTERS, HEBREW)
            if together:
                found = _EXPECTED
            elif before == HEBREW and found == APOSTROPHE:
                together = True
        elif before == HEBREW and found == QUOTE:
            together = _promised(data, at + size, stop, breaks) == HEBREW
            if together:
                found = _EXPECTED
        elif before == NUMERIC and found in (MID_NUMBER, MID_BOTH, APOSTROPHE):
            together = _promised(data, at + size, stop, breaks) == NUMERIC
            if together:
                found = _EXPECTED
        else:
            together = joiner and (bits & PICTOGRAPH) != 0
        if together:
            length += 1
        else:
            if is_word:
                hashes[count] = hash_bytes(data, begin, at, nb.uint64(0))
                lengths[count] = length
                count += 1
            is_word = (bits & ALPHANUMERIC) != 0
            length = 1
            begin = at
        before = found
        joiner = found == JOINER
        at += size
    if is_word:
        hashes[count] = hash_bytes(data, begin, at, nb.uint64(0))
        lengths[count] = length
        count += 1
    return count
