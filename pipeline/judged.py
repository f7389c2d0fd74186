"""What a stage would keep under other thresholds, from the measurements that a run stored of its documents.

    unanswered(entry, identity) -> str | None   why the measurements do not answer; None: they do
    judged(stored, stage) -> dict               what clean or quality would keep, and which rules would drop what
    Tally, Known                                counts by source; what the run knows of every document's tokens

Reads columns and asks the stages to judge them; measures nothing itself and starts nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.store import read_table
from pipeline.stored import Stored
from stages.banning import out_of_bounds
from stages.base import Stage
from stages.clean import Clean
from stages.columns import whole
from stages.quality import Quality
from stages.rules import LINE_RULES, RULES, column_of, first_reasons

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]

JUDGED: Final[Mapping[str, frozenset[str]]] = {
    "clean": frozenset({"presets", "thresholds", "scores", "pii"}),
    "quality": frozenset({"threshold", "pareto", "seed"}),
}
"""Stage -> parameters that decide from what it stores alone (of clean's, see `_measuring`)."""
EDITING: Final = frozenset({"c4", "refinedweb"})
"""Presets of clean that also remove lines."""


def unanswered(entry: Mapping[str, Any] | None, identity: Mapping[str, Any]) -> str | None:
    """Why what a run stored of a stage does not say what the stage would decide; None if it does.

    Args:
        entry: what run.json says of the stage; None if the run did not get there.
        identity: the stage's with the changed parameters, as its results are keyed.
    """
    word = identity["stage"]
    if word not in JUDGED:
        return f"{word} decides from more than the columns that it stores"
    if entry is None:
        return f"no finished run has {word}'s measurements of these documents"
    before = entry["identity"]
    for name in ("version", "libraries"):
        if before[name] != identity[name]:
            return f"the run that measured had another {name} of {word}: {before[name]}, now {identity[name]}"
    changed = [name for name in identity["files"] if before["files"].get(name) != identity["files"][name]]
    earlier, now = (_measuring(word, one["parameters"]) for one in (before, identity))
    changed += [name for name in now if earlier.get(name) != now[name]]
    if not changed:
        return None
    return (
        f"{', '.join(changed)} of {word} decides what is measured, and no finished run measured it that way"
    )


def _measuring(word: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What of a stage's parameters decides its text and measurements: not what only drops documents."""
    found = {name: value for name, value in parameters.items() if name not in JUDGED[word]}
    if word == "clean":
        found["presets"] = sorted(EDITING & set(parameters["presets"]))
        found["thresholds"] = {
            name: bound for name, bound in parameters["thresholds"].items() if name in LINE_RULES
        }
        found["pii"] = "count" if parameters["pii"] in {"drop", "tag"} else parameters["pii"]
    return found


def judged(stored: Stored, stage: Stage) -> dict[str, Any]:
    """What clean or quality would keep; nothing of it is computed but the verdicts.

    Returns:
        As `Tally.result`, and for clean `rules`: how many documents each rule fails, and how many it alone does.
    """
    word = stage.word()
    place = next(at for at, entry in enumerate(stored.stages) if entry["stage"] == word)
    entry, before = stored.stages[place], stored.stages[place - 1]
    tally, known = Tally(), Known(stored)
    sources = stored.documents(["source"]).column("source").to_numpy()
    fails: dict[str, list[int]] = {}
    for part in range(len(entry["parts"])):
        alive = read_table(stored.part_file(before, part), ["alive"]).column("alive")
        given = np.flatnonzero(alive.to_numpy())
        taken = pa.array(given)
        names = [name for name in stage.written if name != "text"]
        table = read_table(stored.part_file(entry, part), names).take(taken)
        columns = {name: whole(table.column(name)) for name in names}
        if isinstance(stage, Clean):
            scores = {name: stored.latest(name, part, word, taken) for name in stage.scores}
            none = pa.nulls(len(given), pa.int64())
            columns["scores"] = out_of_bounds(pa.table(scores), stage.scores) if scores else none
            _count(fails, _beyond(stage, columns))
            verdicts = stage.judge(columns)
        else:
            assert isinstance(stage, Quality)  # noqa: S101 - `unanswered` knows no other
            verdicts = list(stage.judge({**columns, "doc_id": stored.latest("doc_id", part, word, taken)}))
        sizes = columns.get("bytes")
        sizes = stored.latest("bytes", part, word, taken) if sizes is None else sizes
        held = sizes.to_numpy(zero_copy_only=False).astype(np.float64)
        tokens = known.tokens(part, given, held)
        tally.add(sources[given + known.first(part)], objects(verdicts), held, tokens)
    rules = [{"rule": code, "fails": total, "alone": alone} for code, (total, alone) in fails.items()]
    return tally.result(known.rate) | ({"rules": rules} if isinstance(stage, Clean) else {})


def objects(values: list[Any]) -> npt.NDArray[np.object_]:
    """Reasons as an array whose nulls are None, whatever it holds."""
    found = np.full(len(values), None, np.object_)
    found[:] = values
    return found


def _count(fails: dict[str, list[int]], beyond: Mapping[str, npt.NDArray[np.bool_]]) -> None:
    times = sum(mask.astype(np.int64) for mask in beyond.values())
    for code, mask in beyond.items():
        counts = fails.setdefault(code, [0, 0])
        counts[0] += int(mask.sum())
        counts[1] += int((mask & (times == 1)).sum())


def _beyond(stage: Clean, columns: Mapping[str, pa.Array]) -> dict[str, npt.NDArray[np.bool_]]:
    """Rule -> which rows lie beyond its bounds, in the order in which reasons are looked for."""
    profiles = columns["profile"].dictionary_encode()
    codes = profiles.indices.to_numpy()
    beyond: dict[str, npt.NDArray[np.bool_]] = {}
    for code, name in enumerate(profiles.dictionary.to_pylist()):
        chosen = np.flatnonzero(codes == code)
        taken = pa.array(chosen)
        bounds = stage.bounds(name)
        own = {column: columns[column].take(taken) for column in {"chars", *map(column_of, bounds)}}
        for rule, bound in bounds.items():
            failed = pa.array(first_reasons(own, {rule: bound}), pa.string()).is_valid()
            beyond.setdefault(rule, np.zeros(len(codes), bool))[chosen] = failed.to_numpy(
                zero_copy_only=False
            )
    return {rule.code: beyond[rule.code] for rule in RULES if rule.code in beyond}


class Known:
    """How many tokens each document has, as far as a run counted them.

    Attributes:
        rate: tokens a byte, over all that were counted; None: nothing was.
    """

    def __init__(self, stored: Stored | None) -> None:
        self.rate: float | None = None
        self._bounds = stored.bounds if stored is not None else np.zeros(1, np.int64)
        if stored is None:
            return
        self._tokens = stored.documents(["tokens"]).column("tokens").to_numpy().astype(np.float64)
        sizes = stored.column("bytes")
        assert sizes is not None  # noqa: S101 - load writes it
        self._sizes = sizes.to_numpy().astype(np.float64)
        counted = ~np.isnan(self._tokens)
        total = float(self._sizes[counted].sum())
        self.rate = float(self._tokens[counted].sum()) / total if total else None

    def first(self, part: int) -> int:
        """The row at which a part begins."""
        return int(self._bounds[part])

    def tokens(self, part: int, rows: Rows, sizes: Floats) -> Floats:
        """Tokens of rows of a part whose texts have so many bytes; NaN where another text, or none, was counted."""
        if len(self._bounds) == 1:
            return np.full(len(rows), np.nan)
        places = rows + self.first(part)
        return np.where(self._sizes[places] == sizes, self._tokens[places], np.nan)


class Tally:
    """Counts by source of what a stage was given and lets live."""

    def __init__(self) -> None:
        self._dropped: dict[str, int] = {}
        self._sources: dict[str, Floats] = {}

    def add(
        self, source: Any, reasons: npt.NDArray[np.object_], sizes: Floats, tokens: Floats, times: Any = 1
    ) -> None:
        """Rows that a stage was given.

        Args:
            source: of each.
            reasons: why the stage drops it; None: it does not.
            sizes: bytes of its text.
            tokens: of its text; NaN if nobody counted them.
            times: how often it is seen.
        """
        alive = reasons == None  # noqa: E711 - element by element
        for reason, count in Counter(reasons[~alive]).items():
            self._dropped[reason] = self._dropped.get(reason, 0) + count
        unknown = np.isnan(tokens)
        counts = (
            np.ones(len(alive)), alive, alive * np.nan_to_num(sizes),
            alive * np.where(unknown, 0, tokens) * times, alive * unknown * np.nan_to_num(sizes) * times,
        )  # fmt: skip
        for name in sorted(set(source)):
            here = source == name
            sums = np.array([float(count[here].sum()) for count in counts])
            self._sources[name] = self._sources.get(name, np.zeros(len(sums))) + sums

    def result(self, rate: float | None) -> dict[str, Any]:
        """The counts.

        Args:
            rate: tokens a byte, for texts whose tokens nobody counted; None: then there is no number.

        Returns:
            `kept`, `tokens` (`estimated`: some of them from bytes), `dropped` (reason -> documents), `by_source`
            (`in`, `kept`, `bytes`, `tokens`).
        """
        by_source: dict[str, dict[str, Any]] = {}
        for name, (given, kept, size, tokens, uncounted) in sorted(self._sources.items()):
            guess = uncounted * rate if rate is not None else 0.0 if not uncounted else None
            by_source[name] = {
                "in": int(given),
                "kept": int(kept),
                "bytes": int(size),
                "tokens": None if guess is None else round(tokens + guess),
            }
        counted = [entry["tokens"] for entry in by_source.values()]
        return {
            "kept": sum(entry["kept"] for entry in by_source.values()),
            "tokens": None if None in counted else sum(counted),
            "estimated": any(sums[4] > 0 for sums in self._sources.values()),
            "dropped": dict(sorted(self._dropped.items())),
            "by_source": by_source,
        }
