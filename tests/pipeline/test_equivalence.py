"""The same results wherever the tasks run, however the corpus is cut, whatever the hash seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import corpus, results
from tests.cluster import cluster
from tests.command import gristmill


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a serial run."""
    path = corpus.write(tmp_path_factory.mktemp("reference"))
    gristmill("run", path, "--executor", "serial", PYTHONHASHSEED="0")
    return path.parent / "work"


@pytest.mark.parametrize("executor", ["local:1", "local:2"])
def test_local_workers_make_the_same_bytes(reference: Path, tmp_path: Path, executor: str) -> None:
    """Every data file of the store and every shard is the same."""
    path = corpus.write(tmp_path)
    gristmill("run", path, "--executor", executor)
    assert results.packed(tmp_path / "work") == results.packed(reference)
    assert results.data(tmp_path / "work") == results.data(reference)


def test_an_external_cluster_makes_the_same_bytes(reference: Path, tmp_path: Path) -> None:
    """Three worker processes that were there before the driver."""
    path = corpus.write(tmp_path)
    with cluster(tmp_path, workers=3) as found:
        gristmill("run", path, "--executor", found.address)
    assert results.packed(tmp_path / "work") == results.packed(reference)


@pytest.mark.parametrize("part_bytes", [2_000, 1_000_000])
def test_the_cut_of_the_corpus_changes_nothing(reference: Path, tmp_path: Path, part_bytes: int) -> None:
    """Small and large parts give the same fates, survivors, repeats and shards."""
    path = corpus.write(tmp_path)
    gristmill("run", path, "--executor", "serial", "--set", f"load.part_bytes={part_bytes}")
    assert results.fates(tmp_path / "work") == results.fates(reference)
    assert results.packed(tmp_path / "work") == results.packed(reference)


def test_the_hash_seed_changes_nothing(reference: Path, tmp_path: Path) -> None:
    """PYTHONHASHSEED 0 and 1 give the same bytes."""
    path = corpus.write(tmp_path)
    gristmill("run", path, "--executor", "serial", PYTHONHASHSEED="1")
    assert results.data(tmp_path / "work") == results.data(reference)
    assert results.fates(tmp_path / "work") == results.fates(reference)


def test_the_order_of_the_rows_in_the_table_is_the_order_of_loading(reference: Path) -> None:
    """Within a file, records stand in their order."""
    order: dict[str, list[int]] = {}
    for row in results.documents(reference):
        order.setdefault(row["file"], []).append(row["record"])
    assert all(records == sorted(records) for records in order.values())
