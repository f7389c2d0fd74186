"""Copies of the metrics for those who watch elsewhere: TensorBoard, Weights & Biases, trackio.

`metrics.jsonl` stays the record; a tracker only gets its numbers, and only if the configuration asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from trainer.config import Config

__all__ = ["Tracker", "numbers", "tracker"]


class Tracker(Protocol):
    """What takes numbers by step."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Takes the numbers of a step."""

    def finish(self) -> None:
        """Hands over what is left."""


def tracker(name: str, out: Path, config: Config, step: int) -> Tracker:
    """Opens a tracker for a run that goes on after `step`.

    Raises:
        ValueError: its package is not installed.
    """
    try:
        if name == "tensorboard":
            return _TensorBoard(out, step)
        module = importlib.import_module(name)
    except ImportError as fault:
        raise ValueError(f"trackers: {name} is not installed ({fault}); pip install {name}") from None
    settings = {"project": "gristmill", "name": out.resolve().name, "config": config.model_dump(mode="json")}
    opened: Tracker = module.init(**settings, resume="allow")
    return opened


class _TensorBoard:
    """Event files under OUT/tensorboard."""

    def __init__(self, out: Path, step: int) -> None:
        module = importlib.import_module("torch.utils.tensorboard")  # here, for it needs the package
        self._writer: Any = module.SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self._writer.close()


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """A line of the metrics as flat names: train/loss, train/sources/web, eval/bits_per_byte."""

    def flat(value: Any, name: str) -> Iterator[tuple[str, float]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from flat(inner, f"{name}/{key}")
        elif isinstance(value, int | float):
            yield name, value

    within, of = ("eval", line["eval"]) if "eval" in line else ("train", line)
    return {name: value for name, value in flat(of, within) if name != "train/step"}
