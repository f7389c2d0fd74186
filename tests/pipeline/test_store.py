"""The store: results are atomic, first writer wins, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import store


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    """Where a result is published."""
    return tmp_path / "clean" / "k" / "part-0000"


TABLE = pa.table({"text": pa.array(["a", None, "é"], pa.large_string()), "n": [1, 2, 3]})


@pytest.mark.parametrize("parquet", [True, False])
def test_a_published_table_is_read_back_as_it_was(stem: Path, parquet: bool) -> None:
    """Both file formats keep values, nulls and types."""
    marker = store.publish(stem, TABLE, {"rows": 3}, parquet=parquet)
    assert store.read_table(marker.data).equals(TABLE)
    assert store.read_table(marker.data, ["n"]).column_names == ["n"]
    assert store.inspect(stem)[0] == "fresh"


def test_what_was_never_published_is_missing(stem: Path) -> None:
    """A stem without a marker is missing, not corrupt."""
    assert store.inspect(stem) == ("missing", None)


def test_data_without_a_marker_does_not_count(stem: Path) -> None:
    """A task killed between data and marker has published nothing."""
    store.publish(stem, TABLE, {}, parquet=True)
    stem.with_name("part-0000.json").unlink()
    assert store.inspect(stem)[0] == "missing"


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_every_flipped_byte_is_noticed(stem: Path, suffix: str) -> None:
    """One changed bit anywhere in data or marker makes the result unusable."""
    store.publish(stem, TABLE, {"rows": 3, "tallies": {"x": 1}}, parquet=True)
    path = stem.with_name("part-0000" + suffix)
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 50)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert store.inspect(stem)[0] == "corrupt", place
    path.write_bytes(content)
    assert store.inspect(stem)[0] == "fresh"


def test_a_truncated_data_file_is_noticed(stem: Path) -> None:
    """A torn write is corrupt."""
    data = store.publish(stem, TABLE, {}, parquet=True).data
    data.write_bytes(data.read_bytes()[:-1])
    assert store.inspect(stem)[0] == "corrupt"


def test_the_first_writer_wins(stem: Path) -> None:
    """A late task gets the marker that is there, and the data stays as it was."""
    first = store.publish(stem, TABLE, {"attempt": 1}, parquet=True)
    late = store.publish(stem, TABLE.slice(0, 1), {"attempt": 2}, parquet=True)
    assert late.body == first.body
    assert store.read_table(first.data).num_rows == 3


def test_a_damaged_result_is_made_again_after_it_was_discarded(stem: Path) -> None:
    """Discarding removes the marker; publishing then replaces the data."""
    data = store.publish(stem, TABLE, {}, parquet=True).data
    data.write_bytes(b"rubbish")
    store.discard(stem)
    store.publish(stem, TABLE, {}, parquet=True)
    assert store.inspect(stem)[0] == "fresh"


def test_a_result_is_no_fresher_than_its_parts(tmp_path: Path) -> None:
    """A slice's marker names its parts; a damaged part makes the slice corrupt, and only it is discarded."""
    for name in ("s.0000", "s.0001"):
        store.publish(tmp_path / name, TABLE, {}, parquet=True)
    store.mark(tmp_path / "s", {"parts": ["s.0000", "s.0001"]})
    assert store.inspect(tmp_path / "s")[0] == "fresh"
    (tmp_path / "s.0001.parquet").write_bytes(b"")
    assert store.inspect(tmp_path / "s")[0] == "corrupt"
    store.discard(tmp_path / "s")
    assert (tmp_path / "s.0000.json").exists()
    assert not (tmp_path / "s.0001.json").exists()


def test_further_files_of_a_result_are_verified_too(tmp_path: Path) -> None:
    """An artifact named in a marker is part of the result."""
    (tmp_path / "a.tokenizer.json").write_text("{}")
    digest = store.file_sha256(tmp_path / "a.tokenizer.json")
    store.mark(tmp_path / "a", {"files": {"a.tokenizer.json": [2, digest]}})
    assert store.inspect(tmp_path / "a")[0] == "fresh"
    (tmp_path / "a.tokenizer.json").write_text("[]")
    assert store.inspect(tmp_path / "a")[0] == "corrupt"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """An exception while writing removes the temporary file and keeps the old one."""
    path = tmp_path / "x.json"
    store.write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), store.writing(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_files_are_the_same_bytes_whenever_they_are_written(tmp_path: Path) -> None:
    """Two publications of the same table have the same digest."""
    digests = {store.publish(tmp_path / str(n), TABLE, {}, parquet=n % 2 == 0).sha256 for n in (0, 2)}
    assert len(digests) == 1
