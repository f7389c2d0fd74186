"""What a step was made of: its rows, the documents in them, and the loss of each document.

Losses are of the weights at hand, with nothing dropped out. The pipeline joins the doc_ids with its tables of
documents (source file, record, curation columns); this room knows only what the shards say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from trainer.batches import IGNORED, Batches, Ints
from trainer.model import sight

if TYPE_CHECKING:
    from trainer.world import World

__all__ = ["Traced", "document_losses"]


@dataclass(frozen=True)
class Traced:
    """A document, or the piece of one, in a row.

    Attributes:
        doc_id: 32 hex digits.
        source: name of its source.
        row: index into the split.
        start: position of its first token in the document.
        tokens: of the piece.
        labels: how many of them were to be predicted.
        loss: mean over those, in nats; 0 without any.
        bytes: of UTF-8 text.
    """

    doc_id: str
    source: str
    row: int
    start: int
    tokens: int
    labels: int
    loss: float
    bytes: int


@torch.no_grad()
def document_losses(
    model: nn.Module, batches: Batches, drawn: tuple[Ints, Ints], world: World, micro: int
) -> list[Traced]:
    """The documents of some rows (`drawn`: rows, epochs) with their losses, in order.

    Every rank goes over all rows, so all have the same answer.
    """
    rows, epochs = drawn
    training = model.training
    model.eval()
    traced: list[Traced] = []
    for first in range(0, len(rows), micro):
        here, when = rows[first : first + micro], epochs[first : first + micro]
        batch = batches.make(here, when).to(world.device)
        with world.precision():
            seen = sight(batch, batches.config, flex=world.flex(batches.config))
            losses = model(batch.ids, batch.positions, seen, batch.labels)
        loss = losses.double().cpu().numpy()
        counted = (batch.labels != IGNORED).cpu().numpy()
        flat = batches.split.segments(here)
        for at, row in enumerate(here):
            column = 0
            for segment in range(flat.offsets[at], flat.offsets[at + 1]):
                place = slice(column, column := column + int(flat.lengths[segment]))
                labels = int(counted[at, place].sum())
                source = batches.manifest.sources[flat.source[segment]]
                mean = float(loss[at, place].sum() / max(1, labels))
                piece = (int(flat.start[segment]), int(flat.lengths[segment]), labels)
                ident = flat.doc[segment].tobytes().hex()
                traced.append(Traced(ident, source, int(row), *piece, mean, int(flat.bytes[segment])))
    model.train(training)
    return traced
