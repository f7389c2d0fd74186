"""Text repair (RULES 8.1): what ftfy makes of every document, then our own tidying.

Our configuration of ftfy: quotes stay curly, characters keep their width, NFC and no compatibility forms; all
else as ftfy has it: entities are decoded until the document shows a literal "<", mojibake is undone, Latin
ligatures are spelled out. ftfy itself sees only the lines that it could change: `kernels.suspicion` proves
the others unchanged, so that the result is `ftfy.fix_text`'s to the letter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ftfy import TextFixerConfig, fix_text

from stages.columns import from_utf8, utf8
from stages.kernels.composing import nfc, ordered
from stages.kernels.suspicion import TAGGED, UNCOMPOSED, suspicious
from stages.kernels.tidying import tidy

CONFIGURATION: Final = TextFixerConfig(
    uncurl_quotes=False, fix_character_width=False, normalization="NFC", explain=False
)
_AFTER_A_TAG: Final = CONFIGURATION._replace(unescape_html=False)

Texts = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def replaced(texts: Texts, pieces: list[tuple[int, int, int, bytes]]) -> Texts:
    """Texts with some stretches (row, first byte, end, new content) replaced, in order."""
    if not pieces:
        return texts
    data, bounds = texts
    content: list[bytes] = []
    at = int(bounds[0])
    growth = np.zeros(len(bounds) - 1, np.int64)
    for row, start, stop, new in pieces:
        content += [data[at:start].tobytes(), new]
        at = stop
        growth[row] += len(new) - (stop - start)
    joined = np.frombuffer(b"".join([*content, data[at : bounds[-1]].tobytes()]), np.uint8)
    return joined, np.concatenate(([0], np.cumsum(np.diff(bounds) + growth)))


def fixed(texts: Texts) -> tuple[Texts, int]:
    """`ftfy.fix_text` of every text, except that CRLF may stay; and how many texts it changed."""
    data, bounds = texts
    pieces = []
    for row, start, stop, sins in suspicious(data, bounds).tolist():
        line = data[start:stop].tobytes().decode()
        if sins & ~TAGGED == UNCOMPOSED and nfc(line) == line:
            continue
        sound = fix_text(ordered(line), _AFTER_A_TAG if sins & TAGGED else CONFIGURATION)
        if sound != line:
            pieces.append((row, start, stop, sound.encode()))
    return replaced(texts, pieces), len({piece[0] for piece in pieces})


def _composed(texts: Texts, rows: npt.NDArray[np.int64]) -> Texts:
    """These rows in NFC."""
    data, bounds = texts
    pieces = []
    for row in rows.tolist():
        text = data[bounds[row] : bounds[row + 1]].tobytes().decode()
        new = nfc(text)
        if new != text:
            pieces.append((row, int(bounds[row]), int(bounds[row + 1]), new.encode()))
    return replaced(texts, pieces)


def tidied(texts: Texts, *, composed: bool = True) -> Texts:
    """Texts as RULES 8.1.3 to 8.1.5 want them; `composed`: they were NFC before anything was cut out."""
    data, bounds, joined = tidy(*texts)
    rows = joined if composed else np.ones(len(joined), np.bool_)
    return _composed((data, bounds), np.flatnonzero(rows))


def repaired(column: pa.ChunkedArray | pa.Array, *, ftfy: bool) -> tuple[pa.Array, dict[str, int]]:
    """Every text as it is to be stored (large_string, no nulls), and tallies of what was done."""
    before = utf8(column)
    sound, changed = fixed(before) if ftfy else (before, 0)
    data, bounds = tidied(sound, composed=ftfy)  # ftfy has composed every line
    return from_utf8(data, bounds), {
        "repaired": changed,
        "tidied": int(np.count_nonzero(np.diff(bounds) != np.diff(sound[1]))),
        "bytes_removed": int(before[1][-1] - before[1][0] - bounds[-1] + bounds[0]),
    }
