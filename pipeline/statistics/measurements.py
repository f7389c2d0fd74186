"""The measurements of clean in bins, of all documents and of the kept ones, and how many lie beyond other cuts.

Bins: 50 from 0 to 1 for ratios, then four an octave, with one for everything below 0; counts (integers) have
four an octave from 1 on. Cuts are counted exactly: the bounds in force times `FACTORS`, each document by its own
language profile. Judges nothing: clean did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FACTORS: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Other cuts: the bound in force times these."""
_STEPS: Final = 50
_BINS: Final = _STEPS + 1 + 4 * 40

Numbers = npt.NDArray[np.float64]


def counts(table: pa.Table, clean: Mapping[str, Any]) -> dict[str, Any]:
    """`profiles`: profile -> documents; `columns`: measurement -> `all`, `kept` (bins) and `beyond`.

    `beyond` holds rule -> side ("min", "max") -> factor -> documents beyond the bound times the factor.

    Args:
        table: documents with `fate`, `profile` and the measurements of clean.
        clean: the parameters of the stage.
    """
    from stages.clean import Clean  # noqa: PLC0415 - only runs with clean pay for its import
    from stages.rules import MEASURES, column_of  # noqa: PLC0415

    profile = table.column("profile").combine_chunks()
    profiles = {own["values"]: own["counts"] for own in profile.value_counts().to_pylist() if own["values"]}
    stage = Clean.model_validate(clean)
    bounds = {name: stage.bounds(name) for name in sorted(profiles)}
    places = {name: np.equal(profile.to_numpy(zero_copy_only=False), name) for name in bounds}
    kept = table.column("fate").to_numpy() == "kept"
    columns: dict[str, Any] = {}
    for name in table.column_names:
        if name not in MEASURES:
            continue
        integer = pa.types.is_integer(table.schema.field(name).type)
        values = table.column(name).to_numpy().astype(np.float64)
        known = ~np.isnan(values)
        index = _bins(values[known], integer=integer)
        columns[name] = {
            "all": _counted(index),
            "kept": _counted(index[kept[known]]),
            "beyond": {},
        }
        for own, rules in bounds.items():
            here = values[places[own]]
            for rule, bound in rules.items():
                if column_of(rule) == name:
                    _beyond(columns[name]["beyond"].setdefault(rule, {}), here, bound.min, bound.max)
    return {"profiles": profiles, "columns": columns}


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


def _bins(values: Numbers, *, integer: bool) -> npt.NDArray[np.int64]:
    octave = 4 * np.log2(np.maximum(values, 1.0))
    if integer:
        place = np.where(values < 1, 0, 1 + octave)
    else:
        place = np.where(values < 1, 1 + np.minimum(values * _STEPS, _STEPS - 1e-9), 1 + _STEPS + octave)
        place[values < 0] = 0
    return np.minimum(place, _BINS - 1).astype(np.int64)


def _counted(index: npt.NDArray[np.int64]) -> list[int]:
    return [int(count) for count in np.bincount(index)]


def _beyond(
    into: dict[str, dict[str, int]], values: Numbers, least: float | None, most: float | None
) -> None:
    """Adds how many values do not hold; what was not measured holds nothing."""
    for side, limit in (("min", least), ("max", most)):
        if limit is None:
            continue
        counted = into.setdefault(side, {})
        for factor in FACTORS:
            holds = values >= limit * factor if side == "min" else values <= limit * factor
            counted[str(factor)] = counted.get(str(factor), 0) + int((~holds).sum())
