"""Notices steps that would do harm, before they are taken, and remembers what was done about them.

A step is harmful if its loss or gradient norm is not finite, or lies far above those of the steps before: a
robust z-score (median and MAD) over the last WINDOW steps. Losses are taken around their trend (Theil 1950,
Sen 1968), for a young run's falls fast, yet not below the last few, for it falls ever slower. The history is
the run's log, so a resumed run judges as an undisturbed one. `guard.json` keeps events and the rows to skip.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from trainer.metrics import write_json
from trainer.trace import Traced

__all__ = ["Guard", "outliers"]

WINDOW, FEWEST, FEW = 32, 16, 8
LOSS_FLOOR = 0.02
"""Least spread that a loss is measured in, as a share of the median: quiet runs must not cry wolf."""
NORM_FLOOR = 0.25
"""The same for the logarithm of the gradient norm, which varies by factors: 8 deviations are 7 times."""
FEWEST_LABELS = 4  # a shorter document's mean loss says nothing
TINY = 1e-12
DOCUMENT_FLOOR = 0.1  # as LOSS_FLOOR, among the documents of a step


class Guard:
    """The judge of steps, and its memory on disk."""

    def __init__(self, path: Path, limit: float) -> None:
        self.path, self.limit = path, limit
        kept = json.loads(path.read_bytes()) if path.exists() else {"skip": [], "events": []}
        self.skip: frozenset[int] = frozenset(kept["skip"])
        self.events: list[dict[str, Any]] = kept["events"]

    def judge(self, line: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str | None:
        """What is wrong with a step, or None; `history` holds the lines of the steps before it."""
        # a step that overflowed in float16 is no harm and no measure; the log has null for what is not finite
        finite = (past for past in history if past["loss"] is not None and past["grad_norm"] is not None)
        good = [past for past in finite if "skipped" not in past][-WINDOW:]
        for name in ("loss", "grad_norm"):
            if not math.isfinite(line[name]):
                return f"{name} is {line[name]}"
        if len(good) < FEWEST:
            return None
        losses = [past["loss"] for past in good]
        norms = [math.log(past["grad_norm"] + TINY) for past in good]
        norm = _z(math.log(line["grad_norm"] + TINY), norms, NORM_FLOOR)
        loss = 0.0
        if line["loss"] > median(losses[-FEW:]):  # where it would be by now is no lower than that
            loss = _z(line["loss"], _by_now(losses), LOSS_FLOOR * median(losses))
        for name, z in (("loss", loss), ("grad_norm", norm)):
            if z > self.limit:
                return f"{name} {line[name]:.4g} is {z:.1f} deviations above the last {len(good)} steps"
        return None

    def record(self, event: Mapping[str, Any], rows: Sequence[int], *, write: bool) -> None:
        """Adds an event and rows to skip; on disk, whole or not at all, when it returns."""
        self.skip |= frozenset(rows)
        self.events.append(dict(event))
        if write:
            write_json(self.path, {"skip": sorted(self.skip), "events": self.events})


def outliers(documents: Sequence[Traced], limit: float) -> list[Traced]:
    """The documents of a step whose losses stick out, worst first; all of them if none does."""
    measured = [one for one in documents if one.labels >= FEWEST_LABELS]
    losses = [one.loss for one in measured if math.isfinite(one.loss)]
    floor = DOCUMENT_FLOOR * median(losses) if losses else 0.0
    odd = [one for one in measured if not math.isfinite(one.loss) or _z(one.loss, losses, floor) > limit / 2]
    return sorted(odd or documents, key=lambda one: -one.loss if math.isfinite(one.loss) else -math.inf)


def _by_now(past: Sequence[float]) -> list[float]:
    """Where values with a trend would be by now, but not below the last few."""
    slope = median(
        (past[later] - past[at]) / (later - at) for later in range(len(past)) for at in range(later)
    )
    moved = [value + slope * (len(past) - at) for at, value in enumerate(past)]
    lift = max(0.0, median(past[-FEW:]) - median(moved))
    return [value + lift for value in moved]


def _z(value: float, past: Sequence[float], floor: float) -> float:
    """Robust deviations above the median; 1.4826 makes the MAD a standard deviation for normal values."""
    middle = median(past)
    return (value - middle) / max(1.4826 * median(abs(one - middle) for one in past), floor, TINY)
