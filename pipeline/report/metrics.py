"""How the measurements of clean are distributed, where the rules cut, and what other cuts would drop.

Every part is counted into the same bins and the counts are added, so memory does not grow with the corpus
and any cut of the corpus gives the same numbers. Bins: 50 from 0 to 1 for ratios, then four an octave, with
one for everything below 0; counts (integers) have four an octave from 1 on. Cuts are counted exactly.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.bounds import Bound, clean_bounds, column_of, meaning
from pipeline.stored import Stored, read_columns

FACTORS: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Other cuts: the bound in force times these."""
_STEPS: Final = 50
_BINS: Final = _STEPS + 1 + 4 * 40

Counts = npt.NDArray[np.int64]


def metrics(stored: Stored) -> list[dict[str, Any]]:
    """A measurement each: counts in bins of all measured and of all kept documents, and the rules on it.

    Returns:
        `column`, `meaning`, `first` (left edge of the first bin that is not empty), `edges` (one more than
        bins), `all`, `kept`, and `rules`: `rule`, `side`, `bounds` (profile -> value), `profile` (the one with
        most documents), `fails` (documents beyond the bound, whatever else they failed), `reason` (documents
        dropped for it), `at` (factor -> documents beyond the bound times the factor).
    """
    files, entry = stored.files, stored.entry("clean")
    if entry is None:
        return []
    schema = pq.read_schema(files[0])
    columns = [name for name in schema.names if meaning(name)]
    integer = {name: pa.types.is_integer(schema.field(name).type) for name in columns}
    profiles: Counter[str] = Counter()
    for path in files:
        for value in read_columns(path, ["profile"]).column(0).value_counts().to_pylist():
            profiles[value["values"]] += value["counts"]
    bounds = clean_bounds(stored, profiles)

    def count(path: Path) -> dict[str, tuple[Counts, Counts, dict[Any, int]]]:
        table = read_columns(path, ["fate", "profile", *columns])
        kept = table.column("fate").to_numpy() == "kept"
        profile = table.column("profile").to_numpy()
        return {
            name: _count(
                table.column(name).to_numpy().astype(np.float64), kept, profile, integer[name], name, bounds
            )
            for name in columns
        }

    total: dict[str, tuple[Counts, Counts, Counter[Any]]] = {
        name: (np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64), Counter()) for name in columns
    }
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for found in pool.map(count, files):
            for name, (everything, kept, cuts) in found.items():
                total[name][0][:] += everything
                total[name][1][:] += kept
                total[name][2].update(cuts)
    reasons = entry["dropped"]
    return [_metric(name, integer[name], *total[name], bounds, profiles, reasons) for name in columns]


def position(value: float, *, integer: bool) -> float:
    """Where a value lies on the axis of bins; whole numbers are the bins' left edges."""
    if integer:
        return 0.0 if value < 1 else 1 + 4 * float(np.log2(value))
    if value < 0:
        return 0.0
    return 1 + (value * _STEPS if value < 1 else _STEPS + 4 * float(np.log2(value)))


def edge(place: int, *, integer: bool) -> float:
    """The value at a bin's left edge."""
    if place == 0:
        return 0.0
    if integer:
        return float(2 ** ((place - 1) / 4))
    return (place - 1) / _STEPS if place <= _STEPS else float(2 ** ((place - 1 - _STEPS) / 4))


def _count(
    values: npt.NDArray[np.float64],
    kept: npt.NDArray[np.bool_],
    profile: npt.NDArray[np.object_],
    integer: bool,
    column: str,
    bounds: dict[str, dict[str, Bound]],
) -> tuple[Counts, Counts, dict[Any, int]]:
    known = ~np.isnan(values)
    octave = 4 * np.log2(np.maximum(values, 1.0), where=known, out=np.zeros_like(values))
    if integer:
        place = np.where(values < 1, 0, 1 + octave)
    else:
        place = np.where(values < 1, 1 + np.minimum(values * _STEPS, _STEPS - 1e-9), 1 + _STEPS + octave)
        place[values < 0] = 0
    index = np.minimum(place[known], _BINS - 1).astype(np.int64)
    everything = np.bincount(index, minlength=_BINS)
    survived = np.bincount(index[kept[known]], minlength=_BINS)
    cuts: dict[Any, int] = {}
    for name, rules in bounds.items():
        here = values[profile == name]
        for rule, bound in rules.items():
            if column_of(rule) != column:
                continue
            for side, limit in (("min", bound.min), ("max", bound.max)):
                if limit is None:
                    continue
                for factor in FACTORS:
                    fine = here >= limit * factor if side == "min" else here <= limit * factor
                    key = (rule, side, factor)
                    cuts[key] = cuts.get(key, 0) + int((~fine).sum())
    return everything, survived, cuts


def _metric(
    column: str,
    integer: bool,
    everything: Counts,
    kept: Counts,
    cuts: Counter[Any],
    bounds: dict[str, dict[str, Bound]],
    profiles: Counter[str],
    reasons: dict[str, int],
) -> dict[str, Any]:
    used = np.flatnonzero(everything)
    low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    rules = []
    for rule, side in dict.fromkeys((rule, side) for rule, side, _ in cuts):
        limits = {
            name: getattr(mine[rule], side)
            for name, mine in bounds.items()
            if rule in mine and getattr(mine[rule], side) is not None
        }
        main = max(limits, key=lambda name: (profiles[name], name))
        rules.append(
            {
                "rule": rule,
                "side": side,
                "bounds": limits,
                "profile": main,
                "line": round(position(limits[main], integer=integer) - low, 3),
                "fails": cuts[rule, side, 1.0],
                "reason": reasons.get(rule, 0),
                "at": {str(factor): cuts[rule, side, factor] for factor in FACTORS},
            }
        )
    return {
        "column": column,
        "meaning": meaning(column),
        "documents": int(everything.sum()),
        "edges": [edge(place, integer=integer) for place in range(low, high + 1)],
        "all": everything[low:high].tolist(),
        "kept": kept[low:high].tolist(),
        "rules": rules,
    }
