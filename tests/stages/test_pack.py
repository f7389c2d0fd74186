"""What pack promises: no token lost, the same shards from any cut, and nothing on both sides of the split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import vocabulary
from stages.base import StageError
from stages.pack import Pack
from stages.packed import Packed
from tests.stages.rounds import cut, run_shuffle, small_tokenizer

SOURCES = ("books", "web")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A tokenizer of 259 ids."""
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def corpus(lengths: list[int], repeats: list[int] | None = None) -> pa.Table:
    """Documents of so many tokens; token i of document d is 1 + (d + i) % 250."""
    tokens = [[1 + (document + at) % 250 for at in range(length)] for document, length in enumerate(lengths)]
    ids = [hashlib.blake2b(f"{at}".encode(), digest_size=16).digest() for at in range(len(lengths))]
    table = pa.table(
        {
            "doc_id": pa.array(ids, pa.binary(16)),
            "source": pa.array([SOURCES[at % 3 > 0] for at in range(len(lengths))], pa.string()),
            "tokens": pa.array(tokens, pa.large_list(pa.uint32())),
            "bytes": pa.array([3 * length + 1 for length in lengths], pa.int64()),
        }
    )
    return table.append_column("repeats", pa.array(repeats, pa.int32())) if repeats else table


def stage(tokenizer: dict[str, list[Path]], **fields: Any) -> Pack:
    """The stage, told where the tokenizer lies."""
    defaults = {"seq_len": 16, "validation": 0.2, "sources": SOURCES, "seed": 5}
    return Pack(**(defaults | fields)).located(tokenizer)


def documents(packed: Packed) -> dict[str, dict[bytes, list[list[int]]]]:
    """Split -> doc_id -> the token sequences that its segments join to, one a repeat."""
    found: dict[str, dict[bytes, list[list[int]]]] = {}
    for name in ("train", "validation"):
        split = packed.split(name)
        rows, segments = split.rows(range(len(split))), split.segments(range(len(split)))
        pieces = defaultdict(list)
        for row in range(len(split)):
            at = 0
            for segment in range(segments.offsets[row], segments.offsets[row + 1]):
                length = int(segments.lengths[segment])
                tokens = rows[row, at : at + length].tolist()
                pieces[segments.doc[segment].tobytes()].append((int(segments.start[segment]), tokens))
                at += length
        found[name] = {}
        for doc_id, parts in pieces.items():
            repeats = sum(start == 0 for start, _ in parts)
            whole: list[int] = []
            for start, tokens in sorted(parts)[::repeats]:
                assert start == len(whole)
                whole += tokens
            found[name][doc_id] = [whole] * repeats
    return found


LENGTHS = st.lists(st.one_of(st.integers(0, 20), st.integers(0, 90)), max_size=60)


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.sampled_from(["best_fit", "concat"]), st.data())
def test_every_document_is_there_as_often_as_it_should(
    tokenizer: dict[str, list[Path]],
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    strategy: str,
    data: Any,
) -> None:
    """Segments join to the documents, each with one end, repeats in training only, none on both sides."""
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(lengths), max_size=len(lengths)))
    folder = tmp_path_factory.mktemp("packed")
    rows = corpus(lengths, repeats)
    run_shuffle(stage(tokenizer, strategy=strategy), [rows], folder)
    packed = Packed(folder)
    assert packed.verify() == []
    found = documents(packed)
    for row, times in zip(rows.to_pylist(), repeats or [1] * len(lengths), strict=True):
        expected = [[*row["tokens"], 0]] if row["tokens"] else []
        trained, held = (found[name].get(row["doc_id"], []) for name in ("train", "validation"))
        assert (trained, held) in ((expected * times, []), ([], expected))


CUTS = st.tuples(st.lists(st.integers(0, 60), max_size=4), st.randoms(use_true_random=False))


