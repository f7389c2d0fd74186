"""One table over code points: what a character is, and what it folds to. Every text kernel is driven by it.

The classes are those of RULES 0.1 and 12.1; they come from Python's `unicodedata`, whose version therefore
belongs to the identity of every stage that scans text. This module holds tables, no scans.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

LETTER: Final = 1  # general category L*
MARK: Final = 2  # general category M*
NUMBER: Final = 4  # general category N*
SPACE: Final = 8  # str.isspace
UNIT: Final = 16  # a letter, mark or number of a script that is matched character by character
UPPER: Final = 32  # str.isupper
DIGIT: Final = 64  # str.isdigit
TERMINAL: Final = 128  # ends a sentence (RULES 5)

WORD: Final = LETTER | MARK | NUMBER

CODE_POINTS: Final = 0x110000

# Scripts without spaces between words: Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar (RULES 12.1).
_UNIT_RANGES: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x2E80, 0x2FDF),  # CJK and Kangxi radicals
    (0x3005, 0x3007),  # iteration mark, closing mark, ideographic zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x3035),  # kana repeat marks
    (0x3038, 0x303C),  # more Hangzhou numerals, vertical iteration mark
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # kana extensions and supplement
    (0x20000, 0x3FFFD),  # CJK extensions B and later
)

# Runs whose characters are all alike: their class is looked up once (saves 200,000 look-ups at start).
# Unassigned code points among ideographs count as ideographs: newer Unicode only fills such gaps.
_ALIKE: Final = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0x17000, 0x18CD5))
_SCANNED: Final = (
    (0x0, 0x33FF),
    (0x4DC0, 0x4DFF),
    (0xA000, 0xABFF),
    (0xD7A4, 0xD7FF),
    (0xF900, 0x16FFF),
    (0x18CD6, 0x1FFFF),
)

# Unicode Sentence_Terminal, with the additions of RULES 5; quotation marks and the ellipsis are not members.
TERMINAL_MARKS: Final = (
    "!.?\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965"
    "\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8\u1aa9\u1aaa\u1aab"
    "\u1b5a\u1b5b\u1b5e\u1b5f\u1b7d\u1b7e\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047\u2048\u2049\u2e2e\u2e3c"
    "\u2e53\u2e54\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d\uaa5e\uaa5f"
    "\uaaf0\uaaf1\uabeb\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61"
)


def _class_of(character: str) -> int:
    major = unicodedata.category(character)[0]
    found = LETTER if major == "L" else MARK if major == "M" else NUMBER if major == "N" else 0
    if character.isspace():
        found |= SPACE
    if character.isupper():
        found |= UPPER
    if character.isdigit():
        found |= DIGIT
    return found


@cache
def classes() -> npt.NDArray[np.uint8]:
    """Class bits of every code point: uint8[0x110000]."""
    table = np.zeros(CODE_POINTS, np.uint8)
    for first, last in _SCANNED:
        table[first : last + 1] = [_class_of(chr(code)) for code in range(first, last + 1)]
    for first, last in _ALIKE:
        table[first : last + 1] = _class_of(chr(first))
    table[0x20000:0x3FFFE] = LETTER
    table[0xE0100:0xE01F0] = MARK  # variation selectors
    for first, last in _UNIT_RANGES:
        span = table[first : last + 1]
        span[(span & WORD) != 0] |= UNIT
    table[[ord(mark) for mark in TERMINAL_MARKS]] |= TERMINAL
    return table


@cache
def folds() -> npt.NDArray[np.uint32]:
    """Lower-case form of every code point: uint32[0x110000].

    One to one, so two things differ from `str.lower`: U+0130 folds to "i" alone, and the final sigma folds
    to the plain one, so that a capitalised Greek word equals its lower-case form.
    """
    table = np.arange(CODE_POINTS, dtype=np.uint32)
    upper = np.flatnonzero(classes() & (LETTER | UPPER))
    upper = upper[(upper < 0x3400) | ((upper >= 0xA000) & (upper < 0xAC00)) | (upper >= 0xF900)]
    upper = upper[upper < 0x20000]
    for code in upper.tolist():
        table[code] = ord(chr(code).lower()[0])
    table[0x03C2] = 0x03C3
    return table
