"""AUC of the quality classifier on held-out folds, with its interval: what `gristmill train-classifier` prints.

python tests/bench/quality.py quality/dclm_human_quality.jsonl.zst [epochs=5 ...]
"""

import sys
import time
from pathlib import Path

from stages.classifier import Training, held_out, labelled, learn

FOLDS = 5

if __name__ == "__main__":
    settings = dict(pair.split("=") for pair in sys.argv[2:])
    training = Training.model_validate({"paths": (sys.argv[1],), **settings})
    examples = labelled(training, [Path(sys.argv[1])], 5000)
    held = held_out(training, examples, FOLDS)
    print(
        f"AUC {held.auc:.3f}, 95 % interval {held.low:.3f} to {held.high:.3f}, {held.good} + {held.bad} documents"
    )
    begun = time.process_time()
    size = len(learn(training, examples))
    print(f"training {time.process_time() - begun:.2f} s, model {size / 1e6:.1f} MB")
