"""Every rule of RULES 1-6: what it measures, where it cuts, and in which scripts it means nothing; as data."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.clean import Clean
from stages.profiles import PROFILES, UNMARKED, UNSPACED, Bound
from stages.rules import LINE_RULES, MEASURES, RULES, described
from tests.stages.test_clean import rows

CASES = Path(__file__).parent / "cases"
PRESETS = ("gopher", "c4", "mc4", "fineweb", "refinedweb", "code")
THRESHOLDS, LINES, SCRIPTS, PUBLISHED = (
    json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("thresholds", "lines", "scripts", "profiles")
)


def text_of(case: str | list[list[Any]]) -> str:
    """A text, or pieces and how often each is repeated."""
    return case if isinstance(case, str) else "".join(piece * times for piece, times in case)


@pytest.mark.parametrize("case", THRESHOLDS, ids=lambda case: case["rule"])
def test_a_value_equal_to_the_bound_is_kept_and_the_next_is_not(case: dict[str, Any]) -> None:
    """Each case of thresholds.json, judged by its rule alone in English; presets have the bounds stated."""
    rule = next(rule for rule in RULES if rule.code == case["rule"])
    if rule.preset:
        assert rule.bound == Bound(**case["bound"])
    presets = ("refinedweb",) if rule.code.startswith("rw.") else ()
    others = {other.code: None for other in RULES if other.preset == "refinedweb"} if presets else {}
    stage = Clean(presets=presets, thresholds={**others, rule.code: case["bound"]})
    part = rows(text_of(case["kept"]), text_of(case["dropped"]), lang=["en", "en"])
    assert stage.apply(part).reasons.to_pylist() == [None, rule.code]


def test_every_rule_with_a_bound_has_a_case() -> None:
    """No document rule of RULES 1-6 is without its pair; those that need lists have tests of their own."""
    listed = {"banned", "scores", "block", "url"}
    assert {rule.code for rule in RULES if rule.preset not in listed} == {case["rule"] for case in THRESHOLDS}


@pytest.mark.parametrize("case", LINES, ids=lambda case: f"{case['preset']} {case['why']}")
def test_edits_lines_as_the_case_says(case: dict[str, Any]) -> None:
    """Each case of lines.json: what a line rule removes, leaves and counts, in English."""
    rules = {"rw.word_removal_ratio": None} if case["preset"] == "refinedweb" else {}
    out = Clean(presets=(case["preset"],), thresholds=rules).apply(rows(text_of(case["text"]), lang=["en"]))
    assert out.columns["text"].to_pylist() == [text_of(case["left"])]
    assert {name: out.columns[name].to_pylist()[0] for name in case["counts"]} == case["counts"]


@pytest.mark.parametrize("case", SCRIPTS, ids=lambda case: case["why"])
def test_other_scripts_are_measured_and_judged_by_what_they_have(case: dict[str, Any]) -> None:
    """Each case of scripts.json: values exactly; rules that mean nothing are off, others have their bounds."""
    columns = Clean().apply(rows(case["text"])).columns
    for name, wanted in case["values"].items():
        value = wanted[0] / wanted[1] if isinstance(wanted, list) else wanted
        assert columns[name].to_pylist() == [value], name
    bounds = Clean(presets=PRESETS).bounds(case["values"]["profile"])
    assert {rule.code for rule in RULES if rule.preset in PRESETS} - set(bounds) == set(case["off"])
    for code, (least, most) in case["bounds"].items():
        assert bounds[code] == Bound(least, most), code


@pytest.mark.parametrize("name", ["th", "lo", "bo"])
def test_scripts_without_sentence_marks_are_not_asked_for_them(name: str) -> None:
    """Lines of Thai, Lao and Tibetan stay under C4, beside English ones that go."""
    text = {"th": "ตลาดปิดแล้ว\nวันนี้อากาศดี", "lo": "ຕະຫຼາດປິດແລ້ວ\nມື້ນີ້ອາກາດດີ", "bo": "བོད་ཡིག\nབོད་སྐད"}[name]
    part = rows(text, "No end mark on this line\nOne. Two. This line has one.", lang=[name, "en"])
    for variants in ({}, {"c4": "c4_early_text"}, {"c4": "page_level"}):
        out = Clean(presets=("c4",), variants=variants).apply(part)
        assert out.columns["text"].to_pylist()[0] == text
        assert out.columns["terminal_punct_lines"].to_pylist() == [0, 1]


def test_an_empty_document_has_counts_of_zero_and_no_ratios() -> None:
    """Nothing is divided by zero: ratios of nothing are null, n-gram values are 0 (RULES 0.3)."""
    columns = Clean(presets=PRESETS).apply(rows("")).columns
    for name, (kind, _) in MEASURES.items():
        value = columns[name].to_pylist()[0]
        if name.endswith("_gram"):
            assert value == 0, name
        elif str(kind) == "double":
            assert value is None, name
        else:
            assert value in {0, None}, name


def test_one_line_repeats_nothing() -> None:
    """A document of one line, and one of one word, are 0 on every level of repetition (RULES 0.3)."""
    columns = Clean().apply(rows("one line of words that differ", "word")).columns
    repeated = [rule.column for rule in RULES if rule.code.startswith("gopher_rep.")]
    assert len(repeated) == 13
    for name in repeated:
        assert columns[name].to_pylist() == [0, 0], name


def test_ties_do_not_hang_on_the_order_of_words() -> None:
    """Of equally frequent n-grams the longest counts, wherever it stands (RULES 3)."""
    texts = ["aa bb x c d y aa bb z c d", "c d x aa bb y c d z aa bb", "c d aa bb c d aa bb"]
    columns = Clean().apply(rows(*texts)).columns
    assert columns["top_2_gram"].to_pylist() == [8 / 15, 8 / 15, 8 / 12]


@pytest.mark.parametrize("variant", ["default", "c4_early_text", "page_level"])
def test_minus_one_switches_a_count_of_c4_off(variant: str) -> None:
    """As the configurations of other tools have it; for other rules it is a bound like any other."""
    off = {
        "c4.max_word_length_lines": {"max": -1}, "c4.min_words_lines": {"min": -1},
        "c4.min_sentences": {"min": -1}, "c4.lorem_ipsum": {"max": -1}, "c4.curly_brace": {"max": -1},
    }  # fmt: skip
    text = "a" * 1001 + ".\nLorem ipsum {."
    out = Clean(presets=("c4",), variants={"c4": variant}, thresholds=off).apply(rows(text, lang=["en"]))
    assert out.columns["text"].to_pylist() == [text]
    assert Clean(thresholds={"doc.chars": {"max": -1}}).apply(rows("a")).reasons.to_pylist() == ["doc.chars"]


def test_every_rule_and_column_is_described() -> None:
    """What `gristmill schema clean` shows: meaning, default, column and section of every rule."""
    found = described()
    assert set(found["x-rules"]) == {*Clean.reasons, *LINE_RULES}
    assert set(found["x-columns"]) == set(Clean.writes)
    assert found["x-rules"]["gopher.words"] == {
        "drops": "words by UAX #29: below 50 or above 100000",
        "column": "words",
        "switched on by": "gopher",
        "default": {"min": 50, "max": 100000},
        "source": "RULES 2",
    }
    for rule in found["x-rules"].values():
        assert rule["source"].startswith("RULES ")
        assert rule["column"] in Clean.writes
    shown = Clean.model_json_schema()
    assert shown["x-rules"] == found["x-rules"]
    assert all(spec.get("description") for spec in shown["$defs"].values())


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_profiles_have_the_bounds_that_fineweb2_published(name: str) -> None:
    """Each row of profiles.json (RULES 9.3); 0 is off, and word lengths are where words are."""
    row, bounds = PUBLISHED[name], PROFILES[name].bounds
    assert bounds["gopher_rep.dup_line_frac"] == Bound(max=row["dup line"])
    assert bounds["fineweb.newline_ratio"] == Bound(max=row["newline"])
    assert bounds["fineweb.line_punct_ratio"] == Bound(min=row["punct"] or None)
    if PROFILES[name].script in UNSPACED:
        assert bounds["gopher.mean_word_length"] == bounds["gopher.alpha_words"] == Bound()
    else:
        least, most = row["word length"]
        assert bounds["gopher.mean_word_length"] == Bound(least or None, most)
        assert bounds["gopher.alpha_words"] == Bound(max=round(1 - row["alpha"], 3))
    assert (bounds.get("c4.min_sentences") == Bound()) == (PROFILES[name].script in UNMARKED)


def test_every_profile_is_judged_by_measurements_that_exist() -> None:
    """No profile names a rule that is none."""
    codes = {rule.code for rule in RULES}
    for profile in PROFILES.values():
        assert set(profile.bounds) <= codes, profile.name
