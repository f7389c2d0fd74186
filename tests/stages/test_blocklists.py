"""Block lists match whole words in any case, by language, and inside words where a script has no spaces."""

from pathlib import Path

import pytest

from stages.base import StageError
from stages.clean import Clean
from tests.stages.test_clean import rows


def listed(tmp_path: Path, **lists: str) -> Clean:
    """A stage with these lists."""
    for name, words in lists.items():
        (tmp_path / name).write_text(words, encoding="utf-8")
    return Clean(block={name.removesuffix("_"): (str(tmp_path / name),) for name in lists})


def test_words_and_phrases_in_any_case(tmp_path: Path) -> None:
    """`ass` is in `ASS` but not in `class`; phrases, accents and comments work."""
    stage = listed(tmp_path, all_="# a comment\nass\nbad phrase\nÜbel\n")
    out = stage.apply(rows("a class act", "an ASS.", "a Bad Phrase here", "bad  phrase", "ein übel, ÜBEL"))
    assert out.columns["badwords"].to_pylist() == [0, 1, 1, 0, 2]
    assert out.reasons.to_pylist() == [None, "c4.badwords", "c4.badwords", None, "c4.badwords"]


def test_lists_are_for_their_language(tmp_path: Path) -> None:
    """A German list does not touch English; a Chinese one matches inside text."""
    stage = listed(tmp_path, de="gift\n", zh="坏话\n")
    out = stage.apply(rows("a gift", "das Gift", "他说坏话了", lang=["en", "de", "zh"]))
    assert out.columns["badwords"].to_pylist() == [0, 1, 1]


def test_a_bound_tolerates_some(tmp_path: Path) -> None:
    """`c4.badwords` is a rule like others; without lists it cannot be set."""
    (tmp_path / "words").write_text("bad", encoding="utf-8")
    stage = Clean(block={"all": (str(tmp_path / "words"),)}, thresholds={"c4.badwords": {"max": 1}})
    assert stage.apply(rows("bad", "bad bad")).reasons.to_pylist() == [None, "c4.badwords"]
    with pytest.raises(ValueError, match="only with `block`"):
        Clean(thresholds={"c4.badwords": {"max": 1}})


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    """It says which file and what was expected."""
    with pytest.raises(StageError, match="holds no words"):
        listed(tmp_path, all_="\n# nothing\n").apply(rows("a"))


def test_overlapping_words_all_count(tmp_path: Path) -> None:
    """A phrase and a word inside it are two occurrences."""
    assert listed(tmp_path, all_="bad\nbad word\n").apply(rows("bad word")).columns[
        "badwords"
    ].to_pylist() == [2]


def test_words_are_composed_as_texts_are(tmp_path: Path) -> None:
    """A list written on a Mac holds é as two characters; texts are NFC."""
    stage = listed(tmp_path, all_="cafe\u0301\n")
    assert stage.apply(rows("un CAFÉ noir", "un cafe noir")).columns["badwords"].to_pylist() == [1, 0]


def test_lists_are_for_languages_as_langid_has_them(tmp_path: Path) -> None:
    """Whether they have a profile or not; what no script tells needs langid."""
    stage = listed(tmp_path, la="malus\n", sr="loše\n")
    part = rows("malus loše", "malus loše", "malus loše", lang=["la", "sr", "en"])
    assert stage.apply(part).columns["badwords"].to_pylist() == [1, 1, 0]
    with pytest.raises(StageError, match="put langid before clean"):
        stage.apply(rows("malus"))
