"""Realised shares of a mixture that is made before its tokenizer runs: how far from the target, group by group.

    python -m tests.bench.shares TOKENIZER.json CORPUS...

A file of the corpora is a group. Half of all tokens are asked for, each group at an equal temperature of 0.7: with the
tokenizer given, with one to be trained afterwards, and with 4 bytes a token everywhere.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.encoding import Encoder
from stages.estimating import Later
from stages.mix import Mix
from stages.tokenize import Tokenize
from stages.training import Training
from tests.bench.texts import texts_of
from tests.stages.rounds import run_global

SHORTEST = 800_000  # bytes; smaller files are left out


def corpus(files: list[Path]) -> pa.Table:
    """A row a document."""
    texts: list[str] = []
    sources: list[str] = []
    for file in files:
        found = texts_of(file)
        if len(found) > 50 and sum(map(len, found)) > SHORTEST:
            texts += found
            sources += [file.name.partition(".")[0]] * len(found)
    text = pa.array(texts, pa.large_string())
    ids = [hashlib.blake2b(str(at).encode(), digest_size=16).digest() for at in range(len(texts))]
    columns = {"doc_id": pa.array(ids, pa.binary(16)), "source": sources, "text": text}
    return pa.table({**columns, "bytes": pc.binary_length(text)})


def measured(name: str, rows: pa.Table, later: Later | None, tokenizer: bytes | None) -> None:
    """Mixes, tokenizes, and prints what came of it."""
    size = int(pc.sum(rows["bytes"]).as_py() / 8)
    stage = Mix(temperature=0.7, tokens=size, max_epochs=6, later=later, sources=())
    started = time.process_time()
    mixed, ruling = run_global(stage, [rows])
    seconds = time.process_time() - started
    assert ruling is not None
    if tokenizer is None:
        trained = Tokenize(train=Training())
        alive: Any = mixed.filter(pc.is_null(mixed["reason"]))
        learned = trained.settle(
            trained.survey(alive, 1, pa.table({"bins": [4096]})).drop_columns("bucket"), 1
        )
        tokenizer = trained.artifacts(learned)["tokenizer.json"]
    counts = Encoder(tokenizer).encode(rows["text"].combine_chunks())[1]
    tokens = (counts + (counts > 0)) * mixed["repeats"].to_numpy()
    sources = np.array(rows["source"].to_pylist())
    total = tokens.sum()
    worst = 0.0
    for plan in ruling.to_pylist():
        realised = tokens[sources == plan["group"]].sum() / total
        off = realised / (plan["target"] / size) - 1
        worst = max(worst, abs(off))
        print(
            f"    {plan['group']:24} share {plan['target'] / size:6.2%} realised {realised:6.2%}  off {off:+.2%}"
        )
    print(
        f"{name}: worst group off {worst:.2%}, total off {total / size - 1:+.2%}, mix {seconds:.1f} s CPU",
        flush=True,
    )


def main(tokenizer: Path, corpora: list[Path]) -> None:
    """Prints a line a group and one a way of counting."""
    files = [file for path in corpora for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    rows = corpus([file for file in files if file.is_file()])
    content = tokenizer.read_bytes()
    measured("4 bytes a token", rows, None, content)
    measured("tokenizer given", rows, Later(file=str(tokenizer)), content)
    measured("trained afterwards", rows, Later(train=Training()), None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
