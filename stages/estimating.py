"""How many bytes a token takes in each group of a mixture that is planned before the tokenizer has run.

Blocks of text are drawn by hash, about as many bytes of every group, and encoded with the tokenizer that
`tokenize` will use. Where it is yet to be trained or extended, that is done here beforehand on the blocks, each group weighed as the
mixture wants it: the counts of such a stand-in differ from those of the real one by a few per cent, but by
much the same in every group. It says what a group's bytes are worth; what is taken of it, `mix.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from stages import vocabulary
from stages.base import StageError
from stages.columns import ids, utf8
from stages.encoding import Encoder
from stages.extension import Extension, extend
from stages.kernels.hashing import hash64, mix64
from stages.training import Training, train

BLOCK_BYTES: Final = 2048
SAMPLE_BYTES: Final = 2 << 20
"""Of each group: 1,000 blocks, which leaves the mean of a token's bytes a standard error of about 0.5 %."""
SAMPLES_BYTES: Final = 64 << 20
"""Of all groups."""
STAND_IN_BYTES: Final = 6 << 20
"""Text that a stand-in is trained on: 4 seconds for 32,000 ids."""
ALL: Final = 2**64 - 1


class Later(BaseModel):
    """What `tokenize` will do after the mixture: its keys of the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: str | None = None
    """The `tokenizer.json`; if not set, one is trained."""
    train: Training | None = None
    """What is trained."""
    extend: Extension | None = None
    """What is added to the tokenizer of `file`."""

    @property
    def known(self) -> bool:
        """Whether the tokenizer is there already."""
        return self.file is not None and self.extend is None


def thresholds(amounts: Mapping[str, int]) -> dict[str, int]:
    """Group -> hashes of blocks below this are drawn, from the bytes of each group."""
    most = min(SAMPLE_BYTES, SAMPLES_BYTES // max(len(amounts), 1))
    return {name: min(ALL, (most << 64) // max(size, 1)) for name, size in amounts.items()}


def blocks(rows: pa.Table, threshold: npt.NDArray[np.uint64], *salt: int | str) -> pa.Table:
    """The blocks drawn from these rows: columns `at` (int64, index of the row), `hash` (uint64), `text`.

    Args:
        rows: columns `doc_id` and `text`.
        threshold: of each row; blocks whose hash is below it are drawn.
        salt: decides which.
    """
    data, bounds = utf8(rows["text"])
    counts = -(-np.diff(bounds) // BLOCK_BYTES)
    document = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    hashes = mix64(hash64(ids(rows["doc_id"]), *salt)[document] ^ mix64(number.astype(np.uint64)))
    drawn = np.flatnonzero(hashes < threshold[document])
    first = bounds[document[drawn]] + number[drawn] * BLOCK_BYTES
    last = np.minimum(first + BLOCK_BYTES, bounds[document[drawn] + 1])
    texts = [
        data[a:b].tobytes().decode("utf-8", "ignore")  # a character cut at the edge is left out
        for a, b in zip(first, last, strict=True)
    ]
    return pa.table(
        {"at": document[drawn], "hash": hashes[drawn], "text": pa.array(texts, pa.large_string())}
    )


def stand_in(
    later: Later, given: Path | None, sample: pa.Table, shares: Mapping[str, Fraction]
) -> bytes | None:
    """A tokenizer like the one that will be trained or extended; None if the sample is too small for any.

    Args:
        later: what will be done.
        given: where its file lies.
        sample: all blocks: columns `group`, `hash` and `text`.
        shares: group -> share of the text to learn from.
    """
    learning = later.extend or later.train or Training()
    most = min(STAND_IN_BYTES, learning.sample_bytes)
    texts: list[str] = []
    ordered = sample.sort_by([("hash", "ascending"), ("text", "ascending")])
    for name, share in sorted(shares.items()):
        mine = ordered.filter(pc.equal(ordered["group"], name))["text"]
        ends = np.cumsum(pc.binary_length(mine).to_numpy()) if len(mine) else np.zeros(0, np.int64)
        texts += mine.slice(0, int(np.searchsorted(ends, int(most * share), side="right"))).to_pylist()
    content = vocabulary.read(given) if given is not None else None
    try:
        if later.extend is not None and content is not None:
            return extend(content, later.extend, texts)
        return train(later.train or Training(), vocabulary.EOS, texts) if texts else None
    except StageError:  # what a few megabytes cannot teach, the corpus may; else `tokenize` will say so
        return content


def tokens_of(content: bytes, texts: pa.Array) -> npt.NDArray[np.int64]:
    """How many tokens each text takes."""
    return Encoder.of(content).encode(texts)[1]
