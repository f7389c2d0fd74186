"""What another threshold would keep, without a run of the whole recipe.

    whatif(recipe, "dedup.threshold=0.7,0.8,0.9", where) -> dict

Rules of clean are judged anew from the measurements that the last run stored: no text is read. For other
stages the flow goes as far as that stage under the changed recipe; it reuses every result that does not hang
on the value (texts, signatures), says how many it had to make, and leaves them in the store, where a run with
that value finds them. Counted are the documents that the stage lets live; later stages are not replayed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import recipe as recipes
from pipeline import runs
from pipeline.complaints import nearest
from pipeline.errors import RecipeError
from pipeline.executors import Executor, executor
from pipeline.flow import Flow, Waiting
from pipeline.lease import lease
from pipeline.ledger import conserve
from pipeline.recipe import Recipe
from pipeline.store import read_table
from pipeline.stored import Stored
from stages.clean import Clean
from stages.columns import whole
from stages.rules import LINE_RULES, RULES, first_reasons

__all__ = ["render", "whatif"]

JUDGED: Final = frozenset({"presets", "thresholds"})
"""Parameters of clean that decide from measurements alone, but for lines."""
EDITING: Final = frozenset({"c4", "refinedweb"})
"""Presets that also remove lines."""


def whatif(path: Path, setting: str, where: str = "serial", work: Path | None = None) -> dict[str, Any]:
    """What a stage would keep under each of some values of a parameter.

    Args:
        path: the recipe.
        setting: `stage.parameter=value,value`; values as YAML, commas inside brackets do not separate;
            for a rule of clean `clean.gopher.words.min=30,80`.
        where: name of the executor for what must be computed.
        work: overrides the folder of results.

    Returns:
        `stage`, `key`, `how` ("measurements" or "flow") and `values`: a dict each with `value`, `kept`,
        `dropped` (reason -> documents), `by_source` (documents, bytes, tokens), `tokens` (`estimated`: some
        of them from bytes), `made` (results that had to be computed), and for clean `rules`: how many
        documents fail each rule, and how many fail it alone.

    Raises:
        RecipeError: no such stage or parameter, or a value that it does not take.
    """
    key, _, given = setting.partition("=")
    word, _, parameter = key.partition(".")
    current = recipes.read(path, (), work)
    words = [stage.word() for stage in current.stages]
    if word not in words or not parameter or not given:
        expected = f"expected STAGE.PARAMETER=VALUE,VALUE with a stage of {path}: {', '.join(words)}"
        raise RecipeError([f"{setting!r}: {expected}{nearest(word, words)}"])
    values = split(given)
    settings = [_setting(current, word, parameter, value) for value in values]
    changed = [recipes.read(path, [one], work) for one in settings]
    stored = _last(current, word)
    found: dict[str, Any] = {
        "stage": word,
        "key": key,
        "recipe": str(path),
        "later": words[words.index(word) + 1 :],
    }
    if stored is not None and _judged(stored, changed, word):
        found |= {"how": "measurements", "values": [_measured(stored, recipe, word) for recipe in changed]}
    else:
        found |= {"how": "flow", "values": _walked(changed, word, where, stored)}
    for value, entry in zip(values, found["values"], strict=True):
        entry["value"] = value
    return found


def _setting(current: Recipe, word: str, parameter: str, value: str) -> str:
    """The override for a value; `clean.gopher.words.min=30` is short for an entry of its thresholds."""
    rule, _, side = parameter.rpartition(".")
    if word != "clean" or side not in {"min", "max"} or rule not in {known.code for known in RULES}:
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
    return [value.strip() for value in re.split(r",(?![^\[{]*[\]}])", given) if value.strip()]


def _last(recipe: Recipe, word: str) -> Stored | None:
    """The newest finished run that gave the stage the very rows that this recipe would give it."""
    keys: list[str] = []
    try:
        for done in Flow(recipe, recipe.work).walk():
            if done.stage.word() == word:
                break
            keys.append(done.key)
    except Waiting as waiting:
        if waiting.stage != word:
            return None
    for run in reversed(runs.every(recipe.work)):
        record = run.record()
        if record.get("state") == "done" and [e["key"] for e in record["stages"][: len(keys)]] == keys:
            return Stored(run)
    return None


def _judged(stored: Stored, changed: Sequence[Recipe], word: str) -> bool:
    """Whether the stored measurements answer: clean ran as the recipes say but for what judges them."""
    entry = stored.entry(word)
    if word != "clean" or entry is None:
        return False
    stages = [stage for recipe in changed for stage in recipe.stages if isinstance(stage, Clean)]
    earlier = _writes(entry["parameters"])
    return all(not stage.files() and _writes(stage.model_dump(mode="json")) == earlier for stage in stages)


def _writes(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What of clean's parameters decides its text and measurements: not the rules that only drop documents."""
    return {
        **{name: value for name, value in parameters.items() if name not in JUDGED | Clean.guards},
        "editing": EDITING & set(parameters["presets"]),
        "lines": {name: bound for name, bound in parameters["thresholds"].items() if name in LINE_RULES},
    }


