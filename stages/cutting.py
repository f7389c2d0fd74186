"""Cutting regions out of a text: the region, a margin on both sides, and never through a word.

Brown et al. 2020, appendix C, as RULES 12.4 has it. Positions are characters. Which regions are cut is the
business of `decontaminate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stages.kernels.characters import UNIT, WORD, classes

JOINT: Final = "\n\n"
"""What stands between pieces: they remain one document, in paragraphs."""

SENTENCE_ENDS: Final = frozenset(".!?。！？\n")
"""NeMo Curator extends its cuts to these."""


def _inside_word(text: str, at: int) -> bool:
    """Whether a cut before this character would part two characters that no white space parts.

    Characters of scripts without spaces are words of their own: beside one, any place is an edge.
    """
    if not 0 < at < len(text) or text[at - 1].isspace() or text[at].isspace():
        return False
    kinds = classes()
    before, after = int(kinds[ord(text[at - 1])]), int(kinds[ord(text[at])])
    return not (before & UNIT or after & UNIT) and bool((before | after) & WORD)


def _inside_sentence(text: str, at: int) -> bool:
    """Whether a cut before this character would not be behind the end of a sentence or at a line's edge."""
    return 0 < at < len(text) and text[at - 1] not in SENTENCE_ENDS


def cut_away(
    text: str, regions: Iterable[tuple[int, int]], margin: int, *, sentences: bool = False
) -> list[str]:
    """What is left of a text, as pieces without white space at their ends; empty ones are left out.

    Args:
        text: the text.
        regions: [start, end) of what must go.
        margin: characters that go with it on either side; a cut moves on outwards to the edge of a word.
        sentences: to the edge of a sentence instead.
    """
    inside = _inside_sentence if sentences else _inside_word
    pieces = []
    reach = 0
    for start, end in sorted(regions):
        first, last = max(0, start - margin), min(len(text), end + margin)
        while inside(text, first):
            first -= 1
        while inside(text, last):
            last += 1
        if first > reach:
            pieces.append(text[reach:first])
        reach = max(reach, last)
    pieces.append(text[reach:])
    return [stripped for piece in pieces if (stripped := piece.strip())]


def joints_of(pieces: list[str]) -> list[int]:
    """Where one piece ends and the next has not begun, in the joined text."""
    found = []
    at = 0
    for piece in pieces[:-1]:
        at += len(piece)
        found.append(at)
        at += len(JOINT)
    return found
