"""AUC of the quality classifier, five folds by a hash of the text, 95 % interval by bootstrap.

python tests/bench/quality.py quality/dclm_human_quality.jsonl.zst
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.quality import Quality, Training, _records

FOLDS = 5


def auc(scores: np.ndarray, good: np.ndarray) -> float:
    """Area under the ROC curve: the share of pairs in order, ties half."""
    order = scores[good][:, None] - scores[~good][None, :]
    return float((order > 0).mean() + (order == 0).mean() / 2)


if __name__ == "__main__":
    records = list(_records(Path(sys.argv[1])))
    fold_of = np.array([hashlib.sha256(r["text"].encode()).digest()[0] % FOLDS for r in records])
    good = np.array([str(r["label"]) == "1" for r in records])
    settings = dict(pair.split("=") for pair in sys.argv[2:])
    scores = np.zeros(len(records))
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(FOLDS):
            path = Path(folder) / f"{fold}.jsonl"
            taught = [json.dumps(records[i]) for i in np.flatnonzero(fold_of != fold)]
            path.write_text("\n".join(taught), encoding="utf-8")
            stage = Quality(train=Training.model_validate({"paths": (str(path),), **settings}))
            asked = np.flatnonzero(fold_of == fold)
            part = pa.table({"text": pa.array([records[i]["text"] for i in asked], pa.large_string())})
            scores[asked] = stage.apply(part).columns["quality"].to_numpy()
    draw = np.random.default_rng(0)
    again = [draw.integers(0, len(good), len(good)) for _ in range(1000)]
    low, high = np.quantile([auc(scores[i], good[i]) for i in again], (0.025, 0.975))
    print(f"AUC {auc(scores, good):.3f}, 95 % interval {low:.3f} to {high:.3f}, {len(good)} documents")
