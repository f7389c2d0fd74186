"""Exports come back, through the readers they are for, as what was packed."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RecipeError
from pipeline.export import documents, export
from stages.packed import Packed
from tests.stages.rounds import shards_of
from tests.stages.test_pack import SOURCES, corpus

LENGTHS = [5, 40, 3, 16, 15, 100, 1, 8, 8, 33] * 6
REPEATS = [1, 2, 1, 3, 1, 2, 1, 1, 1, 1] * 6


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several shards of both splits, long documents in pieces, repeats."""
    return shards_of(corpus(LENGTHS, REPEATS), SOURCES, tmp_path_factory.mktemp("shards"))


def expected() -> Counter[tuple[int, ...]]:
    """Every document with its end, as often as it is seen in training."""
    found: Counter[tuple[int, ...]] = Counter()
    for row in corpus(LENGTHS, REPEATS).to_pylist():
        found[(*row["tokens"], 0)] = row["repeats"]
    return found


def held(packed: Path) -> Counter[tuple[int, ...]]:
    """The documents of the validation split, which are there once."""
    return Counter(split_documents(packed, "validation"))


def split_documents(packed: Path, name: str) -> list[tuple[int, ...]]:
    """The documents that `documents` gives."""
    found = []
    for tokens, lengths in documents(Packed(packed).split(name)):
        found += [tuple(piece.tolist()) for piece in np.split(tokens, np.cumsum(lengths)[:-1])]
    return found


@pytest.mark.parametrize("at_once", [3, 10_000])
def test_pieces_join_to_documents(packed: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was packed, whole, as often as it was packed; none on both sides."""
    monkeypatch.setattr("pipeline.export._AT_ONCE", at_once)
    both = Counter(split_documents(packed, "train")) + held(packed)
    once = held(packed)
    assert both == Counter({text: 1 if text in once else times for text, times in expected().items()})


def test_hugging_face_opens_the_rows(packed: Path, tmp_path: Path) -> None:
    """`load_from_disk` of the real library gives the rows and the segments."""
    export("hf", packed, tmp_path / "hf")
    program = (
        "import sys, json, datasets; found = datasets.load_from_disk(sys.argv[1]);"
        "rows = {k: [v['input_ids'], v['segment_lengths'], [[d.hex() for d in r] for r in v['segment_doc']]]"
        " for k, v in ((k, v[:]) for k, v in found.items())}; print(json.dumps(rows))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "hf")], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("train", "validation"):
        split = Packed(packed).split(name)
        rows = [row for _, shard in split.tables() for row in shard.to_pylist()]
        assert found[name][0] == [row["input_ids"] for row in rows]
        assert found[name][1] == [row["segment_lengths"] for row in rows]
        assert found[name][2] == [[doc.hex() for doc in row["segment_doc"]] for row in rows]


def test_megatron_maps_a_document_a_sequence(packed: Path, tmp_path: Path) -> None:
    """Read as Megatron-LM's indexed dataset does: header, lengths, pointers, documents."""
    export("megatron", packed, tmp_path / "out")
    data = (tmp_path / "out" / "train.idx").read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack("<QBQQ", data[9:34])
    assert (version, code, bounds) == (1, 8, sequences + 1)
    lengths = np.frombuffer(data, np.int32, sequences, 34)
    pointers = np.frombuffer(data, np.int64, sequences, 34 + 4 * sequences)
    indices = np.frombuffer(data, np.int64, bounds, 34 + 12 * sequences)
    assert len(data) == 34 + 12 * sequences + 8 * bounds
    assert indices.tolist() == list(range(bounds))
    tokens = np.memmap(tmp_path / "out" / "train.bin", np.uint16, "r")
    found = [
        tuple(tokens[start // 2 : start // 2 + size].tolist())
        for start, size in zip(pointers, lengths, strict=True)
    ]
    assert found == split_documents(packed, "train")


def test_nanogpt_maps_documents_end_to_end(packed: Path, tmp_path: Path) -> None:
    """No padding; the end of text is between documents."""
    export("nanogpt", packed, tmp_path / "out")
    for name, file in (("train", "train.bin"), ("validation", "val.bin")):
        tokens = np.memmap(tmp_path / "out" / file, np.uint16, "r")
        assert tokens.tolist() == [token for text in split_documents(packed, name) for token in text]


def test_a_folder_in_use_is_left_alone(packed: Path, tmp_path: Path) -> None:
    """Nothing is written over."""
    (tmp_path / "mine").write_text("x")
    with pytest.raises(RecipeError, match="not an empty folder"):
        export("nanogpt", packed, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_unknown_format_is_told_the_known_ones(packed: Path, tmp_path: Path) -> None:
    """Which formats there are."""
    with pytest.raises(RecipeError, match="hf, megatron, nanogpt"):
        export("parquet", packed, tmp_path / "out")
