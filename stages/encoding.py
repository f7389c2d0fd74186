"""Text to ids, fast: gigatoken where it gives what the `tokenizers` library gives, that library elsewhere.

gigatoken (byte-level BPE) is about thirty times as fast, but young. It is used for a tokenizer only if it agrees
with `tokenizers` on a list of awkward strings, it is held to it on a sample of every batch, and characters that
the two know from different versions of Unicode never reach it. Its cache of words is dropped now and then.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages import vocabulary
from stages.columns import utf8

Ids = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Ids of all texts, one after the other, and the number of each."""

BATCH_BYTES: Final = 4 << 20
"""Text that is encoded at once: `tokenizers` keeps some 50 bytes for every byte of it."""
SAMPLE_BYTES: Final = 4 << 10
"""Text of each batch that is encoded by both."""
RENEW_BYTES: Final = 256 << 20
"""Text after which the cache is dropped; a byte of new words takes about two."""

NEWER: Final = (
    r"[\x{88f}\x{c5c}\x{cdc}\x{a7ce}\x{a7cf}\x{a7d2}\x{a7d4}\x{a7f1}\x{10940}-\x{10959}\x{10ec5}-\x{10ec7}"
    r"\x{11db0}-\x{11de9}\x{16ea0}-\x{16ed3}\x{16ff2}-\x{16ff6}\x{187f8}-\x{187ff}\x{18d09}-\x{18d1e}"
    r"\x{18d80}-\x{18df2}\x{1e6c0}-\x{1e6ff}\x{2b73a}-\x{2b73f}\x{2cea2}-\x{2cead}\x{323b0}-\x{33479}]"
)
"""Letters and numbers since Unicode 17, where gigatoken 0.10 knows them and tokenizers 0.23 does not."""

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
        self._since = 0
        self.fast = self._renewed()
        if self.fast is not None and not self._agree(list(AWKWARD)):
            self.fast = None

    @classmethod
    @lru_cache(maxsize=2)  # one a worker, kept from part to part; two where one is extended
    def of(cls, content: bytes) -> Self:
        """The encoder of a `tokenizer.json`."""
        return cls(content)

    def encode(self, texts: pa.Array) -> Ids:
        """Ids and their numbers, for a large_string array; nulls count as empty."""
        found, counts = [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
        begins = utf8(texts)[1]
        first = 0
        while first < len(texts):
            beyond = int(np.searchsorted(begins, begins[first] + BATCH_BYTES, side="right")) - 1
            last = max(beyond, first + 1)
            batch = pc.fill_null(texts.slice(first, last - first), "")
            ids, count = self._batch(batch, int(begins[last] - begins[first]))
            found.append(ids)
            counts.append(count)
            first = last
        return np.concatenate(found), np.concatenate(counts)

    def _batch(self, batch: pa.Array, size: int) -> Ids:
        texts: list[str] = batch.to_pylist()
        if self.fast is None:
            return self._slow(texts)
        if not self._agree(_sample(texts)):
            self.mismatches += 1
            self.fast = None
            return self._slow(texts)
        self._since += size
        if self._since > RENEW_BYTES:
            self._since, self.fast = 0, self._renewed()
        newer = np.flatnonzero(pc.match_substring_regex(batch, NEWER).to_numpy(zero_copy_only=False))
        kept = {at: texts[at] for at in newer.tolist()}
        for at in kept:
            texts[at] = ""
        ids, count = self._quick(texts)
        if not kept:
            return ids, count
        pieces = np.split(ids, np.cumsum(count)[:-1])
        for at, text in kept.items():
            pieces[at], count[at : at + 1] = self._slow([text])
        return np.concatenate(pieces), count

    def _slow(self, texts: list[str]) -> Ids:
        encoded = [
            encoding.ids for encoding in self.library.encode_batch_fast(texts, add_special_tokens=False)
        ]
        count = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return np.fromiter(chain.from_iterable(encoded), np.uint32, int(count.sum())), count

    def _quick(self, texts: list[str]) -> Ids:
        layout = self.fast.encode_batch(texts, parallel=False).layout
        offsets = np.asarray(layout.offsets.data)
        ids = np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
        return ids.astype(np.uint32, copy=False), np.diff(offsets)

    def _agree(self, texts: list[str]) -> bool:
        slow, quick = self._slow(texts), self._quick(texts)
        return np.array_equal(slow[0], quick[0]) and np.array_equal(slow[1], quick[1])

    def _renewed(self) -> Any:
        """A new gigatoken tokenizer, its cache empty; None where it is not installed or knows no such model."""
        try:
            import gigatoken  # noqa: PLC0415 - an accelerator: without it all is slower, and the same
        except ImportError:
            return None
        try:
            return gigatoken.Tokenizer.from_json(self.library.to_str())
        except Exception:  # noqa: BLE001 - whatever it cannot load, the library can
            return None


def _sample(texts: list[str]) -> list[str]:
    """A few texts, evenly spread, without characters that the engines are known to disagree on."""
    chosen, left = [], SAMPLE_BYTES
    for text in texts[:: max(1, len(texts) // 4)]:
        piece = text[: min(left, SAMPLE_BYTES // 2)]
        chosen.append(piece)
        left -= len(piece)
    known = pc.match_substring_regex(pa.array(chosen, pa.large_string()), NEWER).to_pylist()
    return [text for text, newer in zip(chosen, known, strict=True) if not newer]
