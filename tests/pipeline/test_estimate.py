"""An estimate comes from the recipe's own stages on a sample that keeps copies together."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline import estimate, sampling
from pipeline import recipe as recipes
from pipeline.inputs import Inputs
from stages.base import Source
from tests import corpus
from tests.command import gristmill, surroundings
from tests.pipeline.conftest import Pair


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe over 1,500 documents in three files, a third of them with a copy somewhere."""
    monkeypatch.setattr(sampling, "LEAST", 50_000)
    draw = random.Random(5)
    texts = [corpus.document(draw) for _ in range(1000)]
    rows = [{"text": text} for text in (*texts, *texts[:500])]
    draw.shuffle(rows)
    for number in range(3):
        lines = [json.dumps(row) for row in rows[number::3]]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text("load: {sources: [{name: all, paths: ['*.jsonl']}]}\nclean: {}\ndedup: {max_drop: 1.0}\n")
    return path


def drawn(path: Path, share: float) -> sampling.Sample:
    """A sample of a recipe's sources."""
    recipe = recipes.read(path)
    source = recipe.stages[0]
    assert isinstance(source, Source)
    return sampling.draw(source, Inputs(recipe.work / "store").of_sources(source, recipe.base), share)


def test_copies_are_drawn_together(many: Path) -> None:
    """Of every text all documents are in the sample or none; about as much is drawn as was asked for."""
    sample = drawn(many, 0.1)
    texts = Counter(text for table in sample.drawn.values() for text in table["text"].to_pylist())
    rows = [
        json.loads(line)["text"]
        for n in range(3)
        for line in (many.parent / f"{n}.jsonl").read_text().splitlines()
    ]
    whole = Counter(rows)
    assert all(whole[text] == count for text, count in texts.items())
    assert 2 in texts.values()
    size = sum(len(text.encode()) * count for text, count in texts.items())
    assert size == pytest.approx(0.1 * sample.size, rel=0.1)
    assert sample.size == sum(len(text.encode()) for text in rows)
    assert (sample.documents, sample.exact) == (1500, True)
    eighth = sample.part(1 / 8)
    assert 0 < sum(map(len, eighth.values())) < sum(map(len, sample.drawn.values())) / 4


def test_sizes_are_extrapolated_where_not_all_is_read(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the text a byte of file of what was read."""
    monkeypatch.setattr(sampling, "READ", 200_000)
    recipe = many.read_text().replace("]}]}", "]}], part_bytes: 100000}", 1)
    many.write_text(recipe)
    truth = sum(path.stat().st_size for path in many.parent.glob("*.jsonl"))
    sample = drawn(many, 0.1)
    assert not sample.exact
    assert sample.size == pytest.approx(truth, rel=0.15)
    assert sample.documents == pytest.approx(1500, rel=0.2)


def test_an_estimate_says_what_is_kept_and_what_it_takes(many: Path) -> None:
    """A third of the documents are copies, which a tenth of them shows; all sums are those of the rows."""
    found = estimate.estimate(recipes.read(many), 0.1)
    rows = {row["stage"]: row for row in found["stages"]}
    assert list(rows) == ["load", "clean", "dedup", "report", "start"]
    assert rows["load"]["documents"] == pytest.approx(1500, rel=0.15)
    assert rows["dedup"]["documents"] == pytest.approx(1000, rel=0.15)
    assert found["total"]["seconds"] == pytest.approx(sum(row["seconds"] for row in rows.values()), abs=0.06)
    assert found["total"]["disk"] == sum(row["disk"] for row in rows.values())
    assert found["total"]["peak_mb"] > 50
    assert list(many.parent.glob("work/store/*/")) == []


def test_a_small_corpus_is_taken_whole(pair: Pair) -> None:
    """Then tokens and documents are those of a run; the verb prints them, and JSON."""
    said = json.loads(
        gristmill("plan", pair.recipe, "--estimate", "--json", "--work", pair.first.work / "not").stdout
    )
    assert said["sample"]["share"] == pytest.approx(1.0)
    stages = {entry["stage"]: entry for entry in pair.first.record()["stages"]}
    for row in said["stages"]:
        if row["stage"] in stages:
            assert row["documents"] == stages[row["stage"]]["alive"]
    packed = json.loads((pair.first.path / "packed" / "manifest.json").read_text())
    assert said["total"]["tokens"] == pytest.approx(
        sum(s["tokens"] for s in packed["splits"].values()), rel=0.02
    )
    text = estimate.render(said)
    assert text.splitlines()[0].split() == ["stage", "work", "peak", "disk", "documents", "tokens"]
    assert "100.0% of" in text


def test_an_estimate_runs_in_the_environment_of_workers() -> None:
    """The process starts itself again with it, once, and has loaded what workers have."""
    code = (
        "import os, sys; from pipeline.executors import THREADS, like_a_worker; like_a_worker();"
        "print(all(os.environ[name] == value for name, value in THREADS.items()), 'numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **surroundings()
    )
    assert done.stdout.split() == ["True", "True"]
