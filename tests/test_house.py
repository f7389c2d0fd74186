"""The house rules that a machine can hold: names at the top, sizes, docstrings, and what may not be called."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.command import HOME

ROOMS = ("pipeline", "stages", "trainer")
TOP = {
    "pyproject.toml", "README.md", "pipeline", "stages", "trainer", "tests", "sample_data",
    "requirements.lock", "LICENSE", "CHANGELOG.md",
}  # fmt: skip
FILES = sorted(path for room in ROOMS for path in (HOME / room).rglob("*.py"))
LONGEST = 400


def test_the_top_level_is_as_agreed() -> None:
    """Nothing but the agreed names and dot-files is under version control at the top."""
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD"], cwd=HOME, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split() if listed.returncode == 0 else [path.name for path in HOME.iterdir()]
    made = {"work", "dist", "build"}
    assert {name for name in names if not name.startswith(".")} - made == TOP


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HOME).as_posix())
def test_every_file_says_what_it_is_for_and_stays_short(path: Path) -> None:
    """A docstring opens it, and it has at most 400 lines."""
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= LONGEST


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HOME).as_posix())
def test_nothing_dangerous_is_called(path: Path) -> None:
    """No pickle, no eval or exec, no shell, no unsafe loading."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "cPickle", "dill", "shelve", "marshal"} & set(names)
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in {"eval", "exec", "os.system", "torch.load", "yaml.load"}
            assert not any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords)


def test_dask_is_imported_in_one_module_only() -> None:
    """pipeline/executors.py is the only room with a door to the cluster."""
    users = {
        path.relative_to(HOME).as_posix()
        for path in FILES
        if re.search(r"^\s*(import|from) (dask|distributed)\b", path.read_text(), re.MULTILINE)
    }
    assert users == {"pipeline/executors.py"}


def test_every_test_is_a_sentence() -> None:
    """Each test has a docstring, so that the list of tests reads as the specification."""
    silent = [
        f"{path.relative_to(HOME)}:{node.name}"
        for path in (HOME / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


def test_no_test_can_be_skipped() -> None:
    """A skipped test is not a passing test."""
    marks = re.compile(r"pytest\.(mark\.)?(skip|xfail)|importor" + "skip")
    assert not [path for path in (HOME / "tests").rglob("*.py") if marks.search(path.read_text())]
