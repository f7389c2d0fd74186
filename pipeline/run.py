"""One run, from the lease to the report.

    lease -> walk the stages (conservation, alarms) -> documents -> report -> train -> report -> done

A run that finds everything fresh does nothing and says so. A run that fails keeps every finished result, and
its folder says what happened. Computing is `flow.py`'s business, judging `ledger.py`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline import documents, ledger, report, runs
from pipeline.errors import Alarm, GristmillError, RecipeError
from pipeline.executors import Executor, executor
from pipeline.flow import Flow, Waiting, Walked
from pipeline.keys import short
from pipeline.lease import lease
from pipeline.progress import Watcher
from pipeline.recipe import Recipe
from pipeline.report import training
from pipeline.runs import Run
from pipeline.store import Marker, read_table
from pipeline.tabulate import VERSION
from pipeline.training import stopping_on_signals, train_on
from stages.base import Global, Source, StageError


class Interrupted(GristmillError):
    """The user asked to stop; what was in flight is finished and kept."""

    exit_code = 130


@dataclass(frozen=True)
class Choice:
    """Which stages a run may touch.

    Attributes:
        first: earlier stages must be there already (`--from`, `--only`).
        last: later stages are left alone (`--until`, `--only`).
        force: stages whose results are made again.
    """

    first: str | None = None
    last: str | None = None
    force: tuple[str, ...] = ()

    def check(self, recipe: Recipe) -> None:
        """Complains about words that are no stages of the recipe."""
        words = [stage.word() for stage in recipe.stages]
        named = [word for word in (self.first, self.last, *self.force) if word is not None]
        wrong = [word for word in named if word not in (*words, "train")]
        if wrong:
            raise RecipeError(
                [f"{word!r} is not a stage of {recipe.path}: {', '.join(words)}" for word in wrong]
            )
        if self.first in words and self.last in words and words.index(self.first) > words.index(self.last):
            raise RecipeError([f"--from {self.first} comes after --until {self.last}"])


def run(recipe: Recipe, choice: Choice, where: str, watcher: Watcher) -> tuple[Run, bool]:
    """Runs a recipe.

    Args:
        recipe: what to do.
        choice: which stages.
        where: name of the executor.
        watcher: told how it goes.

    Returns:
        The run, and whether there was anything to do.

    Raises:
        GristmillError: with the exit code for the command line.
    """
    choice.check(recipe)
    with (
        lease(recipe.work, f"run {recipe.name}"),
        ExitStack() as stack,
        stopping_on_signals(watcher) as stopping,
    ):
        begun = _Begun(recipe, where)
        started: list[Executor] = []

        def workers() -> Executor:
            begun.run()
            if not started:
                started.append(executor(where))
                stack.push(started[0].__exit__)
            return started[0]

        flow = Flow(recipe, recipe.work, workers, watcher.step, stopping)
        try:
            complete = _walk(flow, choice, begun, watcher)
            return _conclude(flow, begun, complete, watcher)
        except BaseException as error:
            begun.failed(error)
            if isinstance(error, StageError):
                raise RecipeError([f"{recipe.path}: {error}"]) from error
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("stopped; finished parts are kept, run again to go on") from error
            raise


def _walk(flow: Flow, choice: Choice, begun: _Begun, watcher: Watcher) -> bool:
    """Walks as far as the choice allows; True if that is the whole recipe."""
    words = [stage.word() for stage in flow.recipe.stages]
    frozen = words[: words.index(choice.first)] if choice.first in words else []
    before: list[Marker] | None = None
    try:
        for done in flow.walk(choice.force, frozen=frozen):
            stage = done.stage
            markers = done.parts or done.steps["route"]
            book = ledger.conserve(stage.word(), before, markers)
            before = done.parts
            begun.stage(done, book)
            if isinstance(stage, Source):
                ledger.alarm_quarantine(stage, book, getattr(stage, "max_quarantine", 1.0))
            if isinstance(stage, Global):
                files = {name: done.files[name][0].read_bytes() for name in stage.publishes}
                for alarm in stage.alarms(files):
                    watcher.note(alarm)
                    watcher.say("alarm", stage=stage.word(), text=alarm)
            try:
                ledger.alarm_drop(stage, book)
            except Alarm as alarm:
                raise Alarm(f"{alarm} {_examples(flow, done, book)}".rstrip()) from None
            if stage.word() == choice.last:
                return stage.word() == words[-1] and flow.recipe.train is None
    except Waiting as waiting:
        wrong = f"--from {choice.first}: {waiting.stage} is not complete ({waiting.step}: {waiting.states})"
        raise RecipeError([f"{wrong}; run without --from first"]) from waiting
    return True


def _examples(flow: Flow, done: Walked, book: ledger.Ledger) -> str:
    """Three documents that a stage dropped of the source that lost most, for those who wonder why."""
    lost = {source: sum(own["dropped"].values()) / max(1, own["in"]) for source, own in book.items()}
    worst = max(lost, key=lambda source: lost[source])
    told: list[str] = []
    for loaded, part in zip(flow.walked[0].parts, done.parts, strict=True):
        if loaded.data is None or part.data is None:
            continue
        names = read_table(loaded.data, ["doc_id", "source"])
        reasons = read_table(part.data, ["reason"])["reason"].to_pylist()
        rows = zip(names["doc_id"].to_pylist(), names["source"].to_pylist(), reasons, strict=True)
        told += [f"{doc.hex()} ({reason})" for doc, source, reason in rows if reason and source == worst]
        if len(told) >= 3:
            break
    return f"For example, of {worst!r}: {', '.join(told[:3])}." if told else ""


def _conclude(flow: Flow, begun: _Begun, complete: bool, watcher: Watcher) -> tuple[Run, bool]:
    """Documents, report and training, unless an earlier run made the very same ones.

    There is a report before the training begins, so that one that fails takes nothing else along.
    """
    packed = flow.walked[-1].files.get("packed")
    trained: Path | None = None
    if complete and packed is not None and flow.recipe.train is not None:
        trained = flow.store / "train" / short(packed[1], dict(flow.recipe.train))
    tables = documents.made(flow)
    ready = trained is None or (trained / "summary.json").is_file()
    digest = short(VERSION, [done.key for done in flow.walked], trained.name if trained else "")
    earlier = runs.latest(flow.work, digest=digest, state="done")
    if earlier is not None and ready and not flow.made and (earlier.path / "report.json").is_file():
        return earlier, False
    run = begun.run()
    run.update(digest=digest, complete=complete, inputs=str(flow.recipe.base))
    if packed is not None:
        _link(run.path / "packed", packed[0])
    documents.link(tables, run)
    if packed is not None and trained is not None:
        _link(run.path / "train", trained)
        if not ready:
            report.write(flow.recipe, run)
            _train(flow.recipe, packed[0], trained, run, watcher)
    report.write(flow.recipe, run)
    run.update(state="done", finished=round(time.time(), 3))
    run.journal("done")
    return run, True


def _link(path: Path, target: Path) -> None:
    """A relative link, so that the folder of results may be moved as a whole."""
    path.unlink(missing_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent), target_is_directory=True)


class _Begun:
    """A run that gets its folder only once there is something to do."""

    def __init__(self, recipe: Recipe, where: str) -> None:
        self._recipe, self._where = recipe, where
        self._run: Run | None = None
        self._waiting: list[dict[str, Any]] = []

    def run(self) -> Run:
        """The run's folder, made now if need be."""
        if self._run is None:
            recipe = self._recipe
            self._run = runs.new(recipe.work, recipe.name)
            with (self._run.path / "recipe.resolved.yaml").open("w", encoding="utf-8") as file:
                YAML().dump(dict(recipe.resolved), file)
            self._run.update(
                run=self._run.id, name=recipe.name, recipe=str(recipe.path), executor=self._where,
                state="running", pid=os.getpid(), started=round(time.time(), 3), stages=self._waiting,
            )  # fmt: skip
            self._run.journal("started", executor=self._where)
        return self._run

    def stage(self, done: Walked, book: ledger.Ledger) -> None:
        """Notes a finished stage."""
        self._waiting.append(entry(done, book, self._recipe.work))
        if self._run is not None:
            self._run.update(stages=self._waiting)
            self._run.journal("stage", stage=done.stage.word(), made=done.made[0], of=done.made[1])

    def failed(self, error: BaseException) -> None:
        """Notes how the run ended, if it ever began."""
        if self._run is not None:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            self._run.update(state=state, error=str(error), finished=round(time.time(), 3))
            self._run.journal(state, error=str(error))


