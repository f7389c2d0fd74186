"""clean repairs text as RULES 8.1 says, measures it to the letter, and drops only what it is told to."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.clean import Clean

CASES = Path(__file__).parent / "cases"
REPAIR = json.loads((CASES / "repair.json").read_text(encoding="utf-8"))
MEASURES = [
    case
    for group in json.loads((CASES / "measures.json").read_text(encoding="utf-8")).values()
    for case in group
]


def rows(*texts: str | None, lang: list[str] | None = None) -> pa.Table:
    """A part that holds these texts."""
    columns: dict[str, Any] = {
        "row": pa.array(range(len(texts)), pa.uint32()),
        "doc_id": pa.array([bytes(16)] * len(texts), pa.binary(16)),
        "text": pa.array(texts, pa.large_string()),
        "bytes": pa.array([len((text or "").encode()) for text in texts], pa.int64()),
    }
    return pa.table(columns | ({} if lang is None else {"lang": lang}))


@pytest.mark.parametrize("case", REPAIR, ids=lambda case: case["why"])
def test_stores_text_as_the_case_says(case: dict[str, str]) -> None:
    """Each case of repair.json, and what is clean stays as it is."""
    out = Clean().apply(rows(case["text"], case["clean"]))
    assert out.columns["text"].to_pylist() == [case["clean"], case["clean"]]


@pytest.mark.parametrize("case", MEASURES, ids=lambda case: case["why"])
def test_measures_as_the_case_says(case: dict[str, Any]) -> None:
    """Each case of measures.json: integers and single divisions, exactly."""
    columns = Clean().apply(rows(case["text"])).columns
    for name, wanted in case.items():
        if name in ("why", "text"):
            continue
        value = wanted[0] / wanted[1] if isinstance(wanted, list) else wanted
        assert columns[name].to_pylist() == [value], name


def test_white_space_is_empty() -> None:
    """Nulls, empty text and white space of any script are dropped as `empty`, with all thresholds off."""
    out = Clean().apply(rows(None, "", " \u3000\n", "x"))
    assert out.reasons.to_pylist() == ["empty", "empty", "empty", None]
    assert out.columns["text"].to_pylist() == [None, None, None, "x"]
    assert out.columns["mean_word_length"].to_pylist() == [None, None, None, 1.0]


def test_no_preset_drops_nothing_else() -> None:
    """Without presets the stage measures and does not judge."""
    out = Clean().apply(rows("#", "a" * 2000, "..."))
    assert out.reasons.null_count == 3


def test_a_value_equal_to_the_bound_is_kept() -> None:
    """Fifty words pass `gopher.words`, forty-nine do not; ten characters a word pass, more do not."""
    stage = Clean(presets=("gopher",))
    words = ["the", "of"] + ["abcdef"] * 48
    tens = ["the", "of"] + ["a" * 10] * 46 + ["a" * 17, "a" * 18]
    texts = [" ".join(words), " ".join(words[:-1]), " ".join(tens), " ".join([*tens[:-1], "a" * 19])]
    stage = stage.model_copy(update={"thresholds": {code: None for code in Clean.reasons if "_rep" in code}})
    found = stage.apply(rows(*texts)).reasons.to_pylist()
    assert found == [None, "gopher.words", None, "gopher.mean_word_length"]


def test_the_first_failing_rule_in_order_is_the_reason() -> None:
    """A document that fails several rules is dropped for the first in the order of RULES."""
    assert Clean(presets=("fineweb", "gopher")).apply(rows("...")).reasons.to_pylist() == ["gopher.words"]


def test_thresholds_replace_switch_on_and_switch_off() -> None:
    """A side given replaces the preset's; a rule of no preset comes on; null switches one off."""
    text = "the house of the lord and so on"
    on = Clean(thresholds={"gopher.words": {"min": 9}})
    assert on.apply(rows(text)).reasons.to_pylist() == ["gopher.words"]
    lower = Clean(presets=("gopher",), thresholds={"gopher.words": {"min": 8}})
    assert lower.apply(rows(text, text + " x" * 200_000)).reasons.to_pylist()[0] is None
    off = Clean(presets=("gopher",), thresholds={"gopher.words": None})
    assert off.apply(rows(text)).reasons.to_pylist() == [None]