@settings(max_examples=25, deadline=None)
@given(LENGTHS, CUTS, st.integers(1, 400))
def test_the_cut_of_the_corpus_changes_no_byte(
    tokenizer: dict[str, list[Path]],
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    cuts: tuple[list[int], Any],
    shard: int,
) -> None:
    """Any parts in any order: the same files."""
    rows = corpus(lengths)
    parts = cut(rows, cuts[0])
    cuts[1].shuffle(parts)
    contents = []
    for pieces in (parts, [rows]):
        folder = tmp_path_factory.mktemp("packed")
        run_shuffle(stage(tokenizer, shard_tokens=shard, buckets=16), pieces, folder)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_bytes_of_the_pieces_sum_to_those_of_the_document(
    tokenizer: dict[str, list[Path]], tmp_path: Path, strategy: str
) -> None:
    """A document's bytes are shared among its pieces in proportion to their tokens."""
    rows = corpus([5, 40, 100, 16, 15])
    run_shuffle(stage(tokenizer, strategy=strategy, validation=0), [rows], tmp_path)
    split = Packed(tmp_path).split("train")
    segments = split.segments(range(len(split)))
    for row in rows.to_pylist():
        mine = (segments.doc == np.frombuffer(row["doc_id"], np.uint8)).all(axis=1)
        assert segments.bytes[mine].sum() == row["bytes"]
        share = segments.lengths[mine] * row["bytes"] / (len(row["tokens"]) + 1)
        assert np.abs(segments.bytes[mine] - share).max() < 1


def test_best_fit_cuts_only_what_is_longer_than_a_row(
    tokenizer: dict[str, list[Path]], tmp_path: Path
) -> None:
    """15 tokens and the end fit a row of 16; 16 and the end do not."""
    entries = run_shuffle(stage(tokenizer, validation=0), [corpus([15, 3, 9, 15, 16, 40])], tmp_path)
    assert entries[0]["cut"] == 2
    assert entries[0]["documents"] == 6
    assert entries[0]["truncated"] == 0


