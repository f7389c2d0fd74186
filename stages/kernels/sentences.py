"""Sentences, by rule: the stated splitter of RULES 0.1, name "gristmill-1".

A sentence ends after a run of terminal punctuation (RULES 5) and the closing quotes and brackets behind it,
if white space or the end of the text follows; after marks like 。！？ and the danda,
whatever follows. A single full stop ends none after an initial ("J."), after a common abbreviation, or before
a word in small letters. An empty line ends a sentence too. Text without letters or numbers is none.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import LETTER, NUMBER, SPACE, TERMINAL, UPPER, classes
from stages.kernels.reading import decode

_ABBREVIATIONS: Final = (
    "mr mrs ms dr prof st sr jr rev hon sgt capt lt gov messrs mme mlle vs cf e.g i.e viz "
    "etc al eds vol vols nos pp p fig figs eq approx dept est inc ltd corp bros univ ave blvd "
    "jan feb apr jun jul aug sep sept oct nov dec tue thu a.m p.m u.s u.k ph.d "
    "z.b d.h u.a bzw ca nr str usw bspw sog evtl ggf inkl bd hrsg jg s.o "
    "sra srta ud uds dra av pág p.ej núm mm"
)
_SLOTS: Final = 1024
_SEED: Final = np.uint64(0x452821E638D01377)
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)


@cache
def abbreviations() -> npt.NDArray[np.uint64]:
    """Hashes of the abbreviations (small letters, without the last full stop), by slot: uint64[1024]."""
    slots = np.zeros(_SLOTS, np.uint64)
    for word in set(_ABBREVIATIONS.split()):
        key = int(_SEED)
        for byte in word.encode():
            key = ((key ^ byte) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
        slot = key >> 54
        while slots[slot]:
            slot = (slot + 1) % _SLOTS
        slots[slot] = key
    return slots


@nb.njit(cache=True, nogil=True)
def _abbreviated(
    data: npt.NDArray[np.uint8], start: int, at: int, known: npt.NDArray[np.uint64], small: bool
) -> bool:
    """Does the full stop at `at` belong to the word before it? `small`: the next word is in small letters."""
    begin = at
    while begin > start and (data[begin - 1] > 64 or data[begin - 1] == 46) and at - begin < 12:
        begin -= 1
    while begin < at and data[begin] in (91, 93, 123, 125):
        begin += 1
    if small:
        return True
    # "12." at the beginning of a sentence numbers it.
    numbering = at
    while numbering > start and (48 <= data[numbering - 1] <= 57 or data[numbering - 1] <= 32):
        numbering -= 1
    if numbering == start and at > start:
        return True
    if at - begin == 1:
        return bool(65 <= data[begin] <= 90)
    key = _SEED
    for byte_at in range(begin, at):
        byte = nb.uint64(data[byte_at])
        if 65 <= byte <= 90:
            byte += nb.uint64(32)
        key = (key ^ byte) * _PRIME
    slot = nb.int64(key >> nb.uint64(54))
    while known[slot] != 0:
        if known[slot] == key:
            return True
        slot = (slot + 1) & (len(known) - 1)
    return False


@nb.njit(cache=True, nogil=True)
def _is_small(code: int, kind: int) -> bool:
    """A small letter of a script that has capitals."""
    cased = code < 0x250 or 0x370 <= code < 0x530
    return bool(cased and kind & LETTER and not kind & UPPER and code not in (0xAA, 0xBA))


@nb.njit(cache=True, nogil=True)
def sentence_ends(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    known: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.int64],
) -> int:
    """Number of sentences of one text, and where they end.

    Args:
        data: uint8[], UTF-8.
        start: first byte of the text.
        stop: end of the text, exclusive.
        table: `characters.classes()`.
        known: `abbreviations()`.
        ends: int64[], filled as far as it reaches with the end of each sentence, exclusive.
    """
    count = 0
    begin = start
    content = False
    at = start
    while at < stop:
        code, size = decode(data, at)
        kind = table[code]
        if kind & (LETTER | NUMBER):
            content = True
        if code == 10 and at + 1 < stop and data[at + 1] == 10:
            if content and count < len(ends):
                ends[count] = at + 2
            count += content
            content = False
            begin = at + 2
        if not kind & TERMINAL:
            at += size
            continue
        first = at
        lone = code == 46
        glued = code >= 0x900  # marks of scripts that put no space behind them
        at += size
        while at < stop:
            code, size = decode(data, at)
            if table[code] & TERMINAL:
                lone = False
                glued = glued or code >= 0x900
            elif code not in (34, 39, 41, 93, 125, 0xBB, 0x2019, 0x201D, 0x300D, 0x300F, 0xFF09):
                break
            at += size
        if at < stop and not glued and not table[code] & SPACE:
            continue
        if at < stop and not glued:
            # The first letter of the next word, over spaces and opening marks on the same paragraph.
            after = at
            feeds = 0
            while after < stop:
                code, size = decode(data, after)
                if code == 10:
                    feeds += 1
                elif not table[code] & SPACE and code not in (34, 39, 40, 91, 0xAB, 0x2018, 0x201C):
                    break
                after += size
            small = after < stop and feeds < 2 and _is_small(code, table[code])
            if feeds < 2 and (
                (lone and _abbreviated(data, begin, first, known, small)) or (small and not lone)
            ):
                continue
        if content and count < len(ends):
            ends[count] = at
        count += content
        content = False
        begin = at
    if content and count < len(ends):
        ends[count] = stop
    return count + content


@nb.njit(cache=True, nogil=True)
def sentences(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    known: npt.NDArray[np.uint64],
) -> int:
    """Number of sentences of one text; arguments as of `sentence_ends`."""
    count: int = sentence_ends(data, start, stop, table, known, np.empty(0, np.int64))
    return count


@nb.njit(cache=True, nogil=True)
def _count_sentences(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    known: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.int64],
) -> None:
    for row in range(len(counts)):
        counts[row] = sentences(data, bounds[row], bounds[row + 1], table, known)


def count_sentences(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sentences of every text: int64[n]."""
    counts = np.zeros(len(bounds) - 1, np.int64)
    _count_sentences(data, bounds, classes(), abbreviations(), counts)
    return counts
