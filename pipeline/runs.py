"""Runs on disk: one folder each under WORK/runs, with what was asked, what happened and what came of it.

recipe.resolved.yaml   the recipe with all defaults
run.json               state, stages with keys and ledgers, where results lie
journal.jsonl          events, a line each, as they happened
report.html report.json documents/ packed -> ../../store/pack/<key>/packed
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipeline.complaints import nearest
from pipeline.errors import RecipeError
from pipeline.store import write_json

SHOWN: Final = 5  # runs that a message lists: the newest


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    path: Path

    @property
    def id(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def work(self) -> Path:
        """The folder of results it belongs to."""
        return self.path.parent.parent

    def record(self) -> dict[str, Any]:
        """What run.json says; results, which it names relative to the folder of results, with their paths.

        Raises:
            RecipeError: there is no readable run.json.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "run.json").read_bytes())
        except (OSError, ValueError) as error:
            raise RecipeError([f"{self.path}: not a run: {error}"]) from error
        for entry in found.get("stages", ()):
            entry["parts"] = [str(self.work / stem) for stem in entry["parts"]]
            for step, stems in entry["steps"].items():
                entry["steps"][step] = [str(self.work / stem) for stem in stems]
        statistics = found.get("statistics", {})
        for name, stems in statistics.items():
            statistics[name] = [str(self.work / stem) for stem in stems]
        return found

    def documents(self) -> list[Path]:
        """The files of the documents table, a part each.

        Raises:
            RecipeError: the run did not get as far as writing them.
        """
        found = sorted((self.path / "documents").glob("*.parquet"))
        if not found:
            state = self.record().get("state")
            todo = (
                "wait for it (`gristmill status` says how far it is), or name an earlier run"
                if state == "running"
                else "run its recipe to the end first"
            )
            raise RecipeError([f"run {self.id} has no documents table: it is {state}; {todo}"])
        return found

    def update(self, **changes: Any) -> None:
        """Changes entries of run.json, atomically."""
        path = self.path / "run.json"
        record = json.loads(path.read_bytes()) if path.exists() else {}
        write_json(path, {**record, **changes})

    def journal(self, event: str, **details: Any) -> None:
        """Adds a line to the journal."""
        line = {"time": round(time.time(), 3), "event": event, **details}
        with (self.path / "journal.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def new(work: Path, name: str) -> Run:
    """Makes the folder of a new run: its id is the time, then the recipe's name."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for count in range(1000):
        path = work / "runs" / (f"{stamp}-{name}" if not count else f"{stamp}-{name}-{count}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return Run(path)
    raise RecipeError([f"{work}: a thousand runs began in this second"])


def every(work: Path) -> list[Run]:
    """The runs of a folder of results, oldest first."""
    folder = work / "runs"
    found = [path for path in folder.iterdir() if (path / "run.json").is_file()] if folder.is_dir() else []
    return [Run(path) for path in sorted(found)]


def latest(work: Path, **where: Any) -> Run | None:
    """The newest run whose record has these values."""
    for run in reversed(every(work)):
        record: Mapping[str, Any] = run.record()
        if all(record.get(key) == value for key, value in where.items()):
            return run
    return None


def find(name: str | None, work: Path) -> Run:
    """The run that a user means: an id, the path of a run or of a folder of results, or the newest one.

    Raises:
        RecipeError: no such run; the message lists what there is.
    """
    if name is not None:
        path = Path(name)
        if (path / "run.json").is_file():
            return Run(path.resolve())
        if (path / "runs").is_dir():
            work, name = path, None
    runs = every(work.resolve())
    if name is None:
        finished = [run for run in runs if run.record().get("state") == "done"]
        if runs:
            return (finished or runs)[-1]
        near = next((at for at in work.resolve().parents[:2] if (at / "runs").is_dir()), None)
        near = work / "work" if near is None and (work / "work" / "runs").is_dir() else near
        hint = (
            f"did you mean --work {near}?"
            if near
            else "say --work DIR, or start one with `gristmill run RECIPE`"
        )
        raise RecipeError([f"{work} holds no runs; {hint}"])
    found = next((run for run in runs if run.id == name), None)
    if found is None:
        ids = [run.id for run in runs]
        listed = ", ".join([*(["..."] if len(ids) > SHOWN else []), *ids[-SHOWN:]]) or "none"
        raise RecipeError([f"no run {name!r} in {work}{nearest(name, ids)}; there are: {listed}"])
    return found
