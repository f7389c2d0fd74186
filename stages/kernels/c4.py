"""The line rules of C4 (RULES 4; Raffel et al. 2020; TFDS `c4_utils.py`), measured, and applied on demand.

Lines are those of `str.splitlines`, stripped. Each meets the rules in their order; what one removes, the
later ones do not see. The two rules that drop a document are counted on lines that survived so far.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.characters import SPACE, TERMINAL, classes
from stages.kernels.matching import Matcher, matcher
from stages.kernels.reading import decode
from stages.kernels.sentences import abbreviations, sentences

# Columns of the result: lines removed by each rule, or, for LOREM and BRACE, lines that condemn the document.
LONG_WORDS: Final = 0
CITATIONS: Final = 1  # marks deleted
UNTERMINATED: Final = 2
SHORT: Final = 3
LOREM: Final = 4
JAVASCRIPT: Final = 5
BRACE: Final = 6
POLICY: Final = 7
SENTENCES: Final = 8  # in the lines that are left
COLUMNS: Final = 9

# How a language ends its lines.
ENGLISH: Final = 0  # with . ? ! "
SPACED: Final = 1  # with any terminal punctuation, or a closing quotation mark
UNSPACED: Final = 2  # likewise, and lines have no tokens to count
UNMARKED: Final = 3  # with whatever they like, for nothing marks the end of a sentence; nor have they tokens

_LOREM_BIT: Final = 1
_JAVASCRIPT_BIT: Final = 2
_POLICY_BIT: Final = 4
_PATTERNS: Final = {
    b"lorem ipsum": _LOREM_BIT,
    b"javascript": _JAVASCRIPT_BIT,
    b"terms of use": _POLICY_BIT,
    b"privacy policy": _POLICY_BIT,
    b"cookie policy": _POLICY_BIT,
    b"uses cookies": _POLICY_BIT,
    b"use of cookies": _POLICY_BIT,
    b"use cookies": _POLICY_BIT,
}


_EDIT: Final = np.frombuffer(b"[edit]", np.uint8)
_NEEDED: Final = np.frombuffer(b"[citation needed]", np.uint8)
_NEEDED_TOKENS: Final = (9, 7)  # lengths of the two tokens of [citation needed]


# ASCII that neither ends a token nor belongs to what lines are searched for: every phrase holds a K, M or V.
_QUIET: Final = np.array([33 <= byte < 127 and byte not in b"[{KkMmVv" for byte in range(256)], np.bool_)


@cache
def _phrases() -> tuple[Matcher, npt.NDArray[np.uint8]]:
    """The automaton of the phrases, and the bits of those that end in each state."""
    found = matcher(list(_PATTERNS))
    bits = np.zeros(len(found.ends), np.uint8)
    for state, number in enumerate(found.ends.tolist()):
        if number >= 0:
            bits[state] = list(_PATTERNS.values())[number]
    for state in range(len(bits)):
        bits[state] |= bits[found.shorter[state]]
    return found, bits


@nb.njit(cache=True, nogil=True)
def _same(data: npt.NDArray[np.uint8], at: int, stop: int, mark: npt.NDArray[np.uint8]) -> bool:
    if at + len(mark) > stop:
        return False
    return bool(np.all(data[at : at + len(mark)] == mark))


@nb.njit(cache=True, nogil=True)
def _citation(data: npt.NDArray[np.uint8], at: int, stop: int) -> int:
    """Length of the citation mark at this bracket: [digits], [], [edit], [citation needed]; 0: none."""
    end = at + 1
    while end < stop and 48 <= data[end] <= 57:
        end += 1
    if end < stop and data[end] == 93:
        return end + 1 - at
    if _same(data, at, stop, _EDIT):
        return len(_EDIT)
    if _same(data, at, stop, _NEEDED):
        return len(_NEEDED)
    return 0


@nb.njit(cache=True, nogil=True)
def _scan(
    data: npt.NDArray[np.uint8],
    at: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    quiet: npt.NDArray[np.bool_],
) -> tuple[int, int, int, int, int, bool, bool, bool]:
    """One line: its first byte and its end without outer white space, and where the next one begins.

    Then its tokens, the characters of the longest, and whether it holds "[", "{", and perhaps a phrase.
    """
    first = last = -1
    words = length = longest = 0
    bracket = brace = phrase = False
    while at < stop:
        begin = at
        while at < stop and quiet[data[at]]:
            at += 1
        if at > begin:
            words += length == 0
            length += at - begin
            longest = max(longest, length)
            if first < 0:
                first = begin
            last = at
            if at == stop:
                break
        code, size = decode(data, at)
        if table[code] & SPACE:
            at += size
            length = 0
            if code in (10, 11, 12, 13, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029):
                break
            continue
        words += length == 0
        length += 1
        longest = max(longest, length)
        if first < 0:
            first = at
        elif code in (75, 107):  # of "cookie"
            phrase = phrase or data[at - 1] | 32 == 111
        elif code in (77, 109):  # of "lorem", "terms"
            phrase = phrase or data[at - 1] | 32 in (101, 114)
        elif code in (86, 118):  # of "javascript", "privacy"
            phrase = phrase or data[at - 1] | 32 in (97, 105)
        bracket = bracket or code == 91
        brace = brace or code == 123
        at += size
        last = at
    return first, last, at, words, longest, bracket, brace, phrase


@nb.njit(cache=True, nogil=True)
def _uncited(
    data: npt.NDArray[np.uint8],
    at: int,
    stop: int,
    table: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
    head: int,
) -> tuple[int, int, int]:
    """Writes a stripped line without its citation marks, and without white space at its new end, to `out`.

    Returns the end of what was written, the marks, and the characters of the longest token before the cut.
    """
    tail = last = head
    length = longest = citations = 0
    while at < stop:
        code, size = decode(data, at)
        mark = _citation(data, at, stop) if code == 91 else 0
        space = table[code] & SPACE != 0
        length = 0 if space else length + 1
        longest = max(longest, length)
        if mark:
            citations += 1
            if mark == len(_NEEDED):
                longest = max(longest, length - 1 + _NEEDED_TOKENS[0])
                length = _NEEDED_TOKENS[1]
            else:
                length += mark - 1
            longest = max(longest, length)
            at += mark
            last = tail
            continue
        for byte in range(size):
            out[tail + byte] = data[at + byte]
        tail += size
        at += size
        if not space:
            last = tail
    return last, citations, longest


@nb.njit(cache=True, nogil=True)
def _tokens(data: npt.NDArray[np.uint8], start: int, stop: int, table: npt.NDArray[np.uint8]) -> int:
    """Pieces between white space."""
    count = 0
    inside = False
    while start < stop:
        code, size = decode(data, start)
        space = table[code] & SPACE != 0
        count += not space and not inside
        inside = not space
        start += size
    return count


@nb.njit(cache=True, nogil=True)
def _ends(
    data: npt.NDArray[np.uint8], start: int, stop: int, table: npt.NDArray[np.uint8], foreign: bool
) -> bool:
    """Does the line end in an end mark, and not in three full stops?"""
    if stop == start:
        return False
    final = data[stop - 1]
    if final < 0x80:
        dots = stop - start >= 3 and data[stop - 2] == 46 and data[stop - 3] == 46
        return bool(final in (63, 33, 34) or (final == 46 and not dots))
    if not foreign:
        return False
    at = stop - 1
    while 0x80 <= data[at] < 0xC0:
        at -= 1
    code = decode(data, at)[0]
    return bool(table[code] & TERMINAL or code in (0xBB, 0x2019, 0x201D, 0x300D, 0x300F, 0xFF09))


@nb.njit(cache=True, nogil=True)
def _c4(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    known: npt.NDArray[np.uint64],
    columns: npt.NDArray[np.uint8],
    moves: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint8],
    quiet: npt.NDArray[np.bool_],
    styles: npt.NDArray[np.uint8],
    longest_word: int,
    citing: bool,
    terminal: bool,
    fewest_words: int,
    javascript: bool,
    policy: bool,
    out: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> None:
    end = 0
    for row in range(len(bounds) - 1):
        at, stop = bounds[row], bounds[row + 1]
        values = found[row]
        begin = end
        while at < stop:
            first, last, at, words, longest, bracket, brace, phrase = _scan(data, at, stop, table, quiet)
            if first < 0:
                continue
            # The line goes to out[head:tail]; it is copied only if it stays, or loses citation marks.
            head = end + 1 if end > begin else end
            tail = head + last - first
            line = data[first:last]
            citations = 0
            if bracket and citing:
                tail, citations, longest = _uncited(data, first, last, table, out, head)
                line = out[head:tail]
            if longest_word >= 0 and longest > longest_word:
                values[LONG_WORDS] += 1
                continue
            values[CITATIONS] += citations
            if citations:
                words = _tokens(line, 0, len(line), table)
            marked = terminal and styles[row] != UNMARKED
            if marked and not _ends(line, 0, len(line), table, styles[row] != ENGLISH):
                values[UNTERMINATED] += 1
                continue
            if words < fewest_words and styles[row] < UNSPACED:
                values[SHORT] += 1
                continue
            seen = 0
            if phrase or citations:
                state = 0
                for byte in line:
                    state = moves[state, columns[byte]]
                    seen |= bits[state]
            if seen & _LOREM_BIT:
                values[LOREM] += 1
            if javascript and seen & _JAVASCRIPT_BIT:
                values[JAVASCRIPT] += 1
                continue
            if brace:
                values[BRACE] += 1
            if policy and seen & _POLICY_BIT:
                values[POLICY] += 1
                continue
            values[SENTENCES] += sentences(line, 0, len(line), table, known)
            if not citations:
                out[head:tail] = line
            if head > begin:
                out[head - 1] = 10
            end = tail
        places[row + 1] = end


def c4(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    styles: npt.NDArray[np.uint8],
    *,
    longest_word: int = 1000,
    citing: bool = True,
    terminal: bool = True,
    fewest_words: int = 5,
    javascript: bool = True,
    policy: bool = True,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What C4's rules count in every text, and the texts that they leave.

    Args:
        data: uint8[], UTF-8 texts one after another.
        bounds: int64[n + 1], where each begins.
        styles: ENGLISH, SPACED, UNSPACED or UNMARKED for each text, uint8[n].
        longest_word: characters of a token that its line survives; -1: any number.
        citing: whether citation marks are deleted.
        terminal: whether lines must end with terminal punctuation.
        fewest_words: tokens that a line needs.
        javascript: whether lines that mention it go.
        policy: whether lines that mention terms of use, privacy or cookies go.

    Returns:
        The texts, not stripped, uint8[], and where each begins, int64[n + 1]; int64 (n, COLUMNS), columns as
        named above.
    """
    found = np.zeros((len(bounds) - 1, COLUMNS), np.int64)
    places = np.zeros(len(bounds), np.int64)
    # A line is written one byte further on, in case the one before has a line feed to give.
    out = np.empty(len(data) + len(bounds) + 1, np.uint8)
    automaton, bits = _phrases()
    _c4(
        data, bounds, classes(), abbreviations(), automaton.columns, automaton.moves, bits, _QUIET, styles,
        longest_word, citing, terminal, fewest_words, javascript, policy, out, places, found,
    )  # fmt: skip
    return out[: places[-1]], places, found
