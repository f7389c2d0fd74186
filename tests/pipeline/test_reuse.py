"""What is reused and what is made again, and how the plan says why."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import recipe
from pipeline.plan import Planned, plan
from tests import corpus
from tests.command import gristmill


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that has run once; tests copy it."""
    path = corpus.write(tmp_path_factory.mktemp("done"))
    gristmill("run", path, "--executor", "serial")
    return path


@pytest.fixture
def path(done: Path, tmp_path: Path) -> Path:
    """A copy of the recipe, its data and its results, to be changed."""
    import shutil

    shutil.copytree(done.parent, tmp_path / "c", symlinks=True)
    return tmp_path / "c" / "recipe.yaml"


def planned(path: Path) -> dict[str, Planned]:
    """The plan, by stage."""
    return {line.stage: line for line in plan(recipe.read(path))}


def edit(path: Path, old: str, new: str) -> None:
    """Replaces text in a file."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def rerun(path: Path) -> dict[str, list[int]]:
    """Runs again; stage -> how many results were made, of how many."""
    answer = json.loads(gristmill("run", path, "--executor", "serial", "--json").stdout)
    return {stage["stage"]: stage["made"] for stage in answer["stages"]} if answer["did_anything"] else {}


def test_an_unchanged_recipe_does_nothing_and_says_so(path: Path) -> None:
    """No new run, and the earlier one is named."""
    before = sorted(p.name for p in (path.parent / "work" / "runs").iterdir())
    said = gristmill("run", path).stdout
    assert re.match(r"nothing to do: \S+ is up to date", said)
    assert sorted(p.name for p in (path.parent / "work" / "runs").iterdir()) == before
    assert {line.state for line in planned(path).values()} == {"fresh"}


def test_a_comment_changes_nothing(path: Path) -> None:
    """Neither does white space."""
    path.write_text("# a thought\n" + path.read_text().replace("dedup: {", "dedup:   {  "))
    assert rerun(path) == {}


def test_a_changed_threshold_is_named_and_reruns_from_there(path: Path) -> None:
    """The plan says which key changed from what to what; earlier stages are reused."""
    edit(path, "threshold: 0.75", "threshold: 0.7")
    lines = planned(path)
    assert lines["dedup"].state == "stale"
    assert "dedup.threshold 0.75 -> 0.7" in lines["dedup"].why
    assert [lines[word].state for word in ("load", "clean", "langid")] == ["fresh"] * 3
    made = rerun(path)
    assert [made[word][0] for word in ("load", "clean", "langid")] == [0, 0, 0]
    assert made["dedup"][0] > 0


def test_a_threshold_that_changes_no_fate_reruns_nothing_after_it(path: Path) -> None:
    """Content addresses cut the rerun off early: tokens are not made again for the same documents."""
    edit(path, "threshold: 0.75", "threshold: 0.74")
    made = rerun(path)
    assert made["tokenize"][0] == 0
    assert made["pack"][0] == 0


def test_an_added_file_reruns_only_its_own_parts(path: Path) -> None:
    """Local stages see as many new parts as the file has."""
    (path.parent / "extra.jsonl").write_text(json.dumps({"id": "x", "text": "One more text. " * 9}) + "\n")
    edit(path, "[books.jsonl]", "[books.jsonl, extra.jsonl]")
    assert "load: +1 file" in planned(path)["load"].why
    made = rerun(path)
    assert [made[word][0] for word in ("load", "clean", "langid")] == [1, 1, 1]


def test_a_changed_file_is_named(path: Path) -> None:
    """Content counts, not the file's date."""
    (path.parent / "books.jsonl").touch()
    assert planned(path)["load"].state == "fresh"
    with (path.parent / "books.jsonl").open("a") as file:
        file.write(json.dumps({"id": "late", "text": "A late arrival. " * 9}) + "\n")
    assert "load: ~1 file" in planned(path)["load"].why


def test_a_changed_benchmark_is_named(path: Path) -> None:
    """Files that a stage reads belong to its key."""
    with (path.parent / "riddles.jsonl").open("a") as file:
        file.write(json.dumps({"id": "r2", "question": "Why?", "answer": "Because."}) + "\n")
    lines = planned(path)
    assert lines["decontaminate"].state == "stale"
    assert "riddles" in lines["decontaminate"].why
    assert lines["dedup"].state == "fresh"


@pytest.mark.parametrize("stage", ["load", "clean", "dedup", "tokenize", "pack"])
@pytest.mark.parametrize("kind", ["data", "marker"])
def test_one_flipped_byte_is_noticed_and_made_again(path: Path, stage: str, kind: str) -> None:
    """The damaged result alone is recomputed, to the same bytes."""
    folder = path.parent / "work" / "store" / stage
    suffixes = {".json"} if kind == "marker" else {".parquet", ".arrow"}
    target = min(p for p in folder.rglob("*") if p.suffix in suffixes and "packed" not in p.parts)
    whole = target.read_bytes()
    target.write_bytes(
        whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 4]) + whole[len(whole) // 2 + 1 :]
    )
    assert planned(path)[stage].state == "corrupt"
    made = rerun(path)
    assert made[stage][0] == 1
    if kind == "data":
        assert target.read_bytes() == whole
    assert {line.state for line in planned(path).values()} == {"fresh"}


def test_force_makes_a_stage_again_to_the_same_bytes(path: Path) -> None:
    """--force recomputes; what follows is reused because nothing changed."""
    answer = json.loads(gristmill("run", path, "--executor", "serial", "--json", "--force", "clean").stdout)
    made = {stage["stage"]: stage["made"] for stage in answer["stages"]}
    assert made["clean"][0] == made["clean"][1]
    assert made["langid"][0] == 0


def test_until_stops_after_a_stage(tmp_path: Path) -> None:
    """Later stages are left alone, and the run still has its report and documents."""
    path = corpus.write(tmp_path)
    gristmill("run", path, "--executor", "serial", "--until", "langid")
    assert not (tmp_path / "work" / "store" / "dedup").exists()
    glob = Path(gristmill("documents", "--work", tmp_path / "work").stdout.strip())
    rows = pq.ParquetDataset(sorted(glob.parent.glob("*.parquet"))).read()
    assert set(rows.column("fate").to_pylist()) == {"kept", "quarantined"}


def test_from_trusts_what_is_there_and_refuses_what_is_not(path: Path, tmp_path: Path) -> None:
    """--from a stage whose inputs are missing is a usage error that names the missing stage."""
    gristmill("run", path, "--executor", "serial", "--from", "mix")
    fresh = corpus.write(tmp_path / "fresh")
    said = gristmill("run", fresh, "--executor", "serial", "--from", "mix", expect=2).stderr
    assert "load is not complete" in said


def test_two_recipes_that_share_a_prefix_share_its_results(path: Path) -> None:
    """Another recipe in the same folder of results reuses what is the same."""
    other = path.with_name("other.yaml")
    other.write_text(path.read_text().replace("name: small", "name: other").replace("0.75", "0.9"))
    made = rerun(other)
    assert [made[word][0] for word in ("load", "clean", "langid")] == [0, 0, 0]
