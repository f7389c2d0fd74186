"""From band keys to components: synthetic documents, seconds and memory of one core.

    python tests/bench/clusters.py [DOCUMENTS]

One document in ten shares each of its keys with a probability of 0.6 with one of its neighbours. Not a test.
"""

import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.dedup import Dedup

if __name__ == "__main__":
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    stage = Dedup()
    draw = np.random.default_rng(0)
    rows = np.arange(documents, dtype=np.uint32)
    copies = np.flatnonzero(draw.random(documents) < 0.1)

    folder = Path(tempfile.mkdtemp())
    for _ in range(15):
        keys = draw.integers(0, 2**64, documents, np.uint64) & ~np.uint64(3)
        taken = copies[draw.random(len(copies)) < 0.6]
        keys[taken] = keys[np.maximum(taken - draw.integers(1, 3, len(taken)), 0)]
        numbers = (keys >> np.uint64(58)).astype(np.uint8)
        order = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=64))
        for number, own in enumerate(np.split(order, ends[:-1])):
            with (folder / f"{number}.bin").open("ab") as file:
                np.rec.fromarrays([keys[own], rows[own]], names="key,row").tofile(file)

    def bucket(number: int) -> pa.Table:
        """The findings of one bucket: about 15 / 64 keys a document."""
        found = np.fromfile(folder / f"{number}.bin", [("key", "<u8"), ("row", "<u4")])
        key, row = np.ascontiguousarray(found["key"]), np.ascontiguousarray(found["row"])
        return pa.table({"key": key, "row": row, "part": np.zeros(len(row), np.uint32)})

    stage.settle(stage.decide(bucket(0).slice(0, 1000), 0), 0)
    spent = 0.0
    decided = []
    for number in range(64):
        findings = bucket(number)
        start = time.process_time()
        decided.append(stage.decide(findings, 0))
        spent += time.process_time() - start
    print(f"decided {spent:.1f} s, {sum(map(len, decided))} memberships")
    start = time.process_time()
    ruling = stage.settle(pa.concat_tables(decided), 0)
    print(f"settled {time.process_time() - start:.1f} s, {len(ruling)} candidates")
    print(
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (that of the set-up counts too)"
    )
    shutil.rmtree(folder)
