"""The trainer's own command line; the pipeline's verbs start it.

    python -m trainer train    --packed DIR --out DIR [--config FILE.json]
    python -m trainer check    --config FILE.json       the configuration filled in, or what is wrong
    python -m trainer schema                            the JSON schema of the configuration
    python -m trainer plan     --packed DIR [--config FILE.json]     size, cost and memory of a run
    python -m trainer evaluate --packed DIR --out RUN                loss by source of the newest checkpoint
    python -m trainer generate --packed DIR --out RUN --prompt TEXT  text from it
    python -m trainer trace    --packed DIR --out RUN --step N       the documents of a step
    python -m trainer steps    --packed DIR --rows 3,17 --step N [--config FILE.json]   the steps that see rows
    python -m trainer export   --packed DIR --out RUN --to DIR       a folder for Hugging Face transformers
    python -m trainer compare  --packed A --packed B --out DIR [--config FILE.json] [--seeds 3]

Results on standard output, progress on standard error. Exit codes: 0 done, 1 failed, 2 configuration or
usage, 6 integrity (shards or checkpoints are not what they say), 128 + n ended by signal n after saving.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from trainer.config import Config, ConfigError, parse

FAILED, USAGE, INTEGRITY = 1, 2, 6


def main(arguments: list[str] | None = None) -> int:
    """Runs a verb; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.verb == "schema":
        print(json.dumps(Config.model_json_schema(), indent=1))
        return 0
    try:
        options.config = _config(getattr(options, "config", None))
    except ConfigError as fault:
        print(json.dumps({"errors": fault.errors}, ensure_ascii=False))
        if options.verb != "check":
            print(fault, file=sys.stderr)
        return USAGE
    if options.verb == "check":
        print(json.dumps({"config": options.config.model_dump(mode="json")}))
        return 0
    if options.verb == "steps":
        print(json.dumps(_steps(options)))
        return 0
    return _work(options)


def _work(options: argparse.Namespace) -> int:
    # Threads that spin while they wait starve each other on shared cores: up to five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from stages.packed import PackedError  # noqa: PLC0415 - `check` must not wait for torch and Arrow
    from trainer import verbs  # noqa: PLC0415
    from trainer.checkpoint import DamagedError, MismatchError  # noqa: PLC0415
    from trainer.ending import DivergedError, Stopped  # noqa: PLC0415

    try:
        getattr(verbs, options.verb)(options)
    except (PackedError, MismatchError, DamagedError) as fault:
        print(fault, file=sys.stderr)
        return INTEGRITY
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.number
    except (DivergedError, ValueError) as fault:
        print(fault, file=sys.stderr)
        return FAILED
    return 0


def _steps(options: argparse.Namespace) -> dict[int, list[int]]:
    """Row of the train split -> the steps up to `--step` that see it, counted from 1. Needs no torch."""
    import numpy as np  # noqa: PLC0415 - likewise

    from stages.packed import Packed  # noqa: PLC0415
    from trainer.order import Order  # noqa: PLC0415

    manifest, config = Packed(options.packed).manifest, options.config
    rows = max(1, config.batch_tokens // manifest.seq_len)
    order = Order(manifest.fingerprint, config.seed, manifest.splits["train"].rows, rows, config.batch_ramp)
    asked = np.array([int(row) for row in options.rows.split(",")])
    return {row: [step + 1 for step in steps] for row, steps in order.steps(asked, options.step).items()}


def _config(path: Path | None) -> Config:
    if path is None:
        return parse(None)
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise ConfigError([{"key": "", "message": f"{path}: {fault}"}]) from None
    if not (raw is None or isinstance(raw, dict)):
        raise ConfigError([{"key": "", "message": f"{path}: expected a mapping, found {type(raw).__name__}"}])
    return parse(raw)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("trainer", description="Trains a decoder on packed shards.")
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, words: str, *options: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=words)
        for option in options:
            made.add_argument(f"--{option}", **_OPTIONS[option])
        return made

    verb("schema", "the JSON schema of the configuration")
    verb("check", "is this configuration sound?", "config")
    verb("train", "train, or go on training", "packed", "out", "config")
    verb("plan", "parameters, cost, memory and warnings of a run", "packed", "config")
    verb("evaluate", "loss by source of the newest checkpoint", "packed", "out")
    verb("trace", "the documents of a step and their losses", "packed", "out", "step", "drop")
    verb("steps", "the steps that see rows of the train split", "packed", "rows", "step", "config")
    verb("export", "write a folder for Hugging Face transformers", "packed", "out", "to")
    verb("generate", "text from the newest checkpoint",
         "packed", "out", "prompt", "tokens", "temperature", "top-k", "seed")  # fmt: skip
    compare = verb("compare", "which of two corpora trains the better model?", "out", "config", "seeds")
    compare.add_argument("--packed", type=Path, action="append", required=True, help="given twice: A, then B")
    return parser


_OPTIONS: dict[str, dict[str, Any]] = {
    "packed": {"type": Path, "required": True, "help": "folder of packed shards"},
    "out": {"type": Path, "required": True, "help": "where metrics, checkpoints and summary of the run lie"},
    "config": {"type": Path, "help": "JSON: a recipe's train: mapping; left out: all defaults"},
    "step": {"type": int, "required": True, "help": "counted from 1, as in metrics.jsonl"},
    "rows": {"required": True, "help": "indices into the train split, counted from 0: 3,17"},
    "drop": {"type": Path, "help": "write the doc_ids that stick out here, one a line"},
    "to": {"type": Path, "required": True, "help": "folder to write"},
    "prompt": {"default": "", "help": "text to go on from"},
    "tokens": {"type": int, "default": 100, "help": "how many to add at most"},
    "temperature": {"type": float, "default": 0.8, "help": "0: always the likeliest token"},
    "top-k": {"type": int, "default": 50, "help": "draw from so many likeliest tokens; 0: from all"},
    "seed": {"type": int, "default": 0, "help": "of the draws"},
    "seeds": {"type": int, "default": 3, "help": "paired runs"},
}

if __name__ == "__main__":
    sys.exit(main())
