"""Rows become tensors: ids, labels, positions and what attention may see, for the three objectives.

    causal   predict the next token
    masked   predict 15 % of the tokens: 80 % of them hidden, 10 % replaced, 10 % left (Devlin et al. 2019)
    prefix   predict the next token after a prefix whose tokens see each other (Raffel et al. 2020)

All draws are hashes of (fingerprint, seed, epoch, row, position): anew each epoch, the same on every machine.
Labels are -100 on padding and where the next token belongs to another document (RULES §14.3). Knows no model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """What one forward pass sees; every tensor int64 (rows, seq_len).

    Attributes:
        ids: tokens.
        labels: what is to be predicted at each place, IGNORED where nothing is.
        positions: place inside the document, or in the row without document masks.
        segment: which document of the batch a token belongs to; padding has its own.
        reach: first place of the row that the token may not see. With `segment` it says all about
            attention: a token sees what is in its segment and before its reach.
        source: index into the manifest's sources.
        tokens: how many tokens are not padding.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    segment: torch.Tensor
    reach: torch.Tensor
    source: torch.Tensor
    tokens: int

    def valid(self) -> int:
        """Places that are predicted."""
        return int((self.labels != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        pinned = device.type == "cuda"
        tensors: dict[str, Any] = {
            name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        moved = {
            name: (value.pin_memory() if pinned else value).to(device, non_blocking=pinned)
            for name, value in tensors.items()
        }
        return replace(self, **moved)


class _Where(NamedTuple):
    """Of every token, flat: its place in its segment, the segment's size, the column where that begins."""

    place: Ints
    size: Ints
    column: Ints


class Batches:
    """Makes the batches of one split for one configuration."""

    def __init__(self, split: Split, manifest: Manifest, config: Config) -> None:
        self.split, self.manifest, self.config = split, manifest, config

    def make(self, rows: Ints, epochs: Ints, skip: frozenset[int] = frozenset()) -> Batch:
        """The batch of these rows.

        Args:
            rows: indices into the split, -1 for a row of padding that only fills the shape.
            epochs: how often each row has been drawn before, for the draws of masks and prefixes.
            skip: rows whose labels are all IGNORED.
        """
        count, length = len(rows), self.manifest.seq_len
        real = np.flatnonzero(rows >= 0)
        ids = np.full((count, length), self.manifest.pad_id, np.int64)
        ids[real] = self.split.rows(rows[real])
        flat = self.split.segments(rows[real])

        # Where segments begin, in the batch laid end to end; the padding of each row counts as one more.
        of_row = np.repeat(np.arange(len(real)), np.diff(flat.offsets))
        before = np.concatenate([[0], np.cumsum(flat.lengths)])
        begins = real[of_row] * length + before[:-1] - before[flat.offsets[:-1]][of_row]
        used = np.zeros(count, np.int64)
        used[real] = np.diff(before[flat.offsets])
        padded = np.flatnonzero(used < length)
        starts = np.concatenate([begins, padded * length + used[padded]])
        source = np.concatenate([flat.source, np.zeros(len(padded), np.int64)])
        real_segment = np.arange(len(starts)) < len(begins)
        turn = np.argsort(starts)
        starts, source, real_segment = starts[turn], source[turn], real_segment[turn]
        lengths = np.diff(np.append(starts, count * length))

        # Everything below is per token, flat.
        segment = np.repeat(np.arange(len(starts)), lengths)
        start, size = starts[segment], lengths[segment]
        place = np.arange(count * length) - start
        learnt = real_segment[segment] & ~np.isin(rows, list(skip))[segment_rows(count, length)]
        tokens = ids.reshape(-1)
        inputs, labels, reach = self._objective(
            tokens, learnt, _Where(place, size, start % length), rows, epochs
        )
        if self.config.document_masks:
            positions = place
        else:
            positions = np.arange(count * length) % length
            segment = np.where(real_segment[segment], 0, 1)

        def tensor(flat: Ints) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(flat, np.int64).reshape(count, length))

        return Batch(
            tensor(inputs), tensor(labels), tensor(positions), tensor(segment), tensor(reach),
            tensor(np.repeat(source, lengths)), int(used.sum()),
        )  # fmt: skip

    def _objective(
        self, tokens: Ints, learnt: NDArray[np.bool_], where: _Where, rows: Ints, epochs: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Inputs, labels and reach, each flat (rows * seq_len)."""
        length, config = self.manifest.seq_len, self.config
        place, size, column = where
        in_row = column + place
        following = np.append(tokens[1:], 0)
        inside = learnt & (place + 1 < size)
        if config.objective == "causal":
            return tokens, np.where(inside, following, IGNORED), in_row + 1
        key = key64(config.objective, self.manifest.fingerprint, config.seed)
        of_row = mix64(mix64(key + epochs.astype(np.uint64) * GOLDEN) + rows.astype(np.uint64) * GOLDEN)
        if config.objective == "prefix":
            # one draw a segment: every token hashes the column where its segment begins
            draw = _unit(mix64(of_row[segment_rows(len(rows), length)] + column.astype(np.uint64) * GOLDEN))
            prefix = (draw * size).astype(np.int64)
            return (
                tokens,
                np.where(inside & (place + 1 >= prefix), following, IGNORED),
                np.maximum(in_row + 1, column + prefix),
            )
        token = mix64(of_row[segment_rows(len(rows), length)] + in_row.astype(np.uint64) * GOLDEN)
        chosen = learnt & (_unit(token) < MASKED_SHARE)
        fate = mix64(token + GOLDEN)
        hidden = chosen & (_unit(fate) < HIDDEN_SHARE)
        replaced = chosen & ~hidden & (_unit(fate) < HIDDEN_SHARE + REPLACED_SHARE)
        anything = (mix64(fate + GOLDEN) % np.uint64(self.manifest.vocab_size)).astype(np.int64)
        mask_id = self.manifest.vocab_size  # the model has one row more than the vocabulary for it
        inputs = np.where(hidden, mask_id, np.where(replaced, anything, tokens))
        return inputs, np.where(chosen, tokens, IGNORED), np.full_like(tokens, length)

    def steps(
        self, order: Order, first: int, last: int, *, skip: frozenset[int], rank: int, world: int, micro: int
    ) -> Generator[list[Batch]]:
        """The micro-batches of this rank for steps `first` to `last` (exclusive), prepared ahead.

        All ranks get as many micro-batches of the same shape; rows of padding fill them.
        """

        def prepare(step: int) -> list[Batch]:
            rows, epochs = order.at(step)
            share = -(-len(rows) // world)
            size = min(micro, share)
            wanted = -(-share // size) * size
            mine, when = rows[rank * share : (rank + 1) * share], epochs[rank * share : (rank + 1) * share]
            gap = wanted - len(mine)
            mine, when = np.append(mine, np.full(gap, -1)), np.append(when, np.zeros(gap, np.int64))
            return [
                self.make(mine[at : at + size], when[at : at + size], skip) for at in range(0, wanted, size)
            ]

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


def segment_rows(rows: int, length: int) -> Ints:
    """The row of every token of a batch laid end to end."""
    return np.repeat(np.arange(rows), length)


def _unit(draw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """53 bits of a draw as a number in [0, 1)."""
    return (draw >> np.uint64(11)).astype(np.float64) * 2.0**-53
