"""The trainer, started as a process: this room never imports it.

What it says goes to whoever watches; its exit codes become this room's errors. Interrupts reach it in an
orderly way: it saves a checkpoint and ends.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import IntegrityError, RecipeError, StageFailed
from pipeline.executors import THREADS
from pipeline.progress import Watcher
from pipeline.store import write_json


def train_on(packed: Path, out: Path, config: Mapping[str, Any], watcher: Watcher) -> None:
    """Trains on a folder of shards, without a recipe; checkpoints and metrics go to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", dict(config))
    with stopping_on_signals(watcher) as stopping:
        arguments = ["--packed", str(packed), "--out", str(out), "--config", str(out / "config.json")]
        start_trainer(["train", *arguments], watcher, stopping)


def start_trainer(
    arguments: Sequence[str], watcher: Watcher, stopping: Callable[[], bool] = lambda: False
) -> None:
    """Starts the trainer as a process, shows what it says, and waits for it.

    Raises:
        StageFailed, RecipeError, IntegrityError: it failed; its last words are the message.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment(),
    )  # fmt: skip
    last: list[str] = []
    with process:
        try:
            for line in process.stdout or ():
                watcher.note(line.rstrip())
                last = [*last[-19:], line.rstrip()]
                if stopping():
                    process.terminate()
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait(30)
            raise
    if stopping():
        raise KeyboardInterrupt
    _judge(code, "\n".join(last))


def ask(arguments: Sequence[str]) -> None:
    """Starts the trainer with this process's output as its own: for verbs whose answer is what it prints.

    Raises:
        StageFailed, RecipeError, IntegrityError: it failed; it has said why.
    """
    _asked(arguments, None)


def answer(arguments: Sequence[str]) -> dict[str, Any]:
    """The same for a verb whose answer is a JSON object: the object, nothing printed."""
    found: dict[str, Any] = json.loads(_asked(arguments, subprocess.PIPE))
    return found


def curation(run: Path, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """What a run's documents table says of some doc_ids, nulls left out: file, record, fate, measurements."""
    ids = pa.array(sorted(wanted), pa.string())
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((run / "documents").glob("*.parquet")):
        here = pq.read_table(path, filters=pc.field("doc_id").isin(ids))
        for row in here.to_pylist():
            found.setdefault(row["doc_id"], {key: value for key, value in row.items() if value is not None})
    return found


def _asked(arguments: Sequence[str], output: int | None) -> str:
    command = [sys.executable, "-m", "trainer", *arguments]
    done = subprocess.run(command, env=_environment(), check=False, stdout=output, text=True)
    _judge(done.returncode, "see above")
    return done.stdout or ""


def lessons(packed: Path, out: Path, rows: Sequence[int]) -> dict[str, Any]:
    """What a training did with rows of its train split, by its log and its guard's memory.

    A row on the guard's list is masked in every step since the rollback that put it there; a step that the
    guard or an overflow kept from being taken taught nobody anything; what a rollback undid is gone, and
    was taken again without the masked rows.

    Returns:
        `steps_done`; `steps`: those that learnt from a row, from 1; `masked`: those that drew rows, all of them
        masked; `not_taken`: `step` and `why` of those that drew a row and were left out whole; `undone`: the
        rollbacks that undid steps with a row, `step`, `why`, `back_to`, `steps`.

    Raises:
        RecipeError: there is no training in that folder.
    """
    log = _log(out)
    done = max((int(line["step"]) for line in log), default=0)
    guard = out / "guard.json"
    events: list[dict[str, Any]] = json.loads(guard.read_bytes())["events"] if guard.is_file() else []
    last = max([done, *(event["step"] for event in events)])
    drawn = _steps_of(packed, out, rows, last) if rows and last else {}
    learnt: set[int] = set()
    masked: set[int] = set()
    undone: list[set[int]] = [set() for _ in events]
    for row, steps in drawn.items():
        doom = next((at for at, event in enumerate(events) if row in event["rows"]), None)
        until = done if doom is None else min(event["back_to"] for event in events[doom:])
        learnt |= {step for step in steps if step <= min(until, done)}
        masked |= {step for step in steps if until < step <= done}
        for at, event in enumerate(events[: None if doom is None else doom + 1]):
            undone[at] |= {step for step in steps if event["back_to"] < step <= event["step"]}
    why = {line["step"]: said for line in log if (said := _not_taken(line))}
    return {
        "steps_done": done,
        "steps": sorted(learnt - why.keys()),
        "masked": sorted(masked - learnt),
        "not_taken": [{"step": step, "why": why[step]} for step in sorted(learnt & why.keys())],
        "undone": [
            {**{key: event[key] for key in ("step", "why", "back_to")}, "steps": sorted(steps)}
            for event, steps in zip(events, undone, strict=True)
            if steps
        ],
    }


def _log(out: Path) -> list[dict[str, Any]]:
    """The lines of a training's metrics; the last one may still be being written."""
    try:
        lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    except OSError as error:
        raise RecipeError([f"{out}: no training there (metrics.jsonl: {error.strerror})"]) from error
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def _not_taken(line: Mapping[str, Any]) -> str | None:
    """Why the weights did not move at a step; None: they did."""
    if "skipped" in line:
        return str(line["skipped"])
    norm = line.get("grad_norm", 0.0)
    return None if isinstance(norm, (int, float)) and math.isfinite(norm) else f"grad_norm is {norm}"


def _steps_of(packed: Path, out: Path, rows: Sequence[int], last: int) -> dict[int, list[int]]:
    """Row of the train split -> the steps, from 1 to `last`, that draw it."""
    given = ["--packed", str(packed), "--config", str(out / "config.json"), "--step", str(last)]
    command = [sys.executable, "-m", "trainer", "steps", *given, "--rows", ",".join(map(str, rows))]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    _judge(done.returncode, done.stderr.strip() or done.stdout.strip())
    return {int(row): steps for row, steps in json.loads(done.stdout).items()}


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in THREADS}


def _judge(code: int, words: str) -> None:
    match code:
        case 0:
            return
        case 2:
            raise RecipeError([f"train: {words}"])
        case 6:
            raise IntegrityError(f"train: {words}")
        case _:
            raise StageFailed(f"train: the trainer ended with code {code}:\n{words}")


@contextmanager
def stopping_on_signals(watcher: Watcher) -> Iterator[Callable[[], bool]]:
    """The first interrupt lets the parts in flight finish; the second stops at once."""
    asked = threading.Event()

    def interrupt(number: int, _frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        watcher.note(
            f"{signal.Signals(number).name}: finishing the parts in flight; once more to stop at once"
        )

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
