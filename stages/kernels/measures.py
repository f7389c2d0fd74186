"""One scan over every text for what needs no memory of earlier lines: characters, lines, tokens, symbols.

Tokens are the pieces between white space, with their punctuation (RULES 0.1); the integers counted here are
the numerators and denominators of RULES 1, 2 and 5. Words in the linguistic sense are in `words`, repeated
lines and n-grams in `repetition`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import DIGIT, LETTER, NUMBER, SPACE, TERMINAL, classes, folds
from stages.kernels.reading import bytes_before, decode, eight, first_other, is_ascii_letter

# Columns of the counts.
CHARS: Final = 0
ALNUM: Final = 1  # letters and numbers
LETTERS: Final = 2
DIGITS: Final = 3
NEWLINES: Final = 4
LINES: Final = 5  # that are not blank
PARAGRAPHS: Final = 6  # that are not blank
LONGEST_LINE: Final = 7  # characters
TOKENS: Final = 8
TOKEN_CHARS: Final = 9
TOKENS_WITHOUT_LETTER: Final = 10
SYMBOLS: Final = 11  # "#", "...", ". . .", "…"
BULLETS: Final = 12  # lines that begin with one
ELLIPSES: Final = 13  # lines that end with one
TERMINALS: Final = 14  # lines that end a sentence
SHORTS: Final = 15  # lines of at most 30 characters
COUNTS: Final = 16

SHORT_LINE: Final = 30
LONGEST_STOP_WORD: Final = 16

_SEED: Final = np.uint64(0x243F6A8885A308D3)
_SHORT_SEED: Final = np.uint64(0x93A40938222F31D0)  # for words of at most seven ASCII letters, as one number
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)


def stop_word_table(lists: Sequence[Sequence[str]]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """A hash table of folded stop words: keys uint64[slots], and for each the bits of the lists it is in.

    At most 64 lists; words of at most 16 characters without white space.
    """
    slots = 4096
    keys = np.zeros(slots, np.uint64)
    lists_of = np.zeros(slots, np.uint64)
    fold = folds()
    for place, words in enumerate(lists):
        for word in words:
            key = int(_SEED)
            for character in word:
                key = ((key ^ int(fold[ord(character)])) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
            found = [key]
            if word.isascii() and word.isalpha() and len(word) < 8:
                short = int.from_bytes(word.lower().encode(), "little")
                found.append(((short ^ int(_SHORT_SEED)) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF)
            for key in found:
                slot = key >> 52
                while keys[slot] not in (0, key):
                    slot = (slot + 1) % slots
                keys[slot] = key
                lists_of[slot] |= np.uint64(1 << place)
    return keys, lists_of


@nb.njit(cache=True, nogil=True)
def _slot(key: np.uint64, keys: npt.NDArray[np.uint64]) -> int:
    """Where the table holds a key, or would."""
    slot: int = nb.int64(key >> nb.uint64(52))
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@nb.njit(cache=True, nogil=True)
def _ends_with_ellipsis(data: npt.NDArray[np.uint8], start: int, stop: int) -> bool:
    if stop - start >= 3:
        a, b, c = data[stop - 3], data[stop - 2], data[stop - 1]
        if (a == 46 and b == 46 and c == 46) or (a == 0xE2 and b == 0x80 and c == 0xA6):
            return True
        if c == 46 and b == 32 and a == 46 and stop - start >= 5:
            return bool(data[stop - 4] == 32 and data[stop - 5] == 46)
    return False


@nb.njit(cache=True, nogil=True)
def _measure(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    fold: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.uint64],
    times: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
) -> None:
    """Counts of one text; adds its tokens to `times`, by slot of the table of stop words."""
    chars = alnum = letters = digits = newlines = lines = paragraphs = longest = 0
    tokens = token_chars = letterless = symbols = bullets = ellipses = terminals = shorts = 0
    line_begin = 0  # characters before this line
    first_at = -1  # byte of the line's first character that is not white space
    last_end = 0  # end of the last such character, in bytes; and in characters of the text:
    last_char = 0
    last_class = nb.uint8(0)
    in_paragraph = False
    newline_before = False
    token_begin = -1
    has_letter = False
    key = _SEED
    dots = 0  # length of the run of full stops that ends here
    spaced = 0  # characters of ". . ." matched so far
    at = start
    while True:
        # Most tokens are a few ASCII letters and a space behind them.
        while token_begin < 0 and at + 9 <= stop:
            word = eight(data, at)
            other = first_other(word)
            run = bytes_before(other)
            if other == 0 or run == 0 or data[at + run] != 32:
                break
            short = (word | nb.uint64(0x2020202020202020)) & ((other >> nb.uint64(7)) - nb.uint64(1))
            times[_slot((short ^ _SHORT_SEED) * _PRIME, keys)] += 1
            if first_at < 0:
                first_at = at
            tokens += 1
            token_chars += run
            letters += run
            alnum += run
            chars += run + 1
            at += run + 1
            last_end = at - 1
            last_char = chars - 1
            last_class = nb.uint8(LETTER)
            newline_before = False
            dots = spaced = 0
        if at < stop:
            code, size = decode(data, at)
        else:
            code, size = 10, 0  # the end of the text ends its last line
        kind = table[code]
        if kind & SPACE:
            if token_begin >= 0:
                tokens += 1
                token_chars += chars - token_begin
                if not has_letter:
                    letterless += 1
                elif chars - token_begin <= LONGEST_STOP_WORD:
                    times[_slot(key, keys)] += 1
                token_begin = -1
            if code == 10:
                if first_at >= 0:
                    lines += 1
                    code0 = data[first_at]
                    if code0 in (42, 45) or (
                        code0 == 0xE2
                        and (
                            (data[first_at + 1] == 0x80 and data[first_at + 2] == 0xA2)
                            or (data[first_at + 1] == 0x97 and data[first_at + 2] == 0x8F)
                        )
                    ):
                        bullets += 1
                    if _ends_with_ellipsis(data, first_at, last_end):
                        ellipses += 1
                    if last_class & TERMINAL:
                        terminals += 1
                    if last_char - line_begin <= SHORT_LINE:
                        shorts += 1
                    if not in_paragraph:
                        paragraphs += 1
                        in_paragraph = True
                longest = max(longest, chars - line_begin)
                if newline_before:
                    in_paragraph = False
                newline_before = True
                first_at = -1
                line_begin = chars + 1
            else:
                newline_before = False
        else:
            newline_before = False
            if first_at < 0:
                first_at = at
            last_end = at + size
            last_char = chars + 1
            last_class = kind
            if token_begin < 0:
                token_begin = chars
                has_letter = False
                key = _SEED
            if kind & LETTER:
                has_letter = True
                letters += 1
            if kind & (LETTER | NUMBER):
                alnum += 1
                if kind & DIGIT:
                    digits += 1
            key = (key ^ nb.uint64(fold[code])) * _PRIME
            if code in (35, 0x2026):
                symbols += 1
            if kind & LETTER:  # a run of ASCII letters after a letter changes nothing but counts
                ahead = at + size
                while ahead < stop and is_ascii_letter(data[ahead]):
                    key = (key ^ nb.uint64(data[ahead] | 32)) * _PRIME
                    ahead += 1
                run = ahead - at - size
                if run > 0:
                    letters += run
                    alnum += run
                    chars += run
                    at += run
                    last_end = ahead
                    last_char = chars + 1
                    last_class = nb.uint8(LETTER)
        if code == 46:
            dots += 1
            if dots == 3:
                symbols += 1
                dots = 0
            if spaced & 1:
                spaced = 1
            else:
                spaced += 1
                if spaced == 5:
                    symbols += 1
                    spaced = 0
        else:
            dots = 0
            spaced = spaced + 1 if code == 32 and spaced & 1 else 0
        if size == 0:
            break
        if code == 10:
            newlines += 1
        chars += 1
        at += size
    counts[CHARS] = chars
    counts[ALNUM] = alnum
    counts[LETTERS] = letters
    counts[DIGITS] = digits
    counts[NEWLINES] = newlines
    counts[LINES] = lines
    counts[PARAGRAPHS] = paragraphs
    counts[LONGEST_LINE] = longest
    counts[TOKENS] = tokens
    counts[TOKEN_CHARS] = token_chars
    counts[TOKENS_WITHOUT_LETTER] = letterless
    counts[SYMBOLS] = symbols
    counts[BULLETS] = bullets
    counts[ELLIPSES] = ellipses
    counts[TERMINALS] = terminals
    counts[SHORTS] = shorts


@nb.njit(cache=True, nogil=True)
def _measure_all(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    fold: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.uint64],
    lists_of: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int32],
) -> None:
    times = np.zeros(len(keys), np.int32)  # tokens of a text by slot; what free slots count is never read
    taken = np.flatnonzero(keys)
    for row in range(len(bounds) - 1):
        _measure(data, bounds[row], bounds[row + 1], table, fold, keys, times, counts[row])
        for slot in taken:
            if times[slot]:
                bits = lists_of[slot]
                place = 0
                while bits:
                    if bits & nb.uint64(1):
                        stops[row, place] += times[slot]
                    bits >>= nb.uint64(1)
                    place += 1
                times[slot] = 0


def measure(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    stop_words: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]],
    lists: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Counts of every text, and its stop words by list.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        stop_words: `stop_word_table(...)`.
        lists: how many lists it was made from.

    Returns:
        int64 (n, COUNTS), columns as named above; int32 (n, lists), tokens that are stop words of each list
        (whole token, lower case, every occurrence: RULES 2).
    """
    counts = np.zeros((len(bounds) - 1, COUNTS), np.int64)
    stops = np.zeros((len(bounds) - 1, lists), np.int32)
    _measure_all(data, bounds, classes(), folds(), *stop_words, counts, stops)
    return counts, stops
