"""Which files belong to a source, and what they are called."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stages.formats.discover import NoFilesError, digest, discover, examine
from stages.formats.spec import SourceSpec
from stages.load import Load


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A corpus of empty files."""
    for name in ("b/c/two.md", "b/one.jsonl.gz", "b/.hidden.txt", "b/.git/x.txt", "b/README", "a.txt"):
        path = tmp_path / "base" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "base"


def names(base: Path, *paths: str, root: str | None = None) -> list[str]:
    """Names of the files of a source."""
    return [found.name for found in discover(SourceSpec(name="s", paths=paths, root=root), base)]


def test_directories_give_their_files_of_known_extensions(tree: Path) -> None:
    """Recursively, sorted, without hidden files and folders."""
    assert names(tree, "b") == ["b/c/two.md", "b/one.jsonl.gz"]


def test_globs_give_what_they_match(tree: Path) -> None:
    """Any extension, and any depth with two stars."""
    assert names(tree, "b/*") == ["b/README", "b/c/two.md", "b/one.jsonl.gz"]
    assert names(tree, "**/*.md") == ["b/c/two.md"]


def test_names_are_relative_to_the_recipe_and_stay_when_patterns_are_added(tree: Path) -> None:
    """A file that two patterns match is one file."""
    assert names(tree, "b/c/*.md") == ["b/c/two.md"]
    assert names(tree, "b/c/*.md", "a.txt", "b") == ["a.txt", "b/c/two.md", "b/one.jsonl.gz"]


def test_names_outside_the_recipe_are_relative_to_the_patterns(tree: Path) -> None:
    """Wherever the corpus lies, its files keep their names."""
    recipe = tree / "b" / "c"
    assert names(recipe, "../../a.txt") == ["a.txt"]
    assert names(recipe, str(tree / "a.txt")) == ["a.txt"]


def test_a_root_decides_the_names(tree: Path) -> None:
    """It is relative to the recipe too."""
    assert names(tree, "b/c/*.md", root="b") == ["c/two.md"]


def test_a_pattern_that_matches_nothing_is_an_error(tree: Path) -> None:
    """The message names source and pattern."""
    with pytest.raises(NoFilesError, match=r"source 's': nothing matches 'b/\*.csv'"):
        names(tree, "b", "b/*.csv")
    with pytest.raises(NoFilesError, match=r"missing\.txt"):
        names(tree, "missing.txt")


def test_what_leads_out_of_the_root_or_is_no_file_becomes_a_row(tree: Path) -> None:
    """It is never opened: the FIFO would block for ever."""
    (tree / "secret.txt").write_text("secret")
    (tree / "b" / "out.txt").symlink_to(tree / "secret.txt")
    (tree / "b" / "in.md").symlink_to("c/two.md")
    (tree / "b" / "gone.txt").symlink_to("nowhere.txt")
    (tree / "b" / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(tree / "b" / "pipe.jsonl")
    spec = SourceSpec(name="s", paths=("b",))
    refused = {found.name: found.refused for found in discover(spec, tree) if found.refused}
    assert refused == {
        "b/gone.txt": "not_regular",
        "b/loop.txt": "not_regular",
        "b/out.txt": "outside_root",
        "b/pipe.jsonl": "not_regular",
    }
    load = Load(sources=(spec,))
    files = [examine(found, "s", 1000) for found in discover(spec, tree)]
    tables = [table for piece in load.slices(files) for table in load.read(piece)]
    rows = [row for table in tables for row in table.select(["file", "reason"]).to_pylist()]
    assert {row["file"]: row["reason"] for row in rows if row["reason"]} == refused


def test_links_inside_the_root_are_followed(tree: Path) -> None:
    """A wider root lets links through that the pattern alone would not."""
    (tree / "b" / "link.txt").symlink_to("../a.txt")
    wide = SourceSpec(name="s", paths=("b/*.txt",), root=".")
    assert [found.refused for found in discover(wide, tree)] == [None]


def test_digest_counts_line_feeds_before_every_step(tmp_path: Path) -> None:
    """One count for each range of the file, in the same pass as the hash."""
    content = b"ab\ncd\n\n\nxyz\n"
    path = tmp_path / "a"
    path.write_bytes(content)
    for step in (1, 3, 5, 100):
        sha256, size, lines = digest(path, step)
        assert (sha256, size) == (hashlib.sha256(content).hexdigest(), len(content))
        assert lines == tuple(content[:start].count(b"\n") for start in range(0, len(content), step))


def test_a_name_that_is_no_utf8_is_shown_escaped(tmp_path: Path) -> None:
    """Linux allows any bytes; the name in bytes still decides the ids."""
    for name in (b"\xe9.txt", b"\xe8.txt"):
        (tmp_path / os.fsdecode(name)).write_text("text")
    spec = SourceSpec(name="s", paths=("*.txt",))
    load = Load(sources=(spec,))
    files = [examine(found, "s", 1000) for found in discover(spec, tmp_path)]
    rows = [row for piece in load.slices(files) for table in load.read(piece) for row in table.to_pylist()]
    assert [row["file"] for row in rows] == [r"\xe8.txt", r"\xe9.txt"]
    assert len({row["doc_id"] for row in rows}) == 2
