"""A classifier is learnt once a run and found again by every run that asks for the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.store import read_marker
from pipeline.verify import verify
from tests.pipeline.conftest import perform

GOOD = "the committee published a careful report on the water supply of town {}"
BAD = "win money fast at casino {} click here now"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Two parts of documents, and examples of what is good."""
    for part in "ab":
        texts = [GOOD.format(f"{part}{n}") for n in range(20)] + [BAD.format(f"{part}{n}") for n in range(20)]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / f"{part}.jsonl").write_text(lines)
    examples = [
        {"text": t.format(n), "label": label} for n in range(20) for t, label in ((GOOD, 1), (BAD, 0))
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(one) + "\n" for one in examples))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: q\nload:\n  part_bytes: 1000\n  sources: [{name: s, paths: [a.jsonl, b.jsonl]}]\n"
        "quality: {train: {paths: [labelled.jsonl], epochs: 20}, threshold: 0.5}\n"
    )
    return path


def models(recipe: Path) -> list[Path]:
    """The classifiers in the store."""
    return sorted((recipe.parent / "work" / "store" / "quality").rglob("*.classifier.bin"))


def test_a_classifier_is_learnt_once_and_read_by_all_parts(recipe: Path) -> None:
    """It lies in the store as a file of its own; the stage's marker vouches for it."""
    run = perform(recipe)
    entry = run.record()["stages"][1]
    assert len(entry["parts"]) >= 2
    assert entry["dropped"] == {"quality.threshold": 40}
    (stem,) = entry["steps"]["learn"]
    marker = read_marker(Path(stem))
    assert marker is not None
    assert list(marker["files"]) == [path.name for path in models(recipe)] == ["learnt.classifier.bin"]
    assert verify(run) == []


def test_another_threshold_learns_nothing_anew(recipe: Path) -> None:
    """Other examples, or other parameters of training, do."""
    perform(recipe)
    perform(recipe, "quality.threshold=0.9")
    assert len(models(recipe)) == 1
    perform(recipe, "quality.train.epochs=10")
    assert len(models(recipe)) == 2
    with (recipe.parent / "labelled.jsonl").open("a") as file:
        file.write(json.dumps({"text": "free pills", "label": 0}) + "\n")
    perform(recipe)
    assert len(models(recipe)) == 3


def test_a_damaged_classifier_is_learnt_again(recipe: Path) -> None:
    """The bytes come out as they were, so no part is scored again."""
    first = perform(recipe)
    before = models(recipe)[0].read_bytes()
    models(recipe)[0].write_bytes(before[:-1])
    again = perform(recipe)
    assert models(recipe)[0].read_bytes() == before
    assert [entry["key"] for entry in again.record()["stages"]] == [
        entry["key"] for entry in first.record()["stages"]
    ]
    assert again.record()["stages"][1]["made"][0] == 1
