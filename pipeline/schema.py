"""The recipe's JSON schema and the README's table of stages, from the stages' own models.

For editors, for `gristmill schema`, and for the test that holds the README to the code. The trainer describes its keys itself, in its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any, Final

from pipeline.complaints import nearest
from pipeline.errors import RecipeError, StageFailed
from stages.base import Shuffle, Source
from stages.naming import stage_class, stage_names

ORDER: Final = ("clean", "langid", "quality", "dedup", "decontaminate", "mix", "tokenize")
"""The order of a recipe in the table; stages that it does not name stand before mix."""
FEW: Final = 3  # reasons of one family that are named; of more, the family


def schema(word: str | None = None) -> dict[str, Any]:
    """The schema of one stage, or of a whole recipe.

    Raises:
        RecipeError: no such stage.
    """
    if word is not None:
        if word not in (*stage_names(), "train"):
            raise RecipeError([f"no stage {word!r}{nearest(word, [*stage_names(), 'train'])}"])
        return _train() if word == "train" else _stage(word)
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "name": {"type": "string", "description": "What runs are called."},
        "seed": {"type": "integer", "default": 0, "description": "What every draw is derived from."},
        "work": {"type": "string", "default": "work", "description": "Folder of results."},
        "max_drop": {"type": ["number", "object"], "description": "Default of every stage's max_drop."},
    }
    for name in stage_names():
        found = _stage(name)
        definitions |= found.pop("$defs", {})
        properties[name] = {"anyOf": [found, {"type": "null"}]}
    found = _train()
    definitions |= found.pop("$defs", {})
    properties["train"] = {"anyOf": [found, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gristmill recipe",
        "type": "object",
        "additionalProperties": False,
        "required": ["load"],
        "properties": properties,
        "$defs": definitions,
    }


def table() -> str:
    """The stages in the order of a recipe as a Markdown table: what each does, and what it drops for."""

    def place(word: str) -> tuple[float, str]:
        kind = stage_class(word)
        ends = -1.0 if issubclass(kind, Source) else len(ORDER) if issubclass(kind, Shuffle) else None
        between = ORDER.index(word) if word in ORDER else ORDER.index("mix") - 0.5
        return (between if ends is None else ends), word

    lines = ["| stage | what it does | drops for |", "|---|---|---|"]
    for word in sorted(stage_names(), key=place):
        kind = stage_class(word)
        reasons = "(quarantines)" if issubclass(kind, Source) else _families(list(kind.reasons))
        what = " ".join((kind.__doc__ or "").split()).replace("|", "\\|")
        lines.append(f"| `{word}` | {what} | {reasons} |")
    return "\n".join(lines)


def _families(reasons: list[str]) -> str:
    """Reasons by name; those of a family (`gopher.words`) together where they are many."""
    sizes = Counter(reason.partition(".")[0] for reason in reasons)
    named = [
        f"`{family}.*` ({sizes[family]})" if sizes[family] > FEW else f"`{reason}`"
        for reason, family in ((reason, reason.partition(".")[0]) for reason in reasons)
    ]
    return ", ".join(dict.fromkeys(named))


def _stage(word: str) -> dict[str, Any]:
    kind = stage_class(word)
    found = kind.model_json_schema()
    return {
        **found,
        "x-version": kind.version,
        "x-reads": list(kind.reads),
        "x-writes": {
            name: {"type": str(type_), "description": kind.meanings.get(name, "")}
            for name, type_ in kind.writes.items()
        },
        "x-reasons": dict(kind.reasons),
    }


def _train() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "trainer", "schema"], capture_output=True, check=False)
    if done.returncode:
        raise StageFailed(f"the trainer could not describe its keys: {done.stderr.decode(errors='replace')}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
