"""What a run will take, from a sample: work, memory, disk and tokens of every stage, before anything runs.

The recipe's own stages run on about 1 % of the corpus (`sampling.py`, `trial.py`): first on an eighth of the
sample, cold, which shows what a process pays once (imports, compiled code, models); again, warm; then on all of
it. Every step that works part by part gets a price a task and a price a byte of the corpus; what works on all of
the corpus at once grows with the power of its size that the two warm runs show. Memory is what the process held
before a task of the cold run, less what only an estimate holds, and what the task adds at the size of the corpus.

Not estimated: training, what compiling costs after an installation, and what is there already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.errors import RecipeError
from pipeline.executors import cores
from pipeline.inputs import Inputs
from pipeline.recipe import Recipe
from pipeline.sampling import Sample, draw
from pipeline.trial import REPORT, Spent, Trial, cpu, settled, trial
from stages.base import Source, Stage
from stages.mix import Mix
from stages.tokenize import Tokenize
from stages.training import Training

__all__ = ["estimate", "render"]

SHARE: Final = 0.01  # of the corpus's text that is sampled
EIGHTH: Final = 1 / 8
OVER_PARTS: Final = frozenset({"read", "apply", "survey", "route", "tabulate"})  # steps with a task a part
FEW: Final = 100_000  # bytes of a source below which the sample says nothing about it alone
MANY: Final = 8  # parts of a sample
NONE: Final = 0.02  # less than this share of the large trial's is nothing
SLACK: Final = 1.5  # what epochs may exceed in a sample, where a small group may lack by chance
START: Final = "start"  # what every process pays once


def estimate(recipe: Recipe, share: float = SHARE) -> dict[str, Any]:
    """What a run of a recipe from nothing would take.

    Args:
        recipe: what would be run.
        share: of the corpus's text to sample.

    Returns:
        `sample`: `documents`, `bytes`, `share`, `everything_read`; `corpus`: `documents`, `bytes`, `parts`;
        `stages`: a dict each with `stage`, `seconds`, `peak_mb` (of a process), `disk` (bytes), `documents` and
        `bytes` left alive, `tokens` (null where they are not known yet; of pack: with repeats); the same for
        `report` and `start`; `total`: `seconds`, `wall_seconds` on `processes`, `peak_mb`, `disk`, `tokens`.

    Raises:
        RecipeError: the sources hold no text.
    """
    source = recipe.stages[0]
    assert isinstance(source, Source)  # noqa: S101 - a recipe begins with one
    inputs = Inputs(recipe.work / "store")
    started, fresh = cpu(), settled()
    sample = draw(source, inputs.of_sources(source, recipe.base), share)
    if not sample.drawn:
        raise RecipeError([f"{recipe.path}: the sources hold no text to estimate from"])
    recipe = _scaled(recipe, sample)
    own = settled() - fresh
    small = sample.part(EIGHTH)
    count = round(sample.documents)
    cold, warm, large = (trial(recipe, inputs, _parts(rows), count) for rows in (small, small, sample.drawn))
    once = started + max(0.0, cold.seconds - warm.seconds)
    return _Model(recipe, sample, warm, large, once, _bases(cold, fresh, own)).answer()


def _bases(cold: Trial, fresh: int, own: int) -> dict[tuple[str, str], int]:
    """(stage, step) -> bytes that a process holds before it; `own` of those seen are the estimate's alone."""
    found = {}
    for key, tasks in cold.spent.items():
        seen = max(one.before for one in tasks)
        driver = key == (REPORT, "rest")
        found[key] = fresh if driver or not seen else max(fresh, seen - own)
    return found


def _scaled(recipe: Recipe, sample: Sample) -> Recipe:
    """The recipe with a token budget for the sample, which it may miss."""
    drawn = sum(int(table["bytes"].to_numpy().sum()) for table in sample.drawn.values()) / sample.size
    stages: list[Stage] = []
    for stage in recipe.stages:
        if isinstance(stage, Mix) and stage.tokens is not None:
            given = stage.tokens
            shrunk = (
                {name: math.ceil(tokens * drawn) for name, tokens in given.items()}
                if isinstance(given, dict)
                else math.ceil(given * drawn)
            )
            most = stage.max_epochs
            loose = {k: n * SLACK for k, n in most.items()} if isinstance(most, dict) else most * SLACK
            changed = {"tokens": shrunk, "on_shortfall": "scale", "max_epochs": loose}
            stages.append(stage.model_copy(update=changed))
        else:
            stages.append(stage)
    return replace(recipe, stages=tuple(stages))


