"""What a person sees while a run goes on: a bar a step on a terminal, a line a step elsewhere, or JSON.

Everything here goes to standard error; results go to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Watcher(AbstractContextManager["Watcher"]):
    """Told of steps as they go on; shows them in the way that fits where it writes."""

    def __init__(self, *, machine: bool) -> None:
        self._machine = machine
        console = Console(stderr=True)
        self._bars: Progress | None = None
        if console.is_terminal and not machine:
            columns = (
                TextColumn("{task.description:<24}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._bars = Progress(*columns, console=console)
            self._bars.start()
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._began: dict[tuple[str, str], float] = {}

    def step(self, stage: str, step: str, done: int, total: int) -> None:
        """A step has `done` of `total` results."""
        key = (stage, step)
        began = self._began.setdefault(key, time.perf_counter())
        if self._machine:
            self.say("step", stage=stage, step=step, done=done, total=total)
        elif self._bars is not None:
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(f"{stage} {step}", total=total)
            self._bars.update(self._tasks[key], completed=done)
        elif done == total:
            seconds = time.perf_counter() - began
            print(f"{stage:<14} {step:<10} {done}/{total}  {seconds:.1f} s", file=sys.stderr, flush=True)

    def say(self, event: str, **details: Any) -> None:
        """An event for machines."""
        if self._machine:
            print(json.dumps({"event": event, **details}, ensure_ascii=False), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A sentence for people."""
        if self._machine:
            return
        if self._bars is not None:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        """Leaves the bars as they stand."""
        if self._bars is not None:
            self._bars.stop()
