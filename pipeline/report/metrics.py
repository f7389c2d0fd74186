"""How the measurements of clean are distributed, where the rules cut, and what other cuts would drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.bounds import Bound, clean_bounds, meaning
from pipeline.statistics.measurements import edge, position
from pipeline.stored import Stored
from stages.clean import Clean


def metrics(stored: Stored) -> list[dict[str, Any]]:
    """A measurement each: counts in bins of all measured and of all kept documents, and the rules on it.

    Returns:
        `column`, `meaning`, `first` (left edge of the first bin that is not empty), `edges` (one more than
        bins), `all`, `kept`, and `rules`: `rule`, `side`, `bounds` (profile -> value), `profile` (the one with
        most documents), `fails` (documents beyond the bound, whatever else they failed), `reason` (documents
        dropped for it), `at` (factor -> documents beyond the bound times the factor).
    """
    entry = stored.entry("clean")
    if entry is None:
        return []
    counted = stored.statistics["counts"]["measurements"]
    profiles = counted["profiles"]
    bounds = clean_bounds(stored, profiles)
    return [
        _metric(column, found, bounds, profiles, entry["dropped"])
        for column, found in counted["columns"].items()
    ]


def _metric(
    column: str,
    found: Mapping[str, Any],
    bounds: Mapping[str, Mapping[str, Bound]],
    profiles: Mapping[str, int],
    reasons: Mapping[str, int],
) -> dict[str, Any]:
    integer = pa.types.is_integer(Clean.writes[column])
    used = np.flatnonzero(found["all"])
    low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    rules = []
    for rule, sides in found["beyond"].items():
        for side, at in sides.items():
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
                    "fails": at["1.0"],
                    "reason": reasons.get(rule, 0),
                    "at": dict(at),
                }
            )
    return {
        "column": column,
        "meaning": meaning(column),
        "documents": sum(found["all"]),
        "edges": [edge(place, integer=integer) for place in range(low, high + 1)],
        "all": _between(found["all"], low, high),
        "kept": _between(found["kept"], low, high),
        "rules": rules,
    }


def _between(bins: Sequence[int], low: int, high: int) -> list[int]:
    return [*bins[low:high], *[0] * (high - max(low, len(bins)))]
