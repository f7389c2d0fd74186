"""Corpus text made harmless for a page or a terminal: what cannot be seen is shown, what would act cannot.

Escaping HTML is the template's business. Nothing is taken away: control characters and bidirectional
overrides become visible signs, so that a reader sees that they are there.
"""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls but TAB and LF, DEL, line and paragraph separators, embeddings, overrides and isolates
# of the bidirectional algorithm (UAX #9), tags, noncharacters, surrogates, and the byte order mark.
_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
    r"\U000e0000-\U000e007f]"
)


def plain(text: str) -> str:
    """The text with pictures in place of control characters (␀) and codes in place of the others (⟦202E⟧)."""
    return _UNSEEN.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟦{code:04X}⟧"


def clip(text: str, most: int) -> str:
    """The first `most` characters, with an ellipsis if that is not all."""
    return text if len(text) <= most else text[:most].rstrip() + " …"
