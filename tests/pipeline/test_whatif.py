"""whatif says what a real run with that value would keep, and computes no more than it must."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import RecipeError
from pipeline.whatif import render, split, whatif
from tests.command import gristmill
from tests.pipeline.conftest import Pair, perform


def ledger(run: Any, word: str) -> tuple[dict[str, int], dict[str, int]]:
    """Documents that a stage of a run kept by source, and dropped by reason."""
    entry = next(entry for entry in run.record()["stages"] if entry["stage"] == word)
    return {source: book["alive"] for source, book in entry["by_source"].items()}, entry["dropped"]


def said(value: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """The same of an answer."""
    return {source: entry["kept"] for source, entry in value["by_source"].items()}, value["dropped"]


def test_rules_of_clean_are_judged_from_measurements(pair: Pair) -> None:
    """Three values equal three real runs; nothing is computed; who fails alone is among those who fail."""
    found = whatif(pair.recipe, "clean.gopher.words.min=20,60,120")
    assert found["how"] == "measurements"
    for value in found["values"]:
        bound = f"clean.thresholds={{gopher.words: {{min: {value['value']}}}}}"
        assert said(value) == ledger(perform(pair.recipe, bound), "clean")
        assert value["made"] == 0
        assert all(rule["alone"] <= rule["fails"] for rule in value["rules"])
    kept = [value["kept"] for value in found["values"]]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[2]


def test_presets_are_judged_from_measurements(pair: Pair) -> None:
    """Other rules altogether, with all their reasons."""
    found = whatif(pair.recipe, "clean.presets=[gopher],[fineweb, gopher]")
    assert found["how"] == "measurements"
    for value in found["values"]:
        run = perform(pair.recipe, f"clean.presets={value['value']}", "clean.max_drop=1.0", last="clean")
        assert said(value) == ledger(run, "clean")


def test_thresholds_of_dedup_reuse_the_signatures(pair: Pair) -> None:
    """Values that ran already cost nothing; others equal a real run, and are there for it."""
    found = whatif(pair.recipe, "dedup.threshold=0.75,0.97,0.5")
    assert found["how"] == "flow"
    assert [said(value) for value in found["values"][:2]] == [ledger(run, "dedup") for run in pair[1:]]
    assert [value["made"] for value in found["values"][:2]] == [0, 0]
    run = perform(pair.recipe, "dedup.threshold=0.5")
    assert said(found["values"][2]) == ledger(run, "dedup")
    surveys = next(entry for entry in run.record()["stages"] if entry["stage"] == "dedup")["made"]
    assert surveys[0] == 0


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("langid.min_score", ("0.3", "0.8", "0.97")),
        ("langid.keep", ("[en]", "[zh]", "[en, de, zh]")),
        ("decontaminate.n", ("8", "13", "20")),
        ("mix.max_epochs", ("3.5", "4", "5")),
    ],
)
def test_other_stages_equal_real_runs(pair: Pair, key: str, values: tuple[str, ...]) -> None:
    """Three values each; what an answer had to compute is there for the run."""
    word = key.partition(".")[0]
    free = (f"{word}.max_drop=1.0",)
    found = whatif(pair.recipe, f"{key}={','.join(values)}")
    for value, answer in zip(values, found["values"], strict=True):
        run = perform(pair.recipe, f"{key}={value}", *free, last=word)
        assert said(answer) == ledger(run, word)
        made = next(entry for entry in run.record()["stages"] if entry["stage"] == word)["made"]
        assert made[0] == 0
    assert len({answer["value"] for answer in found["values"]}) == 3


def test_what_changes_text_is_not_judged_from_measurements(pair: Pair) -> None:
    """`repair` decides what was measured: the stage is run."""
    found = whatif(pair.recipe, "clean.repair=false")
    assert found["how"] == "flow"
    assert found["values"][0]["made"] > 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dedupe.threshold=0.5", "did you mean 'dedup'"),
        ("dedup.threshold", "STAGE.PARAMETER=VALUE"),
        ("dedup=1", "STAGE.PARAMETER=VALUE"),
        ("dedup.treshold=0.5", "did you mean 'threshold'"),
        ("clean.gopher.words.min=many", "expected a number"),
    ],
)
def test_a_wrong_setting_is_explained(pair: Pair, setting: str, words: str) -> None:
    """Nearest names and the shape that was expected."""
    with pytest.raises(RecipeError, match=words):
        whatif(pair.recipe, setting)


def test_values_are_split_outside_brackets() -> None:
    """Commas of lists and mappings belong to the value."""
    assert split("0.7, 0.8") == ["0.7", "0.8"]
    assert split("[a, b],[c]") == ["[a, b]", "[c]"]
    assert split("{a: 1, b: 2},3") == ["{a: 1, b: 2}", "3"]


def test_the_verb_prints_a_column_a_value(pair: Pair) -> None:
    """A table, or JSON; what comes after the stage is named."""
    found = json.loads(
        gristmill(
            "whatif", pair.recipe, "clean.gopher.words.min=20,60", "--executor", "serial", "--json"
        ).stdout
    )
    text = render(found)
    assert text.splitlines()[0].split() == ["clean.gopher.words.min", "20", "60"]
    assert "not replayed: langid, dedup" in text