def _parts(rows: Mapping[str, pa.Table]) -> dict[str, list[pa.Table]]:
    """Two parts a slice: what only the first task of a process pays is then seen apart."""
    return {
        name: [one for one in (table.slice(0, len(table) // 4), table.slice(len(table) // 4)) if len(one)]
        for name, table in rows.items()
        if len(table)
    }


class _Model:
    """From two trials to the whole corpus.

    Args:
        recipe: what was tried.
        sample: what the corpus is like.
        small, large: the warm trials.
        once: CPU seconds that a process pays once.
        bases: (stage, step) -> bytes that a process holds before it.
    """

    def __init__(
        self,
        recipe: Recipe,
        sample: Sample,
        small: Trial,
        large: Trial,
        once: float,
        bases: Mapping[tuple[str, str], int],
    ) -> None:
        self.recipe, self.sample, self.small, self.large = recipe, sample, small, large
        self.once, self.bases = once, bases
        self.growth = sample.size / large.size
        self.part = min(
            float(getattr(recipe.stages[0], "part_bytes", sample.size)), max(sample.text.values())
        )

    def answer(self) -> dict[str, Any]:
        """See `estimate`."""
        processes, wall = cores(), self.once
        rows: list[dict[str, Any]] = []
        for word in (*(stage.word() for stage in self.recipe.stages), REPORT):
            prices = [self._price(*key) for key in self.large.spent if key[0] == word]
            peaks = [self.bases[key] + self._grown(*key) for key in self.large.spent if key[0] == word]
            if word == self.recipe.stages[0].word():
                prices.append((self.sample.seconds, self.sample.seconds / max(1.0, self.sample.parts)))
                peaks = [peak + self.sample.grown for peak in peaks]
            wall += sum(max(total / processes, longest) for total, longest in prices)
            rows.append(
                {
                    "stage": word,
                    "seconds": round(sum(total for total, _ in prices), 1),
                    "peak_mb": round(max(peaks) / 1e6),
                    "disk": round(self._whole(word, "disk", self.small.disk[word], self.large.disk[word])),
                    **self._left(word),
                }
            )
        held = round(min(self.bases.values()) / 1e6)
        start = {"stage": START, "seconds": round(self.once * processes, 1), "peak_mb": held, "disk": 0}
        rows.append({**start, "documents": None, "bytes": None, "tokens": None})
        return {
            "sample": {
                "documents": self.large.documents,
                "bytes": self.large.size,
                "share": 1 / self.growth,
                "everything_read": self.sample.exact,
            },
            "corpus": {
                "documents": round(self.sample.documents),
                "bytes": round(self.sample.size),
                "parts": math.ceil(self.sample.parts),
            },
            "stages": rows,
            "total": {
                "seconds": round(sum(row["seconds"] for row in rows), 1),
                "wall_seconds": round(wall, 1),
                "processes": processes,
                "peak_mb": max(row["peak_mb"] for row in rows),
                "disk": sum(row["disk"] for row in rows),
                "tokens": next((row["tokens"] for row in reversed(rows) if row["tokens"] is not None), None),
            },
        }

    def _price(self, word: str, step: str) -> tuple[float, float]:
        """CPU seconds of a step, and of its longest task."""
        large = self.large.spent[word, step]
        if step.partition(" ")[0] in OVER_PARTS:
            first, task, rate = _line(large)
            total = first + task * self.sample.parts + rate * self.sample.size
            return total, task + rate * self.part
        small = sum(one.seconds for one in self.small.spent[word, step])
        total = sum(one.seconds for one in large)
        whole = self._whole(word, step, small, total)
        return whole, whole

    def _grown(self, word: str, step: str) -> float:
        """Bytes that a process grows by in the step's largest task."""
        tasks = self.large.spent[word, step]
        large = max(one.grown for one in tasks)
        small = max((one.grown for one in self.small.spent.get((word, step), ())), default=0)
        if step.partition(" ")[0] in OVER_PARTS:
            later = tasks[1:] or tasks  # what the first one grew by for good is no matter of its size
            largest = max(later, key=lambda one: (one.size, one.grown))
            return max(large, largest.grown * self.part / max(largest.size, FEW))
        return self._whole(word, step, small, large)

    def _whole(self, word: str, step: str, small: float, large: float) -> float:
        """What a step over all of the corpus costs, from what it costs on two samples."""
        if (word, step) == self._learning:
            # Linear in the text that is learnt from: with the words that the trials had, BPE took time with the power
            # 0.9 of it in texts with spaces (Heaps' law), 1.16 from 6 to 50 MB where most was Chinese.
            rate = max(0.0, large - small) / max(1, self.large.size - self.small.size)
            return large + rate * max(0.0, self._learnt() - self.large.size)
        if step == "rest" and self.large.parts > MANY:  # of many small parts, their number is what counts
            return large * max(1.0, self.sample.parts) / self.large.parts
        if (
            small < large * NONE
        ):  # it had nothing to do in the small trial: an index that is made once, perhaps
            return large
        rate = max(0.0, large - small) / max(1, self.large.size - self.small.size)
        return large + rate * (self.sample.size - self.large.size)

    @property
    def _learning(self) -> tuple[str, str] | None:
        """The step in which a tokenizer is learnt: the last of tokenize's rounds."""
        stage = next((stage for stage in self.recipe.stages if isinstance(stage, Tokenize)), None)
        return (stage.word(), f"settle {stage.rounds - 1}") if stage is not None and stage.rounds else None

    def _learnt(self) -> float:
        """Bytes of the corpus whose texts a tokenizer is learnt from, dropped documents included."""
        stage = next((stage for stage in self.recipe.stages if isinstance(stage, Tokenize)), None)
        kept = self._left("tokenize")["bytes"] if stage is not None else None
        if stage is None or not kept:
            return self.sample.size
        learning = stage.extend or stage.train or Training()
        return self.sample.size * min(1.0, learning.sample_bytes / kept)

    def _left(self, word: str) -> dict[str, int | None]:
        """Documents, bytes and tokens that a stage leaves, each source scaled by its own text."""
        if word == REPORT:
            return {"documents": None, "bytes": None, "tokens": None}
        found = {name: self._scale(word, name) for name in ("documents", "bytes", "tokens")}
        if self.large.packed is not None and word == self.recipe.stages[-1].word():
            found["tokens"] = round(self.large.packed * self.growth)
        return found

    def _scale(self, word: str, name: str) -> int | None:
        book = self.large.alive[word]
        if not any(name in row for row in book.values()):
            return None
        total = rest = kept_of_all = 0.0
        for source, size in self.sample.text.items():
            seen, kept = self.large.text.get(source, 0), book.get(source, {}).get(name, 0)
            kept_of_all += kept
            if seen >= FEW:
                total += kept * size / seen
            else:
                rest += size
        return round(total + rest * kept_of_all / self.large.size)


def _line(some: Sequence[Spent]) -> tuple[float, float, float]:
    """Seconds that the first task pays once, a price a task and a price a byte, none below 0, from all tasks."""
    sizes = np.array([one.size for one in some], float)
    seconds = np.array([one.seconds for one in some])
    if len(some) == 1:
        return 0.0, 0.0, float(seconds[0] / max(sizes[0], 1.0))
    later, spent = sizes[1:], seconds[1:]
    few = later <= np.median(later)
    task = float(np.median(spent[few])) if len(later) > 4 and few.any() else 0.0
    rate = max(0.0, float(spent.sum()) - task * len(later)) / max(float(later.sum()), 1.0)
    return max(0.0, float(seconds[0] - task - rate * sizes[0])), task, rate


def render(found: Mapping[str, Any]) -> str:
    """The estimate as a table for people."""
    rows = [("stage", "work", "peak", "disk", "documents", "tokens")]
    total = found["total"]
    for row in (*found["stages"], {"stage": "in all", **total}):
        counts = [f"{row[name]:,}" if row.get(name) is not None else "-" for name in ("documents", "tokens")]
        size = f"{row['disk'] / 1e6:,.1f} MB"
        rows.append((row["stage"], f"{row['seconds']:,.1f} s", f"{row['peak_mb']:,} MB", size, *counts))
    widths = [max(len(row[place]) for row in rows) for place in range(6)]
    lines = [
        row[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    sample, corpus = found["sample"], found["corpus"]
    lines.append(
        f"from {sample['documents']:,} documents, {sample['share']:.1%} of {corpus['bytes'] / 1e6:,.1f} MB of text in "
        f"{corpus['parts']:,} parts; work is CPU time, about {total['wall_seconds']:,.0f} s on {total['processes']} "
        f"idle processors; peak is of one process"
    )
    if not sample["everything_read"]:
        lines.append(
            "not all files were read: what they hold is extrapolated, copies between them are not known"
        )
    return "\n".join(lines)