def entry(done: Walked, book: ledger.Ledger, work: Path) -> dict[str, Any]:
    """What run.json says of a stage; results are named relative to the folder of results."""

    def stems(markers: Sequence[Marker]) -> list[str]:
        return [marker.path.with_suffix("").relative_to(work).as_posix() for marker in markers]

    total = ledger.totals(book)
    markers = [*done.parts, *(m for step in done.steps.values() for m in step)]
    return {
        "stage": done.stage.word(),
        "key": done.key,
        "in": total["in"],
        "alive": total["alive"],
        "dropped": total["dropped"],
        "quarantined": sum(total["quarantined"].values()),
        "quarantined_by_reason": total["quarantined"],
        "seconds": round(sum(m.body.get("seconds", 0.0) for m in markers), 3),
        "bytes": total.get("bytes", 0),
        "tokens": total.get("token_count"),
        "peak_mb": max((m.body.get("peak_mb", 0) for m in markers), default=0),
        "by_source": book,
        "tallies": ledger.tallies(markers),
        "made": list(done.made),
        "identity": done.identity,
        "parameters": done.stage.model_dump(mode="json"),
        "parts": stems(done.parts),
        "steps": {step: stems(found) for step, found in done.steps.items()},
    }


def _train(recipe: Recipe, packed: Path, out: Path, run: Run, watcher: Watcher) -> None:
    """Trains on the shards in a process of its own, and writes the training's page however it ends."""
    run.journal("train", out=str(out))
    try:
        train_on(packed, out, dict(recipe.train or {}), watcher)
    finally:
        training.write(out, recipe.name)
