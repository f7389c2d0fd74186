"""How a run ends other than by its last step: finished before, asked to stop, or doing harm."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.config import Config

__all__ = ["DivergedError", "Stopped", "finished", "signals"]


class DivergedError(RuntimeError):
    """Training does harm, and skipping steps or rows does not help."""


class Stopped(Exception):
    """A signal ended the run after it had saved."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        super().__init__(f"{signal.Signals(number).name}: saved {folder}; the same command goes on there")


def finished(out: Path, config: Config, fingerprint: str) -> dict[str, Any] | None:
    """The summary that is there, if it is this run's."""
    try:
        summary: dict[str, Any] = json.loads((out / "summary.json").read_bytes())
        same = all(
            summary["config"].get(key) == value
            for key, value in config.model_dump(mode="json").items()
            if key not in config.machine
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    if not same or summary.get("fingerprint") != fingerprint:
        return None
    print(f"nothing to do: {out / 'summary.json'} is this run's", file=sys.stderr)
    return summary


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT, to be acted on between steps; the second one acts at once."""
    got: list[int] = []

    def note(number: int, frame: object) -> None:
        del frame
        got.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
