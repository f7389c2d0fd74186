"""The training report: one page without scripts beside metrics.jsonl, drawn from it alone.

Loss, also by source, learning rate, gradient norm, throughput and memory by step; what the guard did is marked
and listed. A run that was cut off has a page too. Trains nothing and knows no torch: the trainer's files are
read as anybody's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.report import charts, environment
from pipeline.store import writing

__all__ = ["facts", "write"]

BINS: Final = 200  # means of so many stretches of the run: single steps are noise
HUES: Final = (215, 25, 140, 285, 350, 185, 55, 320)

Points = list[tuple[float, float]]


def write(out: Path, title: str) -> Path | None:
    """Writes OUT/training.html from OUT/metrics.jsonl; None if nothing was trained there."""
    if not (out / "metrics.jsonl").is_file():
        return None
    page = environment("en").get_template("training.html")
    with writing(out / "training.html") as beside:
        beside.write_text(page.render(found=facts(out), charts=charts, title=title), encoding="utf-8")
    return out / "training.html"


def facts(out: Path) -> dict[str, Any]:
    """What the page shows: curves as points (step, value), events, summary."""
    lines = [_read(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line and "eval" not in line]
    evals = [line for line in lines if line and "eval" in line]
    names = sorted({name for line in steps for name in line.get("sources", {})})
    panels = [
        ("Learning rate", "lr", 1.0), ("Gradient norm, before clipping", "grad_norm", 1.0),
        ("Tokens a second", "tokens_per_s", 1.0), ("Peak memory, MB", "memory_bytes", 1e-6),
        ("Model FLOPs utilisation, %", "mfu", 100.0),
    ]  # fmt: skip
    drawn = [
        (title, _means([(line["step"], line[key] * unit) for line in steps if line.get(key) is not None]))
        for title, key, unit in panels
    ]
    guard = _json(out / "guard.json")
    return {
        "loss": _means([(line["step"], line["loss"]) for line in steps if line["loss"] is not None]),
        "validation": [
            (line["step"], line["eval"]["loss"]) for line in evals if line["eval"]["loss"] is not None
        ],
        "sources": [
            {"name": name, "hue": HUES[at % len(HUES)], "train": _of_source(steps, name), "held": _held(evals, name)}
            for at, name in enumerate(names)
        ],
        "panels": [(title, points) for title, points in drawn if points],
        "skipped": [{"step": line["step"], "why": line["skipped"]} for line in steps if "skipped" in line],
        "events": guard.get("events", []),
        "skip": guard.get("skip", []),
        "held": evals[-1]["eval"] if evals else None,
        "summary": {
            key: value
            for key, value in _json(out / "summary.json").items()
            if isinstance(value, int | float | str)
        },
        "steps": steps[-1]["step"] if steps else 0,
    }  # fmt: skip


def _of_source(steps: Sequence[Mapping[str, Any]], name: str) -> Points:
    return _means(
        [(line["step"], line["sources"][name]) for line in steps if line["sources"].get(name) is not None]
    )


def _held(evals: Sequence[Mapping[str, Any]], name: str) -> Points:
    return [
        (line["step"], line["eval"]["sources"][name]["loss"])
        for line in evals
        if line["eval"]["sources"].get(name, {}).get("loss") is not None
    ]


def _means(points: Points) -> Points:
    size = max(1, -(-len(points) // BINS))
    stretches = [points[at : at + size] for at in range(0, len(points), size)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in stretches]


def _read(line: str) -> dict[str, Any]:
    """A line of the metrics; nothing for the torn last one of a killed run."""
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return found


def _json(path: Path) -> dict[str, Any]:
    return _read(path.read_text(encoding="utf-8")) if path.is_file() else {}
