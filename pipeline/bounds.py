"""What a run's stages accepted of each measurement: the thresholds of clean, by language profile.

Knows how clean turns parameters into bounds (by asking it); judges no document itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.stored import Stored
from stages.clean import Clean
from stages.profiles import Bound
from stages.rules import MEASURES, column_of

__all__ = ["Bound", "clean_bounds", "clean_of", "column_of", "meaning"]


def clean_of(parameters: dict[str, Any]) -> Clean:
    """The stage clean as a run recorded it."""
    return Clean.model_validate(parameters)


def clean_bounds(stored: Stored, profiles: Iterable[str | None]) -> dict[str, dict[str, Bound]]:
    """Profile -> rule -> what clean accepted of documents of that profile; empty if clean did not run."""
    entry = stored.entry("clean")
    if entry is None:
        return {}
    stage = clean_of(entry["parameters"])
    return {name: stage.bounds(name) for name in sorted({name for name in profiles if name is not None})}


def meaning(column: str) -> str:
    """What a measurement of clean is; empty for columns that are none."""
    return MEASURES[column][1] if column in MEASURES else ""
