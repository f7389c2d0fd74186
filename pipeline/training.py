"""The trainer, started as a process: this room never imports it.

What it says goes to whoever watches; its exit codes become this room's errors. Interrupts reach it in an
orderly way: it saves a checkpoint and ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import IntegrityError, RecipeError, StageFailed
from pipeline.executors import THREADS
from pipeline.progress import Watcher
from pipeline.store import write_json

# A training step frees and asks again for the same large tensors: glibc must not hand them back to the
# kernel in between (half of the system time, a seventh of the whole on two cores).
MEMORY: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 28),
}


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


def steps_done(out: Path) -> int:
    """How many steps a training has done, from its metrics.

    Raises:
        RecipeError: there is no training in that folder.
    """
    try:
        lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    except OSError as error:
        raise RecipeError([f"{out}: no training there (metrics.jsonl: {error.strerror})"]) from error
    return max((int(json.loads(line)["step"]) for line in lines if line.strip()), default=0)


def steps_of(packed: Path, out: Path, rows: Sequence[int], last: int) -> list[int]:
    """The steps, from 1 to `last`, in which a training saw any of these rows of its train split."""
    given = ["--packed", str(packed), "--config", str(out / "config.json"), "--step", str(last)]
    command = [sys.executable, "-m", "trainer", "steps", *given, "--rows", ",".join(map(str, rows))]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    _judge(done.returncode, done.stderr.strip() or done.stdout.strip())
    return sorted({step for steps in json.loads(done.stdout).values() for step in steps})


def _environment() -> dict[str, str]:
    return MEMORY | {k: v for k, v in os.environ.items() if k not in THREADS}


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
