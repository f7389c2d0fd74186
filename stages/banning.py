"""Two rules of RULES 1 that look at more than measurements: banned strings, and scores of earlier stages.

Long lists of words by language are `blocklists`' business: they match in any case by an automaton.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from stages.base import StageError
from stages.columns import whole

__all__ = ["Banned", "Score", "banned", "out_of_bounds"]


class Banned(BaseModel):
    """Strings that a document must not hold (`doc.substring`); literals, not patterns."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    strings: tuple[str, ...] = Field(min_length=1)
    """The strings; none empty."""

    location: Literal["any", "prefix", "suffix"] = "any"
    """Anywhere in the text, at its very beginning or at its very end."""

    case_sensitive: bool = False
    """Whether capitals differ from small letters."""

    exact_word: bool = False
    """Only where no letter, digit or underscore touches a letter, digit or underscore at the string's ends."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not all(self.strings):
            raise ValueError(
                "an empty string would be found everywhere; give strings of at least one character"
            )
        return self


class Score(BaseModel):
    """What a score of an earlier stage must be (`score.threshold`); a value equal to a bound is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min: FiniteFloat | None = None
    """Least value that is kept."""

    max: FiniteFloat | None = None
    """Greatest value that is kept."""

    missing: Literal["drop", "error"] = "error"
    """What becomes of a document without a score: dropped, or the stage fails."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a score without `min` and `max` decides nothing; give one of them")
        return self


def _wordlike(text: str, place: int) -> bool:
    return 0 <= place < len(text) and (text[place].isalnum() or text[place] == "_")


def _whole(text: str, start: int, stop: int) -> bool:
    """Whether no word runs on over either end of a stretch."""
    return not (
        (_wordlike(text, start) and _wordlike(text, start - 1))
        or (_wordlike(text, stop - 1) and _wordlike(text, stop))
    )


def _holds(text: str, string: str, rule: Banned) -> bool:
    if rule.location != "any":
        start = 0 if rule.location == "prefix" else len(text) - len(string)
        return (
            start >= 0
            and text.startswith(string, start)
            and (not rule.exact_word or _whole(text, start, start + len(string)))
        )
    start = text.find(string)
    while start >= 0:
        if not rule.exact_word or _whole(text, start, start + len(string)):
            return True
        start = text.find(string, start + 1)
    return False


def _sought(rule: Banned) -> set[str]:
    """The strings as texts have them: NFC, and in small letters where capitals do not count."""
    composed = {unicodedata.normalize("NFC", string) for string in rule.strings}
    return composed if rule.case_sensitive else {string.lower() for string in composed}


def banned(texts: Sequence[str], rules: Sequence[Banned]) -> pa.Array:
    """How many of the banned strings each text holds: int64."""
    found = []
    wanted = [(rule, _sought(rule)) for rule in rules]
    folded = any(not rule.case_sensitive for rule in rules)
    for text in texts:
        lowered = text.lower() if folded else ""
        found.append(
            sum(
                _holds(text if rule.case_sensitive else lowered, string, rule)
                for rule, strings in wanted
                for string in strings
            )
        )
    return pa.array(found, pa.int64())


def out_of_bounds(rows: pa.Table, scores: Mapping[str, Score]) -> pa.Array:
    """How many scores of each document are out of bounds or, where that drops it, missing: int64.

    Args:
        rows: documents with the columns of the scores.
        scores: columns of numbers, and what they must be.

    Raises:
        StageError: a score is missing and that is an error.
    """
    failed = np.zeros(len(rows), np.int64)
    for name, score in scores.items():
        values = whole(rows[name]).to_numpy(zero_copy_only=False)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)  # a bound may lie between two integers
        exact = values.dtype.type  # a bound is rounded as the scores are, so that equality is equality
        absent = np.isnan(values)
        if score.missing == "error" and absent.any():
            raise StageError(
                f"clean: {int(absent.sum())} of {len(rows)} documents of a part have no {name}; "
                f"scores: {{{name}: {{missing: drop}}}} would drop them"
            )
        kept = ~absent
        if score.min is not None:
            kept &= values >= exact(score.min)
        if score.max is not None:
            kept &= values <= exact(score.max)
        failed += ~kept
    return pa.array(failed)
