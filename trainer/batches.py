"""Rows become tensors: ids, labels, positions and what attention may see, for the three objectives.

    causal   predict the next token
    masked   predict 15 % of the tokens: 80 % of them hidden, 10 % replaced, 10 % left (Devlin et al. 2019)
    prefix   predict the next token after a prefix whose tokens see each other (Raffel et al. 2020)

All draws are hashes of (fingerprint, seed, epoch, row, position): anew each epoch, the same on every machine.
Labels are -100 on padding and where the next token belongs to another document (RULES §14.3). Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.order import GOLDEN, Order, key64, mix64

if TYPE_CHECKING:
    from stages.packed import Manifest, Split
    from trainer.config import Config

__all__ = ["IGNORED", "Batch", "Batches", "Ints"]

IGNORED = -100
"""The label of places that are not predicted, as torch's cross entropy has it."""
MASKED_SHARE, HIDDEN_SHARE, REPLACED_SHARE = 0.15, 0.8, 0.1

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """What one forward pass sees; tensors (rows, columns), int32 but for the labels, which are int64.

    There are seq_len columns, or one fewer: where that makes a multiple of eight, which matrix units and
    vector units want, the last one is left out unless it is predicted from; it is only ever a label.

    Attributes:
        ids: tokens.
        labels: what is to be predicted at each place, IGNORED where nothing is.
        positions: place inside the document, or in the row without document masks.
        segment: which document of the batch a token belongs to; padding has its own.
        reach: first place of the row that the token may not see. With `segment` it says all about
            attention: a token sees what is in its segment and before its reach.
        source: index into the manifest's sources.
        tokens: how many tokens are not padding.
        valid: how many places are predicted.
        alone: whether each row is one document without padding, so that a causal mask is all it takes.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    segment: torch.Tensor
    reach: torch.Tensor
    source: torch.Tensor
    tokens: int
    valid: int
    alone: bool

    @classmethod
    def plain(cls, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Batch:
        """Rows (rows, columns) that are one document each, of no source in particular."""
        rows, columns = ids.shape
        place = torch.arange(columns, device=ids.device).expand(rows, columns)
        labels = torch.full_like(ids, IGNORED) if labels is None else labels
        valid = int((labels != IGNORED).sum())
        same = torch.zeros_like(ids)
        number = torch.arange(rows, device=ids.device)[:, None].expand_as(ids)
        return cls(ids, labels, place, number, place + 1, same, ids.numel(), valid, alone=True)

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """The same batch with every tensor changed: pinned, or moved."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        moved: dict[str, Any] = {name: change(value) for name, value in tensors.items()}
        return replace(self, **moved)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device; does not wait for pinned memory to be copied."""
        return self.each(lambda value: value.to(device, non_blocking=True))


@dataclass(frozen=True)
class _Segments:
    """The segments of a batch, row after row, each row's padding (maybe none) as one more at its end."""

    row: Ints
    column: NDArray[np.int32]
    length: Ints
    source: Ints
    learnt: NDArray[np.bool_]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """A value a segment as a value a token, the batch laid end to end."""
        return np.repeat(values, self.length)


