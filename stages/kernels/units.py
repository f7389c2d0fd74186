"""Match tokens: the units that shingles and n-grams are made of (RULES 12.1), from UTF-8 bytes.

Of the NFC text, apostrophes are deleted; a token is a maximal run of letters, marks and numbers, lower-cased;
every Han, kana, Thai, Lao, Khmer or Myanmar character is a token of its own; everything else separates.

Duplicates and contamination use this one function, so a case or a punctuation mark never hides a copy. The
scans here expect NFC; `normalised` sees to it, and `origins` leads back to characters of the stored text.
What is done with tokens is the business of `minhash` and `ngrams`.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.columns import TEXT, utf8
from stages.kernels.characters import CODE_POINTS, SPACE, UNIT, WORD, classes, folds
from stages.kernels.composing import nfc
from stages.kernels.reading import decode

# One look-up a character: what it folds to in the low 21 bits, what it is above them.
FOLD: Final = 0x1FFFFF
IN_TOKEN: Final = 1 << 21
ALONE: Final = 1 << 22  # a token of its own
APOSTROPHE: Final = 1 << 23
DOTTED: Final = 1 << 24  # U+0130, whose lower case is two characters: "i" and U+0307
BLANK: Final = 1 << 25  # white space
UNSTABLE: Final = 1 << 26  # NFC may change it or what stands before it

_APOSTROPHES: Final = (0x27, 0x2019, 0x02BC)
_DOT_ABOVE: Final = 0x0307

# Runs of code points outside of which NFC changes nothing and nothing combines.
_COMPOSED: Final = ((0x0300, 0x33FF), (0xA000, 0xABFF), (0xF900, 0x1FFFF), (0x2F800, 0x2FA1F))

_SEED: Final = np.uint64(0x9AE16A3B2F90404F)
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)


@cache
def _unstable() -> npt.NDArray[np.bool_]:
    """Code points with NFC_Quick_Check not Yes, or a combining class (UAX #15): bool[0x110000]."""
    found = np.zeros(CODE_POINTS, np.bool_)
    for first, last in _COMPOSED:
        for code in range(first, last + 1):
            character = chr(code)
            parts = unicodedata.decomposition(character)
            found[code] |= unicodedata.combining(character) > 0
            if parts and not parts.startswith("<"):
                if unicodedata.normalize("NFC", character) != character:
                    found[code] = True
                else:
                    found[int(parts.split()[-1], 16)] = True
    found[0x1160:0x1176] = found[0x11A7:0x11C3] = True  # Hangul vowels and finals join what precedes them
    return found


@cache
def characters() -> npt.NDArray[np.uint32]:
    """What the scans know of every code point: uint32[0x110000], bits as above."""
    kinds, table = classes(), folds().copy()
    table[(kinds & WORD) != 0] |= IN_TOKEN
    table[(kinds & UNIT) != 0] |= ALONE
    table[(kinds & SPACE) != 0] |= BLANK
    table[list(_APOSTROPHES)] = (table[list(_APOSTROPHES)] & ~np.uint32(IN_TOKEN)) | APOSTROPHE
    table[0x0130] |= DOTTED
    table[_unstable()] |= UNSTABLE
    return table


@cache
def _leads() -> npt.NDArray[np.bool_]:
    """First bytes of UTF-8 sequences that may encode an unstable character: bool[256]."""
    found = np.zeros(256, np.bool_)
    for code in np.flatnonzero(_unstable()).tolist():
        found[chr(code).encode()[0]] = True
    return found


@nb.njit(cache=True, nogil=True)
def _suspects(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint32],
    leads: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
) -> None:
    """Marks the texts with a character that NFC might change."""
    for row in range(len(found)):
        for at in range(offsets[row], offsets[row + 1]):
            if leads[data[at]] and table[decode(data, at)[0]] & UNSTABLE:
                found[row] = True
                break


def normalised(texts: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The texts in NFC, and the rows (int64[]) that were not: the very column when all were."""
    data, offsets = utf8(texts)
    suspects = np.zeros(len(offsets) - 1, np.bool_)
    _suspects(data, offsets, characters(), _leads(), suspects)
    changed = []
    replaced = []
    for row in np.flatnonzero(suspects).tolist():
        text = texts[row].as_py()
        new = nfc(text)
        if new != text:
            changed.append(row)
            replaced.append(new)
    if not changed:
        return texts, np.zeros(0, np.int64)
    mask = np.zeros(len(texts), np.bool_)
    mask[changed] = True
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pc.replace_with_mask(column.cast(TEXT), mask, pa.array(replaced, TEXT)), np.array(changed)


def origins(text: str) -> npt.NDArray[np.int64]:
    """For each character of NFC(text) its [start, end) in `text`: int64[n, 2].

    A character that neither combines nor changes under NFC begins a segment that normalises on its own
    (UAX #15, stable code points). Inside a segment that changes, all but an equal head and tail maps to the
    rest as a whole.
    """
    unstable = _unstable()
    starts = [at for at, c in enumerate(text) if not unstable[ord(c)]]
    if not starts or starts[0]:
        starts.insert(0, 0)
    spans: list[tuple[int, int]] = []
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:stop]
        whole = nfc(piece)
        short = min(len(piece), len(whole))
        head = next((k for k in range(short) if piece[k] != whole[k]), short)
        tail = next((k for k in range(short - head) if piece[-1 - k] != whole[-1 - k]), short - head)
        spans += [(start + k, start + k + 1) for k in range(head)]
        spans += [(start + head, stop - tail)] * (len(whole) - head - tail)
        spans += [(stop - tail + k, stop - tail + k + 1) for k in range(tail)]
    return np.array(spans, np.int64).reshape(-1, 2)


@nb.njit(cache=True, nogil=True)
def finish(value: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64: a bijection that spreads every bit."""
    value = (value ^ (value >> nb.uint64(30))) * nb.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> nb.uint64(27))) * nb.uint64(0x94D049BB133111EB)
    value ^= value >> nb.uint64(31)
    return value


