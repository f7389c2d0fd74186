"""Text to ids, fast: gigatoken where it gives what the `tokenizers` library gives, that library elsewhere.

gigatoken (byte-level BPE) is about thirty times as fast, but young. It is used for a tokenizer only if it agrees
with `tokenizers` on a list of awkward strings, it is held to it on a sample of every batch, and characters that
the two know from different versions of Unicode never reach it. Its cache of words is dropped now and then.
"""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages import vocabulary
from stages.columns import utf8

PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")

Ids = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Ids of all texts, one after the other, and the number of each."""

BATCH_BYTES: Final = 4 << 20
"""Text that is encoded at once: `tokenizers` keeps some 50 bytes for every byte of it."""
SAMPLE_BYTES: Final = 2 << 10
"""Text of each batch that is encoded by both."""
RENEW_MEMORY: Final = 256 << 20
"""Growth of the process after which the cache is dropped: a byte of new words takes 12 or more, and the cache
doubles when it is full."""
RENEW_BYTES: Final = 1 << 30
"""Text after which it is dropped in any case: all there is to go by where /proc does not tell the growth."""

NEWER: Final = (
    r"[\x{88f}\x{c5c}\x{cdc}\x{a7ce}\x{a7cf}\x{a7d2}\x{a7d4}\x{a7f1}\x{10940}-\x{10959}\x{10ec5}-\x{10ec7}"
    r"\x{11db0}-\x{11de9}\x{16ea0}-\x{16ed3}\x{16ff2}-\x{16ff6}\x{187f8}-\x{187ff}\x{18d09}-\x{18d1e}"
    r"\x{18d80}-\x{18df2}\x{1e6c0}-\x{1e6ff}\x{2b73a}-\x{2b73f}\x{2cea2}-\x{2cead}\x{323b0}-\x{33479}]"
)
"""Letters and numbers since Unicode 17, where gigatoken 0.10 knows them and tokenizers 0.23 does not."""
NEWER_LEADS: Final = (0xE0, 0xEA, 0xF0)
"""First bytes that they have in UTF-8: most texts have none of these."""

AWKWARD: Final = (
    "", " ", "  a", "a  b   c", "\n\n x\r\n\ty \t", " \u00a0\u3000\u2028\u0085 ", "don't I'LL we'Ve 's 'S ''",
    "12345 1,000.5 ٣٤ ②½", "e\u0301é ǆ ß ſ İ", "漢字かなカナ한글ไทย", "🙂👩\u200d👩\u200d👧🏽 ☃️", "\u200b\u200d\ufeff\u00ad",
    "\x00\x01\x1f\x7f\x80", "\ufffe\uffff\U0010ffff\ue000", "a_b-c/d<|e|>f#g@h", "<|endoftext|> </s> [SEP] <s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=====------*****.....", "▁ Ġ Ċ ##a",
    "def f(x):\n\treturn  x\n\n\n# end", "https://a.example/?q=1&r=%20", "ŒuvreS ΣΑΣ  ОДИН два", "नमस्ते العربية עברית",
)  # fmt: skip
"""What engines have been seen to disagree on: blanks, contractions, numbers, marks, controls, special tokens."""


class Encoder:
    """The ids of one tokenizer.

    Attributes:
        library: the `tokenizers.Tokenizer`.
        fast: the `gigatoken.Tokenizer`, None where it is not to be used.
        mismatches: batches in which the two disagreed; from then on only `library` is used.
    """

    def __init__(self, content: bytes) -> None:
        self.library = vocabulary.encoder(content)
        self.mismatches = 0
        self._since = self._resident = 0
        self.fast = self._renewed()
        if self.fast is not None and not self._agree(pa.array(AWKWARD, pa.large_string())):
            self.fast = None

    @classmethod
    @lru_cache(maxsize=2)  # one a worker, kept from part to part; two where one is extended
    def of(cls, content: bytes) -> Self:
        """The encoder of a `tokenizer.json`."""
        return cls(content)

    def encode(self, texts: pa.Array) -> Ids:
        """Ids and their numbers, for a large_string array; nulls count as empty."""
        begins = utf8(texts)[1]
        # Written in place: pages of it that no id reaches are never made. A token takes a byte, with rare exceptions.
        found = np.empty(int(begins[-1] - begins[0]) + len(texts), np.uint32)
        counts = np.zeros(len(texts), np.int64)
        first = at = 0
        while first < len(texts):
            beyond = int(np.searchsorted(begins, begins[first] + BATCH_BYTES, side="right")) - 1
            last = max(beyond, first + 1)
            batch = pc.fill_null(texts.slice(first, last - first), "")
            ids, counts[first:last] = self._batch(batch, int(begins[last] - begins[first]))
            if at + len(ids) > len(found):
                found = np.concatenate([found[:at], np.empty(len(found) + len(ids), np.uint32)])
            found[at : at + len(ids)] = ids
            first, at = last, at + len(ids)
        return found[:at], counts

    def _batch(self, batch: pa.Array, size: int) -> Ids:
        if self.fast is None:
            return self._slow(batch)
        if not self._agree(_sample(batch)):
            self.mismatches += 1
            self.fast = None
            return self._slow(batch)
        self._since += size
        if self._since > RENEW_BYTES or _resident() > self._resident + RENEW_MEMORY:
            self.fast = self._renewed()
        kept = np.flatnonzero(_newer(batch))
        if not len(kept):
            return self._quick(batch)
        of_kept, count_of_kept = self._slow(batch.take(pa.array(kept)))
        cleared = np.zeros(len(batch), bool)
        cleared[kept] = True
        ids, count = self._quick(pc.if_else(pa.array(cleared), pa.scalar("", pa.large_string()), batch))
        pieces = np.split(ids, np.cumsum(count)[:-1])
        for at, piece in zip(kept, np.split(of_kept, np.cumsum(count_of_kept)[:-1]), strict=True):
            pieces[at] = piece
        count[kept] = count_of_kept
        return np.concatenate(pieces), count

    def _slow(self, texts: pa.Array) -> Ids:
        encoded = [
            encoding.ids
            for encoding in self.library.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        ]
        count = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return np.fromiter(chain.from_iterable(encoded), np.uint32, int(count.sum())), count

    def _quick(self, texts: pa.Array) -> Ids:
        import awkward  # type: ignore[import-untyped]  # noqa: PLC0415 - gigatoken takes its arrays without a copy

        data, bounds = utf8(texts)
        parts = awkward.contents
        characters = parts.NumpyArray(data[bounds[0] : bounds[-1]], parameters={"__array__": "char"})
        offsets = awkward.index.Index64(bounds - bounds[0])
        strings = parts.ListOffsetArray(offsets, characters, parameters={"__array__": "string"})
        layout = self.fast.encode_batch(awkward.Array(strings), parallel=False).layout
        offsets = np.asarray(layout.offsets.data)
        ids = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
        return ids.astype(np.uint32, copy=False), np.diff(offsets)

    def _agree(self, texts: pa.Array) -> bool:
        slow, quick = self._slow(texts), self._quick(texts)
        return np.array_equal(slow[0], quick[0]) and np.array_equal(slow[1], quick[1])

    def _renewed(self) -> Any:
        """A new gigatoken tokenizer, its cache empty; None where it is not installed or knows no such model."""
        try:
            import gigatoken  # noqa: PLC0415 - an accelerator: without it all is slower, and the same
        except ImportError:
            return None
        self.fast = None  # its memory first
        try:
            fast = gigatoken.Tokenizer.from_json(self.library.to_str())
        except Exception:  # noqa: BLE001 - whatever it cannot load, the library can
            return None
        self._since, self._resident = 0, _resident()
        return fast


def _resident() -> int:
    """Memory of this process in bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * PAGE_SIZE
    except OSError:
        return 0


def _newer(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Which texts have characters that the engines are known to disagree on."""
    data, bounds = utf8(texts)
    data = data[bounds[0] : bounds[-1]]
    leads = (data == NEWER_LEADS[0]) | (data == NEWER_LEADS[1]) | (data == NEWER_LEADS[2])
    rows = np.unique(np.searchsorted(bounds - bounds[0], np.flatnonzero(leads), side="right") - 1)
    rare = pc.match_substring_regex(texts.take(pa.array(rows)), NEWER)
    found = np.zeros(len(texts), bool)
    found[rows] = rare.to_numpy(zero_copy_only=False)
    return found


def _sample(texts: pa.Array) -> pa.Array:
    """The beginnings of a few texts, evenly spread, without characters that the engines are known to disagree on."""
    chosen, left = [], SAMPLE_BYTES
    for at in range(0, len(texts), max(1, len(texts) // 4)):
        piece = texts[at].as_py()[: min(left, SAMPLE_BYTES // 2)]
        chosen.append(piece)
        left -= len(piece)
    sample = pa.array(chosen, pa.large_string())
    return sample.filter(pa.array(~_newer(sample)))
