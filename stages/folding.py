"""Two optional foldings of stored text: emoji as words, and letters that only look like Latin ones.

Emoji become their Unicode names between colons, ":grinning_face:"; a flag becomes ":flag_de:". Homoglyphs are
Cyrillic and Greek letters inside words that are mostly Latin, all of which have a Latin double; such words
are written to deceive, and other words are left alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import regex

from stages.columns import from_utf8, utf8
from stages.repair import replaced

_EMOJI: Final = regex.compile(
    r"(?:\p{RI}\p{RI}|\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f)"
    r"(?:\ufe0f|\u20e3|\p{Emoji_Modifier}|\u200d\p{Extended_Pictographic})*"
)
_INDICATOR_A: Final = 0x1F1E6
_UNNAMED: Final = frozenset("\ufe0f\u200d\u20e3")

_DOUBLES: Final = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
    "ABESIJKMHOPCTYXaesijopcyxhdqwABEZHIKMNOPTYXo",
)
_MIXED: Final = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*[\u0370-\u052f])\w+\b")


def _spoken(found: regex.Match[str]) -> str:
    sequence = found.group()
    if len(sequence) == 2 and all(0 <= ord(sign) - _INDICATOR_A < 26 for sign in sequence):
        return ":flag_" + "".join(chr(ord("a") + ord(sign) - _INDICATOR_A) for sign in sequence) + ":"
    names = [unicodedata.name(sign, f"u{ord(sign):x}") for sign in sequence if sign not in _UNNAMED]
    return ":" + "_".join(names).lower().replace(" ", "_").replace("-", "_") + ":"


def _honest(found: re.Match[str]) -> str:
    word = found.group()
    latin = sum(letter.isascii() and letter.isalpha() for letter in word)
    folded = word.translate(_DOUBLES)
    return folded if folded.isascii() and 2 * latin >= len(word) else word


def _mapped(
    texts: pa.Array, suspect: Callable[[str], bool], change: Callable[[str], str]
) -> tuple[pa.Array, int]:
    data, bounds = utf8(texts)
    pieces = []
    for row in range(len(texts)):
        start, stop = int(bounds[row]), int(bounds[row + 1])
        text = data[start:stop].tobytes().decode()
        if not text.isascii() and suspect(text):
            new = change(text)
            if new != text:
                pieces.append((row, start, stop, new.encode()))
    return from_utf8(*replaced((data, bounds), pieces)), len(pieces)


def emoji_named(texts: pa.Array) -> tuple[pa.Array, int]:
    """Texts with emoji spelled out, and how many texts changed."""
    return _mapped(texts, lambda text: max(text) > "\u2300", lambda text: _EMOJI.sub(_spoken, text))


def homoglyphs_folded(texts: pa.Array) -> tuple[pa.Array, int]:
    """Texts whose disguised Latin words are Latin, and how many texts changed."""
    near = re.compile("[A-Za-z][\u0370-\u052f]|[\u0370-\u052f][A-Za-z]")
    return _mapped(texts, lambda text: near.search(text) is not None, lambda text: _MIXED.sub(_honest, text))
