"""The slow, plain reference of match tokens (RULES 12.1), and texts that are awkward for it."""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from stages.kernels.characters import UNIT, classes

APOSTROPHES = "'’ʼ"
AWKWARD = st.text(
    "abAB1²'’ʼ .,-_\n\u00a0\u3000éÉßΣςσİıǅжЖ漢字かなカがゞ々〇〡ｶﾞกำ်ខ한글ﬁ①\u0301\u0323\u0345\u0307\u3099\u1161\u11a8\u1100\u0344"
    "\u0958\u212b\u2126😀🇩\U00020000\U0002f800\u0000",
    max_size=40,
)
TEXTS = AWKWARD | st.text(max_size=40)


def alone(character: str) -> bool:
    """Whether a character of a script without spaces is a token of its own."""
    return bool(classes()[ord(character)] & UNIT)


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Match tokens of NFC(text) with [start, end) in characters of NFC(text)."""
    found: list[tuple[str, int, int]] = []
    open_token = False
    for at, character in enumerate(unicodedata.normalize("NFC", text)):
        if character in APOSTROPHES:
            continue
        if unicodedata.category(character)[0] not in "LMN" and not alone(character):
            open_token = False
            continue
        lower = character.lower().replace("ς", "σ")
        if alone(character):
            found.append((lower, at, at + 1))
            open_token = False
        elif open_token:
            token, start, _ = found[-1]
            found[-1] = (token + lower, start, at + 1)
        else:
            found.append((lower, at, at + 1))
            open_token = True
    return found


def utf8_of(texts: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Texts as the kernels take them: bytes and offsets."""
    encoded = [text.encode() for text in texts]
    offsets = np.append(0, np.cumsum([len(piece) for piece in encoded])).astype(np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def nfc(texts: list[str]) -> list[str]:
    """The texts in NFC."""
    return [unicodedata.normalize("NFC", text) for text in texts]
