"""NFC in good time: what a page full of stacked accents would otherwise take hours for.

CPython puts combining marks into canonical order by insertion, so that a run of n takes n² steps. Long runs are
sorted here beforehand, which NFC would do in any case (UAX #15; the order is that of combining classes, and
stable), and find nothing left to do.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import Final

import regex

_LONG_RUN: Final = regex.compile(r"\p{M}{32,}")
"""More marks than any writing puts on a letter (UAX #15 allows 30 in text that is safe to stream)."""


def _sorted(run: regex.Match[str]) -> str:
    """A run of marks; those of class 0 stay where they are, and nothing moves across them."""
    parts = groupby(run.group(), key=lambda mark: unicodedata.combining(mark) == 0)
    return "".join(mark for _, part in parts for mark in sorted(part, key=unicodedata.combining))


def ordered(text: str) -> str:
    """The text with long runs of marks in canonical order: equivalent, and soon normalised."""
    return text if text.isascii() else _LONG_RUN.sub(_sorted, text)


def nfc(text: str) -> str:
    """NFC of a text; the text itself where it is NFC already."""
    known = ordered(text)
    return known if unicodedata.is_normalized("NFC", known) else unicodedata.normalize("NFC", known)
