"""init writes a recipe that runs as it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import recipe as recipes
from pipeline.errors import RecipeError
from pipeline.init import init
from stages.load import Load
from tests.command import HOME, gristmill


def sources(path: Path) -> dict[str, tuple[tuple[str, ...], str | None, str | None]]:
    """Name -> patterns, text field and id field, as a recipe's reader understands them."""
    load = recipes.read(path).stages[0]
    assert isinstance(load, Load)
    return {spec.name: (spec.paths, spec.text, spec.id) for spec in load.sources}


def test_folders_become_sources_and_fields_are_found(tmp_path: Path) -> None:
    """By the first record, compressed or not, nested or not; results and hidden files are no sources."""
    for folder in ("web/deep", "books", "work", ".hidden"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "web" / "deep" / "a.jsonl.gz").write_bytes(
        gzip.compress(json.dumps({"page": {"content": "words"}, "uuid": "u1"}).encode() + b"\n")
    )
    pq.write_table(pa.table({"raw_content": ["text"], "doc_id": ["1"]}), tmp_path / "books" / "b.parquet")
    (tmp_path / "notes.md").write_text("# a note\n")
    (tmp_path / "work" / "x.jsonl").write_text("{}\n")
    (tmp_path / ".hidden" / "x.jsonl").write_text("{}\n")
    found = sources(init(tmp_path))
    assert found == {
        "md": (("*.md",), "text", "id"),
        "books": (("books/**/*.parquet",), "raw_content", "doc_id"),
        "web": (("web/**/*.jsonl.gz",), "page.content", "uuid"),
    }


def test_files_whose_fields_differ_are_sources_of_their_own(tmp_path: Path) -> None:
    """One text field for all would leave the others without text; files alike stay together."""
    for name, field in (("a", "content"), ("b[1]", "text"), ("c", "content")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({field: "words"}) + "\n")
    assert sources(init(tmp_path)) == {
        "jsonl-a": (("a.jsonl", "c.jsonl"), "content", "id"),
        "jsonl-b-1": (("b[[]1].jsonl",), "text", "id"),
    }


def test_a_recipe_for_the_sample_can_be_planned(tmp_path: Path) -> None:
    """All files of the sample's corpus belong to a source, and nothing is complained of."""
    (tmp_path / "corpus").symlink_to(HOME / "sample_data" / "corpus")
    for path in (HOME / "sample_data" / "corpus").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "corpus").unlink()
    path = Path(gristmill("init", tmp_path).stdout.strip())
    load = recipes.read(path).stages[0]
    assert isinstance(load, Load)
    assert {"jsonl-gz", "parquet", "warc-gz"} <= {spec.name for spec in load.sources}
    assert "missing" in gristmill("plan", path).stdout


def test_odd_names_are_fine(tmp_path: Path) -> None:
    """Spaces, brackets, quotes and other scripts; two folders whose names become the same."""
    for name in ("a b [1]", 'q"uote', "中文", "a-b -1-"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jsonl").write_text('{"text": "t"}\n')
    found = sources(init(tmp_path))
    assert len(found) == 4
    load = recipes.read(tmp_path / "recipe.yaml").stages[0]
    assert isinstance(load, Load)
    assert len(load.discover(tmp_path)[0]) == 4


@pytest.mark.parametrize("make", ["nothing", "empty", "there"])
def test_what_cannot_be_begun_is_explained(tmp_path: Path, make: str) -> None:
    """No folder, no documents, a recipe already."""
    if make == "there":
        (tmp_path / "recipe.yaml").write_text("mine")
    said = {"nothing": "not a folder", "empty": "no file of a known format", "there": "is there already"}
    with pytest.raises(RecipeError, match=said[make]):
        init(tmp_path / "x" if make == "nothing" else tmp_path)
    assert make != "there" or (tmp_path / "recipe.yaml").read_text() == "mine"
