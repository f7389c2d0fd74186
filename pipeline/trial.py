"""A recipe run on a few of its documents, in a scratch folder and in this process, every task measured.

The flow, the tasks and the stages are those of a run; only load is given drawn rows instead of files. Time is
CPU time; memory is what the process grew by in a task, what the allocators kept from before given back first.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from pipeline import documents, ledger, report, runs, tasks
from pipeline.flow import Flow, Walked
from pipeline.inputs import Inputs
from pipeline.recipe import Recipe
from pipeline.run import entry
from pipeline.store import Marker, read_marker
from pipeline.tasks import Task, perform
from stages.base import Source
from stages.naming import stage_class

REPORT = "report"
"""What the driver does when the stages are done: documents table and report."""


@dataclass(frozen=True)
class Spent:
    """What one task took.

    Attributes:
        size: bytes of the corpus that it is about.
        seconds: CPU seconds.
        before: bytes that the process held before it; 0 if nobody looked.
        grown: bytes that the process grew by in it.
    """

    size: int
    seconds: float
    before: int
    grown: int


@dataclass
class Trial:
    """What a recipe took on some rows.

    Attributes:
        text: bytes of text by source.
        documents: how many there were.
        part: bytes of the largest part.
        parts: how many there were.
        spent: (stage, step) -> its tasks in the order in which they ran.
        disk: stage -> bytes of its results.
        alive: stage -> source -> documents, bytes and tokens that it left alive.
        packed: tokens in the shards; None if nothing was packed.
    """

    text: dict[str, int] = field(default_factory=dict)
    documents: int = 0
    part: int = 0
    parts: int = 0
    spent: dict[tuple[str, str], list[Spent]] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    alive: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    packed: int | None = None

    @property
    def size(self) -> int:
        """Bytes of text in all."""
        return sum(self.text.values())

    @property
    def seconds(self) -> float:
        """CPU seconds in all."""
        return sum(one.seconds for some in self.spent.values() for one in some)


def trial(recipe: Recipe, inputs: Inputs, rows: Mapping[str, list[pa.Table]], documents_in_all: int) -> Trial:
    """Walks the recipe over some rows, then makes their documents table and report.

    Args:
        recipe: what to do.
        inputs: digests of the sources' files.
        rows: slice -> its parts, as `Source.read` would give them.
        documents_in_all: of the corpus that they are drawn from.
    """
    made = Trial()
    with tempfile.TemporaryDirectory(prefix="gristmill-estimate-", ignore_cleanup_errors=True) as scratch:
        work = Path(scratch)
        flow = Flow(recipe, work, lambda: _Meter(rows, made))
        flow.inputs = inputs
        before: list[Marker] | None = None
        entries = []
        for done in flow.walk():
            book = ledger.conserve(done.stage.word(), before, done.parts or done.steps["route"])
            before = done.parts
            entries.append(entry(done, book, work))
            _note(made, done, book)
        run = runs.new(work, recipe.name)
        run.update(run=run.id, name=recipe.name, recipe=str(recipe.path), stages=entries, started=0)
        if "packed" in flow.walked[-1].files:
            (run.path / "packed").symlink_to(flow.walked[-1].files["packed"][0])
        documents.link(documents.made(flow, documents_in_all), run)
        with _measured(made, REPORT, "rest", made.size):
            report.write(recipe, run)
        made.disk[REPORT] = sum(f.stat().st_size for f in run.path.rglob("*") if f.is_file())
    return made


def _note(made: Trial, done: Walked, book: ledger.Ledger) -> None:
    """Notes what a stage left, and on how much disk."""
    markers = [*done.parts, *(marker for step in done.steps.values() for marker in step)]
    made.disk[done.stage.word()] = sum(
        marker.path.stat().st_size
        + marker.body.get("bytes", 0)
        + sum(size for size, _ in marker.body.get("files", {}).values())
        for marker in markers
    )
    made.alive[done.stage.word()] = {
        source: {
            "documents": row["alive"],
            **{k: row[n] for k, n in (("bytes", "bytes"), ("tokens", "token_count")) if n in row},
        }
        for source, row in book.items()
    }
    if isinstance(done.stage, Source):
        made.text = {source: row["bytes"] for source, row in book.items()}
        made.documents = sum(row["in"] for row in book.values())
        made.parts = len(done.parts)
        made.part = max(_size(marker) for marker in done.parts)
    for marker in done.steps.get("write", ()):
        made.packed = (made.packed or 0) + marker["entry"]["tokens"]


def _size(marker: Marker) -> int:
    return sum(row["bytes"] for row in marker["ledger"].values())


class _Meter:
    """An executor that runs tasks here and notes what each takes; load's are given the drawn rows."""

    def __init__(self, rows: Mapping[str, list[pa.Table]], made: Trial) -> None:
        self._rows, self._made = rows, made
        parts = [int(table["bytes"].to_numpy().sum()) for some in rows.values() for table in some]
        self._all, self._largest = sum(parts), max(parts, default=0)

    def map(self, some: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """Receipts in the order of the tasks."""
        for task in some:
            word, drawn = REPORT if task["op"] in {"tabulate", "inspect"} else task["stage"]["word"], []
            step = f"{task['op']} {task['turn']}" if "turn" in task else task["op"]
            if task["op"] == "read":
                drawn = self._rows.get(tasks.spec(task)["name"], [])
                size = sum(int(table["bytes"].to_numpy().sum()) for table in drawn)
            else:
                size = _part(task) if {"part", "parts"} & set(task) else self._all
            with _measured(self._made, word, step, size, memory=2 * size >= self._largest):
                if task["op"] == "read":
                    tasks.read_slice(_Drawn(task, drawn), task, 0.0)  # type: ignore[arg-type] # it reads like one
                else:
                    perform(task)
            yield {"out": task["out"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""


def _part(task: Task) -> int:
    """Bytes of text of a task's part, as load read it."""
    # Load's file, whatever the stage.
    path = Path(task["parts"][0][1] if "parts" in task else task["view"]["columns"]["doc_id"])
    return sum(
        row["bytes"] for row in (read_marker(path.with_suffix("")) or {"ledger": {}})["ledger"].values()
    )


class _Drawn:
    """Stands in for load: its records are the drawn ones."""

    def __init__(self, task: Task, parts: list[pa.Table]) -> None:
        self.written = stage_class("load").model_validate(task["stage"]["parameters"]).written
        self._parts = parts

    def read(self, _: Any) -> Iterator[pa.Table]:
        """The parts of the slice, if any were drawn."""
        yield from self._parts


# ------------------------------------------------------------------------------------------ measures


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class _measured:  # noqa: N801 - reads as a statement
    """Notes the CPU seconds and, if asked, the growth of what is done inside: to settle takes 50 ms."""

    def __init__(self, made: Trial, word: str, step: str, size: int, *, memory: bool = True) -> None:
        self._into, self._size, self._memory = made.spent.setdefault((word, step), []), size, memory

    def __enter__(self) -> None:
        self._before = settled() if self._memory else 0
        self._started = cpu()

    def __exit__(self, *_: object) -> None:
        seconds = cpu() - self._started
        grown = max(0, high() - self._before) if self._memory else 0
        self._into.append(Spent(self._size, seconds, self._before, grown))


def settled() -> int:
    """Bytes that this process holds, what allocators keep given back; its high-water mark begins anew here."""
    gc.collect(1)  # old objects do not go between tasks, and to look at all takes a fifth of a second
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError):  # not the C library of GNU
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:
        return high()
    return _status("VmRSS")


def high() -> int:
    """The most bytes that this process held since `settled`."""
    return _status("VmHWM")


def _status(key: str) -> int:
    """A size from /proc/self/status in bytes; 0 where there is none (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
