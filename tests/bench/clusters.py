"""From band keys to components: synthetic documents, seconds and memory of one core.

    python -m tests.bench.clusters [DOCUMENTS [EDGES]]

One document in ten shares each of its keys with a probability of 0.6 with one of its neighbours. With EDGES, memberships beyond them are merged over files before
they are settled, as the pipeline does. Not a test.
"""

import hashlib
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

    def peak() -> float:
        """MB so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    stage.settle(stage.merge(stage.decide(bucket(0).slice(0, 1000), 0), 0), 0)
    before = peak()
    spent = 0.0
    decided: list[Path] = []

    def kept(table: pa.Table) -> Path:
        """A file of decisions, as the store holds them."""
        path = folder / f"{time.perf_counter_ns()}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return path

    def read(paths: list[Path]) -> pa.Table:
        """Files of decisions, memory-mapped."""
        return pa.concat_tables(
            [pa.ipc.open_file(pa.memory_map(str(path), "rb")).read_all() for path in paths]
        )

    for number in range(64):
        findings = bucket(number)
        start = time.process_time()
        found = stage.decide(findings, 0)
        spent += time.process_time() - start
        decided.append(kept(found))
    total = len(read(decided))
    print(f"decided {spent:.1f} s, {total} memberships; peak {before:.0f} MB before, {peak():.0f} MB now")
    edges = int(sys.argv[2]) if len(sys.argv) > 2 else total
    start = time.process_time()
    while len(read(decided)) > edges and len(decided) > 1:
        decided = [kept(stage.merge(read(decided[k : k + 2]), 0)) for k in range(0, len(decided), 2)]
        print(f"  merged into {len(decided)} files, {len(read(decided))} memberships; peak {peak():.0f} MB")
    ruling = stage.settle(read(decided), 0)
    spent += time.process_time() - start
    own = ruling.sort_by([("part", "ascending"), ("row", "ascending")])
    digest = hashlib.sha256(own["component"].to_numpy().tobytes()).hexdigest()[:16]
    print(
        f"settled: {spent:.1f} s in all, {len(ruling)} candidates, components {digest}; peak {peak():.0f} MB"
    )
    shutil.rmtree(folder)