# ------------------------------------------------------------------------------ from measurements


def _measured(stored: Stored, recipe: Recipe, word: str) -> dict[str, Any]:
    stage = next(stage for stage in recipe.stages if isinstance(stage, Clean))
    entry = stored.entry(word)
    assert entry is not None  # noqa: S101 - `_judged` saw it
    tally = _Tally(stored)
    fails: dict[str, list[int]] = {}
    for part in range(len(entry["parts"])):
        table = read_table(stored.part_file(entry, part), [name for name in Clean.writes if name != "text"])
        given = np.flatnonzero(table.column("profile").is_valid().to_numpy())
        table = table.take(pa.array(given)).combine_chunks()
        columns = {name: whole(table.column(name)) for name in table.column_names}
        first = np.array([*stage.judge(columns), None], np.object_)[:-1]
        beyond = _beyond(stage, columns)
        times = sum((mask.astype(np.int64) for mask in beyond.values()), np.zeros(len(given), np.int64))
        for code, mask in beyond.items():
            counts = fails.setdefault(code, [0, 0])
            counts[0] += int(mask.sum())
            counts[1] += int((mask & (times == 1)).sum())
        tally.add(part, given, first, table.column("bytes").to_numpy())
    rules = [{"rule": code, "fails": total, "alone": alone} for code, (total, alone) in fails.items()]
    return {**tally.result(), "rules": rules, "made": 0}


def _beyond(stage: Clean, columns: Mapping[str, pa.Array]) -> dict[str, npt.NDArray[np.bool_]]:
    """Rule -> which rows lie beyond its bounds, in the order in which reasons are looked for."""
    profiles = columns["profile"].to_numpy(zero_copy_only=False)
    beyond: dict[str, npt.NDArray[np.bool_]] = {}
    for name in sorted(set(profiles)):
        for rule, bound in stage.bounds(name).items():
            failed = first_reasons(columns, {rule: bound}) == rule
            beyond.setdefault(rule, np.zeros(len(profiles), bool))[(profiles == name) & failed] = True
    return {rule.code: beyond[rule.code] for rule in RULES if rule.code in beyond}


class _Tally:
    """Counts what lives by source: documents, bytes, tokens (from bytes where no run counted them)."""

    def __init__(self, stored: Stored) -> None:
        table = stored.documents(["source", "tokens"])
        size = stored.column("bytes")
        self._bounds = stored.bounds
        self._source = table.column("source").to_numpy()
        self._tokens = table.column("tokens").to_numpy().astype(np.float64)
        known = ~np.isnan(self._tokens)
        sizes = size.to_numpy().astype(np.float64) if size is not None else np.zeros(len(known))
        total = float(np.nansum(sizes[known]))
        self._rate = float(self._tokens[known].sum()) / total if total else None
        self._dropped: dict[str, int] = {}
        self._sources: dict[str, list[float]] = {}
        self._estimated = False

    def add(self, part: int, rows: Any, reasons: Any, sizes: Any) -> None:
        """Rows of a part that a stage was given, why it drops them (None: it does not), their bytes."""
        places = rows + int(self._bounds[part])
        for reason in reasons[reasons != None]:  # noqa: E711 - element by element
            self._dropped[reason] = self._dropped.get(reason, 0) + 1
        tokens = self._tokens[places]
        guessed = np.isnan(tokens)
        if self._rate is not None:
            tokens = np.where(guessed, sizes * self._rate, tokens)
        source = self._source[places]
        alive = reasons == None  # noqa: E711 - element by element
        self._estimated |= bool((guessed & alive).any())
        for name in sorted(set(source)):
            here = source == name
            into = self._sources.setdefault(name, [0, 0, 0, 0])
            for place, count in enumerate(
                (here.sum(), (here & alive).sum(), sizes[here & alive].sum(), tokens[here & alive].sum())
            ):
                into[place] += float(count)

    def result(self) -> dict[str, Any]:
        """The counts; tokens are null where no run of the recipe has tokenised anything."""
        known = self._rate is not None
        by_source = {
            name: {
                "in": int(given),
                "kept": int(kept),
                "bytes": int(size),
                "tokens": round(tokens) if known else None,
            }
            for name, (given, kept, size, tokens) in sorted(self._sources.items())
        }
        return {
            "kept": sum(entry["kept"] for entry in by_source.values()),
            "tokens": sum(entry["tokens"] for entry in by_source.values()) if known else None,
            "estimated": self._estimated,
            "dropped": dict(sorted(self._dropped.items())),
            "by_source": by_source,
        }


