"""verify notices whatever was changed after a run: results, tables, shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.runs import Run
from pipeline.verify import verify
from stages.manifest import fingerprint
from stages.packed import digest
from tests.command import gristmill
from tests.pipeline.conftest import Pair


@pytest.fixture(scope="module")
def run(pair: Pair) -> Run:
    """The first run."""
    return pair.first


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content for a while (its inode too: results are linked into runs)."""
    before = path.read_bytes()
    for now in (content, before):
        path.unlink()
        path.write_bytes(now)
        if now is content:
            yield


def shard(run: Run) -> Path:
    """The first shard of the training split."""
    return (run.path / "packed" / "train-00000.arrow").resolve()


def repack(
    run: Run, path: Path, tokens: np.ndarray[tuple[int, int], np.dtype[np.uint16]]
) -> tuple[bytes, bytes]:
    """A shard with other tokens, and a manifest that vouches for it: the bytes of both."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
    kind = table.schema.field("input_ids").type
    ids = pa.FixedSizeListArray.from_arrays(pa.array(tokens.ravel()), type=kind)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.set_column(0, "input_ids", ids))
    content = sink.getvalue().to_pybytes()
    manifest = json.loads((run.path / "packed" / "manifest.json").read_text())
    with changed(path, content):
        manifest["splits"]["train"]["shards"][0]["sha256"] = digest(path)
    manifest["fingerprint"] = fingerprint(manifest)
    return content, json.dumps(manifest).encode()


def test_a_run_that_nobody_touched_verifies(run: Run) -> None:
    """No problem, shards included."""
    assert verify(run, packed=True) == []


def test_a_flipped_byte_in_a_result_is_found(run: Run) -> None:
    """The message names stage and file, and the verb exits 6."""
    entry = next(entry for entry in run.record()["stages"] if entry["stage"] == "clean")
    path = Path(entry["parts"][0] + ".parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with changed(path, bytes(content)):
        (problem,) = verify(run)
        assert problem.startswith("clean")
        assert path.stem in problem
        assert "corrupt" in gristmill("verify", run.id, "--work", run.work, expect=6).stderr


def test_a_lost_marker_is_found(run: Run) -> None:
    """A result without its marker counts as missing."""
    entry = next(entry for entry in run.record()["stages"] if entry["stage"] == "dedup")
    with changed(Path(entry["parts"][0] + ".json"), b"{}"):
        assert any("dedup" in problem and "corrupt" in problem for problem in verify(run))


def test_a_documents_table_that_disagrees_with_the_ledger_is_found(run: Run, tmp_path: Path) -> None:
    """A fate changed by hand is two wrong counts."""
    path = min((run.path / "documents").glob("*.parquet"))
    table = pq.read_table(path)
    fates = table.column("fate").to_pylist()
    fates[fates.index("kept")] = "clean"
    pq.write_table(
        table.set_column(table.column_names.index("fate"), "fate", pa.array(fates)), tmp_path / "t"
    )
    with changed(path, (tmp_path / "t").read_bytes()):
        problems = verify(run)
    assert len(problems) == 2
    assert all("in the table" in problem and "in the ledger" in problem for problem in problems)


def test_a_survivor_that_was_not_kept_is_found(run: Run, tmp_path: Path) -> None:
    """A duplicate that names another duplicate is named."""
    path = next(
        p
        for p in sorted((run.path / "documents").glob("*.parquet"))
        if "dedup" in str(pq.read_table(p, columns=["fate"]))
    )
    table = pq.read_table(path)
    fates, names = table.column("fate").to_pylist(), table.column("duplicate_of").to_pylist()
    names[fates.index("dedup")] = table.column("doc_id")[fates.index("dedup")].as_py()
    pq.write_table(
        table.set_column(table.column_names.index("duplicate_of"), "duplicate_of", pa.array(names)),
        tmp_path / "t",
    )
    with changed(path, (tmp_path / "t").read_bytes()):
        (problem,) = verify(run)
    assert "which dedup did not keep" in problem


def test_other_tokens_under_a_right_digest_are_found(run: Run) -> None:
    """A shard whose digest and sums are right, but which holds other tokens than were stored."""
    path = shard(run)
    ids = pa.ipc.open_file(pa.memory_map(str(path))).read_all().column("input_ids").combine_chunks()
    tokens = ids.flatten().to_numpy().reshape(len(ids), -1).copy()
    tokens[0, 0] = tokens[0, 0] + 1 if tokens[0, 0] < 300 else tokens[0, 0] - 1
    content, manifest = repack(run, path, tokens)
    with changed(path, content), changed(path.with_name("manifest.json"), manifest):
        problems = [problem for problem in verify(run, packed=True) if "pack" not in problem.split()[0]]
        from pipeline.stored import Stored
        from pipeline.verify import _compared
        from stages.packed import Packed

        found = list(_compared(Stored(run), Packed(run.path / "packed")))
    assert any("train row 0: holds other tokens" in problem for problem in found)
    assert problems == []


def test_without_shards_there_is_nothing_to_check(nasty: Run) -> None:
    """A recipe without pack says so."""
    assert "no packed shards" in verify(nasty, packed=True)[0]
