"""Complaints about a recipe: where the wrong thing stands, and what was probably meant.

Lines come from the YAML parser's marks, known keys and values from the stages' models. This module judges
nothing; `recipe.py` does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stages.base import Stage


class Lines:
    """Where things stand in a recipe's text."""

    def __init__(self, path: Path, tree: Any, overridden: Sequence[str]) -> None:
        self.path, self.tree, self.overridden = path, tree, overridden

    def at(self, *keys: str | int) -> str:
        """`file:line` of a key, or of its nearest parent that has one."""
        dotted = ".".join(str(key) for key in keys)
        for override in self.overridden:
            if dotted == override or dotted.startswith(override + "."):
                return f"--set {override}"
        line = 1
        node: Any = self.tree
        for key in keys:
            try:
                marks = node.lc
                place = marks.key(key) if isinstance(node, Mapping) else marks.item(key)
                line, node = place[0] + 1, node[key]
            except (KeyError, AttributeError, IndexError, TypeError):
                break
        return f"{self.path}:{line}"


def explain(error: ValidationError, word: str, kind: type[Stage], lines: Lines) -> list[str]:
    """One sentence for each of pydantic's findings, with its line and the nearest known key or value."""
    complaints = []
    for finding in error.errors(include_url=False):
        place = [key for key in finding["loc"] if not (isinstance(key, str) and "[" in key)]
        dotted = ".".join(str(key) for key in (word, *place))
        at = lines.at(word, *place)
        match finding["type"]:
            case "extra_forbidden":
                known = _known_keys(kind, place[:-1])
                complaints.append(f"{at}: unknown key {dotted!r}{nearest(str(place[-1]), known)}")
            case "missing":
                complaints.append(f"{at}: {dotted} is missing: {word} cannot run without it")
            case "literal_error" | "enum":
                options = re.findall(r"'([^']+)'", str(finding.get("ctx", {}).get("expected", "")))
                hint = nearest(str(finding["input"]), options)
                complaints.append(
                    f"{at}: {dotted}: {finding['input']!r} is not one of {', '.join(options)}{hint}"
                )
            case "tuple_type" | "list_type":
                shown = str(finding["input"])
                such = f", such as [{shown}]" if isinstance(finding["input"], (str, int, float)) else ""
                complaints.append(f"{at}: {dotted}: expected a list{such}, found {shown!r}")
            case _:
                message = str(finding["msg"]).removeprefix("Value error, ")
                shown = repr(finding["input"])
                found = f", found {shown}" if len(shown) < 80 else ""
                complaints.append(f"{at}: {dotted}: {message[:1].lower()}{message[1:]}{found}")
    return complaints


def _known_keys(kind: type[Stage], place: Sequence[Any]) -> list[str]:
    """The keys that a model knows at a place inside it, read off its JSON schema."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})
    nodes = [schema]
    for key in place:
        inner: list[Any] = []
        for node in _expanded(nodes, definitions):
            if isinstance(key, int):
                inner += [node["items"]] if "items" in node else node.get("prefixItems", [])
            elif key in node.get("properties", {}):
                inner.append(node["properties"][key])
        nodes = inner
    return [key for node in _expanded(nodes, definitions) for key in node.get("properties", {})]


def _expanded(nodes: Sequence[Any], definitions: Mapping[str, Any]) -> list[Any]:
    """Schemas with their references and alternatives followed."""
    found = []
    for node in nodes:
        if "$ref" in node:
            found += _expanded([definitions[node["$ref"].rpartition("/")[2]]], definitions)
        elif "anyOf" in node or "oneOf" in node:
            found += _expanded(node.get("anyOf", node.get("oneOf")), definitions)
        else:
            found.append(node)
    return found


def place_of(stage: Stage, value: str) -> tuple[str | int, ...]:
    """The key under which a value stands in a stage's parameters."""

    def search(node: Any, place: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
        if node == value:
            return place
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        return next((found for key, item in inner if (found := search(item, (*place, key)))), None)

    return search(stage.model_dump(mode="json"), ()) or ()


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, if something known is near, else nothing."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