# ------------------------------------------------------------------------------ from the flow


def _walked(changed: Sequence[Recipe], word: str, where: str, stored: Stored | None) -> list[dict[str, Any]]:
    """Each value's flow as far as the stage."""
    rate = _rate(stored)
    with lease(changed[0].work, f"whatif {word}"), ExitStack() as stack:
        started: list[Executor] = []

        def workers() -> Executor:
            if not started:
                started.append(executor(where))
                stack.push(started[0].__exit__)
            return started[0]

        return [_reached(Flow(recipe, recipe.work, workers), word, rate) for recipe in changed]


def _reached(flow: Flow, word: str, rate: float | None) -> dict[str, Any]:
    before = None
    made = 0
    for done in flow.walk():
        book = conserve(done.stage.word(), before, done.parts or done.steps["route"])
        before, made = done.parts, made + done.made[0]
        if done.stage.word() == word:
            return {**_counted(book, rate), "made": made}
    raise AssertionError(word)  # the recipe has the stage


def _counted(book: Mapping[str, Mapping[str, Any]], rate: float | None) -> dict[str, Any]:
    by_source = {}
    dropped: dict[str, int] = {}
    estimated = any("token_count" not in entry for entry in book.values())
    for source, entry in book.items():
        for reason, number in entry["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + number
        guess = round(entry["bytes"] * rate) if rate is not None and "bytes" in entry else None
        tokens = entry.get("token_count", guess)
        by_source[source] = {
            "in": entry["in"],
            "kept": entry["alive"],
            "bytes": entry.get("bytes"),
            "tokens": tokens,
        }
    tokens = [entry["tokens"] for entry in by_source.values()]
    return {
        "kept": sum(entry["kept"] for entry in by_source.values()),
        "tokens": None if None in tokens else sum(tokens),
        "estimated": estimated,
        "dropped": dict(sorted(dropped.items())),
        "by_source": by_source,
    }


def _rate(stored: Stored | None) -> float | None:
    """Tokens a byte, as the last run found them."""
    for entry in stored.stages if stored is not None else ():
        if entry.get("tokens") and entry.get("bytes"):
            return float(entry["tokens"] / entry["bytes"])
    return None


def render(found: Mapping[str, Any]) -> str:
    """A table for people: a column a value."""
    values = found["values"]
    rows: list[tuple[str, list[str]]] = [(found["key"], [str(value["value"]) for value in values])]
    rows.append((f"kept by {found['stage']}", [f"{value['kept']:,}" for value in values]))
    mark = "≈ " if any(value["estimated"] for value in values) else ""
    rows.append(("tokens", [mark + _number(value["tokens"]) for value in values]))
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
    rows.append(("results computed", [f"{value['made']:,}" for value in values]))
    left = max(len(name) for name, _ in rows)
    widths = [max(len(cells[place]) for _, cells in rows) for place in range(len(values))]
    lines = [
        name.ljust(left)
        + "".join("  " + cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for name, cells in rows
    ]
    if found["later"]:
        lines.append(
            f"not replayed: {', '.join(found['later'])}; run the recipe with --set to see what they keep"
        )
    return "\n".join(lines)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
