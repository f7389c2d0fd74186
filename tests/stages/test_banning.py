"""Banned strings and scores of earlier stages drop documents as RULES 1 says."""

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.base import StageError
from stages.clean import Clean
from tests.stages.test_clean import rows


@pytest.mark.parametrize(
    ("rule", "dropped", "kept"),
    [
        ({"strings": ["Page not found"]}, ["404 page NOT found"], ["Page is not found"]),
        ({"strings": ["a.c"]}, ["x a.c"], ["abc"]),
        ({"strings": ["Error"], "case_sensitive": True}, ["an Error"], ["an error"]),
        ({"strings": ["subject:"], "location": "prefix"}, ["Subject: x"], ["The subject: x"]),
        ({"strings": ["read more"], "location": "suffix"}, ["and Read more"], ["read more of it", "more"]),
        (
            {"strings": ["cat"], "exact_word": True},
            ["a cat.", "concat cat"],
            ["concat", "cats", "cat_", "cat9"],
        ),
        ({"strings": ["#top"], "exact_word": True}, ["go#top now"], ["go #topper"]),
        ({"strings": ["cat"], "exact_word": True, "location": "prefix"}, ["Cat food"], ["category", "a cat"]),
        ({"strings": ["猫"]}, ["我的猫咪"], ["狗"]),
        ({"strings": ["x" * 50]}, ["x" * 50], ["x" * 49]),
    ],
)
def test_banned_strings(rule: dict[str, Any], dropped: list[str], kept: list[str]) -> None:
    """Literals anywhere, at either end, in any case or not, as whole words or not."""
    out = Clean(banned=[rule]).apply(rows(*dropped, *kept))
    assert out.reasons.to_pylist() == ["doc.substring"] * len(dropped) + [None] * len(kept)


def test_different_strings_are_counted_and_may_be_tolerated() -> None:
    """The column counts strings, not occurrences; a threshold tolerates some."""
    stage = Clean(banned=[{"strings": ["a", "b"]}, {"strings": ["A"], "case_sensitive": True}])
    assert stage.apply(rows("aAa b", "a", "c")).columns["banned"].to_pylist() == [3, 1, 0]
    tolerant = stage.model_copy(update={"thresholds": Clean(banned=stage.banned, thresholds={
        "doc.substring": {"max": 1}}).thresholds})  # fmt: skip
    assert tolerant.apply(rows("aAa b", "a")).reasons.to_pylist() == ["doc.substring", None]
    assert Clean().apply(rows("a")).columns["banned"].to_pylist() == [None]


def test_an_empty_banned_string_is_refused() -> None:
    """It would be found everywhere."""
    with pytest.raises(ValidationError, match="found everywhere"):
        Clean(banned=[{"strings": [""]}])


def scored(*scores: float | None) -> pa.Table:
    """Rows with scores of the stage quality."""
    return rows(*(["text"] * len(scores))).append_column("quality", pa.array(scores, pa.float32()))


def test_scores_are_kept_within_bounds_and_at_them() -> None:
    """A score equal to a bound is kept, as the float32 that it is."""
    part = scored(0.1, 0.0999, 0.9, 0.901)
    out = Clean(scores={"quality": {"min": 0.1, "max": 0.9}}).apply(part)
    assert out.reasons.to_pylist() == [None, "score.threshold", None, "score.threshold"]
    assert out.columns["scores"].to_pylist() == [0, 1, 0, 1]


def test_whole_numbers_have_bounds_between_them() -> None:
    """Metadata may be integers; 2.5 stays 2.5."""
    part = rows("a", "b", "c").append_column("stars", pa.array([2, 3, None], pa.int64()))
    out = Clean(scores={"stars": {"min": 2.5, "missing": "drop"}}).apply(part)
    assert out.reasons.to_pylist() == ["score.threshold", None, "score.threshold"]


def test_what_clean_reads_hangs_on_its_scores() -> None:
    """So that the recipe's check sees a column that nobody writes."""
    stage = Clean(scores={"stars": {"min": 1}})
    assert (stage.wanted, stage.numbers) == (("text", "stars"), ("stars",))


def test_a_missing_score_drops_or_fails() -> None:
    """As the recipe says."""
    dropped = Clean(scores={"quality": {"min": 0, "missing": "drop"}}).apply(scored(None, 1))
    assert dropped.reasons.to_pylist() == ["score.threshold", None]
    with pytest.raises(StageError, match="1 of 2 documents of a part have no quality"):
        Clean(scores={"quality": {"min": 0}}).apply(scored(None, 1))
    with pytest.raises(ValidationError, match="decides nothing"):
        Clean(scores={"quality": {}})


def test_strings_are_composed_as_texts_are() -> None:
    """A list written on a Mac holds é as two characters; texts are NFC. Twice the same string counts once."""
    stage = Clean(banned=[{"strings": ("cafe\u0301", "Caf\u00e9")}])
    assert stage.apply(rows("un café noir", "un cafe noir")).columns["banned"].to_pylist() == [1, 0]


@pytest.mark.parametrize("bound", [float("inf"), float("-inf"), float("nan")])
def test_bounds_are_finite(bound: float) -> None:
    """What JSON cannot say would be null in the stage's identity: no bound."""
    with pytest.raises(ValidationError, match="finite"):
        Clean(scores={"quality": {"min": bound}})
    with pytest.raises(ValidationError, match="finite"):
        Clean(thresholds={"gopher.words": {"max": bound}})
