"""Nothing goes undocumented: what is missing fails by its name, and what the README prints is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from pipeline import cli, documents, schema
from stages.naming import stage_class, stage_names
from tests.command import COMMAND, HOME, gristmill, surroundings
from tests.pipeline.conftest import Pair

README = (HOME / "README.md").read_text()
VERBS: Mapping[str, Any] = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def test_the_table_of_stages_is_generated() -> None:
    """README holds what `gristmill schema --table` prints."""
    start = README.index("| stage |")
    here = README[start : README.index("\n\n", start)]
    made = gristmill("schema", "--table").stdout.strip()
    assert here == made, f"put what `gristmill schema --table` prints into README.md:\n{made}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_describes_itself(verb: str) -> None:
    """It says what it does, what each argument and option is for, and the README shows it."""
    assert re.search(rf"\bgristmill {re.escape(verb)}\b", README), (
        f"README.md does not show `gristmill {verb}`"
    )
    assert VERBS[verb].help, f"`gristmill {verb}` has no docstring"
    silent = [one.name for one in VERBS[verb].params if not getattr(one, "help", None)]
    assert not silent, f"options of `gristmill {verb}` without a sentence: {silent}"


def test_the_readme_shows_no_verb_that_is_not_there() -> None:
    """What it tells people to type exists."""
    shown = set(re.findall(r"^\s*gristmill ([a-z-]+)|`gristmill ([a-z-]+)", README, re.MULTILINE))
    assert {one or other for one, other in shown} <= set(VERBS)


def undescribed(found: Any, where: str = "") -> Iterator[str]:
    """The keys of a JSON schema that have no description, with their paths."""
    for name, key in found.get("properties", {}).items():
        if not key.get("description") and not (where == "" and name in (*stage_names(), "train")):
            yield f"{where}.{name}".lstrip(".")
        yield from undescribed(key, f"{where}.{name}")
    for one in (*found.get("anyOf", ()), *([found["items"]] if "items" in found else ())):
        yield from undescribed(one, where)
    for name, one in found.get("$defs", {}).items():
        yield from undescribed(one, f"{where}.{name}")


def test_every_key_of_a_recipe_has_a_sentence() -> None:
    """The recipe's own keys, those of every stage, of what stands in them, and of the trainer."""
    assert not list(undescribed(schema.schema()))


@pytest.mark.parametrize("word", stage_names())
def test_every_column_and_reason_of_a_stage_has_a_sentence(word: str) -> None:
    """`meanings` covers `writes` and no more; reasons say something; the class says what the stage does."""
    kind = stage_class(word)
    assert set(kind.meanings) == set(kind.writes), (
        f"stages/{word}.py: `meanings` must name what `writes` does"
    )
    assert all(kind.meanings.values())
    assert [code for code, sentence in kind.reasons.items() if len(sentence.split()) < 3] == []
    assert len((kind.__doc__ or "").split()) > 5


def test_every_column_of_the_documents_table_has_a_sentence() -> None:
    """`gristmill documents --columns` prints them."""
    assert [name for name, meaning in documents.meanings().items() if not meaning] == []
    assert "fate\tkept, quarantined, or" in gristmill("documents", "--columns").stdout


def test_a_stages_schema_tells_columns_and_reasons() -> None:
    """Name, type and sentence of a column, and what a reason says."""
    found = schema.schema("dedup")
    assert found["x-writes"]["similarity"]["type"] == "double"
    assert "Jaccard" in found["x-writes"]["similarity"]["description"]
    assert "kept document" in found["x-reasons"]["exact"]


def test_the_one_liners_work_as_printed(pair: Pair, tmp_path: Path) -> None:
    """DuckDB and polars read the documents table of the newest run."""
    for name, command in (("gristmill", COMMAND), ("python", [sys.executable])):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        path.chmod(0o755)
    lines = re.findall(r"^python -c .*$", README, re.MULTILINE)
    assert len(lines) == 2
    around = surroundings()
    around["env"]["PATH"] = f"{tmp_path}:{around['env']['PATH']}"
    for line, words in zip(lines, ("count_star|n", "len"), strict=True):
        done = subprocess.run(
            ["sh", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            **{**around, "cwd": pair.recipe.parent},
        )
        assert done.returncode == 0, done.stderr
        assert "decontaminate" in done.stdout
        assert re.search(words, done.stdout)
