"""Line rules of RefinedWeb (RULES 6; Penedo et al. 2023, DCLM's YAML) and removal of repeated lines.

Each rule maps a document to a new text, in the order of RULES; most strip the text when they are done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stages.columns import from_utf8, utf8
from stages.kernels import refinedweb as rw
from stages.kernels.linestats import line_stats
from stages.kernels.longlines import count_long_lines
from stages.profiles import WITHOUT_SPACES, Bound
from stages.repair import replaced, tidied
from stages.rules import LINE_RULES

RULES_OF_LINES: Final = (
    "uppercase_lines",
    "numeric_lines",
    "counter_lines",
    "short_lines",
    "substring_lines",
)

_FEW_TOKENS: Final = 10
LONG_LINE: Final = 200
"""Characters of what mC4 calls a paragraph."""
_COUNTER: Final = re.compile(
    r"\W*+[0-9][0-9.,]*+[KMB]?\s++(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|"
    r"downloads|views|followers)\W*+",
    re.IGNORECASE,
)
_PHRASES: Final = (
    re.compile(r"\sitems in cart|items in cart\s?", re.IGNORECASE),
    re.compile(r"\s?read more\.\.\.\Z", re.IGNORECASE),
    re.compile(r"\Asign-in\s?", re.IGNORECASE),
)
"""Each with one adjacent white-space character, the one before it if there is one."""


def _stripped(lines: list[str]) -> list[str]:
    """The lines of the text without outer white space."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while first < last and not lines[last - 1].strip():
        last -= 1
    lines = lines[first:last]
    if lines:
        lines[0] = lines[0].lstrip()
        lines[-1] = lines[-1].rstrip()
    return lines


def _without_phrases(line: str) -> str | None:
    """A short line without the phrases of `rw.substring_lines`; None when nothing is left of it."""
    if len(line.split()) > _FEW_TOKENS:
        return line
    left = line
    for phrase in _PHRASES:
        left = phrase.sub("", left)
    return left if left.strip() or left == line else None


def words_of(text: str) -> int:
    """Tokens whose first character is alphanumeric."""
    return sum(token[0].isalnum() for token in text.split())


def _kept(lines: list[str], refused: Callable[[str], bool]) -> tuple[list[str], int]:
    kept = [line for line in lines if not refused(line)]
    return kept, len(lines) - len(kept)


def edited(
    text: str, capitals: float | None, numeric: bool, counters: bool, fewest: int, phrases: bool
) -> tuple[str, tuple[int, ...]]:
    """One text after the five rules, and how many lines each removed or changed.

    Args:
        text: the text.
        capitals: greatest share of capitals in a line; None: any.
        numeric: whether lines of digits go.
        counters: whether lines like "12 likes" go.
        fewest: tokens that a line that is not empty needs; 0: any.
        phrases: whether "read more..." and its like are cut from short lines.
    """
    lines = text.split("\n")
    counts = [0] * len(RULES_OF_LINES)
    if capitals is not None:
        stats = line_stats(np.frombuffer(text.encode(), np.uint8))
        shares = stats[:, 1] / np.maximum(stats[:, 0], 1)
        counts[0] = int((shares > capitals).sum())
        lines = _stripped(
            [line for line, share in zip(lines, shares.tolist(), strict=True) if share <= capitals]
        )
    if numeric:
        lines, counts[1] = _kept(lines, str.isdigit)
        lines = _stripped(lines)
    if counters:
        lines, counts[2] = _kept(lines, lambda line: _COUNTER.fullmatch(line) is not None)
        lines = _stripped(lines)
    if fewest:
        lines, counts[3] = _kept(lines, lambda line: line != "" and len(line.split(None, fewest)) < fewest)
    if phrases:
        changed = [_without_phrases(line) for line in lines]
        counts[4] = sum(new != old for new, old in zip(changed, lines, strict=True))
        lines = _stripped([line for line in changed if line is not None])
    return "\n".join(lines), tuple(counts)


def refined(
    texts: pa.Array, names: Sequence[str], thresholds: Mapping[str, Bound | None]
) -> tuple[pa.Array, dict[str, pa.Array]]:
    """Texts after RefinedWeb's line rules; columns that count lines, and the share of words that went.

    Args:
        texts: large_string, no nulls.
        names: profile of each text; lines of scripts without spaces have no tokens to count.
        thresholds: bounds that replace those of RULES 6; None switches a rule off.
    """
    data, bounds = utf8(texts)
    capitals = thresholds.get("rw.uppercase_lines", LINE_RULES["rw.uppercase_lines"])
    fewest = thresholds.get("rw.short_lines", LINE_RULES["rw.short_lines"])
    share = None if capitals is None else capitals.max
    numeric, counters, phrases = (
        thresholds.get(f"rw.{name}_lines", Bound()) is not None
        for name in ("numeric", "counter", "substring")
    )
    least = 0 if fewest is None or fewest.min is None else int(fewest.min)
    needed = np.array([0 if name in WITHOUT_SPACES else least for name in names], np.int64)
    data, bounds, found = rw.refine(
        data, bounds, capitals=share, numeric=numeric, counters=counters, fewest=needed, phrases=phrases
    )
    table = np.zeros((len(texts), len(RULES_OF_LINES)), np.int64)
    for rule, place in (
        ("uppercase_lines", rw.UPPERCASE),
        ("numeric_lines", rw.NUMERIC),
        ("short_lines", rw.SHORT),
    ):
        table[:, RULES_OF_LINES.index(rule)] = found[:, place]
    before, after = found[:, rw.BEFORE], found[:, rw.AFTER]
    pieces = []
    for row in np.flatnonzero(found[:, rw.UNDECIDED]).tolist():
        start, stop = int(bounds[row]), int(bounds[row + 1])
        text = data[start:stop].tobytes().decode()
        new, table[row] = edited(text, share, numeric, counters, int(needed[row]), phrases)
        after[row] = before[row] if new == text else words_of(new)
        if new != text:
            pieces.append((row, start, stop, new.encode()))
    gone, total = before - after, before
    columns = {name: pa.array(table[:, place]) for place, name in enumerate(RULES_OF_LINES)}
    columns["word_removal_ratio"] = pa.array(gone / np.maximum(total, 1), pa.float64(), mask=total == 0)
    return from_utf8(*tidied(replaced((data, bounds), pieces), composed=False)), columns


def long_lines(texts: pa.Array) -> pa.Array:
    """Lines of at least 200 characters of each text: int64 (`c4.paragraphs`, mC4)."""
    return pa.array(count_long_lines(*utf8(texts), LONG_LINE))


def without_repeated_lines(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Texts with only the first of lines that are equal but for case and outer white space; how many went.

    Blank lines always stay (`rw.page_dedup`).
    """
    data, bounds = utf8(texts)
    pieces, removed = [], []
    for row in range(len(texts)):
        start, stop = int(bounds[row]), int(bounds[row + 1])
        lines = data[start:stop].tobytes().decode().split("\n")
        seen: set[str] = set()
        kept = []
        for line in lines:
            key = line.strip().lower()
            if not key or key not in seen:
                kept.append(line)
                seen.add(key)
        removed.append(len(lines) - len(kept))
        if removed[-1]:
            pieces.append((row, start, stop, "\n".join(kept).encode()))
    return from_utf8(*tidied(replaced((data, bounds), pieces), composed=False)), pa.array(removed, pa.int64())