@nb.njit(cache=True, nogil=True)
def digest(words: npt.NDArray[np.uint64], size: int) -> np.uint64:
    """A 64-bit hash of the first `size` bytes of a buffer, eight at a time; the rest of the last word is lost."""
    content = words.view(np.uint8)
    for k in range(size, (size + 7) // 8 * 8):
        content[k] = 0
    value = finish(nb.uint64(size))
    for k in range((size + 7) // 8):
        value = (value ^ words[k]) * _PRIME
        value ^= value >> nb.uint64(29)
    found: np.uint64 = finish(value)
    return found


@nb.njit(cache=True, nogil=True)
def _spell(letters: npt.NDArray[np.uint8], at: int, code: int) -> int:
    """Writes a character beyond ASCII as three bytes, each with its high bit set."""
    letters[at] = 0x80 | (code & 0x7F)
    letters[at + 1] = 0x80 | (code >> 7 & 0x7F)
    letters[at + 2] = 0x80 | code >> 14
    return at + 3


@nb.njit(cache=True, nogil=True)
def hashes(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint32],
    out: npt.NDArray[np.uint64],
    letters: npt.NDArray[np.uint8],
) -> tuple[int, int, int]:
    """64-bit hashes of the match tokens of one NFC text, in order, and its letters.

    A token's hash is `finish` of h, where h = SEED and then, for each lower-cased character c,
    h = (h ^ c) * PRIME in 64 bits. The letters are the characters of all tokens, as if nothing separated them.

    Args:
        data: uint8[], UTF-8.
        start: first byte of the text.
        stop: end of the text, exclusive.
        table: `characters()`.
        out: uint64[], longer than `stop - start`; filled.
        letters: uint8[], at least 3 * (stop - start) + 8 long; filled, for `digest`.

    Returns:
        The number of tokens, how many of them are single characters of scripts without spaces, and the bytes
        of the letters.
    """
    count = 0
    alone = 0
    spelled = 0
    inside = nb.int64(0)
    value = _SEED
    at = start
    while at < stop:
        code = nb.int64(data[at])
        if code < 0x80:
            # Without branches: a token ends at two bytes in eleven, which no processor predicts.
            at += 1
            bits = table[code]
            if code == 0x27:
                continue
            word = nb.int64((bits >> nb.uint32(21)) & nb.uint32(1))
            fold = bits & nb.uint32(FOLD)
            out[count] = value
            count += inside & (word ^ 1)
            grown = (value ^ nb.uint64(fold)) * _PRIME
            value = grown if word else _SEED
            inside = word
            letters[spelled] = fold
            spelled += word
            continue
        code, size = decode(data, at)
        at += size
        bits = table[code]
        fold = bits & nb.uint32(FOLD)
        if bits & ALONE:
            out[count] = value
            count += inside
            out[count] = (_SEED ^ nb.uint64(fold)) * _PRIME
            count += 1
            alone += 1
            inside = 0
            value = _SEED
            spelled = _spell(letters, spelled, nb.int64(fold))
        elif bits & IN_TOKEN:
            inside = 1
            value = (value ^ nb.uint64(fold)) * _PRIME
            spelled = _spell(letters, spelled, nb.int64(fold))
            if bits & DOTTED:
                value = (value ^ nb.uint64(_DOT_ABOVE)) * _PRIME
                spelled = _spell(letters, spelled, _DOT_ABOVE)
        elif not bits & APOSTROPHE:
            out[count] = value
            count += inside
            inside = 0
            value = _SEED
    out[count] = value
    count += inside
    for k in range(count):
        out[k] = finish(out[k])
    return count, alone, spelled


@nb.njit(cache=True, nogil=True)
def spans(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint32],
    out: npt.NDArray[np.int64],
) -> int:
    """[start, end) in characters of each token that `hashes` finds in one NFC text.

    Args:
        data: uint8[], UTF-8.
        start: first byte of the text.
        stop: end of the text, exclusive.
        table: `characters()`.
        out: int64[tokens, 2] or longer; filled.

    Returns:
        The number of tokens.
    """
    count = 0
    inside = False
    character = 0
    at = start
    while at < stop:
        code, size = decode(data, at)
        bits = table[code]
        if bits & IN_TOKEN:
            if inside and not bits & ALONE:
                out[count, 1] = character + 1
            else:
                count += inside
                out[count, 0] = character
                out[count, 1] = character + 1
                inside = not bits & ALONE
                count += not inside
        elif not bits & APOSTROPHE:
            count += inside
            inside = False
        character += 1
        at += size
    return count + inside
