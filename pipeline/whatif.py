"""What another threshold would keep, without a run of the whole recipe.

    whatif(recipe, "dedup.threshold=0.7,0.8,0.9", where) -> dict

Rules of clean and the threshold or draw of quality are judged anew from the measurements that a run stored
(`judged.py`): no text is read. For all else the flow goes as far as that stage under the changed recipe; it
reuses every result that does not hang on the value (texts, signatures), says why it had to run and how many
results it made, and leaves them in the store, where a run with that value finds them. Counted are the
documents that the stage lets live, tokens as often as a mixture repeats them; later stages are not replayed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline import recipe as recipes
from pipeline import runs
from pipeline.complaints import nearest
from pipeline.errors import RecipeError
from pipeline.executors import Executor, executor
from pipeline.flow import Flow, Waiting, Walked
from pipeline.inputs import Inputs
from pipeline.judged import Known, Tally, judged, objects, unanswered
from pipeline.keys import stage_identity
from pipeline.lease import lease
from pipeline.ledger import FEW, conserve, limit_of
from pipeline.recipe import Recipe
from pipeline.store import read_table
from pipeline.stored import Stored
from stages.base import Stage
from stages.clean import Clean
from stages.naming import stage_names
from stages.rules import LINE_RULES, RULES

__all__ = ["render", "whatif"]

_RULES: Final = (*(rule.code for rule in RULES), *LINE_RULES)


def whatif(path: Path, setting: str, where: str = "serial", work: Path | None = None) -> dict[str, Any]:
    """What a stage would keep under each of some values of a parameter.

    Args:
        path: the recipe.
        setting: `stage.parameter=value,value`; values as YAML, commas inside brackets do not separate;
            for a rule of clean `clean.gopher.words.min=30,80`.
        where: name of the executor for what must be computed.
        work: overrides the folder of results.

    Returns:
        `stage`, `key`, `how` ("measurements" or "flow"), `why` (the stage had to run; None: it did not), `later`
        (stages that were not replayed) and `values`: a dict each with `value`, `made` (results that had to be
        computed), `alarm` (sources of which so much would go that a run stops), what `Tally.result` counts, and for clean `rules`: how many documents fail each rule, and
        how many fail it alone.

    Raises:
        RecipeError: no such stage or parameter, or a value that it does not take.
    """
    key, _, given = setting.partition("=")
    word, _, parameter = key.partition(".")
    current = recipes.read(path, (), work)
    words = [stage.word() for stage in current.stages]
    values = split(given)
    if word not in words or not parameter or not values:
        raise RecipeError([f"{setting!r}: {_misread(path, words, key)}"])
    try:
        changed = [recipes.read(path, [_setting(current, word, parameter, value)], work) for value in values]
    except RecipeError as error:
        raise RecipeError([complaint.removeprefix("--set ") for complaint in error.complaints]) from error
    stored, why = _answering(current, changed, word)
    found: dict[str, Any] = {
        "stage": word,
        "key": key,
        "recipe": str(path),
        "later": words[words.index(word) + 1 :],
        "how": "flow" if why else "measurements",
        "why": why,
    }
    if stored is not None and why is None:
        found["values"] = [{**judged(stored, _stage(recipe, word)), "made": 0} for recipe in changed]
    else:
        found["values"] = _walked(changed, word, where, stored)
    for value, recipe, entry in zip(values, changed, found["values"], strict=True):
        entry |= {"value": value, "alarm": _alarmed(_stage(recipe, word), entry["by_source"])}
    return found


def _alarmed(stage: Stage, by_source: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The sources of which a stage would drop so much that the run stops."""
    return [
        source
        for source, book in by_source.items()
        if book["in"] >= FEW and book["in"] - book["kept"] > limit_of(stage, source) * book["in"]
    ]


def _misread(path: Path, words: Sequence[str], key: str) -> str:
    """What is wrong with a setting whose stage, parameter or values are missing."""
    word, _, parameter = key.partition(".")
    expected = "expected STAGE.PARAMETER=VALUE,VALUE, such as dedup.threshold=0.7,0.8"
    if word in words:
        return f"{expected}; " + (
            f"say which values of {key}" if parameter else f"say which parameter of {word}"
        )
    if key.rpartition(".")[0] in _RULES and "clean" in words:
        return f"{expected}; this rule is clean's: clean.{key}"
    known = f"the recipe has no stage {word!r}" if word in stage_names() else f"{word!r} is no stage"
    return f"{expected}; {known}; {path} has {', '.join(words)}{nearest(word, words)}"


