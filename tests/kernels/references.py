"""Slow references that more than one test compares the kernels with."""

import re
import unicodedata

REMOVED = dict.fromkeys([*set(range(0x20)) - {9, 10}, *range(0x7F, 0xA0), 0x200B, 0xFEFF])


def tidied(text: str) -> str:
    """RULES 8.1.3 to 8.1.5 and outer white space, by string methods."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(REMOVED)
    return re.sub("\n{3,}", "\n\n", unicodedata.normalize("NFC", text)).strip()
