"""What a classifier of documents learns from, and what it must not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stages.base import StageError
from stages.classifier import GOOD, LABEL, Labelled, Training, labelled, learn, loaded, score

TRAINING = Training(paths=("x",), epochs=5, dimensions=4)


def test_a_document_cannot_label_itself(tmp_path: Path) -> None:
    """Its words never become labels of the model, nor its own label a second time."""
    texts = [f"good text number {n} {LABEL}strange {LABEL}bad" for n in range(9)] + ["bad words"] * 9
    examples = Labelled(texts, np.array([True] * 9 + [False] * 9))
    path = tmp_path / "model.bin"
    path.write_bytes(learn(TRAINING, examples))
    model = loaded(path)
    assert sorted(model.get_labels()) == [f"{LABEL}bad", f"{LABEL}good"]
    good, bad = score(model, ["good text number", "bad words"], GOOD)
    assert good > bad


@pytest.mark.parametrize("record", [{"text": None, "label": 1}, {"text": "a", "label": None}, {"label": 1}])
def test_a_record_without_text_or_label_is_an_error(tmp_path: Path, record: dict[str, object]) -> None:
    """Null is not the word "None"."""
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, ({"text": "x", "label": 0}, record))), encoding="utf-8")
    with pytest.raises(StageError, match=r"a\.jsonl, record 2 has no `text` or no `label`"):
        labelled(TRAINING, [path], 100)
