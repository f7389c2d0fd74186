"""What would run, and why: each stage's state, and what changed since the last run.

Walks the same flow as a run, without an executor. Where a stage has work, the ones after it are judged by
what is known: their parameters against those of the last run. Makes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline import runs
from pipeline.flow import Flow, Waiting
from pipeline.keys import library_versions
from pipeline.recipe import Recipe
from stages.base import Source, Stage

if TYPE_CHECKING:
    from pipeline.mixture import Mixture


@dataclass(frozen=True)
class Planned:
    """One line of the plan.

    Attributes:
        stage: the stage's word.
        state: fresh, missing, partial, stale or corrupt.
        why: what changed, or how much is there.
        action: what a run would do.
        mixture: of mix: what it would take, as far as that is known.
    """

    stage: str
    state: str
    why: str
    action: str
    mixture: Mixture | None = None


def plan(recipe: Recipe) -> list[Planned]:
    """The plan of a recipe, a line a stage."""
    flow = Flow(recipe, recipe.work)
    last = _last_identities(recipe)
    lines: list[Planned] = []
    waiting: Waiting | None = None
    try:
        lines.extend(Planned(done.stage.word(), "fresh", "", "reuse") for done in flow.walk())
    except Waiting as found:
        waiting = found
    changed: list[str] = []
    for stage in recipe.stages[len(lines) :]:
        word = stage.word()
        reasons = _changes(stage, last.get(word), flow, recipe)
        here = waiting is not None and waiting.stage == word
        states = waiting.states if here and waiting is not None else {}
        total = waiting.total if here and waiting is not None else 0
        if states.get("corrupt"):
            state, why = (
                "corrupt",
                f"{states['corrupt']} of {total} results of {_step(waiting)} do not verify",
            )
            why = "; ".join([why, *reasons])
        elif reasons:
            state, why = "stale", "; ".join(reasons)
        elif changed and word in last:
            state, why = "stale", f"after {changed[-1]}"
        elif states.get("fresh"):
            state, why = "partial", f"{states['fresh']}/{total} of {_step(waiting)}"
        else:
            state, why = "missing", "never run here"
        changed.append(word)
        some = (
            f"run {total - states.get('fresh', 0)} of {total} {_step(waiting)}"
            if here
            else "run what changes"
        )
        lines.append(Planned(word, state, why, some))
    if not any(line.stage == "mix" for line in lines):
        return lines
    from pipeline.mixture import mixture  # noqa: PLC0415 - other recipes need not know what a tokenizer is

    mixed = mixture(recipe, flow.walked)
    return [replace(line, mixture=mixed) if line.stage == "mix" else line for line in lines]


def _step(waiting: Waiting | None) -> str:
    return waiting.step if waiting is not None else ""


def _last_identities(recipe: Recipe) -> dict[str, Any]:
    """Stage -> identity in the newest run of this folder that got as far as that stage."""
    found: dict[str, Any] = {}
    for run in runs.every(recipe.work):
        record = run.record()
        if record.get("name") == recipe.name:
            found |= {entry["stage"]: entry["identity"] for entry in record.get("stages", ())}
    return found


def _changes(stage: Stage, last: Mapping[str, Any] | None, flow: Flow, recipe: Recipe) -> list[str]:
    """How a stage differs from what it was in the last run."""
    if last is None:
        return []
    word = stage.word()
    reasons: list[str] = []
    if stage.version != last["version"]:
        reasons.append(f"{word}: version {last['version']} -> {stage.version}")
    versions = library_versions(stage.libraries)
    reasons += [
        f"{word}: {name} {last['libraries'].get(name, 'none')} -> {version}"
        for name, version in versions.items()
        if last["libraries"].get(name) != version
    ]
    if isinstance(stage, Source):
        return reasons + _changed_inputs(stage, last, flow, recipe)
    reasons += _differences(word, last["parameters"], stage.identity())
    for label, patterns in stage.files().items():
        now = [flow.inputs.sha256(path) for path in recipe.locate(patterns)]
        if now != last["files"].get(label):
            reasons.append(f"{word}: the content of {label} changed")
    return reasons


def _changed_inputs(stage: Source, last: Mapping[str, Any], flow: Flow, recipe: Recipe) -> list[str]:
    word = stage.word()
    files = flow.inputs.of_sources(stage, recipe.base)
    now = {f"{file.source}/{file.name}": file.sha256 for file in files}
    then = last["inputs"]
    counts = (
        ("+", len(now.keys() - then.keys())),
        ("-", len(then.keys() - now.keys())),
        ("~", sum(now[name] != then[name] for name in now.keys() & then.keys())),
    )
    reasons = [
        f"{word}: {sign}{count} {'file' if count == 1 else 'files'}" for sign, count in counts if count
    ]
    parameters = {p.source: stage.slice_identity(p) for p in stage.slices(files)}
    before = last["parameters"]["sources"]
    both = parameters.keys() & before.keys()
    return reasons + [
        change
        for name in sorted(both)
        for change in _differences(f"{word}.{name}", before[name], parameters[name])
    ]


def _differences(place: str, then: Any, now: Any) -> list[str]:
    """`place.key old -> new` for each leaf that differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [
            change
            for key in dict.fromkeys((*then, *now))
            for change in _differences(f"{place}.{key}", then.get(key), now.get(key))
        ]
    return [] if then == now else [f"{place} {_shown(then)} -> {_shown(now)}"]


def _shown(value: Any) -> str:
    text = str(value) if value is not None else "none"
    return text if len(text) <= 60 else text[:57] + "..."
