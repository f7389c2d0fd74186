"""Gopher's repetition rules as other implementations compute them (RULES 3, variants).

Lines and paragraphs in plain Python by document; n-grams in a kernel. `variants` says what is computed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stages.columns import utf8
from stages.gopher_variants import documents, replaced_where_spaced
from stages.kernels import variants as v
from stages.measuring import ratio

__all__ = ["repetition"]

_KINDS: Final = {
    "datatrove_uax29": v.DATATROVE,
    "dolma": v.DOLMA,
    "dolma_v2": v.DOLMA,
    "nemo": v.NEMO,
    "position_set_top": v.POSITIONS,
}
_PARAGRAPHS: Final = re.compile(r"\n{2,}")
_LINES: Final = re.compile(r"\n+")

# Lines: later (or all) copies, how many, their characters, all characters; paragraphs likewise.
Segments = tuple[int, int, int, int, int, int, int, int]


def _later(segments: list[str], chars: int | None = None) -> tuple[int, int, int, int]:
    """Copies after the first: how many, of how many, their characters, of how many."""
    distinct = set(segments)
    total = sum(map(len, segments)) if chars is None else chars
    if len(distinct) == len(segments):
        return 0, len(segments), 0, total
    later = sum(map(len, segments)) - sum(map(len, distinct))
    return len(segments) - len(distinct), len(segments), later, total


def _datatrove(text: str) -> Segments:
    return *_later(_LINES.split(text), len(text)), *_later(_PARAGRAPHS.split(text.strip()), len(text))


def _nemo(text: str) -> Segments:
    lines = [line for line in text.split("\n") if line.strip()]
    return *_later(lines), *_later(text.split("\n\n"))


def _dolma(lines: list[str]) -> Segments:
    copies = [(line, times) for line, times in Counter(lines).items() if times > 1]
    chars = sum(len(line) * times for line, times in copies)
    return sum(times for _, times in copies), len(lines), chars, 0, 0, 0, 0, 0


_SEGMENTS: Final[Mapping[str, Callable[[str], Segments]]] = {
    "datatrove_uax29": _datatrove,
    "dolma": lambda text: _dolma(text.split("\n")),
    "dolma_v2": lambda text: _dolma(_LINES.split(text)),
    "nemo": _nemo,
}


def _without(text: str, first: int, n: int) -> int:
    """Characters that go when the n words from the `first` on are deleted, wherever one space parts them."""
    words = text.split(None, first + n)[first : first + n]
    return len(text) - len(text.replace(" ".join(words), ""))


def repetition(
    texts: pa.Array, names: Sequence[str], variant: str, columns: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    """The columns of RULES 3 that a variant computes differently.

    Args:
        texts: large_string, no nulls.
        names: profile of each text.
        variant: a name in `Variants.gopher_rep`.
        columns: the default's values.
    """
    kind = _KINDS[variant]
    grams = v.ngrams(*utf8(texts), kind)
    tokens, token_chars = grams[:, v.TOKENS], grams[:, v.TOKEN_CHARS]
    values = {n: grams[:, v.VALUES + n - 2] for n in range(2, 11)}
    if kind == v.POSITIONS:
        return {f"top_{n}_gram": ratio(values[n], np.maximum(token_chars, 1)) for n in (2, 3, 4)}
    segments = np.array([_SEGMENTS[variant](text) for text in documents(texts)], np.int64).reshape(-1, 8)
    chars = columns["chars"].to_numpy()
    divisors = dict.fromkeys(range(2, 11), chars)
    found: dict[str, pa.Array] = {}
    if kind == v.DOLMA:
        segments[:, 3] = token_chars
        divisors = {
            n: np.maximum(token_chars if n <= 4 else grams[:, v.TOTALS + n - 2], 1) for n in range(2, 11)
        }
    else:
        found["dup_para_frac"] = ratio(segments[:, 4], segments[:, 5])
        found["dup_para_char_frac"] = ratio(segments[:, 6], segments[:, 7])
    if kind == v.NEMO:
        for row, text in enumerate(documents(texts)):
            for n in (2, 3, 4):
                values[n][row] = _without(text, int(values[n][row]), n) if tokens[row] >= n else 0
        for n, value in values.items():
            value[tokens < n] = chars[tokens < n]
    found["dup_line_frac"] = ratio(segments[:, 0], segments[:, 1])
    found["dup_line_char_frac"] = ratio(segments[:, 2], segments[:, 3])
    for n, value in values.items():
        found[f"top_{n}_gram" if n <= 4 else f"dup_{n}_gram"] = ratio(value, divisors[n])
    return found if kind == v.DATATROVE else replaced_where_spaced(found, names, columns)
