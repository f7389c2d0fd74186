"""Text repair (RULES 8.1): what ftfy would make of every document, then our own tidying.

Our configuration of ftfy: quotes stay curly, characters keep their width, NFC and no compatibility forms; all
else as ftfy has it: entities are decoded unless the document has shown a literal "<", mojibake is undone,
Latin ligatures are spelled out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import pyarrow as pa
from ftfy import TextFixerConfig, fix_text

from stages.columns import TEXT

CONFIGURATION: Final = TextFixerConfig(
    uncurl_quotes=False, fix_character_width=False, normalization="NFC", explain=False
)

# C0 and C1 controls but tab and line feed, delete, zero width space, byte order mark (RULES 8.1.3).
REMOVED: Final = dict.fromkeys(
    [*(code for code in range(0x20) if code not in (9, 10)), *range(0x7F, 0xA0), 0x200B, 0xFEFF]
)
_NEWLINES: Final = re.compile("\n{3,}")


def tidy(text: str) -> str:
    """Line feeds only, no control characters, NFC, at most two line feeds in a row, no outer white space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(REMOVED)
    return _NEWLINES.sub("\n\n", unicodedata.normalize("NFC", text)).strip()


def repaired(column: pa.ChunkedArray | pa.Array, *, ftfy: bool) -> tuple[pa.Array, dict[str, int]]:
    """Every text as it is to be stored (large_string, no nulls), and what was done to how many."""
    texts = []
    fixed = tidied = removed = 0
    for before in column.to_pylist():
        text = before or ""
        sound = fix_text(text, CONFIGURATION) if ftfy else text
        stored = tidy(sound)
        fixed += sound != text
        tidied += stored != sound
        removed += len(text) - len(stored)
        texts.append(stored)
    tallies = {"repaired": fixed, "tidied": tidied, "characters_removed": removed}
    return pa.array(texts, TEXT), tallies