def _setting(current: Recipe, word: str, parameter: str, value: str) -> str:
    """The override for a value; `clean.gopher.words.min=30` is short for an entry of its thresholds."""
    rule, _, side = parameter.rpartition(".")
    if word != "clean" or parameter.partition(".")[0] in Clean.model_fields:
        return f"{word}.{parameter}={value}"
    if parameter in _RULES:
        raise RecipeError(
            [
                f"clean.{parameter}: say which bound: clean.{parameter}.min=VALUE or clean.{parameter}.max=VALUE"
            ]
        )
    if side in {"min", "max"} and rule not in _RULES:
        alike = [f"clean.{code}.{side}" for code in _RULES if code.rpartition(".")[2] == rule]
        hint = f"; did you mean {' or '.join(alike)}?" if alike else nearest(rule, _RULES)
        raise RecipeError([f"clean.{parameter}: {rule!r} is not a rule of clean with bounds{hint}"])
    if side not in {"min", "max"}:
        return f"{word}.{parameter}={value}"
    stage = next(stage for stage in current.stages if isinstance(stage, Clean))
    bounds = {name: bound and asdict(bound) for name, bound in stage.thresholds.items()}
    try:
        bounds[rule] = {**(bounds.get(rule) or {}), side: float(value)}
    except ValueError as error:
        raise RecipeError([f"{word}.{parameter}={value}: expected a number"]) from error
    return f"clean.thresholds={json.dumps(bounds)}"


def split(given: str) -> list[str]:
    """`0.7,0.8` -> two values; commas inside brackets or braces belong to the value."""
    values, depth = [""], 0
    for mark in given:
        depth += (mark in "[{") - (mark in "]}")
        if mark == "," and not depth:
            values.append("")
        else:
            values[-1] += mark
    return [value.strip() for value in values if value.strip()]


def _stage(recipe: Recipe, word: str) -> Stage:
    return next(stage for stage in recipe.stages if stage.word() == word)


def _answering(current: Recipe, changed: Sequence[Recipe], word: str) -> tuple[Stored | None, str | None]:
    """A finished run that gave the stage the very rows that the recipe would give it, and why it is not enough.

    Of such runs that one is taken whose measurements answer, and that counted the tokens of most documents;
    None: there is no such run. The reason is None if the measurements answer.
    """
    if word == current.stages[0].word():
        return None, f"{word} stores nothing that says what it would read otherwise"
    none = f"no finished run gave {word} the documents that {current.path.name} gives it"
    keys: list[str] = []
    try:
        for done in Flow(current, current.work).walk():
            if done.stage.word() == word:
                break
            keys.append(done.key)
    except Waiting as waiting:
        if waiting.stage != word:
            return None, none
    identities = [_identity(recipe, _stage(recipe, word)) for recipe in changed]
    found: list[tuple[bool, int, Stored, str | None]] = []
    for run in reversed(runs.every(current.work)):
        record = run.record()
        given = [entry["key"] for entry in record["stages"][: len(keys)]]
        if record.get("state") == "done" and given == keys:
            stored = Stored(run)
            reasons = [unanswered(stored.entry(word), identity) for identity in identities]
            why = next((reason for reason in reasons if reason), None)
            tokens = max(entry["tokens"] or 0 for entry in stored.stages)
            found.append((why is None, tokens, stored, why))
    if not found:
        return None, none
    _, _, best, why = max(found, key=lambda one: one[:2])  # the first of equals, and so the newest
    return best, why


def _identity(recipe: Recipe, stage: Stage) -> dict[str, Any]:
    """What the results of a stage that uses no artifacts are keyed by, besides its rows."""
    inputs = Inputs(recipe.work / "store")
    digests = {
        label: [inputs.sha256(path) for path in recipe.locate(patterns)]
        for label, patterns in stage.files().items()
    }
    return stage_identity(stage, stage.identity(), digests)


# ------------------------------------------------------------------------------ from the flow


def _walked(changed: Sequence[Recipe], word: str, where: str, stored: Stored | None) -> list[dict[str, Any]]:
    """Each value's flow as far as the stage."""
    known = Known(stored)
    with lease(changed[0].work, f"whatif {word}"), ExitStack() as stack:
        started: list[Executor] = []

        def workers() -> Executor:
            if not started:
                started.append(executor(where))
                stack.push(started[0].__exit__)
            return started[0]

        return [_reached(Flow(recipe, recipe.work, workers), word, known) for recipe in changed]


