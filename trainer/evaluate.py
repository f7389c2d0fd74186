"""Loss, perplexity and bits per byte by source, on the same rows of the validation split every time.

Sums are over predicted tokens, counted globally; nothing here depends on ranks, micro-batches or the seed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from trainer.batches import IGNORED, Batch, Batches
from trainer.model import sight
from trainer.order import Order
from trainer.world import World

if TYPE_CHECKING:
    from trainer.config import Config

__all__ = ["Evaluation", "by_source"]


def by_source(losses: Tensor, batch: Batch, sources: int) -> Tensor:
    """Sums of losses and counts of labels by source: float64 (2, sources)."""
    sums = torch.zeros(2, sources, dtype=torch.float64, device=losses.device)
    source = batch.source.flatten()
    sums[0].index_add_(0, source, losses.detach().double().flatten())
    sums[1].index_add_(0, source, (batch.labels != IGNORED).double().flatten())
    return sums


class Evaluation:
    """The held-out rows of a run."""

    def __init__(self, batches: Batches, config: Config, world: World) -> None:
        self.batches, self.world, self.config = batches, world, config
        self.names, self.flex = batches.manifest.sources, world.flex(config)
        rows = len(batches.split)
        wanted = min(rows, config.eval_rows or rows)
        # Chosen by hash, once for the corpus: the same for every seed, so that runs can be compared.
        self.rows = np.sort(Order("evaluation", 0, rows, wanted).at(0)[0]) if rows else np.zeros(0, np.int64)
        flat = batches.split.segments(self.rows)
        self.bytes = np.bincount(flat.source, flat.bytes, len(self.names))
        self.tokens = np.bincount(flat.source, flat.lengths, len(self.names))

    @torch.no_grad()
    def run(self, model: nn.Module, micro: int) -> dict[str, Any] | None:
        """The figures, or None without validation rows. All ranks take part and get the same."""
        if not len(self.rows):
            return None
        model.eval()
        sums = torch.zeros(2, len(self.names), dtype=torch.float64, device=self.world.device)
        if not self.world.compiled(self.config):  # which wants the shape of training
            micro = min(micro, -(-len(self.rows) // self.world.size))
        mine = self.rows[self.world.rank :: self.world.size]
        for first in range(0, len(self.rows), micro * self.world.size):  # as many passes on every rank
            at = first // self.world.size
            rows = mine[at : at + micro]
            rows = np.append(rows, np.full(micro - len(rows), -1)) if len(rows) < micro else rows
            batch = self.batches.make(rows, np.zeros(len(rows), np.int64)).to(self.world.device)
            with self.world.precision():
                losses = model(
                    batch.ids, batch.positions, sight(batch, self.config, flex=self.flex), batch.labels
                )
            sums += by_source(losses, batch, len(self.names))
        self.world.total(sums)
        model.train()
        loss, count = sums.cpu().numpy()
        figures = self._figures(loss.sum(), count.sum(), self.tokens.sum(), self.bytes.sum())
        figures["sources"] = {
            name: self._figures(loss[at], count[at], self.tokens[at], self.bytes[at])
            for at, name in enumerate(self.names)
            if count[at]
        }
        return figures

    def _figures(self, loss: float, count: float, tokens: float, size: float) -> dict[str, Any]:
        """Bits per byte charges a first token, which nothing predicts, what the others cost on average."""
        mean = float(loss / count) if count else math.nan
        figures: dict[str, Any] = {
            "loss": mean,
            "perplexity": math.exp(min(mean, 700.0)),
            "labels": int(count),
        }
        if self.config.objective == "causal":
            figures["bits_per_byte"] = float(mean / math.log(2) * tokens / size) if size else math.nan
        return figures
