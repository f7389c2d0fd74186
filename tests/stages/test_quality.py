"""quality learns from labelled files, the same each time, and drops only by threshold or draw."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.base import StageError
from stages.quality import Quality, Training, trained

GOOD = [
    "the committee published a careful report on the water supply",
    "a long study of birds in the northern forest",
]
BAD = ["buy cheap pills now click here", "win money fast casino bonus click now"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> str:
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


def scores(stage: Quality, *texts: str) -> list[float]:
    """The stage's scores of some texts."""
    found: list[float] = stage.apply(rows(*texts)).columns["quality"].to_pylist()
    return found


def test_tells_good_from_bad(labelled: str) -> None:
    """What it learnt, it finds again in new sentences; without bounds nothing is dropped."""
    out = Quality(train=Training(paths=(labelled,))).apply(
        rows("a careful study of the forest", "click here for money")
    )
    good, bad = out.columns["quality"].to_pylist()
    assert good > 0.8
    assert bad < 0.2
    assert out.reasons.null_count == 2


def test_training_is_deterministic(labelled: str) -> None:
    """Trained twice from the same file, the classifier gives the same scores to the last bit."""
    stage = Quality(train=Training(paths=(labelled,)))
    first = scores(stage, *GOOD, "something else")
    trained.cache_clear()
    assert scores(stage, *GOOD, "something else") == first


def test_threshold_keeps_equality(labelled: str) -> None:
    """A document with exactly the least score is kept."""
    training = Training(paths=(labelled,))
    score = scores(Quality(train=training), "the report of the birds")[0]
    exact = Quality(train=training, threshold=score).apply(rows("the report of the birds", BAD[0]))
    assert exact.reasons.to_pylist() == [None, "quality.threshold"]


def test_pareto_draws_belong_to_documents(labelled: str) -> None:
    """Good documents mostly stay, bad ones mostly go, and the same ones however the part is cut."""
    stage = Quality(train=Training(paths=(labelled,)), pareto=3.0)
    part = rows(*GOOD[:1] * 300, *BAD[:1] * 300)
    whole = stage.apply(part).reasons.to_pylist()
    assert sum(reason is None for reason in whole[:300]) > 270
    assert 10 < sum(reason is None for reason in whole[300:]) < 80
    halves = (
        stage.apply(part.slice(0, 250)).reasons.to_pylist() + stage.apply(part.slice(250)).reasons.to_pylist()
    )
    assert halves == whole
    assert (
        Quality(train=Training(paths=(labelled,)), pareto=3.0, seed=1).apply(part).reasons.to_pylist()
        != whole
    )


def test_a_saved_model_scores_as_the_trained_one(labelled: str, tmp_path: Path) -> None:
    """`model` takes fastText's own files."""
    training = Training(paths=(labelled,))
    path = tmp_path / "good.bin"
    trained(training, (Path(labelled),), 5000).save_model(str(path))
    assert np.allclose(
        scores(Quality(model=str(path)), *GOOD, *BAD), scores(Quality(train=training), *GOOD, *BAD)
    )
    with pytest.raises(StageError, match="set `positive` to one of"):
        Quality(model=str(path), positive="fine").apply(rows("x"))


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
        Quality(train=Training(paths=(str(path),))).apply(rows("a"))


def test_places_of_files_stay_out_of_the_identity() -> None:
    """The digests of the files decide, not where they lie."""
    assert Quality(model="a.bin").identity() == Quality(model="b.bin").identity()
    one, other = Quality(train=Training(paths=("a",))), Quality(train=Training(paths=("b",)))
    assert one.identity() == other.identity()
    assert one.files() == {"train": ("a",)}
