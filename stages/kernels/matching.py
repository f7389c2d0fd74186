"""Many literal strings looked for at once: the automaton of Aho and Corasick (1975) over UTF-8 bytes.

Case is folded for ASCII here; a caller that wants more lower-cases text and patterns first. Tables stay small
because bytes that no pattern holds share one column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Matcher:
    """An automaton over bytes; state 0 is the start.

    Attributes:
        columns: uint8[256], column of each byte.
        moves: int32 (states, columns), the next state.
        ends: int32[states], the longest pattern that ends in a state, -1: none.
        shorter: int32[states], the state of the longest proper suffix in which a pattern ends, 0: none.
    """

    columns: npt.NDArray[np.uint8]
    moves: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    shorter: npt.NDArray[np.int32]


def matcher(patterns: Sequence[bytes], *, fold: bool = True) -> Matcher:
    """The automaton of some patterns, none empty; equal patterns count as the first of them.

    Args:
        patterns: what to look for.
        fold: whether ASCII capitals of the text match small letters of the patterns.
    """
    if not all(patterns):
        raise ValueError("an empty string would be found everywhere; give patterns of at least one character")
    if fold:
        patterns = [pattern.lower() for pattern in patterns]
    columns = np.zeros(256, np.uint8)
    for place, byte in enumerate(sorted(set(b"".join(patterns)))):
        # 256 different bytes never occur in UTF-8, so column 0 stays free.
        columns[byte] = place + 1
    if fold:
        columns[ord("A") : ord("Z") + 1] = columns[ord("a") : ord("z") + 1]
    children: list[dict[int, int]] = [{}]
    ends = [-1]
    for number, pattern in enumerate(patterns):
        state = 0
        for byte in pattern:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                ends.append(-1)
            state = children[state][byte]
        if ends[state] < 0:
            ends[state] = number
    moves = np.zeros((len(children), int(columns.max()) + 1), np.int32)
    fail = [0] * len(children)
    shorter = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        if state:
            moves[state] = moves[fail[state]]
            shorter[state] = fail[state] if ends[fail[state]] >= 0 else shorter[fail[state]]
        for byte, child in children[state].items():
            fail[child] = int(moves[fail[state], columns[byte]]) if state else 0
            moves[state, columns[byte]] = child
            waiting.append(child)
    return Matcher(columns, moves, np.array(ends, np.int32), np.array(shorter, np.int32))
