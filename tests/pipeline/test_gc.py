"""gc removes what no run refers to, and nothing that a kept run needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline import gc, verify
from pipeline.errors import Locked
from pipeline.lease import lease
from pipeline.runs import Run
from tests import corpus
from tests.command import gristmill
from tests.pipeline.conftest import Pair, perform


@pytest.fixture
def two(tmp_path: Path) -> Pair:
    """Two runs that share what comes before dedup."""
    recipe = corpus.write(tmp_path)
    return Pair(recipe, perform(recipe), perform(recipe, "dedup.threshold=0.97"))


def files(work: Path) -> set[Path]:
    """Everything in the store."""
    return {path for path in (work / "store").rglob("*") if path.is_file()}


def test_nothing_is_unused_while_runs_are_there(two: Pair) -> None:
    """Runs need all that they made."""
    assert gc.unused(two.first.work) == []
    assert gc.remove(two.first.work) == []


def test_what_only_a_deleted_run_needed_goes(two: Pair) -> None:
    """The other verifies and finds nothing to do; running the first again makes what was removed."""
    work, before = two.first.work, files(two.first.work)
    shutil.rmtree(two.first.path)
    found = gc.unused(work)
    assert files(work) == before
    assert sum(len(entry.files) for entry in found) > 0
    assert all(("load" not in entry.folder and "clean" not in entry.folder) for entry in found)
    assert gc.remove(work) == found
    assert files(work) == before - {path for entry in found for path in entry.files}
    assert verify.verify(two.second, packed=True) == []
    assert perform(two.recipe, "dedup.threshold=0.97").id == two.second.id
    assert gc.unused(work) == []
    again = perform(two.recipe)
    assert again.id != two.first.id
    assert verify.verify(again, packed=True) == []


def test_an_unfinished_run_keeps_what_was_made_since(two: Pair) -> None:
    """The next run goes on from there."""
    work = two.first.work
    Run(two.first.path).update(state="failed")
    two.second.update(state="running", stages=[])
    assert gc.unused(work) == []
    two.second.update(state="done")
    assert gc.unused(work) != []


def test_strays_go(two: Pair) -> None:
    """Files that a dead writer left beside are nobody's."""
    stray = next((two.first.work / "store" / "clean").iterdir()) / ".part.host.1.0.tmp"
    stray.write_text("half")
    assert [path for entry in gc.remove(two.first.work) for path in entry.files] == [stray]
    assert not stray.exists()


def test_another_driver_is_waited_for(two: Pair) -> None:
    """Removing takes the lease; looking does not."""
    with lease(two.first.work, "run"):
        assert gc.unused(two.first.work) == []
        with pytest.raises(Locked, match="in use"):
            gc.remove(two.first.work)
        assert "in use" in gristmill("gc", "--yes", "--work", two.first.work, expect=4).stderr


def test_the_verb_lists_and_removes(two: Pair) -> None:
    """Without --yes nothing goes."""
    work = two.first.work
    assert "nothing to remove" in gristmill("gc", "--work", work).stdout
    shutil.rmtree(two.second.path)
    before = files(work)
    assert "remove them with --yes" in gristmill("gc", "--work", work).stdout
    assert files(work) == before
    assert json.loads(gristmill("gc", "--yes", "--json", "--work", work).stdout)["removed"]
    assert files(work) < before
    assert "no folder of results" in gristmill("gc", "--work", work / "runs", expect=2).stderr
