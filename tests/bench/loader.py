"""The loader alone: shard bytes and ready tokens a second, warm, on one core, beside what training takes.

    taskset -c 1 python -m tests.bench.loader [--rows 16384] [--seq-len 2048] [--set '{"width": 128, ...}'] [FOLDER]

Makes shards of random tokens in FOLDER (a temporary one if left out), four documents a row, and reads rows in
the order of training, 64 a call: tokens and segments (GB/s of shard bytes), then whole batches for each
objective. Training consumes what a short run with --set takes on the same core. CPU seconds throughout; start
it with the memory settings of `gristmill train` (MALLOC_TRIM_THRESHOLD_ and its like) to see what a run sees.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.packed import Packed, packed_schema, write_batches, write_manifest
from trainer.batches import Batches
from trainer.config import parse
from trainer.loop import train
from trainer.order import Order

AT_ONCE, DOCUMENTS, VOCAB = 64, 4, 32000


def shards(folder: Path, rows: int, seq_len: int) -> Packed:
    """Two shards of random tokens, every row full."""
    random, schema = np.random.default_rng(0), packed_schema(seq_len, "uint16")

    def batches(count: int) -> Iterator[pa.RecordBatch]:
        for first in range(0, count, 1024):
            size = min(1024, count - first)
            tokens = random.integers(0, VOCAB, size * seq_len, dtype=np.uint16)
            bounds = np.arange(size + 1, dtype=np.int32) * DOCUMENTS
            lengths = np.full(size * DOCUMENTS, seq_len // DOCUMENTS, np.uint32)
            lengths[DOCUMENTS - 1 :: DOCUMENTS] += seq_len % DOCUMENTS
            idents = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), len(lengths), [None, pa.py_buffer(random.bytes(16 * len(lengths)))]
            )
            flat = [lengths, idents, np.zeros_like(lengths), lengths * 4, np.zeros(len(lengths), np.uint16)]
            columns = [pa.ListArray.from_arrays(bounds, pa.array(column)) for column in flat]
            yield pa.RecordBatch.from_arrays(
                [pa.FixedSizeListArray.from_arrays(pa.array(tokens), seq_len), *columns], schema=schema
            )

    entries = [write_batches(folder / f"train-{n:05d}.arrow", schema, batches(rows // 2)) for n in range(2)]
    (folder / "tokenizer.json").write_text("{}")
    write_manifest(
        folder, seq_len=seq_len, vocab_size=VOCAB, eos_id=0, sources=["all"],
        tokenizer_sha256=hashlib.sha256(b"{}").hexdigest(), shards={"train": entries, "validation": []},
    )  # fmt: skip
    return Packed(folder)


def rate(work: Callable[[int], object], calls: int, tokens: int) -> float:
    """Tokens a CPU second of `calls` calls, after one that warms up."""
    work(0)
    begun = time.process_time()
    for call in range(calls):
        work(call)
    return calls * tokens / (time.process_time() - begun)


def main() -> None:
    """Prints a line a measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--seq-len", type=int, default=2048)
    parser.add_argument("--set", default='{"layers": 4, "heads": 4, "width": 128, "micro_batch": 2}')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        packed = shards(folder, options.rows, options.seq_len)
        split, manifest = packed.split("train"), packed.manifest
        order = Order(manifest.fingerprint, 0, len(split), AT_ONCE)
        tokens, calls = AT_ONCE * options.seq_len, len(split) // AT_ONCE
        split.rows(range(len(split)))

        def read(call: int) -> None:
            rows, _ = order.at(call)
            split.rows(rows)
            split.segments(rows)

        both = rate(read, calls, tokens)
        print(f"rows and segments: {both * 2 / 1e9:.2f} GB/s of shard bytes")
        ready = {}
        for objective in ("causal", "prefix", "masked"):
            batches = Batches(split, manifest, parse({"objective": objective}))
            ready[objective] = rate(lambda n, b=batches: b.make(*order.at(n)), calls // 4, tokens)  # type: ignore[misc]
            print(f"{objective} batches: {ready[objective] / 1e6:.1f} M tokens/s, "
                  f"{ready[objective] * 28 / 1e9:.2f} GB/s handed over")  # fmt: skip
        run = {
            "batch_tokens": 2 * options.seq_len,
            "steps": 6,
            "threads": 1,
            "eval_every": 0,
            "save_every": 0,
        }
        train(packed.folder, Path(temporary) / "out", parse({**run, **json.loads(options.set)}))
        text = (Path(temporary) / "out" / "metrics.jsonl").read_text()
        steps = [line for line in map(json.loads, text.splitlines()) if "eval" not in line][1:]
        taken = sum(line["step_tokens"] for line in steps) / sum(line["cpu_seconds"] for line in steps)
        print(
            f"training takes {taken:,.0f} tokens/s; the loader is {ready['causal'] / taken:,.0f} times as fast"
        )


if __name__ == "__main__":
    main()
