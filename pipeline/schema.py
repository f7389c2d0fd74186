"""The recipe's JSON schema, from the stages' own models: for editors, and for `gristmill schema`.

The trainer describes its keys itself, in its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from pipeline.complaints import nearest
from pipeline.errors import RecipeError, StageFailed
from stages.base import stage_class, stage_names


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


def _stage(word: str) -> dict[str, Any]:
    kind = stage_class(word)
    found = kind.model_json_schema()
    return {
        **found,
        "x-version": kind.version,
        "x-reads": list(kind.reads),
        "x-writes": {name: str(type_) for name, type_ in kind.writes.items()},
        "x-reasons": dict(kind.reasons),
    }


def _train() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "trainer", "schema"], capture_output=True, check=False)
    if done.returncode:
        raise StageFailed(f"the trainer could not describe its keys: {done.stderr.decode(errors='replace')}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
