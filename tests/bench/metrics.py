"""MB/s a core of all measurements of RULES 1 to 5, and of the kernels they come from.

python tests/bench/metrics.py FILE.jsonl[.zst|.gz] ...
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa

from stages.columns import utf8
from stages.kernels import measures, repetition, scripts, sentences
from stages.measuring import c4_measured, measured
from tests.bench.texts import texts_of


def seconds(work: Callable[[], object]) -> float:
    """Median CPU seconds of three runs, after one that compiles."""
    work()
    spans = []
    for _ in range(3):
        begun = time.process_time()
        work()
        spans.append(time.process_time() - begun)
    return median(spans)


if __name__ == "__main__":
    texts = pa.array([text for file in sys.argv[1:] for text in texts_of(Path(file))], pa.large_string())
    data, bounds = utf8(texts)
    table = measures.stop_word_table([["the", "of", "and"]])
    for name, work in {
        "all measurements": lambda: (
            measured(texts, None),
            c4_measured(texts, ["en"] * len(texts), {}, apply=False),
        ),
        "C4 lines": lambda: c4_measured(texts, ["en"] * len(texts), {}, apply=False),
        "sentences": lambda: sentences.count_sentences(data, bounds),
        "characters, lines, tokens": lambda: measures.measure(data, bounds, table, 1),
        "words and repetition": lambda: repetition.repetition(data, bounds),
        "scripts": lambda: scripts.scripts(data, bounds),
    }.items():
        print(f"{name}: {len(data) / 1e6 / seconds(work):.1f} MB/s")
