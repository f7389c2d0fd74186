"""Speed of load on one JSON Lines file, beside what its libraries alone need for the same bytes.

python tests/bench/load.py FILE.jsonl

CPU seconds, best of five, in turn: splitting and decoding with orjson; the same and an Arrow column of the
texts; the stage, with ids, offsets and everything else. Does not write parts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa

from stages.formats.discover import discover, examine
from stages.load import Load


def main() -> None:
    """Prints a line a contestant."""
    path = Path(sys.argv[1]).resolve()
    data = path.read_bytes()
    load = Load(sources=[{"name": "bench", "paths": [str(path)]}])
    files = [examine(found, "bench", load.part_bytes) for found in discover(load.sources[0], path.parent)]
    pieces = load.slices(files)

    def decode() -> int:
        return sum(len(orjson.loads(line)) for line in data.splitlines())

    def column() -> int:
        texts = [orjson.loads(line)["text"] for line in data.splitlines()]
        return sum(
            pa.array(texts[at : at + 200], pa.large_string()).nbytes for at in range(0, len(texts), 200)
        )

    def stage() -> int:
        return sum(table.num_rows for piece in pieces for table in load.read(piece))

    contestants: dict[str, Callable[[], int]] = {
        "orjson": decode,
        "orjson and a column": column,
        "load": stage,
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(5):
        for name, run in contestants.items():
            begin = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - begin)
    for name, seconds in best.items():
        print(f"{name:20s} {len(data) / seconds / 1e6:6.0f} MB/s  {best['load'] / seconds:5.2f} x load")


if __name__ == "__main__":
    main()
