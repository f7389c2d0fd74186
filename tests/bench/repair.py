"""Text repair against ftfy on every document of some files: equality, and MB/s a core of both.

    python tests/bench/repair.py [--skip-ftfy] FILE.jsonl[.zst|.gz] ...

Not a test: it takes minutes, because ftfy does (about 2 MB/s).
"""

import argparse
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from ftfy import fix_text

from stages.repair import CONFIGURATION, repaired
from tests.bench.texts import texts_of
from tests.kernels.references import tidied

if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--skip-ftfy", action="store_true")
    arguments.add_argument("files", nargs="+", type=Path)
    given = arguments.parse_args()
    repaired(pa.array(["âœ” &amp; é"], pa.large_string()), ftfy=True)  # compiles
    total = spent = slow = differing = documents = changed = 0.0
    for file in given.files:
        texts = texts_of(file)
        column = pa.array(texts, pa.large_string())
        size = pc.sum(pc.binary_length(column)).as_py() or 0
        begun = time.process_time()
        stored, tallies = repaired(column, ftfy=True)
        seconds = time.process_time() - begun
        total, spent, documents = total + size, spent + seconds, documents + len(texts)
        changed += tallies["repaired"]
        if not given.skip_ftfy:
            begun = time.process_time()
            expected = [fix_text(text, CONFIGURATION) for text in texts]
            slow += time.process_time() - begun
            differing += sum(
                tidied(wanted) != found for wanted, found in zip(expected, stored.to_pylist(), strict=True)
            )
        print(
            f"{file.name}: {size / 1e6:.1f} MB, {size / 1e6 / max(seconds, 1e-9):.1f} MB/s, {tallies}",
            flush=True,
        )
    print(f"{documents:.0f} documents, {changed:.0f} repaired, {total / 1e6 / spent:.1f} MB/s")
    if not given.skip_ftfy:
        print(f"ftfy {total / 1e6 / slow:.2f} MB/s; {differing:.0f} documents differ")
