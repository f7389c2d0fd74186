"""The trainer's own command line; `gristmill train` starts it.

    python -m trainer train --packed DIR --out DIR [--config FILE.json]
    python -m trainer check --config FILE.json      the configuration, filled in, or what is wrong; no torch
    python -m trainer schema                        the JSON schema of the configuration

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
        config = _config(options.config)
    except ConfigError as fault:
        print(json.dumps({"errors": fault.errors}, ensure_ascii=False))
        if options.verb != "check":
            print(fault, file=sys.stderr)
        return USAGE
    if options.verb == "check":
        print(json.dumps({"config": config.model_dump(mode="json")}))
        return 0
    # Threads that spin while they wait starve each other on shared cores: up to five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return _train(options.packed, options.out, config)


def _train(packed: Path, out: Path, config: Config) -> int:
    from stages.packed import PackedError  # noqa: PLC0415 - `check` must not wait for torch and Arrow
    from trainer.checkpoint import MismatchError  # noqa: PLC0415
    from trainer.loop import DivergedError, Stopped, train  # noqa: PLC0415

    try:
        summary = train(packed, out, config)
    except (PackedError, MismatchError) as fault:
        print(fault, file=sys.stderr)
        return INTEGRITY
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.number
    except (DivergedError, ValueError) as fault:
        print(fault, file=sys.stderr)
        return FAILED
    _print(summary)
    return 0


def _print(summary: dict[str, Any]) -> None:
    """A short block that grep can read."""
    print("---")
    for key, value in summary.items():
        if not isinstance(value, dict):
            print(f"{key + ':':20} {f'{value:.6g}' if isinstance(value, float) else value}")


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
    verbs.add_parser("schema", help="the JSON schema of the configuration")
    check = verbs.add_parser("check", help="is this configuration sound?")
    check.add_argument("--config", type=Path, required=True, help="JSON: a recipe's train: mapping")
    train = verbs.add_parser("train", help="train, or go on training")
    train.add_argument("--packed", type=Path, required=True, help="folder of packed shards")
    train.add_argument("--out", type=Path, required=True, help="where metrics, checkpoints and summary go")
    train.add_argument("--config", type=Path, help="JSON, as above; left out: all defaults")
    return parser


if __name__ == "__main__":
    sys.exit(main())
