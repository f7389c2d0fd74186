"""ftfy's test for mojibake as a finite automaton, so that a kernel can run it over bytes.

`ftfy.badness.BADNESS_RE` is an alternation of short sequences of character classes. It is read here from ftfy
itself, whose version therefore decides the tables, and made deterministic by the subset construction. What
the expression matches is not changed: the tests compare the two on random text. Python's `re` says which
characters a class holds, so that no knowledge of Unicode is repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from ftfy.badness import BADNESS_RE

from stages.kernels.characters import CODE_POINTS

BAD: Final = 0
"""State of a text in which mojibake has been seen; it never leaves it."""
FRESH: Final = 1
"""State at the beginning of a segment."""
NEUTRAL: Final = 2
"""State in the middle of a segment, when nothing before matters."""

_ATOM: Final = re.compile(r"\[(?:[^\]\\]|\\.)*\]|\\.|[^\[\\]")
_BLANK: Final = re.compile(r"(\[(?:[^\]\\]|\\.)*\])|\#[^\n]*|\s+")


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton over classes of code points.

    Attributes:
        classes: uint8[0x110000], class of each code point.
        moves: uint16 (states, classes), the next state.
        reach: characters of the longest sequence that it looks for.
    """

    classes: npt.NDArray[np.uint8]
    moves: npt.NDArray[np.uint16]
    reach: int


def _sequences(pattern: str) -> list[tuple[bool, list[str]]]:
    """The alternatives of a verbose expression: whether anchored, and their atoms; `?` makes two of one."""
    bare = _BLANK.sub(lambda found: found.group(1) or "", pattern)
    alternatives: list[tuple[bool, list[str]]] = []
    forms: list[list[str]] = [[]]
    shorter: list[list[str]] = []
    anchored = False
    for atom in [*_ATOM.findall(bare), "|"]:
        if atom == "|":
            alternatives += [(anchored, form) for form in forms]
            forms, anchored = [[]], False
        elif atom == "^":
            anchored = True
        elif atom == "?":
            forms = forms + shorter
        elif atom in "*+{}()$":
            raise ValueError(
                f"ftfy's expression for mojibake now has {atom!r}, which this automaton does not know; "
                "install ftfy 6.3"
            )
        else:
            shorter = forms
            forms = [[*form, atom] for form in forms]
    return alternatives


@cache
def _characters(stop: int) -> str:
    """All code points below `stop`; surrogates, which text never holds, are NUL."""
    codes = np.arange(stop, dtype="<u4")
    codes[0xD800:0xE000] = 0
    return codes.tobytes().decode("utf-32-le")


def _members(atom: str) -> npt.NDArray[np.intp]:
    """The code points that an atom of the expression matches, ascending."""
    # Only complements and \w, \s, . reach beyond the basic plane.
    wide = atom.startswith(("\\", "[^", "."))
    spans = [found.span() for found in re.finditer(f"{atom}+", _characters(CODE_POINTS if wide else 0x10000))]
    return np.concatenate([np.arange(*span) for span in spans])


@cache
def mojibake() -> Automaton:
    """The automaton of `ftfy.badness.is_bad`."""
    sequences = _sequences(BADNESS_RE.pattern)
    atoms = sorted({atom for _, sequence in sequences for atom in sequence})
    classes, sizes = np.zeros(CODE_POINTS, np.uint8), [CODE_POINTS]
    for atom in atoms:  # partition refinement: a class that the atom splits gives its members to a new class
        members = _members(atom)
        shares = np.bincount(classes[members], minlength=len(sizes)).tolist()
        target = np.arange(len(sizes), dtype=np.uint8)
        for kind, share in enumerate(shares):
            if 0 < share < sizes[kind]:
                target[kind] = len(sizes)
                sizes[kind] -= share
                sizes.append(share)
        classes[members] = target[classes[members]]
    samples = [chr(int(np.argmax(classes == kind))) for kind in range(len(sizes))]
    held = [[re.match(atom, sample) is not None for atom in atoms] for sample in samples]

    # Positions in all sequences are numbered one after another, with a final one each; a set is an integer.
    starts = anchors = finals = 0
    expects: list[int] = []  # position -> its atom, -1: none, the sequence is complete
    for anchored, sequence in sequences:
        starts |= 0 if anchored else 1 << len(expects)
        anchors |= 1 << len(expects)
        expects += [atoms.index(atom) for atom in sequence] + [-1]
        finals |= 1 << (len(expects) - 1)
    passes = [
        sum(1 << place for place, atom in enumerate(expects) if atom >= 0 and holds[atom]) for holds in held
    ]
    states = {-1: BAD, anchors: FRESH, starts: NEUTRAL}
    rows: list[list[int]] = [[BAD] * len(held)]
    waiting = [anchors, starts]
    while waiting:
        active = waiting.pop(0)
        row = []
        for through in passes:
            reached = ((active & through) << 1) | starts
            if reached & finals:
                row.append(BAD)
                continue
            if reached not in states:
                states[reached] = len(states)
                waiting.append(reached)
            row.append(states[reached])
        rows.append(row)
    return Automaton(
        classes,
        np.array(rows, np.uint16),
        max(len(sequence) for _, sequence in sequences),
    )
