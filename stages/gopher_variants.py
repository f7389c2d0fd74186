"""Gopher's quality rules and FineWeb's filters as other implementations compute them (RULES 2, 5).

Plain Python by document, but for datatrove's tokens, which a kernel counts. Definitions are of the commits that
RULES names; `variants` says what they are and where we differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.columns import utf8
from stages.kernels import tokens as t
from stages.kernels.characters import TERMINAL_MARKS
from stages.lines import words_of
from stages.measuring import ratio
from stages.profiles import ANY, PROFILES, WITHOUT_SPACES

__all__ = ["documents", "fineweb", "quality", "replaced_where_spaced"]

_SHORT_LINE: Final = 30
_TERMINAL: Final = frozenset(TERMINAL_MARKS)
_NEMO_BULLETS: Final = tuple("•‣⁃⁌⁍∙○●◘◦⦾⦿")
_NEMO_ELLIPSES: Final = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")

Counts = dict[str, float | tuple[int, int]]
"""Column -> a number, or a numerator and its denominator."""


def documents(texts: pa.Array) -> Iterator[str]:
    """The texts one after another, never all at once."""
    data, bounds = utf8(texts)
    for start, stop in pairwise(bounds.tolist()):
        yield data[start:stop].tobytes().decode()


def spaced(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which profiles are of scripts with spaces between words."""
    return np.array([name not in WITHOUT_SPACES for name in names], np.bool_)


def replaced_where_spaced(
    found: Mapping[str, pa.Array], names: Sequence[str], columns: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    """A variant's columns, with the default's values for scripts without spaces."""
    here = pa.array(spaced(names))
    return {name: pc.if_else(here, column, columns[name]) for name, column in found.items()}


def _rae2021(text: str, stop_words: frozenset[str]) -> Counts:
    # U+0130 lower-cases to two characters; Turkish lists have the plain i.
    tokens = text.replace("\u0130", "i").lower().split()
    ellipses = text.count("...") + text.count(". . .") + text.count("…")
    return {
        "symbol_ratio": (max(text.count("#"), ellipses), len(tokens)),
        "stop_words": len(stop_words.intersection(tokens)),
    }


def _dolma(text: str, stop_words: frozenset[str], *, blank: bool) -> Counts:
    tokens = text.split()
    lengths = sorted(map(len, tokens))
    half, odd = divmod(len(lengths), 2)
    middle = (lengths[half], 1) if odd else (lengths[half - 1] + lengths[half], 2) if lengths else (0, 0)
    lines = text.split("\n")
    if not blank:
        lines = [line for line in lines if line]
    symbols = sum("#" in token or "…" in token for token in tokens) if "#" in text or "…" in text else 0
    return {
        "words": len(tokens),
        "mean_word_length": middle,
        "symbol_ratio": (symbols, len(tokens)),
        "bullet_lines": (sum(line[:1] in {"*", "-"} for line in lines), len(lines)),
        "ellipsis_lines": (sum(line[-1:] == "…" for line in lines), len(lines)),
        "stop_words": sum(map(stop_words.__contains__, tokens)),
    }


def _nemo(text: str, stop_words: frozenset[str]) -> Counts:
    tokens = text.split()
    lines = [line.strip().lower() for line in text.split("\n") if line.strip()]
    symbols = sum(token in _NEMO_ELLIPSES or 2 * token.count("#") > len(token) for token in tokens)
    return {
        "words": len(tokens),
        "symbol_ratio": (symbols, len(tokens)),
        "bullet_lines": (sum(line.startswith(_NEMO_BULLETS) for line in lines), len(lines)),
        "ellipsis_lines": (sum(line.endswith(_NEMO_ELLIPSES) for line in lines), len(lines)),
        "stop_words": sum(map(stop_words.__contains__, tokens)),
    }


def _datatrove_lines(text: str, _: frozenset[str]) -> Counts:
    lines = text.splitlines()
    return {
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "bullet_lines": (sum(line.lstrip()[:1] in {"•", "-"} for line in lines), len(lines)),
        "ellipsis_lines": (sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
    }


_BY_DOCUMENT: Final[Mapping[str, Callable[[str, frozenset[str]], Counts]]] = {
    "ws_alnum": lambda text, _: {"words": words_of(text)},
    "rae2021": _rae2021,
    "dolma": lambda text, words: _dolma(text, words, blank=True),
    "dolma_v2": lambda text, words: _dolma(text, words, blank=False),
    "nemo": _nemo,
    "datatrove_uax29": _datatrove_lines,
}


def _columns(rows: Sequence[Counts]) -> dict[str, pa.Array]:
    """A column a name; numerators are divided by their denominators, once, as float64."""
    found: dict[str, pa.Array] = {}
    for name in rows[0] if rows else ():
        values = np.array([row[name] for row in rows])
        found[name] = (
            pa.array(values.astype(np.int64)) if values.ndim == 1 else ratio(values[:, 0], values[:, 1])
        )
    return found


def quality(
    texts: pa.Array, names: Sequence[str], variant: str, columns: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    """The columns of RULES 2 that a variant computes differently.

    Args:
        texts: large_string, no nulls.
        names: profile of each text, whose stop words count.
        variant: a name in `Variants.gopher`.
        columns: the default's values.
    """
    profiles = [PROFILES.get(name, ANY) for name in names]
    lists = {profile.name: frozenset(profile.stop_words) for profile in profiles}
    measure = _BY_DOCUMENT[variant]
    found = _columns(
        [measure(text, lists[profile.name]) for text, profile in zip(documents(texts), profiles, strict=True)]
    )
    if variant != "datatrove_uax29" or not found:
        return replaced_where_spaced(found, names, columns)
    hashes, ellipses = found.pop("hashes").to_numpy(), found.pop("ellipses").to_numpy()
    places = {name: place for place, name in enumerate(lists)}
    words = {profile.name: profile.stop_words for profile in profiles}
    chosen = np.array([places[profile.name] for profile in profiles], np.int64)
    counts = t.counts(*utf8(texts), [words[name] for name in lists], chosen)
    return found | {
        "words": pa.array(counts[:, t.WORDS]),
        "mean_word_length": ratio(counts[:, t.WORD_CHARS], counts[:, t.WORDS]),
        "symbol_ratio": ratio(np.maximum(hashes, ellipses), counts[:, t.TOKENS]),
        "alpha_words": ratio(counts[:, t.LETTERLESS], counts[:, t.TOKENS]),
        "stop_words": pa.array(counts[:, t.STOPS]),
    }


def _fineweb(text: str) -> Counts:
    lines = [line for line in text.split("\n") if line.strip()]
    newlines = text.count("\n")
    later = sum(map(len, lines)) - sum(map(len, set(lines)))
    return {
        "line_punct_ratio": (sum(line[-1] in _TERMINAL for line in lines), len(lines)),
        "short_line_ratio": (sum(len(line) <= _SHORT_LINE for line in lines), len(lines)),
        "char_dup_ratio": (later, len(text) - newlines),
        "newlines": newlines,
    }


def fineweb(texts: pa.Array) -> dict[str, pa.Array]:
    """The columns of RULES 5 as datatrove computes them, over segments of UAX #29."""
    found = _columns([_fineweb(text) for text in documents(texts)])
    if found:
        counts = t.counts(*utf8(texts), [()], np.zeros(len(texts), np.int64))
        found["newline_ratio"] = ratio(found.pop("newlines").to_numpy(), counts[:, t.TOKENS])
    return found