def test_an_unknown_rule_is_an_error_that_lists_the_rules() -> None:
    """A typo in `thresholds` is refused before anything runs."""
    with pytest.raises(ValidationError, match=r"gopher\.wrods is not a rule"):
        Clean(thresholds={"gopher.wrods": {"min": 3}})


def test_language_decides_the_profile() -> None:
    """With `lang` its profile judges; a language without a profile is not judged by stop words."""
    text = "Ez da hori egia baina beste bat bada " * 8
    stage = Clean(presets=("gopher",), thresholds={"gopher.stop_words": {"min": 1000}})
    found = stage.apply(rows(text, text, lang=["en", "xx"]))
    assert found.columns["profile"].to_pylist() == ["en", "any"]
    judged = Clean(presets=("gopher",)).apply(
        rows("zwei drei vier fünf " * 20, "zwei drei vier fünf " * 20, lang=["de", "xx"])
    )
    assert judged.reasons.to_pylist()[0] == "gopher.stop_words"


def test_labels_of_glotlid_have_the_profiles_of_their_languages() -> None:
    """`eng_Latn` is `en`: another model changes no rule."""
    texts = ("one text", "ein Text", "一个文本", "一個文本", "саме текст", "a text")
    labels = ["eng_Latn", "deu_Latn", "cmn_Hani", "yue_Hani", "ukr_Cyrl", "xyz_Latn"]
    found = Clean().apply(rows(*texts, lang=labels)).columns["profile"].to_pylist()
    assert found == ["en", "de", "zh", "yue", "uk", "any"]


def test_a_profile_in_another_script_says_nothing_of_a_text() -> None:
    """Serbian in Latin letters has none of the Cyrillic stop words; what `und` would get decides for Chinese."""
    latin = "Ovo je dobar tekst koji nije napisan na azbuci nego na latinici da bi se lakše čitao. " * 5
    cyrillic = "Ово је добар текст који је написан на азбуци да би се лакше читао у свету. " * 5
    found = Clean().apply(rows(latin, cyrillic, "一个文本", "一個文本", lang=["sr", "sr", "en", "wuu"]))
    assert found.columns["profile"].to_pylist() == ["any", "sr", "zh", "zh"]


def test_lines_of_any_language_of_china_stay_under_c4() -> None:
    """They have no tokens to count, whether the language has a profile or not."""
    text = "今日天氣好好。\n我哋去公園行下。\n小朋友喺度玩。"
    part = rows(text, text, lang=["yue", "wuu"])
    assert Clean(presets=("c4",)).apply(part).columns["text"].to_pylist() == [text, text]


def test_good_text_without_spaces_passes_gopher() -> None:
    """Chinese is not judged by the length of its tokens or by English stop words."""
    text = "春天的早晨，河边的柳树已经发芽。孩子们在草地上奔跑，老人坐在长椅上晒太阳，"
    text += "远处传来卖花人的叫声，空气里满是泥土味道。"
    assert Clean(presets=("gopher",)).apply(rows(text)).reasons.to_pylist() == [None]


def test_tallies_count_repairs() -> None:
    """Documents that ftfy changed, documents tidied after it, and characters that went."""
    assert Clean().apply(rows("&amp;", "a\n\n\nb", "c")).tallies == {
        "repaired": 1,
        "tidied": 1,
        "bytes_removed": 5,
    }


def test_columns_are_as_declared() -> None:
    """All declared columns and no others, of the declared types, for any number of rows."""
    for part in (rows(), rows("a"), rows("", "b", None)):
        columns = Clean().apply(part).columns
        assert {name: column.type for name, column in columns.items()} == dict(Clean.writes)
        assert {len(column) for column in columns.values()} == {len(part)}
