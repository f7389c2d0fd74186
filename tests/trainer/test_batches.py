"""Rows become tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.packed import Packed
from tests.trainer.conftest import small
from tests.trainer.corpus import pack
from trainer.batches import IGNORED, Batch, Batches
from trainer.order import Order


def made(
    packed: Packed, rows: list[int], epoch: int = 0, skip: tuple[int, ...] = (), **changes: Any
) -> Batch:
    """The batch of some rows."""
    batches = Batches(packed.split("train"), packed.manifest, small(**changes))
    return batches.make(np.array(rows), np.full(len(rows), epoch), frozenset(skip))


@pytest.fixture
def known(tmp_path: Path) -> Packed:
    """Rows of eight: documents of 3 and 4 tokens and one place of padding; a document of 2 and padding."""
    docs = [(0, np.array([11, 12, 0])), (1, np.array([21, 22, 23, 0])), (1, np.array([31, 0]))]
    return pack(tmp_path / "known", docs, [], seq_len=8, shards=1)


def test_causal_labels_stop_at_documents(known: Packed) -> None:
    """Each token's label is the next one of its document; -100 at its last and on padding (RULES 14.3)."""
    batch = made(known, [0, 1])
    assert batch.ids.tolist() == [[11, 12, 0, 21, 22, 23, 0, 0], [31, 0, 0, 0, 0, 0, 0, 0]]
    no = IGNORED
    assert batch.labels.tolist() == [[12, 0, no, 22, 23, 0, no, no], [0, no, no, no, no, no, no, no]]
    assert batch.valid == 6
    assert batch.tokens == 9


def test_positions_restart_and_segments_differ(known: Packed) -> None:
    """Positions count from each document's first token; no two documents or paddings share a segment."""
    batch = made(known, [0, 1])
    assert batch.positions.tolist()[0] == [0, 1, 2, 0, 1, 2, 3, 0]
    assert len({tuple(row) for row in batch.segment.tolist()}) == 2
    assert batch.segment.flatten().unique().numel() == 5
    assert batch.source[0].tolist()[:7] == [0, 0, 0, 1, 1, 1, 1]
    assert batch.reach[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_without_document_masks_a_row_is_one(known: Packed) -> None:
    """Positions run over the row and documents see each other, but labels still stop at documents."""
    batch = made(known, [0], document_masks=False)
    assert batch.positions.tolist() == [list(range(8))]
    assert batch.segment[0, :7].unique().numel() == 1
    assert batch.labels.tolist() == made(known, [0]).labels.tolist()


def test_padding_rows_and_skipped_rows_teach_nothing(known: Packed) -> None:
    """A row of -1 fills the shape; a skipped row keeps its place and loses its labels."""
    batch = made(known, [0, -1, 1], skip=(0,))
    assert batch.labels[:2].unique().tolist() == [IGNORED]
    assert batch.labels[2, 0] == 0
    assert batch.tokens == 9


def test_prefix_labels_begin_where_the_prefix_ends(packed: Packed) -> None:
    """A token whose label counts sees no further than itself; one inside a prefix sees to its end."""
    batch = made(packed, list(range(20)), objective="prefix")
    place = torch.arange(64)
    assert (batch.reach >= place + 1).all()
    counted = batch.labels != IGNORED
    assert (batch.reach[counted] == (place + 1).expand_as(batch.reach)[counted]).all()
    causal = made(packed, list(range(20)))
    assert 0.3 < batch.valid / causal.valid < 0.7
    assert (batch.labels[counted] == causal.labels[counted]).all()


def test_masked_draws_follow_the_published_shares(packed: Packed) -> None:
    """15 % are predicted; of these 80 % hidden, 10 % replaced, 10 % left as they were."""
    rows = list(range(len(packed.split("train"))))
    batch, plain = made(packed, rows, objective="masked"), made(packed, rows)
    chosen = batch.labels != IGNORED
    hidden = batch.ids == packed.manifest.vocab_size
    assert chosen.sum() / batch.tokens == pytest.approx(0.15, abs=0.02)
    assert hidden.sum() / chosen.sum() == pytest.approx(0.8, abs=0.05)
    assert (hidden <= chosen).all()
    assert ((batch.ids != plain.ids) <= chosen).all()
    assert (batch.labels[chosen] == plain.ids[chosen]).all()


@pytest.mark.parametrize("objective", ["masked", "prefix"])
def test_draws_are_anew_each_epoch_and_belong_to_the_row(packed: Packed, objective: str) -> None:
    """Another epoch, other draws; the same row gives the same draws in any batch."""
    one = made(packed, [3, 4], objective=objective)
    assert not torch.equal(one.labels, made(packed, [3, 4], epoch=1, objective=objective).labels)
    alone = made(packed, [4], objective=objective)
    assert torch.equal(alone.labels[0], one.labels[1])
    assert torch.equal(alone.reach[0], one.reach[1])


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("prefetch", [0, 3])
def test_any_ranks_micro_batches_and_prefetch_see_the_same_rows(
    packed: Packed, world: int, prefetch: int
) -> None:
    """Together the ranks see exactly the step's rows, in shapes that are the same on all of them."""
    batches = Batches(packed.split("train"), packed.manifest, small(prefetch=prefetch))
    order = Order(packed.manifest.fingerprint, 5, len(packed.split("train")), 7)
    streams = [
        list(batches.steps(order, 10, 13, skip=frozenset(), rank=rank, world=world, micro=2))
        for rank in range(world)
    ]
    for at, step in enumerate(range(10, 13)):
        whole = batches.make(*order.at(step))
        assert len({tuple(m.ids.shape[0] for m in stream[at]) for stream in streams}) == 1
        rows = [row for stream in streams for m in stream[at] for row in m.labels.tolist()]
        real = [row for row in rows if set(row) != {IGNORED}]
        assert real == whole.labels.tolist()
