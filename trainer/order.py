"""Which rows a step sees: a pure function of (fingerprint, seed, step, skip list).

One permutation of all rows for each epoch; a step takes the next rows of it, and runs on into the next epoch.
Ranks, workers and micro-batches only divide a step's rows among themselves, so any number of them sees the
same rows, and a run resumes from one integer. Rows on the skip list keep their place and are masked, so that
skipping one row moves no other. Knows no tensors and reads no shards.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["GOLDEN", "Order", "key64", "mix64"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele et al. 2014), a bijection on 64 bits; any shape."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key64(*parts: object) -> np.uint64:
    """64 bits of SHA-256 over the parts, told apart by NUL: the key of a stream of draws."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


@lru_cache(maxsize=2)
def _permutation(fingerprint: str, seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    # Distinct rows have distinct hashes (a bijection), so the sort has no ties. numpy's own generators would
    # do, but their streams are not promised to stay the same from version to version.
    draws = mix64(key64("order", fingerprint, seed, epoch) + np.arange(rows, dtype=np.uint64) * GOLDEN)
    return np.argsort(draws).astype(np.int64, copy=False)


class Order:
    """The order of a run over `rows` rows, `batch` rows a step (fewer during the first `ramp` steps)."""

    def __init__(self, fingerprint: str, seed: int, rows: int, batch: int, ramp: int = 0) -> None:
        if rows < 1:
            raise ValueError("no rows to train on: the train split is empty")
        self.fingerprint, self.seed, self.rows, self.batch, self.ramp = fingerprint, seed, rows, batch, ramp
        # size during the ramp: ceil(batch * (step + 1) / ramp), in integers
        sizes = -(-batch * (np.arange(ramp, dtype=np.int64) + 1) // max(1, ramp))
        self._ramped = np.concatenate([[0], np.cumsum(sizes)])

    def position(self, step: int) -> int:
        """Rows drawn before `step` (counted from 0)."""
        if step <= self.ramp:
            return int(self._ramped[step])
        return int(self._ramped[self.ramp]) + (step - self.ramp) * self.batch

    def size(self, step: int) -> int:
        """Rows of `step`."""
        return self.position(step + 1) - self.position(step)

    def at(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row indices and epochs of `step`, both int64 (size,)."""
        position = np.arange(self.position(step), self.position(step + 1), dtype=np.int64)
        epochs, places = position // self.rows, position % self.rows
        rows = np.empty_like(position)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            rows[here] = _permutation(self.fingerprint, self.seed, int(epoch), self.rows)[places[here]]
        return rows, epochs

    def steps(self, rows: NDArray[np.int64], last: int) -> dict[int, list[int]]:
        """Row -> the steps that see it among the first `last` ones (counted from 0), in order."""
        drawn = self.position(last)
        found: dict[int, list[int]] = {int(row): [] for row in rows}
        for epoch in range(-(-drawn // self.rows)):
            place = np.empty(self.rows, np.int64)
            place[_permutation(self.fingerprint, self.seed, epoch, self.rows)] = np.arange(self.rows)
            for row, steps in found.items():
                at = epoch * self.rows + int(place[row])
                if at < drawn:
                    steps.append(self._step(at))
        return found

    def _step(self, position: int) -> int:
        """The step that draws the row at a position of the order."""
        ramped = int(self._ramped[self.ramp])
        if position >= ramped:
            return self.ramp + (position - ramped) // self.batch
        return int(np.searchsorted(self._ramped, position, side="right")) - 1