class Batches:
    """Makes the batches of one split for one configuration."""

    def __init__(self, split: Split, manifest: Manifest, config: Config) -> None:
        self.split, self.manifest, self.config = split, manifest, config
        seq_len = manifest.seq_len
        self.columns = seq_len - (config.objective != "masked" and seq_len % 8 == 1 and seq_len > 1)

    def make(self, rows: Ints, epochs: Ints, skip: frozenset[int] = frozenset()) -> Batch:
        """The batch of these rows.

        Args:
            rows: indices into the split, -1 for a row of padding that only fills the shape.
            epochs: how often each row has been drawn before, for the draws of masks and prefixes.
            skip: rows whose labels are all IGNORED.
        """
        count, length = len(rows), self.manifest.seq_len
        tokens = np.full((count, length), self.manifest.pad_id, np.int32)
        tokens[rows >= 0] = self.split.rows(rows[rows >= 0])
        segments, used = self._segments(rows, skip)
        column = np.tile(np.arange(length, dtype=np.int32), count)
        place = column - segments.spread(segments.column)
        if self.config.document_masks:
            positions, segment = place, segments.spread(np.arange(len(segments.row), dtype=np.int32))
        else:
            positions, segment = column, segments.spread((segments.source < 0).astype(np.int32))
        inputs, labels, reach = self._objective(
            tokens.reshape(-1), segments, column, place, rows=rows, epochs=epochs
        )

        def tensor(flat: NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(flat.reshape(count, length)[:, : self.columns]))

        return Batch(
            tensor(inputs), tensor(labels), tensor(positions), tensor(segment), tensor(reach),
            tensor(segments.spread(np.maximum(segments.source, 0).astype(np.int32))),
            tokens=used, valid=int(np.count_nonzero(labels != IGNORED)),
            alone=bool((rows >= 0).all() and np.isin(segments.length, (0, length)).all()),
        )  # fmt: skip

    def _segments(self, rows: Ints, skip: frozenset[int]) -> tuple[_Segments, int]:
        """The segments of a batch, and how many tokens are not padding."""
        real = np.flatnonzero(rows >= 0)
        flat = self.split.segments(rows[real])
        row = np.repeat(real, np.diff(flat.offsets))
        used = np.bincount(row, flat.lengths, len(rows)).astype(np.int64)
        # row r's segments are moved up by the r paddings before them
        at = np.arange(len(row)) + row
        pads = np.cumsum(np.bincount(row, minlength=len(rows)) + 1) - 1
        length, of_row, source = (np.empty(len(row) + len(rows), np.int64) for _ in range(3))
        length[at], of_row[at], source[at] = flat.lengths, row, flat.source
        length[pads], of_row[pads], source[pads] = self.manifest.seq_len - used, np.arange(len(rows)), -1
        column = (np.cumsum(length) - length - of_row * self.manifest.seq_len).astype(np.int32)
        learnt = source >= 0
        if skip:
            learnt &= ~np.isin(rows, list(skip))[of_row]
        return _Segments(of_row, column, length, source, learnt), int(used.sum())

    def _objective(
        self,
        tokens: NDArray[np.int32],
        segments: _Segments,
        column: NDArray[np.int32],
        place: NDArray[np.int32],
        *,
        rows: Ints,
        epochs: Ints,
    ) -> tuple[NDArray[np.int32], Ints, NDArray[np.int32]]:
        """Inputs, labels and reach, each flat (rows * seq_len)."""
        config, length = self.config, self.manifest.seq_len
        key = key64(config.objective, self.manifest.fingerprint, config.seed)
        of_row = mix64(mix64(key + epochs.astype(np.uint64) * GOLDEN) + rows.astype(np.uint64) * GOLDEN)
        if config.objective == "masked":
            token = mix64(np.repeat(of_row, length) + column.astype(np.uint64) * GOLDEN)
            chosen = segments.spread(segments.learnt) & (_unit(token) < MASKED_SHARE)
            fate = mix64(token + GOLDEN)
            hidden = chosen & (_unit(fate) < HIDDEN_SHARE)
            replaced = chosen & ~hidden & (_unit(fate) < HIDDEN_SHARE + REPLACED_SHARE)
            anything = (mix64(fate + GOLDEN) % np.uint64(self.manifest.vocab_size)).astype(np.int32)
            mask_id = np.int32(
                self.manifest.vocab_size
            )  # the model has a row more than the vocabulary for it
            inputs = np.where(hidden, mask_id, np.where(replaced, anything, tokens))
            return inputs, np.where(chosen, tokens, IGNORED).astype(np.int64), np.full_like(column, length)
        labels = np.empty(len(tokens), np.int64)
        labels[:-1] = tokens[1:]
        labels[(np.cumsum(segments.length) - 1)[segments.length > 0]] = IGNORED
        if not segments.learnt[segments.length > 0].all():
            labels[~segments.spread(segments.learnt)] = IGNORED
        if config.objective == "causal":
            return tokens, labels, column + np.int32(1)
        # one draw a segment, by its row and the column where it begins
        draw = _unit(mix64(of_row[segments.row] + segments.column.astype(np.uint64) * GOLDEN))
        prefix = (draw * segments.length).astype(np.int32)
        labels[place + 1 < segments.spread(prefix)] = IGNORED
        return tokens, labels, np.maximum(column + 1, segments.spread(segments.column + prefix))

    def steps(
        self,
        order: Order,
        first: int,
        last: int,
        *,
        skip: frozenset[int],
        rank: int,
        world: int,
        micro: int,
        pin: bool = False,
    ) -> Generator[list[Batch]]:
        """The micro-batches of this rank for steps `first` to `last` (exclusive), prepared ahead.

        All ranks get as many micro-batches of the same shape; rows of padding fill them. `pin` puts them into
        memory that a GPU copies from while it computes.
        """

        def prepare(step: int) -> list[Batch]:
            rows, epochs = order.at(step)
            share = -(-len(rows) // world)
            wanted = -(-share // micro) * micro  # of one shape in every step, as a compiler wants it
            mine, when = rows[rank * share : (rank + 1) * share], epochs[rank * share : (rank + 1) * share]
            gap = wanted - len(mine)
            mine, when = np.append(mine, np.full(gap, -1)), np.append(when, np.zeros(gap, np.int64))
            made = [
                self.make(mine[at : at + micro], when[at : at + micro], skip)
                for at in range(0, wanted, micro)
            ]
            return [batch.each(torch.Tensor.pin_memory) for batch in made] if pin else made

        steps: Iterator[int] = iter(range(first, last))
        if not self.config.prefetch:
            yield from map(prepare, steps)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            ahead = [pool.submit(prepare, step) for step in islice(steps, self.config.prefetch)]
            while ahead:
                ready = ahead.pop(0)
                ahead += [pool.submit(prepare, step) for step in islice(steps, 1)]
                yield ready.result()


def _unit(draw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """53 bits of a draw as a number in [0, 1)."""
    return (draw >> np.uint64(11)).astype(np.float64) * 2.0**-53
