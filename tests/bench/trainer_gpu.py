"""On a GPU: MFU of the 124M shape without and with document masks, side by side with nanoGPT's train.py.

    python -m tests.bench.trainer_gpu [--nanogpt CHECKOUT] [--steps 60] [--out FOLDER]

12 layers, 12 heads, width 768, 1,024 tokens a row, 50,304 ids, 491,520 tokens a step, bf16, compiled, fused
AdamW. Text is random and the first ten steps, in which the compiler runs, are not counted. nanoGPT's own
train.py runs in a process of its own on random tokens at its published GPT-2 settings for one GPU, and its
`iter N: ... time X ms` lines are read. Device and versions are printed: a figure without them says nothing.

MFU = tokens/s x (6 x parameters that multiply + 12 x layers x width x row) / the GPU's dense bf16 peak.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from stages.packed import packed_schema, write_manifest, write_shard

ROW, VOCAB, STEP, WARM = 1024, 50304, 491_520, 10


def shards(folder: Path, rows: int, documents: int) -> Path:
    """Random tokens; so many documents of one length in every row."""
    folder.mkdir(parents=True)
    random, schema = np.random.default_rng(0), packed_schema(ROW, "uint16")
    size = ROW // documents
    idents = [hashlib.sha256(str(n).encode()).digest()[:16] for n in range(rows * documents)]
    columns: list[list[Any]] = [
        list(random.integers(1, VOCAB, (rows, ROW), dtype=np.uint16)),
        [[size] * documents] * rows,
        [idents[n * documents : (n + 1) * documents] for n in range(rows)],
        [[0] * documents] * rows,
        [[4 * size] * documents] * rows,
        [[0] * documents] * rows,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    entry = write_shard(folder / "train-00000.arrow", pa.Table.from_arrays(arrays, schema=schema))
    (folder / "tokenizer.json").write_text("{}")
    write_manifest(
        folder, seq_len=ROW, vocab_size=VOCAB, eos_id=0, sources=["random"],
        tokenizer_sha256=hashlib.sha256(b"{}").hexdigest(), shards={"train": [entry], "validation": []},
    )  # fmt: skip
    return folder


def ours(packed: Path, out: Path, steps: int, **changes: Any) -> dict[str, float]:
    """Medians of a run's metrics, in a process of its own."""
    config = {
        "layers": 12, "heads": 12, "width": 768, "batch_tokens": STEP, "micro_batch": 32, "steps": steps,
        "eval_every": 0, "save_every": 0, "guard": "off", "lr": 6e-4,
    } | changes  # fmt: skip
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config))
    arguments = ["--packed", str(packed), "--out", str(out), "--config", str(out / "config.json")]
    subprocess.run([sys.executable, "-m", "trainer", "train", *arguments], check=True)
    text = (out / "metrics.jsonl").read_text()
    lines = [
        line for line in map(json.loads, text.splitlines()) if line["step"] > WARM and "eval" not in line
    ]
    keys = ("tokens_per_s", "mfu", "memory_bytes")
    return {key: statistics.median(line[key] for line in lines) for key in keys if key in lines[0]}


def nanogpt(checkout: Path, steps: int) -> float:
    """Tokens a second of its train.py at the same shape, batch and precision."""
    data = checkout / "data" / "random"
    data.mkdir(exist_ok=True)
    for name in ("train", "val"):
        np.random.default_rng(1).integers(0, VOCAB, 2_000_000, dtype=np.uint16).tofile(data / f"{name}.bin")
    options = {
        "dataset": "random", "batch_size": 32, "block_size": ROW, "gradient_accumulation_steps": STEP // 32 // ROW,
        "max_iters": steps, "eval_interval": 100_000, "eval_iters": 1, "log_interval": 1, "bias": False,
        "dropout": 0.0, "compile": True, "dtype": "bfloat16", "wandb_log": False, "always_save_checkpoint": False,
    }  # fmt: skip
    command = [sys.executable, "train.py", *(f"--{key}={value}" for key, value in options.items())]
    done = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)
    times = [float(found) for found in re.findall(r"iter \d+: .*time ([\d.]+)ms", done.stdout)]
    return STEP / statistics.median(times[WARM:]) * 1000


def main() -> None:
    """Prints device, versions and a line a configuration."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.out or Path(temporary)
        one, eight = shards(root / "one", 4096, 1), shards(root / "eight", 4096, 8)
        for name, packed, changes in (
            ("no document masks", one, {"document_masks": False}),
            ("document masks, one document a row", one, {}),
            ("document masks, eight documents a row", eight, {}),
        ):
            found = ours(packed, root / name.replace(" ", "-").replace(",", ""), options.steps, **changes)
            print(f"{name}: {json.dumps(found)}", flush=True)
        if options.nanogpt:
            print(f"nanoGPT train.py: {nanogpt(options.nanogpt, options.steps):,.0f} tokens/s")


if __name__ == "__main__":
    main()
