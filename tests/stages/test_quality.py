"""quality learns from labelled files, the same each time, and drops only by threshold or draw."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.base import StageError
from stages.classifier import Labelled, Training, area, held_out
from stages.quality import FILE, Quality
from tests.command import gristmill

Ready: TypeAlias = Callable[..., Quality]

GOOD = [
    "the committee published a careful report on the water supply",
    "a long study of birds in the northern forest",
]
BAD = ["buy cheap pills now click here", "win money fast casino bonus click now"]


@pytest.fixture(scope="module")
def labelled_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Labelled documents in a compressed file."""
    path = tmp_path_factory.mktemp("labelled") / "examples.jsonl.gz"
    examples = [{"text": text, "label": 1} for text in GOOD] + [{"text": text, "label": 0} for text in BAD]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, examples * 5)).encode()))
    return str(path)


def rows(*texts: str) -> pa.Table:
    """A part that holds these texts; ids are the texts' places."""
    return pa.table(
        {
            "row": pa.array(range(len(texts)), pa.uint32()),
            "doc_id": pa.array([place.to_bytes(16, "big") for place in range(len(texts))], pa.binary(16)),
            "text": pa.array(texts, pa.large_string()),
        }
    )


@pytest.fixture
def ready(tmp_path: Path) -> Callable[..., Quality]:
    """A stage with its classifier made and located, as the pipeline hands it to workers."""

    def make(**keys: Any) -> Quality:
        stage = Quality(**keys)
        files = {label: [Path(path) for path in paths] for label, paths in stage.files().items()}
        for name, content in stage.located(files).artifacts().items():
            files[name] = [tmp_path / hashlib.sha256(content).hexdigest()]
            files[name][0].write_bytes(content)
        return stage.located(files)

    return make


def scores(stage: Quality, *texts: str) -> list[float]:
    """The stage's scores of some texts."""
    found: list[float] = stage.apply(rows(*texts)).columns["quality"].to_pylist()
    return found


def test_tells_good_from_bad(labelled_file: str, ready: Ready) -> None:
    """What it learnt, it finds again in new sentences; without bounds nothing is dropped."""
    out = ready(train=Training(paths=(labelled_file,))).apply(
        rows("a careful study of the forest", "click here for money")
    )
    good, bad = out.columns["quality"].to_pylist()
    assert good > 0.8
    assert bad < 0.2
    assert out.reasons.null_count == 2


def test_training_is_deterministic(labelled_file: str) -> None:
    """The same files give the same bytes; another seed does not."""
    stage = Quality(train=Training(paths=(labelled_file,)))
    other = Quality(train=Training(paths=(labelled_file,), seed=1))
    assert stage.artifacts() == stage.artifacts()
    assert stage.artifacts() != other.artifacts()


def test_what_decides_rows_does_not_train_again(labelled_file: str) -> None:
    """Thresholds and draws are no business of the classifier's key; its parameters are."""
    training = Training(paths=(labelled_file,))
    key = Quality(train=training).artifact_identity()
    assert Quality(train=training, threshold=0.5, pareto=9.0, seed=3).artifact_identity() == key
    assert Quality(train=training, characters=100).artifact_identity() != key
    assert Quality(train=Training(paths=(labelled_file,), epochs=3)).artifact_identity() != key


def test_threshold_keeps_equality(labelled_file: str, ready: Ready) -> None:
    """A document with exactly the least score is kept."""
    training = Training(paths=(labelled_file,))
    score = scores(ready(train=training), "the report of the birds")[0]
    exact = ready(train=training, threshold=score).apply(rows("the report of the birds", BAD[0]))
    assert exact.reasons.to_pylist() == [None, "quality.threshold"]


def test_pareto_draws_belong_to_documents(labelled_file: str, ready: Ready) -> None:
    """Good documents mostly stay, bad ones mostly go, and the same ones however the part is cut."""
    training = Training(paths=(labelled_file,))
    stage = ready(train=training, pareto=3.0)
    part = rows(*GOOD[:1] * 300, *BAD[:1] * 300)
    whole = stage.apply(part).reasons.to_pylist()
    assert sum(reason is None for reason in whole[:300]) > 270
    assert 10 < sum(reason is None for reason in whole[300:]) < 80
    halves = (
        stage.apply(part.slice(0, 250)).reasons.to_pylist() + stage.apply(part.slice(250)).reasons.to_pylist()
    )
    assert halves == whole
    assert ready(train=training, pareto=3.0, seed=1).apply(part).reasons.to_pylist() != whole


