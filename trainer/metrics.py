"""What a run says of itself: `metrics.jsonl`, the unigram entropy to beat, and `summary.json`.

A line a step and a line an evaluation, told apart by the key `eval`. A resumed run cuts the file back to its
checkpoint, so that but for the keys of TIMING it equals an uninterrupted one's. Knows no torch.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from trainer.trackers import Tracker, numbers

if TYPE_CHECKING:
    from stages.packed import Manifest, Split

__all__ = ["TIMING", "Log", "unigram_entropy", "write_json"]

TIMING: Final = frozenset({"seconds", "cpu_seconds", "tokens_per_s", "memory_bytes", "gpu_percent", "mfu"})
"""Keys that differ between two runs of the same configuration."""
RECENT: Final = 64
"""Steps that are at hand for whoever judges the next one."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(_finite(value), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Log:
    """`metrics.jsonl`, opened for the steps after `step`; without `write` (other ranks) only remembered.

    `lines` holds them all, `recent` the last RECENT steps, `seconds` what they took.
    """

    def __init__(self, path: Path, step: int, *, write: bool = True) -> None:
        self.path, self._writes = path, write
        self.trackers: list[Tracker] = []
        self._file: IO[str] | None = None
        self.lines = self._whole_lines()
        self.cut(step)

    def cut(self, step: int) -> None:
        """Forgets the lines of later steps."""
        self._shut()
        self.lines = [line for line in self.lines if line["step"] <= step]
        self.recent = deque(self.steps(), RECENT)
        self.seconds = math.fsum(line["seconds"] for line in self.lines)
        if not self._writes:
            return
        beside = self.path.with_name(f".{self.path.name}.tmp")
        beside.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        beside.replace(self.path)
        self._file = self.path.open("a", encoding="utf-8")

    def _whole_lines(self) -> list[dict[str, Any]]:
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        whole = []
        for line in lines:
            try:
                whole.append(json.loads(line))
            except ValueError:  # the torn last line of a killed run
                break
        return whole

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line; numbers that are not finite become null, for JSON has none."""
        clean = _finite(line)
        self.lines.append(clean)
        self.seconds += clean["seconds"]
        if "eval" not in clean:
            self.recent.append(clean)
        for tracker in self.trackers:
            tracker.log(numbers(clean), clean["step"])
        if self._file:
            self._file.write(json.dumps(clean) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Puts the lines on disk, before a checkpoint that counts on them."""
        if self._file:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Syncs and closes the file, and ends the trackers."""
        self._shut()
        for tracker in self.trackers:
            tracker.finish()

    def _shut(self) -> None:
        self.sync()
        if self._file:
            self._file.close()
            self._file = None

    def steps(self) -> list[dict[str, Any]]:
        """The lines of training steps."""
        return [line for line in self.lines if "eval" not in line]

    def evals(self) -> list[dict[str, Any]]:
        """The lines of evaluations."""
        return [line for line in self.lines if "eval" in line]


def unigram_entropy(split: Split, manifest: Manifest, rows_at_once: int = 4096) -> float:
    """Entropy (nats) of the split's tokens without padding: the loss of the best guess without context."""
    counts = np.zeros(manifest.vocab_size, np.int64)
    for first in range(0, len(split), rows_at_once):
        rows = np.arange(first, min(first + rows_at_once, len(split)))
        flat = split.segments(rows)
        before = np.concatenate([[0], np.cumsum(flat.lengths)])
        used = np.diff(before[flat.offsets])
        real = np.arange(manifest.seq_len) < used[:, None]
        counts += np.bincount(split.rows(rows)[real], minlength=manifest.vocab_size)
    if not (total := int(counts.sum())):
        return 0.0
    share = counts[counts > 0] / total
    return float(-(share * np.log(share)).sum())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