def test_concat_pads_only_the_last_row_of_a_shard(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """End to end: every row is full but one."""
    (entry,) = run_shuffle(stage(tokenizer, validation=0, strategy="concat"), [corpus([9] * 50)], tmp_path)
    assert entry["tokens"] == 500
    assert entry["rows"] == 32
    assert entry["padding"] == 12


def test_truncation_keeps_the_first_row_and_counts_the_rest(
    tokenizer: dict[str, list[Path]], tmp_path: Path
) -> None:
    """No end of text after a cut; what is lost is counted."""
    (entry,) = run_shuffle(stage(tokenizer, validation=0, overlong="truncate"), [corpus([40, 15])], tmp_path)
    assert (entry["rows"], entry["truncated"], entry["padding"]) == (2, 25, 0)
    assert sorted(Packed(tmp_path).split("train").rows([0, 1])[:, -1].tolist()) == [0, 16]


@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_documents_are_split_where_tokenize_says(
    tokenizer: dict[str, list[Path]], tmp_path: Path, strategy: str
) -> None:
    """Pieces of at most so many tokens, all of the document and one end; its bytes are shared among them."""
    rows = corpus([40, 9, 23], [2, 1, 1])
    rows = rows.append_column("split_at", pa.array([10, None, 7], pa.int64()))
    run_shuffle(stage(tokenizer, validation=0, strategy=strategy), [rows], tmp_path)
    packed = Packed(tmp_path)
    assert packed.verify() == []
    segments = packed.split("train").segments(range(len(packed.split("train"))))
    for row, most in zip(rows.to_pylist(), (10, 16, 7), strict=True):
        mine = (segments.doc == np.frombuffer(row["doc_id"], np.uint8)).all(axis=1)
        assert segments.lengths[mine].max() <= most
        assert segments.bytes[mine].sum() == row["bytes"] * row["repeats"]
    found = documents(packed)["train"] if strategy == "best_fit" else {}
    for row in rows.to_pylist() if found else []:
        assert found[row["doc_id"]] == [[*row["tokens"], 0]] * row["repeats"]


def test_documents_are_shuffled_by_the_seed(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Another seed, another order; neither is the order of the corpus."""
    orders = []
    for seed in (1, 2):
        run_shuffle(
            stage(tokenizer, seed=seed, validation=0, strategy="concat"),
            [corpus([7] * 60)],
            tmp_path / str(seed),
        )
        split = Packed(tmp_path / str(seed)).split("train")
        orders.append(split.rows(range(len(split)))[:, 0].tolist())
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_repeats_are_spread_over_the_run(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Two passes are not one after the other, nor side by side."""
    rows = corpus([7] * 64, [2] * 64)
    run_shuffle(stage(tokenizer, validation=0, strategy="concat"), [rows], tmp_path)
    split = Packed(tmp_path).split("train")
    order = [value.tobytes() for value in split.segments(range(len(split))).doc]
    first, second = set(order[:64]), set(order[64:])
    assert 20 < len(first & second) < 64
    assert sum(one == other for one, other in pairwise(order)) < 10


def test_the_share_held_out_is_by_source(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Shares by source; a source that is not named has none held out."""
    rows = corpus([3] * 600)
    run_shuffle(stage(tokenizer, validation={"web": 0.5}), [rows], tmp_path)
    split = Packed(tmp_path).split("validation")
    held = split.segments(range(len(split)))
    assert set(held.source.tolist()) == {SOURCES.index("web")}
    assert 160 < len(held.doc) < 240


def test_a_cluster_of_duplicates_stays_on_one_side(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Living documents that are duplicates of one another follow the one they are duplicates of."""
    rows = corpus([3] * 300)
    ids = rows["doc_id"].to_pylist()
    leaders = [None if at % 3 == 0 else ids[at - at % 3] for at in range(300)]
    run_shuffle(
        stage(tokenizer, validation=0.3),
        [rows.append_column("duplicate_of", pa.array(leaders, pa.binary(16)))],
        tmp_path,
    )
    found = documents(Packed(tmp_path))
    sides = [{name for name, held in found.items() if doc_id in held} for doc_id in ids]
    assert all(sides[at] == sides[at - at % 3] for at in range(300))
    assert {"train"} in sides
    assert {"validation"} in sides


def test_shards_are_about_as_large_as_asked_for(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Neighbouring buckets join until a shard is full."""
    entries = run_shuffle(
        stage(tokenizer, validation=0, shard_tokens=1000, strategy="concat"), [corpus([9] * 1000)], tmp_path
    )
    assert len(entries) == 10
    assert [entry["file"] for entry in entries] == [f"train-{at:05d}.arrow" for at in range(10)]
    assert all(900 < entry["tokens"] < 1100 for entry in entries)


def test_large_vocabularies_take_four_bytes(
    tokenizer: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids beyond 65,535 do not wrap."""
    monkeypatch.setattr(vocabulary, "described", lambda *_: (70_000, 69_999))
    rows = corpus([3]).set_column(2, "tokens", pa.array([[65_536, 5, 65_541]], pa.large_list(pa.uint32())))
    run_shuffle(stage(tokenizer, validation=0), [rows], tmp_path)
    assert Packed(tmp_path).split("train").rows([0])[0, :4].tolist() == [65_536, 5, 65_541, 69_999]


def test_an_id_beyond_the_vocabulary_is_an_error(tokenizer: dict[str, list[Path]]) -> None:
    """Never wrapped, never written."""
    rows = corpus([3]).set_column(2, "tokens", pa.array([[9999]], pa.large_list(pa.uint32())))
    with pytest.raises(StageError, match=r"9999, but tokenizer.json has 259 ids"):
        stage(tokenizer).route(rows)


def test_a_source_that_nobody_declared_is_an_error(tokenizer: dict[str, list[Path]]) -> None:
    """The manifest could not name it."""
    with pytest.raises(StageError, match="not among books"):
        stage(tokenizer, sources=("books",)).route(corpus([3, 3]))


def test_no_documents_make_a_folder_that_opens(tokenizer: dict[str, list[Path]], tmp_path: Path) -> None:
    """Empty parts and documents without tokens add nothing."""
    assert run_shuffle(stage(tokenizer), [corpus([]), corpus([0, 0])], tmp_path) == []
    assert len(Packed(tmp_path).split("train")) == 0
    assert Packed(tmp_path).verify() == []
