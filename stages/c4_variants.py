"""C4's line rules in the reading that is asked for (RULES 4): the default, `c4_early_text` or `page_level`.

The default is a kernel's (`measuring`); the two others are plain Python, line by line. Removed lines and
condemned pages are counted in the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stages.columns import from_utf8
from stages.gopher_variants import documents, spaced
from stages.kernels.characters import TERMINAL_MARKS
from stages.kernels.sentences import count_sentences
from stages.measuring import c4_measured as default_measured
from stages.profiles import PROFILES, UNMARKED, Bound
from stages.repair import tidied
from stages.rules import LINE_RULES

__all__ = ["c4_measured"]

COLUMNS: Final = (
    "max_word_length_lines",
    "citations",
    "terminal_punct_lines",
    "min_words_lines",
    "lorem_ipsum",
    "javascript_lines",
    "curly_brace",
    "policy_lines",
)
_CITATIONS: Final = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")
_POLICY: Final = re.compile(
    "terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
)
_ENGLISH_ENDS: Final = frozenset('.?!"')
_OTHER_ENDS: Final = _ENGLISH_ENDS | frozenset(TERMINAL_MARKS) | frozenset("»’”」』）")
_EARLY_WORDS: Final = Bound(min=3)
_UNMARKED: Final = {name for name, profile in PROFILES.items() if profile.script in UNMARKED}


def _bounds(thresholds: Mapping[str, Bound | None], variant: str) -> dict[str, Bound | None]:
    early = {"c4.min_words_lines": _EARLY_WORDS} if variant == "c4_early_text" else {}
    return {**LINE_RULES, **early, **thresholds}


def _edited(
    text: str, ends: frozenset[str], rules: Mapping[str, Bound | None], *, counting: bool, page: bool
) -> tuple[list[str], list[int]]:
    """The lines that stay of one text, and a count for each of COLUMNS."""
    longest, fewest = rules["c4.max_word_length_lines"] or Bound(), rules["c4.min_words_lines"] or Bound()
    most = float("inf") if longest.max in (None, -1) else longest.max
    least = fewest.min if counting and fewest.min is not None else 0
    counts = dict.fromkeys(COLUMNS, 0)
    kept: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            if page:
                kept.append(line)
            continue
        tokens = line.split()
        if max(map(len, tokens)) > most:
            counts["max_word_length_lines"] += 1
            continue
        if rules["c4.citations"] is not None and "[" in line:
            line, marks = _CITATIONS.subn("", line)
            counts["citations"] += marks
            tokens = line.split()
        if rules["c4.terminal_punct_lines"] is not None and (line[-1:] not in ends or line.endswith("...")):
            counts["terminal_punct_lines"] += 1
            continue
        if len(tokens) < least:
            counts["min_words_lines"] += 1
            continue
        lowered = line.lower()
        counts["lorem_ipsum"] += not page and "lorem ipsum" in lowered
        if rules["c4.javascript_lines"] is not None and "javascript" in lowered:
            counts["javascript_lines"] += 1
            continue
        counts["curly_brace"] += not page and "{" in line
        if rules["c4.policy_lines"] is not None and _POLICY.search(lowered):
            counts["policy_lines"] += 1
            continue
        kept.append(line)
    if page:
        counts["lorem_ipsum"] = text.lower().count("lorem ipsum")
        counts["curly_brace"] = text.count("{")
    return kept, list(counts.values())


def c4_measured(
    texts: pa.Array,
    names: Sequence[str],
    thresholds: Mapping[str, Bound | None],
    variant: str,
    *,
    apply: bool,
) -> tuple[pa.Array, dict[str, pa.Array]]:
    """What C4's line rules leave of these texts, and the columns that count what it removes.

    Args:
        texts: large_string, no nulls.
        names: profile of each text; ends of lines and counted words as for the default.
        thresholds: bounds that replace those of `rules.LINE_RULES`; None switches a rule off.
        variant: a name in `Variants.c4`.
        apply: whether the lines are removed; else the texts are returned as they are.
    """
    if variant == "default":
        return default_measured(texts, names, thresholds, apply=apply)
    rules, page = _bounds(thresholds, variant), variant == "page_level"
    unmarked = {**rules, "c4.terminal_punct_lines": None}  # nothing marks the end of a sentence
    more = frozenset("…") if page else frozenset("'")
    counting = spaced(names)
    rows: list[list[int]] = []
    left: list[bytes] = []
    lines: list[bytes] = []
    owners: list[int] = []
    for row, text in enumerate(documents(texts)):
        ends = (_ENGLISH_ENDS if names[row] == "en" else _OTHER_ENDS) | more
        bounds = unmarked if names[row] in _UNMARKED else rules
        kept, counts = _edited(text, ends, bounds, counting=bool(counting[row]), page=page)
        rows.append(counts)
        left.append("\n".join(kept).encode())
        lines += (line.encode() for line in kept if line)
        owners += [row] * sum(map(bool, kept))
    table = np.array(rows, np.int64).reshape(-1, len(COLUMNS))
    columns = {name: pa.array(table[:, place]) for place, name in enumerate(COLUMNS)}
    # Sentences are counted line by line: the end of a line ends its last sentence.
    found = count_sentences(*_packed(lines))
    sentences = np.bincount(np.array(owners, np.int64), weights=found, minlength=len(texts))
    columns["min_sentences"] = pa.array(sentences.astype(np.int64))
    if apply:
        texts = from_utf8(*tidied(_packed(left), composed=False))
    return texts, columns


def _packed(pieces: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    bounds = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return np.frombuffer(b"".join(pieces), np.uint8), bounds
