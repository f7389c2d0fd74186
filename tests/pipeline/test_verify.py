"""verify notices whatever was changed after a run: results, tables, shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.runs import Run
from pipeline.verify import verify
from stages.manifest import fingerprint
from stages.packed import Packed, write_shard
from tests.command import gristmill
from tests.pipeline.conftest import Pair

TRAIN = "train-00000.arrow"
Columns = dict[str, list[Any]]


@pytest.fixture(scope="module")
def run(pair: Pair) -> Run:
    """The first run."""
    return pair.first


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content for a while (its inode too: results are linked into runs)."""
    before = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink()
        path.write_bytes(before)


@contextmanager
def edited(run: Run, changes: dict[str, Columns]) -> Iterator[None]:
    """Shards with other columns for a while, and a manifest that vouches for every digest and sum.

    Args:
        run: the run.
        changes: file name -> column -> its values, row by row.
    """
    folder = (run.path / "packed").resolve()
    raw = json.loads((folder / "manifest.json").read_text())
    with ExitStack() as stack:
        for split in raw["splits"].values():
            for entry in split["shards"]:
                if entry["file"] not in changes:
                    continue
                path = folder / entry["file"]
                table = pa.ipc.open_file(path).read_all()
                for name, values in changes[entry["file"]].items():
                    kind = table.schema.field(name).type
                    at = table.column_names.index(name)
                    table = table.set_column(at, table.schema.field(name), pa.array(values, kind))
                beside = run.path / "edited.arrow"
                made = write_shard(beside, table)
                stack.enter_context(changed(path, beside.read_bytes()))
                beside.unlink()
                entry |= {key: made[key] for key in ("rows", "tokens", "sha256")}
            split["tokens"] = sum(entry["tokens"] for entry in split["shards"])
        raw["fingerprint"] = fingerprint(raw)
        stack.enter_context(changed(folder / "manifest.json", json.dumps(raw).encode()))
        yield


def columns(run: Run, name: str) -> Columns:
    """The columns of a shard as lists, to be changed."""
    path = run.path / "packed" / name
    found: Columns = pa.ipc.open_file(path).read_all().to_pydict()
    return found


def beyond_digests(run: Run) -> list[str]:
    """What is wrong with the shards, besides that the store no longer knows them."""
    return [problem for problem in verify(run, packed=True) if not problem.startswith("pack (")]


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


def test_a_flipped_token_is_found(run: Run) -> None:
    """Digests and sums are right, but a row holds another token than was stored; the verb exits 6."""
    found = columns(run, TRAIN)
    token = found["input_ids"][0][0]
    found["input_ids"][0][0] = token + 1 if token < 300 else token - 1
    with edited(run, {TRAIN: {"input_ids": found["input_ids"]}}):
        problems = beyond_digests(run)
        assert "row 0" in gristmill("verify", run.id, "--work", run.work, "--packed", expect=6).stderr
    assert any("train row 0: holds other tokens" in problem for problem in problems)


def test_another_source_in_range_is_found(run: Run) -> None:
    """The index of another source of the manifest: every segment is compared with the documents table."""
    found = columns(run, TRAIN)
    sources = Packed(run.path / "packed").manifest.sources
    place = len(found["segment_source"]) // 2
    was = found["segment_source"][place][0]
    found["segment_source"][place][0] = (was + 1) % len(sources)
    doc = found["segment_doc"][place][0].hex()
    with edited(run, {TRAIN: {"segment_source": found["segment_source"]}}):
        problems = beyond_digests(run)
    assert problems == [
        f"{TRAIN}: {doc} is of {sources[was]}, but a segment of it names source {sources[(was + 1) % len(sources)]}"
    ]


def test_a_document_in_both_splits_is_found(run: Run) -> None:
    """A row of training copied over one of validation."""
    training, held = columns(run, TRAIN), columns(run, "validation-00000.arrow")
    for name in held:
        held[name][0] = training[name][0]
    with edited(run, {"validation-00000.arrow": held}):
        problems = beyond_digests(run)
    assert any("are in the validation split too" in problem for problem in problems)


def test_segments_of_other_lengths_are_found(run: Run) -> None:
    """A token moved from one document to the next leaves every sum right but those of the documents."""
    found = columns(run, TRAIN)
    row = next(
        at for at, lengths in enumerate(found["segment_lengths"]) if len(lengths) > 1 and lengths[0] > 1
    )
    found["segment_lengths"][row][0] -= 1
    found["segment_lengths"][row][1] += 1
    with edited(run, {TRAIN: {"segment_lengths": found["segment_lengths"]}}):
        problems = beyond_digests(run)
    assert sum("its tokens and repeats ask for" in problem for problem in problems) == 2


def test_bytes_that_are_not_those_of_the_text_are_found(run: Run) -> None:
    """Bits per byte are counted by them."""
    found = columns(run, TRAIN)
    found["segment_bytes"][0][0] += 1
    with edited(run, {TRAIN: {"segment_bytes": found["segment_bytes"]}}):
        (problem,) = beyond_digests(run)
    assert found["segment_doc"][0][0].hex() in problem
    assert "bytes, but its text" in problem


@pytest.mark.parametrize(
    ("by", "message"), [(-1, "tokens beyond its segments"), (1, "segments are longer than")]
)
def test_segments_that_do_not_sum_to_the_row_are_found(run: Run, by: int, message: str) -> None:
    """Shorter than what lies in the row, or longer than the row, under a manifest that agrees."""
    found = columns(run, TRAIN)
    full = len(found["input_ids"][0])
    row = next(
        at for at, lengths in enumerate(found["segment_lengths"]) if lengths[-1] > 1 and sum(lengths) == full
    )
    found["segment_lengths"][row][-1] += by
    eos = Packed(run.path / "packed").manifest.eos_id
    used = sum(found["segment_lengths"][row])
    if by < 0:
        found["input_ids"][row][used] = eos + 1  # its own end of text would pass for padding
    with edited(run, {TRAIN: {key: found[key] for key in ("segment_lengths", "input_ids")}}):
        problems = [*Packed(run.path / "packed").verify()]
    assert any(message in problem for problem in problems)


def test_clusters_of_duplicates_on_both_sides_are_found(run: Run, tmp_path: Path) -> None:
    """A documents table by which a held out document is a duplicate of one in training."""
    packed = Packed(run.path / "packed")
    one, other = (packed.split(name).segments([0]).doc[0].tobytes().hex() for name in ("train", "validation"))
    for path in sorted((run.path / "documents").glob("*.parquet")):
        table = pq.read_table(path)
        ids, names = table.column("doc_id").to_pylist(), table.column("duplicate_of").to_pylist()
        if other in ids:
            names[ids.index(other)] = one
            at = table.column_names.index("duplicate_of")
            pq.write_table(table.set_column(at, "duplicate_of", pa.array(names, pa.string())), tmp_path / "t")
            with changed(path, (tmp_path / "t").read_bytes()):
                assert f"{one}: duplicates of it are in both splits" in verify(run, packed=True)
            return
    pytest.fail(f"{other} is in no file")


def test_without_shards_there_is_nothing_to_check(nasty: Run) -> None:
    """A recipe without pack says so."""
    assert "no packed shards" in verify(nasty, packed=True)[0]
