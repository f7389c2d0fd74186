"""Three words in a row that occur in many documents, kept and dropped, counted in a sample of the corpus.

A document is in the sample if the head of its doc_id is small, so the sample does not hang on how the corpus is
cut. Only the beginnings of texts are read.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

NGRAM: Final = 3
SAMPLED: Final = 2048
"""The most documents that a sample has, about; at least half as many, where the corpus has them."""
READ: Final = 1000  # characters of each of them

_WORD: Final = re.compile(r"[\u2e80-\u2fdf\u3040-\u30ff\u3400-\u9fff]|[^\W\u2e80-\u9fff]+")
_CJK: Final = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff]")


def level(documents: int) -> int:
    """How often the sample of a corpus is halved: one document in 2^level is in it."""
    return max(0, (max(1, documents) - 1) // SAMPLED).bit_length()


def sampled(doc_ids: pa.ChunkedArray, at: int) -> pa.Array:
    """Which of some doc_ids (32 hex digits) are in the sample of a level: bool."""
    heads = pc.utf8_slice_codeunits(doc_ids, 0, 8).to_pylist()
    return pa.array([int(head, 16) < 1 << (32 - at) for head in heads], pa.bool_())


def counts(table: pa.Table, texts: pa.Array, chosen: pa.Array) -> dict[str, Any]:
    """Phrase -> documents with it, of the kept and of the dropped in the sample, and how many these are."""
    fates = table.column("fate").filter(chosen).to_pylist()
    heads = pc.utf8_slice_codeunits(texts.filter(chosen), 0, READ).to_pylist()
    found: dict[str, Counter[str]] = {"kept": Counter(), "dropped": Counter()}
    documents = {"kept": 0, "dropped": 0}
    for fate, head in zip(fates, heads, strict=True):
        if head is not None and fate != "quarantined":
            name = "kept" if fate == "kept" else "dropped"
            documents[name] += 1
            found[name].update(_phrases(head))
    # In the order of the phrases: that of a set of texts is another in every process.
    return {"documents": documents, **{name: dict(sorted(own.items())) for name, own in found.items()}}


def _phrases(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {_joined(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)}


def _joined(gram: list[str]) -> str:
    return "".join(gram) if all(_CJK.match(word) for word in gram) else " ".join(gram)
