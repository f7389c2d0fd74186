"""Side by side with nanoGPT: the same text, shape, batch, steps and threads, by turns, each run a process of its own.

    taskset -c 1 python -m tests.bench.trainer_nanogpt NANOGPT_CHECKOUT TEXT_FILE [--steps 500] [--seeds 3] [--compile]

Characters are tokens; nine tenths of the text train, the rest is held out, as in nanoGPT's
`shakespeare_char` for CPUs (4 layers, 4 heads, width 128, block 64, batch 12, AdamW, 1e-3 down to 1e-4, no
dropout), whose loop is repeated here around its own `model.py`. Both are judged on all held-out blocks. Ours
packs rows of 65 tokens, which are 64 predictions. Its MLP has the default width, the nearest multiple of 64 to
8/3 of 128: about 5 % fewer parameters; --set '{"hidden": 336}' makes it 2 %. Seconds are CPU seconds of the
process in training steps, data included, without the first step, in which a compiler would run.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from stages.packed import Packed, packed_schema, write_manifest, write_shard
from trainer.config import parse
from trainer.loop import train

BLOCK, BATCH = 64, 12


def write_characters(folder: Path, ids: np.ndarray, vocab: int) -> None:
    """The text as rows of BLOCK + 1 tokens, the last tenth held out."""
    size, cut = BLOCK + 1, int(0.9 * len(ids))
    shards = {}
    for name, part in (("train", ids[:cut]), ("validation", ids[cut:])):
        rows = part[: len(part) // size * size].reshape(-1, size)
        idents = [hashlib.sha256(f"{name}{n}".encode()).digest()[:16] for n in range(len(rows))]
        count, schema = len(rows), packed_schema(size, "uint16")
        segments = ([size] * count, idents, [0] * count, [size] * count, [0] * count)
        columns = [rows.tolist(), *([[value] for value in values] for values in segments)]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=schema)
        shards[name] = [write_shard(folder / f"{name}-00000.arrow", table)]
    write_manifest(
        folder,
        seq_len=size,
        vocab_size=vocab,
        eos_id=0,
        tokenizer_sha256="0" * 64,
        sources=["text"],
        shards=shards,
    )


def alone(side: Callable[..., tuple[float, float]], *arguments: Any) -> tuple[float, float]:
    """Runs a side in a fresh process, so that neither profits from memory or caches the other has set up."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(side, *arguments).result()


def nanogpt(
    model_file: Path, ids: np.ndarray, packed: Path, seed: int, steps: int, threads: int, compiled: bool
) -> tuple[float, float]:
    """Its loop around its model: seconds and held-out loss."""
    torch.set_num_threads(threads)
    rows = Packed(packed).split("validation")
    held_out = torch.from_numpy(rows.rows(range(len(rows))).astype(np.int64))
    spec = importlib.util.spec_from_file_location("nanogpt_model", model_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(seed)
    shape = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": BLOCK, "dropout": 0.0, "bias": False}
    model = module.GPT(module.GPTConfig(vocab_size=int(ids.max()) + 1, **shape))
    optimiser = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    called = torch.compile(model) if compiled else model
    data, warmup = ids[: int(0.9 * len(ids))], 100
    begun = 0.0
    for step in range(steps):
        done = (step - warmup) / max(1, steps - warmup)
        rate = (
            1e-3 * (step + 1) / (warmup + 1)
            if step < warmup
            else 1e-4 + 0.45e-3 * (1 + math.cos(math.pi * done))
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        at = torch.randint(len(data) - BLOCK, (BATCH,))
        x = torch.stack([torch.from_numpy(data[i : i + BLOCK].astype(np.int64)) for i in at])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + BLOCK].astype(np.int64)) for i in at])
        _, loss = called(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        loss.item()
        if step == 0:
            begun = time.process_time()
    seconds = time.process_time() - begun
    model.eval()
    with torch.no_grad():
        losses = [
            model(rows[:, :-1], rows[:, 1:].contiguous())[1].item() * len(rows)
            for rows in held_out.split(128)
        ]
    return seconds, sum(losses) / len(held_out)


def ours(packed: Path, out: Path, seed: int, steps: int, changes: dict[str, Any]) -> tuple[float, float]:
    """Our loop: seconds and held-out loss."""
    config = {
        "layers": 4, "heads": 4, "width": 128, "batch_tokens": BATCH * (BLOCK + 1),
        "steps": steps, "seed": seed, "eval_every": 0, "save_every": 0, "eval_rows": 0, "warmup": 100,
    } | changes  # fmt: skip
    train(packed, out, parse(config))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    seconds = sum(line["cpu_seconds"] for line in lines if "eval" not in line and line["step"] > 1)
    return seconds, next(line["eval"]["loss"] for line in reversed(lines) if "eval" in line)


def main() -> None:
    """Runs both by turns and prints medians and spread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("nanogpt", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="both models")
    parser.add_argument("--set", default="{}", help="JSON: keys of our configuration")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")
    letters = sorted(set(text))
    ids = np.array([letters.index(letter) for letter in text], np.uint16)
    changes = {"threads": options.threads, "compile": options.compile} | json.loads(options.set)
    theirs = (options.steps, options.threads, options.compile)
    results: dict[str, list[tuple[float, float]]] = {"nanoGPT": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        packed = root / "packed"
        packed.mkdir()
        write_characters(packed, ids, len(letters))
        for seed in range(options.seeds):
            results["nanoGPT"].append(
                alone(nanogpt, options.nanogpt / "model.py", ids, packed, seed, *theirs)
            )
            results["ours"].append(alone(ours, packed, root / f"o{seed}", seed, options.steps, changes))
    for name, runs in results.items():
        rates = [(options.steps - 1) * BATCH * BLOCK / seconds for seconds, _ in runs]
        losses = [loss for _, loss in runs]
        print(f"{name:8} labels/s {statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})  "
              f"loss {statistics.mean(losses):.4f} ({min(losses):.4f}-{max(losses):.4f})")  # fmt: skip


if __name__ == "__main__":
    main()
