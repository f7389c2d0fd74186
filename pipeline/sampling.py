"""A sample of a corpus that has duplicates in the proportion in which the corpus has them.

Documents are drawn by one value of their MinHash signature (Broder 1997): copies have the same value, and two
documents of Jaccard similarity s have it with probability s, so that they are drawn together or not at all.
Drawing by doc_id would leave almost every copy alone. What is read is limited; of what was not read the size
is extrapolated by source. Knows nothing of what the sample is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.trial import cpu, high, settled
from stages.base import InputFile, Slice, Source
from stages.columns import ids, utf8, whole
from stages.kernels.hashing import hash64, mix64

READ: Final = 256_000_000  # bytes of text that are read at most
LEAST: Final = 6_000_000  # bytes of text of a sample: less says too little
MOST: Final = 16_000_000  # and more takes long
EXPANSION: Final = 3.0  # bytes of text a byte of file where no slice was read to its end
_SHINGLE: Final = 5
_OUTLIER: Final = 16  # a document of more than a sixteenth of the sample would decide it alone


@dataclass
class Sample:
    """What was read and what was drawn.

    Attributes:
        text: source -> bytes of text of the whole corpus, as read or extrapolated.
        documents: how many documents the whole corpus has, likewise.
        parts: how many parts it is cut into, likewise.
        seconds: CPU seconds that reading all of it takes.
        grown: bytes that the process grew by while it read a part.
        exact: whether everything was read.
        drawn: slice -> its drawn rows, with a column `draw` (uint64).
    """

    text: dict[str, float] = field(default_factory=dict)
    documents: float = 0
    parts: float = 0
    seconds: float = 0
    grown: int = 0
    exact: bool = True
    drawn: dict[str, pa.Table] = field(default_factory=dict)

    @property
    def size(self) -> float:
        """Bytes of text of the whole corpus."""
        return sum(self.text.values())

    def part(self, share: float) -> dict[str, pa.Table]:
        """The rows of a share of the sample: again documents that are alike together."""
        draws = np.concatenate(
            [t["draw"].to_numpy() for t in self.drawn.values()] or [np.zeros(0, np.uint64)]
        )
        limit = np.quantile(draws.astype(np.float64), share) if len(draws) else 0.0
        return {
            name: table.filter(pa.array(table["draw"].to_numpy().astype(np.float64) <= limit))
            for name, table in self.drawn.items()
        }


def draw(stage: Source, files: Sequence[InputFile], share: float) -> Sample:
    """Reads slices in the order of a hash, each source's first before any second, and draws documents.

    Args:
        stage: load.
        files: of all sources, digested.
        share: of the corpus's text to draw, between `LEAST` and `MOST` bytes.
    """
    pieces = _ordered(stage.slices(files))
    weights = _weights(pieces)
    found, seen, pool = Sample(), _Seen(), _Pool()
    for piece in pieces:
        if seen.bytes >= READ:
            found.exact = False
            break
        complete = _read(stage, piece, seen, pool)
        found.exact &= complete
        seen.finished(piece.source, weights[piece.name], complete=complete)
    _extrapolate(found, pieces, weights, seen, getattr(stage, "part_bytes", READ))
    target = min(max(share * found.size, LEAST), MOST)
    found.drawn = pool.draw(target, seen)
    return found


@dataclass
class _Seen:
    """What was read so far: bytes of text by source, and how text goes with the size of files."""

    bytes: int = 0
    documents: int = 0
    parts: int = 0
    seconds: float = 0.0
    grown: int = 0
    text: dict[str, int] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    read_text: dict[str, int] = field(default_factory=dict)
    by_size: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, np.int64))
    _before: int = 0

    def finished(self, source: str, weight: float, *, complete: bool) -> None:
        """Notes a slice that was read, of so many bytes of files."""
        if complete:
            self.read[source] = self.read.get(source, 0.0) + weight
            self.read_text[source] = self.read_text.get(source, 0) + self.text.get(source, 0) - self._before
        self._before = 0

    def began(self, source: str) -> None:
        """Notes where the source stood."""
        self._before = self.text.get(source, 0)


def _read(stage: Source, piece: Slice, seen: _Seen, pool: _Pool) -> bool:
    """Reads a slice into the pool; False if the limit came first."""
    seen.began(piece.source)
    own = stage.for_slice(piece)
    held, started = settled(), cpu()
    for table in own.read(piece):
        seen.seconds += cpu() - started
        seen.grown = max(seen.grown, high() - held)
        sizes = pc.fill_null(table["bytes"], 0).to_numpy()
        total = int(sizes.sum())
        seen.bytes, seen.documents, seen.parts = (
            seen.bytes + total,
            seen.documents + len(table),
            seen.parts + 1,
        )
        seen.text[piece.source] = seen.text.get(piece.source, 0) + total
        np.add.at(seen.by_size, np.frexp(sizes.astype(np.float64))[1], sizes)
        pool.add(piece.name, table)
        if seen.bytes >= READ:
            return False
        del table
        held, started = settled(), cpu()
    seen.seconds += cpu() - started
    return True


class _Pool:
    """The rows with the least draws among those that were read: some times the largest sample."""

    def __init__(self) -> None:
        self._limit = np.uint64(np.iinfo(np.uint64).max)
        self._rows: dict[str, list[pa.Table]] = {}
        self._held = 0

    def add(self, name: str, table: pa.Table) -> None:
        table = table.append_column("draw", pa.array(_draws(table)))
        self._take(name, [table])
        while self._held > 2 * MOST:
            self._limit //= np.uint64(2)
            rows, self._rows, self._held = self._rows, {}, 0
            for slice_, tables in rows.items():
                self._take(slice_, tables)

    def _take(self, name: str, tables: Sequence[pa.Table]) -> None:
        for table in tables:
            few = table.filter(pa.array(table["draw"].to_numpy() <= self._limit)).combine_chunks()
            self._rows.setdefault(name, []).append(few)
            self._held += pc.sum(few["bytes"]).as_py() or 0

    def draw(self, target: float, seen: _Seen) -> dict[str, pa.Table]:
        """The documents with the least draws, up to `target` bytes, but for those too large to be fair."""
        tables = {name: pa.concat_tables(some) for name, some in self._rows.items()}
        half = int(np.searchsorted(np.cumsum(seen.by_size), seen.bytes / 2))
        largest = max(target / _OUTLIER, float(2**half))
        everything = pa.concat_tables([t.select(["draw", "bytes"]) for t in tables.values()])
        order = np.argsort(everything["draw"].to_numpy(), kind="stable")
        sizes = pc.fill_null(everything["bytes"], 0).to_numpy()[order]
        fair = np.where(sizes <= largest, sizes, 0)
        count = int(np.searchsorted(np.cumsum(fair), target, side="right"))
        limit = everything["draw"].to_numpy()[order[min(count, len(order) - 1)]] if len(order) else 0
        found = {}
        for name, table in tables.items():
            here = (table["draw"].to_numpy() <= limit) & (
                pc.fill_null(table["bytes"], 0).to_numpy() <= largest
            )
            if here.any():
                found[name] = table.filter(pa.array(here))
        return found


def _draws(table: pa.Table) -> npt.NDArray[np.uint64]:
    from stages.kernels.minhash import signatures  # noqa: PLC0415 - compiled code that only this needs

    data, bounds = utf8(pc.fill_null(whole(table["text"]), ""))
    least, shingles = signatures(data, bounds, _SHINGLE, 1, 1)
    alone = hash64(ids(table["doc_id"]), 0, "sample")
    return np.where(shingles > 0, mix64(least[:, 0].astype(np.uint64)), alone)


def _ordered(pieces: Sequence[Slice]) -> list[Slice]:
    """Slices by the hash of their names, the sources in turn."""
    rank: dict[str, int] = {}
    turns: list[tuple[int, int, Slice]] = []
    for piece in sorted(pieces, key=lambda one: one.name.rpartition("-")[0].rpartition("-")[2] + one.name):
        turns.append((rank.setdefault(piece.source, 0), len(turns), piece))
        rank[piece.source] += 1
    return [piece for _, _, piece in sorted(turns, key=lambda turn: turn[:2])]


def _weights(pieces: Sequence[Slice]) -> dict[str, float]:
    """Slice -> bytes of files that it stands for: a file that is cut, by equal shares."""
    cuts: dict[tuple[str, str], int] = {}
    for piece in pieces:
        for file in piece.files:
            cuts[file.source, file.name] = cuts.get((file.source, file.name), 0) + 1
    return {piece.name: sum(f.size / cuts[f.source, f.name] for f in piece.files) for piece in pieces}


def _extrapolate(
    found: Sample, pieces: Sequence[Slice], weights: Mapping[str, float], seen: _Seen, part_bytes: int
) -> None:
    """Totals of the corpus: what was read, and what was not by the text a byte of file of the same source."""
    rate = sum(seen.read_text.values()) / sum(seen.read.values()) if sum(seen.read.values()) else EXPANSION
    for source in dict.fromkeys(piece.source for piece in pieces):
        size = sum(weights[piece.name] for piece in pieces if piece.source == source)
        known = seen.read.get(source, 0.0)
        own = seen.read_text[source] / known if known else rate
        found.text[source] = max(
            seen.text.get(source, 0), seen.read_text.get(source, 0) + (size - known) * own
        )
    more = found.size / seen.bytes if seen.bytes else 1.0
    found.documents, found.seconds = seen.documents * more, seen.seconds * more
    unread = (found.size - seen.bytes) / part_bytes
    found.parts, found.grown = seen.parts + unread, seen.grown
