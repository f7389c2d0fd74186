"""The plan shows the mixture before it is made, with what is known of it and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe as recipes
from pipeline.errors import RecipeError
from pipeline.mixture import Mixture
from pipeline.plan import plan
from pipeline.stored import Stored
from tests import corpus
from tests.command import gristmill
from tests.pipeline.conftest import Pair, perform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus, run as far as dedup."""
    path = corpus.write(tmp_path_factory.mktemp("mixture"))
    perform(path, last="dedup")
    return path


def planned(recipe: Path, *settings: str, work: Path | None = None) -> Mixture:
    """The mixture of the plan."""
    (found,) = [line.mixture for line in plan(recipes.read(recipe, settings, work)) if line.stage == "mix"]
    assert found is not None
    return found


WEIGHTS = "mix={weights: {books: 0.5, web: 0.25, forum: 0.25}, tokens: 8000}"


def test_before_anything_ran_weights_are_shown_and_sizes_are_bounds(folder: Path, tmp_path: Path) -> None:
    """Shares and targets of the recipe; tokens at most what the files can hold; which stages have yet to run."""
    found = planned(folder, WEIGHTS, work=tmp_path)
    assert {group.name: (group.share, group.target) for group in found.groups} == {
        "books": (0.5, 4000),
        "forum": (0.25, 2000),
        "web": (0.25, 2000),
    }
    assert all(group.documents is None and group.available for group in found.groups)
    assert "at most: load, clean, langid, dedup, decontaminate not run yet" in found.note
    assert "known after decontaminate" in found.note


def test_shares_that_follow_sizes_are_not_guessed_from_files(folder: Path, tmp_path: Path) -> None:
    """Temperature needs sizes, and a compressed file has none."""
    assert [group.share for group in planned(folder, work=tmp_path).groups] == [None] * 3


def test_sizes_are_those_of_the_last_stage_that_ran(folder: Path) -> None:
    """Documents that dedup left; what comes between it and mix is named."""
    found = planned(folder)
    status = json.loads(gristmill("status", "--work", str(folder.parent / "work"), "--json").stdout)
    left = next(entry for entry in status["stages"] if entry["stage"] == "dedup")["by_source"]
    assert {group.name: group.documents for group in found.groups} == {k: b["alive"] for k, b in left.items()}
    assert sum(group.share or 0 for group in found.groups) == pytest.approx(1)
    assert sum(group.target or 0 for group in found.groups) == 30_000
    assert "sizes after dedup" in found.note
    assert "decontaminate not run yet" in found.note


def test_what_cannot_be_had_is_said_before_anything_runs(folder: Path) -> None:
    """Even with all there could be, the budget is too large: the plan says what the run would say."""
    found = planned(folder, "mix.tokens=900000")
    assert found.problem is not None
    assert "largest feasible budget" in found.problem
    lines = gristmill("plan", str(folder), "--set", "mix.tokens=900000").stdout
    assert "largest feasible budget" in " ".join(lines.split())


def test_a_mixture_that_was_made_is_shown_as_it_is(pair: Pair) -> None:
    """The same numbers as in the report."""
    found = planned(pair.recipe)
    report = {
        row["group"]: row for row in json.loads((pair.first.path / "report.json").read_text())["mixture"]
    }
    for group in found.groups:
        assert (group.target, group.available) == (
            report[group.name]["target"],
            report[group.name]["available"],
        )
    assert "as it was made" in found.note


def test_the_command_prints_the_groups(folder: Path) -> None:
    """A table below the stages; with --json, a key of the line of mix."""
    text = gristmill("plan", str(folder)).stdout
    assert "mixture: sizes after dedup" in text
    assert "books" in text.partition("mixture:")[2]
    lines: list[dict[str, Any]] = json.loads(gristmill("plan", str(folder), "--json").stdout)
    (mixed,) = [line["mixture"] for line in lines if line["stage"] == "mix"]
    assert {group["name"] for group in mixed["groups"]} == {"books", "web", "forum"}


def test_groups_of_any_column_are_mixed_and_reported(folder: Path) -> None:
    """A measurement by ranges: planned by name, realised in the report, summing to all that is kept."""
    setting = "mix={by: [source, words], ranges: {words: [60]}, temperature: 0.5, max_epochs: 3}"
    assert "known when mix has run" in planned(folder, setting).note
    run = perform(folder, setting)
    rows = json.loads((run.path / "report.json").read_text())["mixture"]
    assert {row["group"] for row in rows} == {
        f"{name}/{size}" for name in ("books", "forum", "web") for size in ("below 60", "from 60")
    }
    assert sum(row["documents"] for row in rows) == Stored(run).stages[-1]["alive"]


def test_a_column_that_no_stage_writes_is_an_error_of_the_recipe(folder: Path) -> None:
    """Found before anything runs, with the stage to add."""
    with pytest.raises(RecipeError) as error:
        recipes.read(folder, ["mix.by=quality"])
    assert "mix reads the column 'quality'" in str(error.value.complaints)
    assert "put quality: before it" in str(error.value.complaints)