def test_a_given_model_scores_as_the_trained_one(labelled_file: str, ready: Ready, tmp_path: Path) -> None:
    """`model` takes the artifact, or any other file of fastText's."""
    trained = ready(train=Training(paths=(labelled_file,)))
    path = tmp_path / "good.bin"
    path.write_bytes(trained.artifacts()[FILE])
    assert scores(Quality(model=str(path)), *GOOD, *BAD) == scores(trained, *GOOD, *BAD)
    assert Quality(model=str(path)).artifacts() == {}
    with pytest.raises(StageError, match="set `positive` to one of"):
        Quality(model=str(path), positive="fine").apply(rows("x"))


def test_a_model_that_changed_is_read_again(labelled_file: str, ready: Ready, tmp_path: Path) -> None:
    """Though it was written at the same instant: a worker may have the old one still."""
    path = tmp_path / "good.bin"
    path.write_bytes(ready(train=Training(paths=(labelled_file,))).artifacts()[FILE])
    written = path.stat().st_mtime_ns
    assert len(scores(Quality(model=str(path)), *GOOD)) == len(GOOD)
    path.write_bytes(b"no model")
    os.utime(path, ns=(written, written))
    with pytest.raises(StageError, match="is not a fastText model"):
        scores(Quality(model=str(path)), *GOOD)


def test_one_source_of_the_model() -> None:
    """Neither or both of `model` and `train` is an error."""
    for given in ({}, {"model": "a.bin", "train": {"paths": ["b.jsonl"]}}):
        with pytest.raises(ValidationError, match="either `model`"):
            Quality.model_validate(given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": 1}\n{"text": "b", "label": 1}', "documents of both kinds"),
        ('{"body": "a", "label": 1}', "it has body, label"),
        ('{"text": "a", "label": 1}\n{', "line 2: not JSON"),
        ("[1]", "expected an object"),
    ],
)
def test_labelled_files_that_cannot_teach(tmp_path: Path, content: str, message: str) -> None:
    """One kind of label, a missing field, broken JSON: the error names file, place and what to do."""
    path = tmp_path / "examples.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StageError, match=message):
        Quality(train=Training(paths=(str(path),))).artifacts()


def test_places_of_files_stay_out_of_the_identity() -> None:
    """The digests of the files decide, not where they lie."""
    assert Quality(model="a.bin").identity() == Quality(model="b.bin").identity()
    one, other = Quality(train=Training(paths=("a",))), Quality(train=Training(paths=("b",)))
    assert one.identity() == other.identity()
    assert one.files() == {"train": ("a",)}


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    """Against all pairs, ties half; the interval is DeLong's, by its definition."""
    draw = np.random.default_rng(3)
    good = draw.random(60) < 0.4
    found = np.round(draw.random(60) + good * 0.3, 1).astype(np.float32)
    pairs = (found[good][:, None] > found[~good]) + 0.5 * (found[good][:, None] == found[~good])
    spread = pairs.mean(1).var(ddof=1) / good.sum() + pairs.mean(0).var(ddof=1) / (~good).sum()
    held = area(found, good)
    assert held.auc == pytest.approx(pairs.mean())
    assert (held.low + held.high) / 2 == pytest.approx(held.auc)
    assert (held.high - held.low) / 2 == pytest.approx(1.959964 * spread**0.5)
    assert (held.good, held.bad) == (int(good.sum()), int((~good).sum()))


def test_a_held_out_document_teaches_nothing() -> None:
    """Labels that hang on the text alone cannot be guessed from other texts: chance, not 1."""
    draw = np.random.default_rng(5)
    words = [" ".join(f"w{n}" for n in draw.integers(0, 400, 12)) for _ in range(120)]
    examples = Labelled(words * 2, np.tile(draw.random(120) < 0.5, 2))
    held = held_out(Training(paths=("x",), epochs=20), examples, 4)
    assert held.low < 0.5 < held.high + 0.1
    assert held.auc < 0.7


def test_the_verb_writes_the_model_that_a_recipe_trains(labelled_file: str, tmp_path: Path) -> None:
    """And says how well it judges what it has not read; wrong fields are named, exit code 2."""
    out = tmp_path / "models" / "good.bin"
    said = gristmill("train-classifier", labelled_file, "--out", out, "--folds", "0").stdout
    assert said == f"model: {out}\n"
    assert out.read_bytes() == Quality(train=Training(paths=(labelled_file,))).artifacts()[FILE]
    again = gristmill("train-classifier", labelled_file, "--out", out, "--folds", "2", "--json", expect=None)
    wrong = gristmill("train-classifier", labelled_file, "--out", out, "--label", "grade", expect=2)
    assert "has no `text` or no `grade`" in wrong.stderr
    assert again.returncode == 2  # two texts of a kind: a fold may hold all of one
