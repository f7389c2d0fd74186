"""Stages over parts in memory: a Global with the ruling it came to, a Shuffle with the entries of its shards."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages import vocabulary
from stages.base import Global, Shuffle
from stages.pack import Pack
from stages.training import Training, train
from tests import harness


def run_global(stage: Global, parts: Sequence[pa.Table], seed: int = 0) -> tuple[pa.Table, pa.Table | None]:
    """Every row with the stage's columns and `reason`, and the last ruling.

    Args:
        stage: the stage.
        parts: its rows, all alive.
        seed: decides in which order parts and buckets are visited.
    """
    draw = random.Random(seed)
    alive = [harness.Part(rows, [True] * len(rows)) for rows in parts]
    ruling: pa.Table | None = None
    for turn in range(stage.rounds):
        ruling = harness._round(stage, turn, alive, ruling, draw)
    tables = []
    for rows in parts:
        out = stage.apply(rows, ruling)
        for name, column in {**out.columns, "reason": out.reasons.cast(pa.string())}.items():
            rows = rows.append_column(name, column)  # noqa: PLW2901 - column by column
        tables.append(rows)
    return pa.concat_tables(tables), ruling


def cut(rows: pa.Table, bounds: Sequence[int]) -> list[pa.Table]:
    """The rows in parts that end at these positions."""
    return [part.rows for part in harness.cut(rows, bounds)]


def run_shuffle(stage: Shuffle, parts: Sequence[pa.Table], folder: Path) -> list[dict[str, Any]]:
    """Writes the shards and the manifest; returns the shards' entries."""
    return harness.written(stage, pa.concat_tables([stage.route(part)[0] for part in parts]), folder)


def small_tokenizer(folder: Path) -> dict[str, list[Path]]:
    """A tokenizer of 259 ids (the bytes, the end of text, two merges) where `pack` looks for one."""
    content = train(Training(vocab_size=300), vocabulary.EOS, ["ab ab ab ab"])
    (folder / vocabulary.FILE).write_bytes(content)
    (folder / vocabulary.CONFIG).write_bytes(vocabulary.config(vocabulary.EOS))
    return {name: [folder / name] for name in (vocabulary.FILE, vocabulary.CONFIG)}


def shards_of(rows: pa.Table, sources: tuple[str, ...], folder: Path) -> Path:
    """Shards of 16 tokens a row, several of them, in both splits."""
    stage = Pack(seq_len=16, validation=0.2, sources=sources, shard_tokens=700, buckets=16)
    run_shuffle(stage.located(small_tokenizer(folder)), [rows], folder / "packed")
    return folder / "packed"
