"""Numbers become coordinates and SVG paths; the templates draw them. Knows no meaning and no colours.

A page has fifty charts of 2.6 kB here. One histogram of sixty bars is 43 kB and 0.2 s with Vega-Lite (vl-convert,
84 MB installed) and 35 kB and 0.26 s with matplotlib: two megabytes and ten seconds a page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDE: Final = 640.0  # user units of a chart that stands alone; the page scales it
NARROW: Final = 360.0  # of one of several side by side
HEIGHT: Final = 200.0
_LEFT: Final = 46.0  # room for the numbers on the axes
_RIGHT: Final = 20.0
_BOTTOM: Final = 24.0
_TOP: Final = 10.0
POINTS: Final = 600  # of a curve: about one a pixel


@dataclass(frozen=True)
class Axes:
    """A frame: what lies at its corners, and where the marks are.

    Attributes:
        left, right, low, high: values at the edges.
        across: (x, label) of the marks below.
        up: (y, label) of the marks at the side.
        width: of the whole chart.
    """

    left: float
    right: float
    low: float
    high: float
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    width: float = WIDE

    @property
    def inner(self) -> tuple[float, float]:
        """Where the lines across begin and end."""
        return _LEFT, self.width - _RIGHT

    def x(self, value: float) -> float:
        """Where a value lies, from the left."""
        return round(
            _LEFT + (value - self.left) / ((self.right - self.left) or 1) * (self.width - _LEFT - _RIGHT), 1
        )

    def y(self, value: float) -> float:
        """Where a value lies, from the top."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)


def axes(
    left: float,
    right: float,
    low: float,
    high: float,
    across: Sequence[tuple[float, str]] = (),
    width: float = WIDE,
) -> Axes:
    """A frame with marks at round numbers; `across` names the marks below where they are not numbers."""
    frame = Axes(left, right, low, high, (), (), width)
    below = across or [(value, label(value)) for value in rounds(left, right, 6)]
    beside = tuple((frame.y(value), label(value)) for value in rounds(low, high, 4))
    return Axes(left, right, low, high, tuple((frame.x(v), name) for v, name in below), beside, width)


def rounds(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers from low to high: multiples of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float) -> str:
    """A number short enough for an axis: 1200000 -> 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def histogram(counts: Sequence[int], frame: Axes) -> list[tuple[float, float, float, float]]:
    """A bar (x, y, width, height) a bin; bin i lies from i to i + 1."""
    floor = frame.y(0)
    bars = []
    for place, number in enumerate(counts):
        if number:
            x, top = frame.x(place), frame.y(number)
            bars.append((x + 0.5, top, round(frame.x(place + 1) - x - 1, 1), round(floor - top, 1)))
    return bars


def curve(points: Sequence[Sequence[float]], frame: Axes) -> str:
    """The path of a curve; of many points every so manieth, the last one always."""
    step = max(1, math.ceil(len(points) / POINTS))
    chosen = [*points[:-1:step], points[-1]] if points else []
    return "".join(f"{'L' if place else 'M'}{frame.x(x)} {frame.y(y)}" for place, (x, y) in enumerate(chosen))


def loss_axes(*curves: Sequence[Sequence[float]]) -> Axes:
    """A frame for curves of a loss: from step 0, from a little below the least to the greatest value."""
    values = [y for points in curves for _, y in points]
    steps = [x for points in curves for x, _ in points]
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or 0.1
    return axes(0, max(steps), low - margin, high + margin)


def length_axes(*histograms: Sequence[int]) -> Axes:
    """A frame for documents by length in powers of two."""
    bins = max((len(counts) for counts in histograms), default=1) or 1
    top = max((max(counts, default=1) for counts in histograms), default=1)
    return axes(
        0,
        bins,
        0,
        top,
        [(float(i), label(2**i) if i < 10 else label(round(2**i, -2))) for i in range(0, bins + 1, 2)],
    )


def metric_axes(edges: Sequence[float], counts: Sequence[int]) -> Axes:
    """A frame for bins of uneven width: marks below are the values at some of their edges."""
    bins = len(counts)
    step = max(1, round(bins / 6))
    marks = [(float(place), label(float(f"{edges[place]:.2g}"))) for place in range(0, bins + 1, step)]
    return axes(0, bins, 0, max(counts, default=1), marks, NARROW)


@dataclass(frozen=True)
class Grouped:
    """Counts of neighbouring values added up: `marks` name the first value of some of the groups."""

    counts: list[int]
    marks: list[tuple[float, str]]


def grouped(counts: Sequence[int], most: int = 40) -> Grouped:
    """At most `most` groups of equal width."""
    width = max(1, math.ceil(len(counts) / most))
    sums = [sum(counts[first : first + width]) for first in range(0, len(counts), width)]
    step = max(1, round(len(sums) / 8))
    return Grouped(sums, [(place + 0.5, str(place * width)) for place in range(0, len(sums), step)])
