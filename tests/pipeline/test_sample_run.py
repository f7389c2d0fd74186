"""The sample from end to end, as the README runs it: every planted record has its fate, and a model learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import results
from tests.command import HOME, gristmill

RECIPE = HOME / "sample_data" / "recipe.yaml"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the sample's recipe, training included."""
    folder = tmp_path_factory.mktemp("sample") / "work"
    gristmill("run", RECIPE, "--work", folder)
    return folder


def labels() -> list[dict[str, Any]]:
    """What the generator of the sample says of each record."""
    text = (HOME / "sample_data" / "corpus" / "labels.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_every_planted_record_has_its_fate(work: Path) -> None:
    """Kept, dropped by the labelled stage, or quarantined; records that are no documents make no row."""
    fates = {(row["file"], row["record"]): row["fate"] for row in results.documents(work)}
    wrong = []
    for label in labels():
        fate = fates.get((label["file"], label["record"]), "no_row")
        if label["fate"] != "either" and label.get("when") != "presets" and fate != label["fate"]:
            wrong.append((label["at"], label["kind"], label["fate"], fate))
    assert not wrong


def test_a_model_learns_more_than_how_often_tokens_occur(work: Path) -> None:
    """Within the recipe's 100 steps the loss falls below the unigram entropy of the tokens."""
    summary = json.loads((results.run_folder(work) / "train" / "summary.json").read_text())
    assert summary["steps"] == 100
    assert summary["train_loss_final"] < summary["unigram_entropy"] - 0.3
    assert summary["validation_loss"] < summary["unigram_entropy"]


def test_a_second_run_has_nothing_to_do(work: Path) -> None:
    """And says so."""
    assert gristmill("run", RECIPE, "--work", work).stdout.startswith("nothing to do")


def test_everything_of_the_sample_verifies(work: Path) -> None:
    """Digests, conservation, and rows decoded and compared with the documents."""
    assert "everything verifies" in gristmill("verify", "--packed", "--work", work).stdout
