"""Memory of one worker that encodes gigabytes of ever new words: peak, and speed as the cache comes and goes.

    python -m tests.bench.growth TOKENIZER.json CORPUS GIGABYTES

The corpus is read over and over with its letters exchanged, so that every pass brings a vocabulary of its own.
"""

from __future__ import annotations

import resource
import string
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.columns import utf8
from stages.tokenize import Tokenize
from tests.bench.texts import texts_of

PART_BYTES = 32 << 20


def exchanged(texts: pa.Array, seed: int) -> pa.Array:
    """The texts with the letters a to z, and A to Z, permuted."""
    draw, table = np.random.default_rng(seed), np.arange(256, dtype=np.uint8)
    for letters in (string.ascii_lowercase, string.ascii_uppercase):
        codes = np.frombuffer(letters.encode(), np.uint8)
        table[codes] = draw.permutation(codes)
    data, bounds = utf8(texts)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(bounds), pa.py_buffer(table[data]))


def main(tokenizer: Path, corpus: Path, gigabytes: float) -> None:
    """Prints a line a gigabyte."""
    texts = pa.array(texts_of(corpus), pa.large_string())
    stage = Tokenize(file=str(tokenizer))
    done = passes = 0
    seconds = 0.0
    bounds = utf8(texts)[1]
    cuts = np.searchsorted(bounds, np.arange(0, bounds[-1], PART_BYTES))
    while done < gigabytes * 1e9:
        passed = exchanged(texts, passes)
        for first, last in zip(cuts, [*cuts[1:], len(texts)], strict=True):
            part = passed.slice(first, last - first)
            started = time.process_time()
            out = stage.apply(pa.table({"text": part}), None)
            seconds += time.process_time() - started
            assert out.tallies["engine_mismatches"] == 0
            done += out.tallies["bytes"]
        passes += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if passes % 8 == 0 or done >= gigabytes * 1e9:
            print(f"{done / 1e9:6.2f} GB  {done / seconds / 1e6:6.1f} MB/s  peak {peak:6.0f} MB", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