def _reached(flow: Flow, word: str, known: Known) -> dict[str, Any]:
    before = None
    made = 0
    for done in flow.walk():
        conserve(done.stage.word(), before, done.parts or done.steps["route"])
        before, made = done.parts, made + done.made[0]
        if done.stage.word() == word:
            break
    tally = Tally()
    for part in range(len(flow.walked[0].parts)):
        _add(tally, flow.walked, part, known)
    return {**tally.result(known.rate), "made": made}


def _add(tally: Tally, walked: Sequence[Walked], part: int, known: Known) -> None:
    """Counts a part as the last stage of a walk was given it, and as it left it."""
    stages = [done for done in walked if done.parts]
    last = walked[-1]

    def column(name: str) -> pa.ChunkedArray | None:
        """As the last stage that writes it left it; null where that stage was not given the row."""
        path = next((done.parts[part].data for done in reversed(stages) if name in done.stage.written), None)
        return read_table(path, [name]).column(name) if path is not None else None

    def alive(done: Walked) -> Any:
        path = done.parts[part].data
        assert path is not None  # noqa: S101 - published with data
        return read_table(path, ["reason", "alive"])

    before = stages[-1] if not last.parts else stages[-2] if len(stages) > 1 else None
    rows = alive(stages[0]).num_rows
    given = np.arange(rows) if before is None else np.flatnonzero(alive(before).column("alive").to_numpy())
    taken = pa.array(given)

    def floats(name: str) -> Any:
        found = column(name)
        return None if found is None else found.take(taken).to_numpy().astype(np.float64)

    reasons = alive(last).column("reason").take(taken).to_pylist() if last.parts else [None] * len(given)
    source, sizes, tokens, times = column("source"), floats("bytes"), floats("token_count"), floats("repeats")
    assert source is not None  # noqa: S101 - load writes it
    tokens = known.tokens(part, given, sizes) if tokens is None else tokens
    tally.add(
        source.take(taken).to_numpy(),
        objects(reasons),
        sizes,
        tokens,
        1 if times is None else np.nan_to_num(times),
    )


def render(found: Mapping[str, Any]) -> str:
    """A table for people: a column a value."""
    values = found["values"]
    rows: list[tuple[str, list[str]]] = [(found["key"], [str(value["value"]) for value in values])]
    rows.append((f"kept by {found['stage']}", [f"{value['kept']:,}" for value in values]))
    rows.append(("tokens", [_tokens(value) for value in values]))
    rows += [
        (f"  {source}", [f"{v['by_source'].get(source, {'kept': 0})['kept']:,}" for v in values])
        for source in values[0]["by_source"]
    ]
    rows += [
        (f"dropped: {reason}", [f"{value['dropped'].get(reason, 0):,}" for value in values])
        for reason in sorted({reason for value in values for reason in value["dropped"]})
    ]
    for rule in sorted({rule["rule"] for value in values for rule in value.get("rules", ())}):
        by_rule = [
            next((r for r in v["rules"] if r["rule"] == rule), {"fails": 0, "alone": 0}) for v in values
        ]
        rows.append((f"fails {rule} (alone)", [f"{r['fails']:,} ({r['alone']:,})" for r in by_rule]))
    if found["why"]:
        rows.append(("results computed", [f"{value['made']:,}" for value in values]))
    left = max(len(name) for name, _ in rows)
    widths = [max(len(cells[place]) for _, cells in rows) for place in range(len(values))]
    lines = [
        name.ljust(left)
        + "".join("  " + cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    ]
    why = f"{found['stage']} was asked again: {found['why']}"
    lines.append(why if found["why"] else "read from stored measurements; nothing was computed")
    lines += [
        f"with {value['value']} a run would stop: {', '.join(value['alarm'])} would lose more than max_drop allows"
        for value in values
        if value["alarm"]
    ]
    if found["later"]:
        lines.append(
            f"not replayed: {', '.join(found['later'])}; run the recipe with --set to see what they keep"
        )
    return "\n".join(lines)


def _tokens(value: Mapping[str, Any]) -> str:
    if value["tokens"] is None:
        return "–"
    return f"{'≈ ' if value['estimated'] else ''}{value['tokens']:,}"
