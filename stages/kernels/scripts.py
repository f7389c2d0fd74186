"""Which script a text is written in: ISO 15924 codes, by counting letters.

Han with some kana is Japanese (Jpan), kana or not; Han alone is Hani. Scripts outside the table count as
Zyyy.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import CODE_POINTS, LETTER, classes
from stages.kernels.reading import decode

COMMON: Final = "Zyyy"

# Blocks of each script, from the Unicode Character Database (Blocks.txt); letters only are counted.
_BLOCKS: Final = {
    "Latn": ((0x41, 0x24F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xFF21, 0xFF5A)),
    "Grek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrl": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Armn": ((0x530, 0x58F),),
    "Hebr": ((0x590, 0x5FF), (0xFB1D, 0xFB4F)),
    "Arab": ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFE)),
    "Syrc": ((0x700, 0x74F),),
    "Thaa": ((0x780, 0x7BF),),
    "Deva": ((0x900, 0x97F), (0xA8E0, 0xA8FF)),
    "Beng": ((0x980, 0x9FF),),
    "Guru": ((0xA00, 0xA7F),),
    "Gujr": ((0xA80, 0xAFF),),
    "Orya": ((0xB00, 0xB7F),),
    "Taml": ((0xB80, 0xBFF),),
    "Telu": ((0xC00, 0xC7F),),
    "Knda": ((0xC80, 0xCFF),),
    "Mlym": ((0xD00, 0xD7F),),
    "Sinh": ((0xD80, 0xDFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Laoo": ((0xE80, 0xEFF),),
    "Tibt": ((0xF00, 0xFFF),),
    "Mymr": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "Kore": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7FF)),
    "Ethi": ((0x1200, 0x139F), (0x2D80, 0x2DDF)),
    "Khmr": ((0x1780, 0x17FF),),
    "Mong": ((0x1800, 0x18AF),),
    "Hani": ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
             (0x20000, 0x3FFFD)),
    "Jpan": ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F)),
}  # fmt: skip

SCRIPTS: Final = (COMMON, *_BLOCKS)
_HAN: Final = SCRIPTS.index("Hani")
_KANA: Final = SCRIPTS.index("Jpan")
_KANA_SHARE: Final = 10  # one kana to so many Han characters makes a text Japanese


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """Number of each letter's script in SCRIPTS, 0 for what is no letter: uint8[0x110000]."""
    table = np.zeros(CODE_POINTS, np.uint8)
    for place, blocks in enumerate(_BLOCKS.values()):
        for first, last in blocks:
            table[first : last + 1] = place + 1
    table[(classes() & LETTER) == 0] = 0
    return table


@nb.njit(cache=True, nogil=True)
def _scripts(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    limit: int,
    found: npt.NDArray[np.uint8],
) -> None:
    counts = np.zeros(256, np.int64)
    for row in range(len(bounds) - 1):
        counts[:] = 0
        at = bounds[row]
        stop = min(bounds[row + 1], at + limit)
        while at < stop:
            code, size = decode(data, at)
            counts[table[code]] += 1
            at += size
        if counts[_KANA] * _KANA_SHARE >= counts[_HAN] and counts[_KANA] > 0:
            counts[_KANA] += counts[_HAN]
            counts[_HAN] = 0
        counts[0] = 0
        best = 0
        for script in range(1, len(counts)):
            if counts[script] > counts[best]:
                best = script
        found[row] = best


def scripts(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], limit: int = 8192
) -> npt.NDArray[np.uint8]:
    """The script with most letters among the first `limit` bytes of every text: places in SCRIPTS, uint8[n].

    Ties go to the script that stands first; a text without letters is 0 (Zyyy).
    """
    found = np.zeros(len(bounds) - 1, np.uint8)
    _scripts(data, bounds, script_table(), limit, found)
    return found
