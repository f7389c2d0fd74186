"""Walks a recipe's stages in order, cuts each into tasks, and knows which results are already there.

The same walk plans and runs: `Flow` with an executor makes what is missing; without one it raises `Waiting`
at the first step that has something to do. Keys are built here:

    folder   hash(stage, version, parameters, libraries, digests of files)
    result   hash(digests of the columns it reads, which rows were alive, its slice of the ruling)

so a result is found again whenever, and only when, the same bytes would be computed. What the tasks do is
in `tasks.py`; what a stage computes, in `stages/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline import exchange, store
from pipeline.errors import StageFailed
from pipeline.executors import Executor, cores
from pipeline.inputs import Inputs
from pipeline.keys import build_digest, canonical, short, stage_identity
from pipeline.recipe import Recipe
from pipeline.store import Marker
from pipeline.tasks import Task
from stages.base import Global, Local, Shuffle, Source, Stage

DECIDED_TOGETHER: Final = 16_000_000  # bytes of findings a task of `decide` takes, unless one bucket has more


class Waiting(Exception):
    """A step has results to make, and there is no executor to make them."""

    def __init__(self, stage: str, step: str, total: int, states: Mapping[str, int]) -> None:
        super().__init__(f"{stage} {step}: {states} of {total}")
        self.stage, self.step, self.total, self.states = stage, step, total, dict(states)


@dataclass
class Walked:
    """A stage whose results are all there.

    Attributes:
        stage: the stage.
        key: digest of its identity and of everything it read; the report's `key`.
        identity: what the key covers besides the data, for `plan` to compare.
        parts: a marker a part, in load order: its columns, reasons and ledger.
        steps: markers of surveys, rulings and shards, by step.
        files: artifact name -> path and sha256.
        made: how many results this run made, of how many.
    """

    stage: Stage
    key: str
    identity: dict[str, Any]
    parts: list[Marker]
    steps: dict[str, list[Marker]] = field(default_factory=dict)
    files: dict[str, tuple[Path, str]] = field(default_factory=dict)
    made: tuple[int, int] = (0, 0)


class Flow:
    """One walk over the stages of a recipe.

    Args:
        recipe: what to do.
        work: the folder of results.
        executor: makes what is missing; None to plan only.
        watch: told of each step (stage, step, done, total) as it goes on.
        stopping: asked before each task; True lets the tasks in flight finish and then stops.
    """

    def __init__(
        self,
        recipe: Recipe,
        work: Path,
        executor: Callable[[], Executor] | None = None,
        watch: Callable[[str, str, int, int], None] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.recipe, self.work, self.store = recipe, work, work / "store"
        self.inputs = Inputs(self.store)
        self.walked: list[Walked] = []
        self.made = 0  # results, in all steps so far
        self._executor, self._watch, self._stopping = executor, watch, stopping
        self._force: frozenset[str] = frozenset()
        self._made = [0, 0]

    def walk(self, force: Iterable[str] = (), *, frozen: Iterable[str] = ()) -> Iterator[Walked]:
        """Yields each stage once all its results are there.

        Args:
            force: stages whose results are made again even if they verify.
            frozen: stages that may not be computed: something missing there raises `Waiting`.

        Raises:
            Waiting: there is work and no executor, or a frozen stage has work.
        """
        self._force = frozenset(force)
        executor = self._executor
        for stage in self.recipe.stages:
            word = stage.word()
            self._executor = None if word in set(frozen) else executor
            self._made = [0, 0]
            match stage:
                case Source():
                    done = self._load(stage)
                case Local():
                    done = self._local(stage)
                case Global():
                    done = self._global(stage)
                case Shuffle():
                    done = self._shuffle(stage)
                case _:
                    raise StageFailed(f"stage {word} is of no known kind")
            done.made = (self._made[0], self._made[1])
            self.walked.append(done)
            yield done
        self._executor = executor

    # ---------------------------------------------------------------- steps

    def step(self, word: str, step: str, tasks: Sequence[Task]) -> list[Marker]:
        """The markers of the tasks, made where they are missing."""
        stems = [Path(task["out"]) for task in tasks]
        if word in self._force and self._executor is not None:
            for stem in stems:
                store.discard(stem)
        with ThreadPoolExecutor(cores()) as pool:
            found = list(pool.map(store.inspect, stems))
        todo = [task for task, (state, _) in zip(tasks, found, strict=True) if state != "fresh"]
        self._made[1] += len(tasks)
        if todo:
            if self._executor is None:
                states = [state for state, _ in found]
                raise Waiting(word, step, len(tasks), {s: states.count(s) for s in sorted(set(states))})
            for stem, (state, _) in zip(stems, found, strict=True):
                if state == "corrupt":
                    store.discard(stem)
            self._make(word, step, todo, len(tasks))
            self._made[0] += len(todo)
            self.made += len(todo)
            markers = [
                store.read_marker(stem) if state != "fresh" else marker
                for stem, (state, marker) in zip(stems, found, strict=True)
            ]
        else:
            markers = [marker for _, marker in found]
        complete = [marker for marker in markers if marker is not None]
        if len(complete) != len(tasks):
            raise StageFailed(f"{word} {step}: a result vanished from {self.store} while the run went on")
        return complete

    def _make(self, word: str, step: str, todo: list[Task], total: int) -> None:
        assert self._executor is not None  # noqa: S101 - the caller asked
        done = total - len(todo)
        watch = self._watch or (lambda *_: None)
        watch(word, step, done, total)
        feed = (task for task in todo if not self._stopping())
        for _ in self._executor().map(feed):
            done += 1
            watch(word, step, done, total)
        if done < total:
            raise KeyboardInterrupt

    def task(self, operation: str, stage: Stage, files: Mapping[str, Any], out: Path, **more: Any) -> Task:
        """What a worker is told."""
        return {
            "op": operation,
            "build": build_digest(),
            "stage": {"word": stage.word(), "parameters": stage.model_dump(mode="json"), "files": files},
            "out": str(out),
            **more,
        }

    def _spec(self, value: Any) -> str:
        """A file for what is too long to travel in a task."""
        path = self.store / "specs" / f"{short(value)}.json"
        if not path.exists():
            with store.writing(path) as beside:
                beside.write_bytes(canonical(value))
        return str(path)

    # ---------------------------------------------------------------- what a stage reads

    def _needs(self, stage: Stage) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Label -> paths and label -> digests of a stage's files and of the artifacts it uses."""
        paths: dict[str, list[str]] = {}
        digests: dict[str, list[str]] = {}
        for label, patterns in stage.files().items():
            located = self.recipe.locate(patterns)
            paths[label] = [str(path) for path in located]
            digests[label] = [self.inputs.sha256(path) for path in located]
        for name in stage.uses:
            made = next((w.files[name] for w in reversed(self.walked) if name in w.files), None)
            if made is None:
                raise StageFailed(f"stage {stage.word()} needs {name}, which no stage before it makes")
            paths[name], digests[name] = [str(made[0])], [made[1]]
        return paths, digests

    def _view(self, stage: Stage, part: int, columns: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
        """Where a part's columns lie now, and the digests of what a stage would read."""
        wanted = ["doc_id", "source", "bytes", "token_count", *columns]
        provider: dict[str, Marker] = {}
        for done in self.walked:
            if done.parts:
                provider |= {name: done.parts[part] for name in wanted if name in done.stage.written}
        optional = {"bytes", "token_count", *stage.optional}
        absent = [name for name in wanted if name not in provider and name not in optional]
        if absent:
            raise StageFailed(f"stage {stage.word()} reads {absent}, which no stage before it writes")
        last = next(done.parts[part] for done in reversed(self.walked) if done.parts)
        view = {"columns": {name: str(m.data) for name, m in provider.items()}, "alive": str(last.data)}
        digests = [f"{name}:{marker.sha256}" for name, marker in sorted(provider.items())]
        return view, [*digests, last["alive_sha256"]]

    def _parts(self) -> list[Marker]:
        return self.walked[0].parts

    # ---------------------------------------------------------------- the four kinds

    def _load(self, stage: Source) -> Walked:
        files = self.inputs.of_sources(stage, self.recipe.base)
        tasks: list[Task] = []
        identities: dict[str, Any] = {}
        for piece in stage.slices(files):
            own = stage.for_slice(piece)
            identity = stage_identity(stage, stage.slice_identity(piece), {})
            identities[piece.source] = identity["parameters"]
            covered = [[f.name, f.sha256] for f in piece.files]
            name = f"{piece.name}-{short(covered, piece.start, piece.stop, piece.first_record)}"
            out = self.store / stage.word() / short(identity) / name
            tasks.append(self.task("read", own, {}, out, spec=self._spec(asdict(piece))))
        slices = self.step(stage.word(), "read", tasks)
        parts = [
            marker
            for piece in slices
            for name in piece["parts"]
            if (marker := store.read_marker(piece.path.parent / name)) is not None
        ]
        if not parts:
            raise StageFailed(
                "load: the sources hold no record at all; is load.sources[].paths what you meant?"
            )
        contents = {f"{f.source}/{f.name}": f.sha256 for f in files}
        identity = stage_identity(stage, {"sources": identities}, {})
        identity["inputs"] = contents
        key = short(identity, [part.sha256 for part in parts])
        return Walked(stage, key, identity, parts, {"read": slices})

    def _local(self, stage: Local) -> Walked:
        learnt: list[Marker] = []
        if stage.publishes:
            paths, digests = self._needs(stage)
            key = short(stage_identity(stage, stage.artifact_identity(), digests), "learnt")
            task = self.task("learn", stage, paths, self.store / stage.word() / key / "learnt")
            learnt = self.step(stage.word(), "learn", [task])
        return self._applied(stage, stage.wanted, None, learnt, {"learn": learnt} if learnt else {})

    def _global(self, stage: Global) -> Walked:
        ruling: Marker | None = None
        steps: dict[str, list[Marker]] = {}
        paths, digests = self._needs(stage)
        for turn in range(stage.rounds):
            findings = self._survey(stage, turn, ruling, paths, digests)
            ruling = self._ruled(stage, turn, findings, paths, digests)
            steps |= {f"survey {turn}": findings, f"ruling {turn}": [ruling]}
        if not stage.rounds and stage.publishes:
            identity = stage_identity(stage, stage.identity(), digests)
            out = self.store / stage.word() / short(identity) / "settled"
            task = self.task("settle", stage, paths, out, turn=-1, last=True)
            steps["settle"] = self.step(stage.word(), "settle", [task])
        done = self._applied(stage, stage.needed, ruling, steps.get("settle", []), steps)
        done.files |= store.artifacts([ruling] if ruling else [])
        return done

    def _survey(
        self, stage: Global, turn: int, ruling: Marker | None, paths: dict[str, Any], digests: dict[str, Any]
    ) -> list[Marker]:
        identity = stage_identity(stage, stage.survey_identity(turn), digests)
        folder = self.store / stage.word() / short(identity, "survey", turn)
        tasks = []
        for part, loaded in enumerate(self._parts()):
            view, seen = self._view(stage, part, stage.survey_reads(turn))
            told, heard = exchange.told(ruling, part)
            out = folder / f"{loaded.path.stem}-{short(seen, heard)}"
            tasks.append(self.task("survey", stage, paths, out, view=view, ruling=told, part=part, turn=turn))
        return self.step(stage.word(), f"survey {turn}", tasks)

    def _ruled(
        self, stage: Global, turn: int, findings: list[Marker], paths: dict[str, Any], digests: dict[str, Any]
    ) -> Marker:
        identity = stage_identity(stage, stage.identity(), digests)
        key = short(identity, turn, [marker.sha256 for marker in findings])
        folder = self.store / stage.word() / key
        loads: dict[int, int] = {}
        sent = []
        for part, marker in enumerate(findings):
            sent.append({"path": str(marker.data), "part": part, "slices": marker["slices"]})
            width = -(-marker["bytes"] // max(1, marker["rows"]))
            for bucket, (_, rows) in marker["slices"].items():
                loads[int(bucket)] = loads.get(int(bucket), 0) + rows * width
        spec = self._spec(sent)
        groups = exchange.ranges(loads, DECIDED_TOGETHER) or [(0,)]
        tasks = [
            self.task(
                "decide",
                stage,
                paths,
                folder / f"decided-{group[0]:05d}",
                turn=turn,
                buckets=group,
                spec=spec,
            )
            for group in groups
        ]
        decided = self._merged(stage, turn, self.step(stage.word(), f"decide {turn}", tasks), folder, paths)
        spec = self._spec([str(marker.data) for marker in decided])
        last = turn == stage.rounds - 1
        task = self.task("settle", stage, paths, folder / "ruling", turn=turn, last=last, spec=spec)
        return self.step(stage.word(), f"settle {turn}", [task])[0]

    def _merged(
        self, stage: Global, turn: int, decided: list[Marker], folder: Path, paths: dict[str, Any]
    ) -> list[Marker]:
        """Decisions too many to be settled in one piece: pairs of files become one, again and again."""
        most, again = stage.mergeable, 0
        while most is not None and len(decided) > 1 and sum(marker["rows"] for marker in decided) > most:
            pairs = [decided[k : k + 2] for k in range(0, len(decided), 2)]
            tasks = [
                self.task(
                    "merge",
                    stage,
                    paths,
                    folder / f"merged-{again}-{number:05d}",
                    turn=turn,
                    spec=self._spec([str(marker.data) for marker in pair]),
                )
                for number, pair in enumerate(pairs)
            ]
            decided = self.step(stage.word(), f"merge {turn}", tasks)
            again += 1
        return decided

    def _applied(
        self,
        stage: Local | Global,
        columns: tuple[str, ...],
        ruling: Marker | None,
        settled: list[Marker],
        steps: dict[str, list[Marker]],
    ) -> Walked:
        paths, digests = self._needs(stage)
        identity = stage_identity(stage, stage.identity(), digests)
        folder = self.store / stage.word() / short(identity)
        own = store.artifacts(settled)
        paths |= {name: [str(path)] for name, (path, _) in own.items()}
        tasks = []
        for part, loaded in enumerate(self._parts()):
            view, seen = self._view(stage, part, (*columns, *stage.optional))
            told, heard = exchange.told(ruling, part)
            out = folder / f"{loaded.path.stem}-{short(seen, heard, [sha256 for _, sha256 in own.values()])}"
            tasks.append(self.task("apply", stage, paths, out, view=view, ruling=told, part=part))
        parts = self.step(stage.word(), "apply", tasks)
        key = short(identity, [marker.sha256 for marker in parts], [sha256 for _, sha256 in own.values()])
        return Walked(stage, key, identity, parts, steps, own)

    def _shuffle(self, stage: Shuffle) -> Walked:
        paths, digests = self._needs(stage)
        identity = stage_identity(stage, stage.identity(), digests)
        folder = self.store / stage.word() / short(identity)
        tasks = []
        for part, loaded in enumerate(self._parts()):
            view, seen = self._view(stage, part, (*stage.reads, *stage.optional))
            out = folder / f"{loaded.path.stem}-{short(seen)}"
            tasks.append(self.task("route", stage, paths, out, view=view, ruling=None, part=part))
        routed = self.step(stage.word(), "route", tasks)
        key = short(identity, [marker.sha256 for marker in routed])
        home = self.store / stage.word() / key
        weights: dict[int, int] = {}
        sent = []
        for part, marker in enumerate(routed):
            sent.append({"path": str(marker.data), "part": part, "slices": marker["slices"]})
            for bucket, weight in marker["weights"].items():
                weights[int(bucket)] = weights.get(int(bucket), 0) + weight
        spec, packed = self._spec(sent), str(home / "packed")
        tasks = [
            self.task(
                "write", stage, paths, home / name, name=name, buckets=buckets, folder=packed, spec=spec
            )
            for name, buckets in stage.groups(weights).items()
        ]
        shards = self.step(stage.word(), "write", tasks)
        spec = self._spec([marker["entry"] for marker in shards])
        task = self.task("manifest", stage, paths, home / "manifest", folder=packed, spec=spec)
        steps = {"route": routed, "write": shards, "manifest": self.step(stage.word(), "manifest", [task])}
        return Walked(stage, key, identity, [], steps, {"packed": (home / "packed", key)})
