"""tokenize: text becomes the ids of a Hugging Face `tokenizer.json`, given, extended or trained here.

Training takes a sample by hash of the living documents (as often as the mixture repeats them), in the order of
their hashes, so that the same corpus gives the same file however it is cut. How each kind is trained is in
`training.py`, how one is extended in `extension.py`. Ids are those of the `tokenizers` library; a text that spells a special token is plain text
(RULES §14.1). The end of a text is not among the ids: `pack` adds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages import vocabulary
from stages.base import Global, Out, StageError
from stages.columns import ids, no_reasons, utf8, whole
from stages.encoding import Encoder
from stages.extension import Extension, extend
from stages.kernels.hashing import BINS, bins, hash64
from stages.training import Training, train


class Tokenize(Global):
    """Text becomes the ids of a `tokenizer.json`, given, extended, or trained on a sample of the mixture."""

    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("text",)
    apply_reads: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ("repeats", "lang")
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "tokens": pa.large_list(pa.uint32()),
        "token_count": pa.int64(),
        "split_at": pa.int64(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "tokens": "the ids of the text, without the token that ends it",
        "token_count": "how many they are",
        "split_at": "every so many tokens `pack` cuts the document, where `max_tokens` splits; else null",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "too_many_tokens": "The document has more tokens than `max_tokens`."
    }
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers", "sentencepiece")
    publishes: ClassVar[tuple[str, ...]] = (vocabulary.FILE, vocabulary.CONFIG)

    file: str | None = None
    """Path of a `tokenizer.json`; if not set, one is trained."""
    train: Training | None = None
    """What to train; byte-level BPE of 32,000 ids if nothing is said."""
    extend: Extension | None = None
    """What to add to the tokenizer of `file`, for scripts that it spells in bytes."""
    eos: str | None = None
    """The token that ends a text, for `pack`; if not set, the first common one that the tokenizer has."""
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    """Documents of more tokens are too long; if not set, none is."""
    overlong: Literal["drop", "split", "keep"] = "drop"
    """What is too long is dropped, or split by `pack` in pieces of `max_tokens`, or kept whole and counted."""
    seed: int | None = None
    """Decides the sample; the recipe's seed if not set."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.file is not None and self.train is not None:
            raise ValueError("`file` gives a tokenizer and `train` asks for a new one; keep one of them")
        if self.extend is not None and self.file is None:
            raise ValueError("`extend` adds to a given tokenizer; name it: `file: tokenizer.json`")
        return self

    @property
    def written(self) -> Mapping[str, pa.DataType]:
        """Only `split` says where documents are split."""
        split = self.overlong == "split" and self.max_tokens is not None
        return self.writes if split else {name: self.writes[name] for name in ("tokens", "token_count")}

    @property
    def _learning(self) -> Training | Extension:
        return self.extend or self.train or Training()

    @property
    def rounds(self) -> int:
        """None with a file as it is; to learn, one to size the sample and one to collect it."""
        return 2 if self.file is None or self.extend is not None else 0

    def files(self) -> Mapping[str, Sequence[str]]:
        """The tokenizer, if one is given."""
        return {} if self.file is None else {"file": (self.file,)}

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """The seed decides the bins, the size of the sample how many are taken."""
        sample = self._learning.sample_bytes if turn else None
        return {"seed": self.seed, "sample_bytes": sample}

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Turn 0: bytes of living text by bin of the hash. Turn 1: the texts of the bins taken, whole ones."""
        hashes = hash64(ids(rows["doc_id"]), self.seed or 0, "tokenizer")
        places = bins(hashes)
        seen = _repeats(rows)
        if turn == 0 or ruling is None:
            sizes = np.zeros(BINS, np.int64)
            np.add.at(sizes, places, np.diff(utf8(rows["text"])[1]) * seen)
            found = np.flatnonzero(sizes)
            bucket = np.zeros(len(found), np.uint16)
            return pa.table({"bucket": bucket, "bin": found.astype(np.int32), "bytes": sizes[found]})
        taken = pa.array(places < ruling["bins"][0].as_py())
        sample = pa.table({"hash": hashes, "doc_id": rows["doc_id"], "text": rows["text"], "repeats": seen})
        sample = sample.filter(taken)
        return sample.append_column("bucket", pa.array(np.zeros(len(sample), np.uint16)))

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """Turn 0: sums over the parts. Turn 1: the sample as it is."""
        columns = ["hash", "doc_id", "text", "repeats"] if turn else ["bin", "bytes"]
        return findings.select(columns)

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Turn 0: how many bins the sample takes. Turn 1: the tokenizer."""
        if turn == 0:
            sizes = np.zeros(BINS, np.int64)
            np.add.at(sizes, rulings["bin"].to_numpy(), rulings["bytes"].to_numpy())
            fitting = int(np.searchsorted(np.cumsum(sizes), self._learning.sample_bytes, side="right"))
            first = int(np.flatnonzero(sizes)[0]) + 1 if sizes.any() else 0
            return pa.table({"bins": [max(fitting, first)], "bytes": [int(sizes.sum())]})
        sample = rulings.sort_by([("hash", "ascending"), ("doc_id", "ascending")])
        if not len(sample):
            raise StageError(
                "tokenize: no documents are left to learn from; look at the report for what dropped them"
            )
        learning = self._learning
        if isinstance(learning, Extension):
            content = extend(self._given(), learning, _texts(sample))
        else:
            content = train(learning, self.eos or vocabulary.EOS, _texts(sample))
        counts = {"documents": [len(sample)], "bytes": [pc.sum(pc.binary_length(sample["text"])).as_py()]}
        return pa.table({vocabulary.FILE: pa.array([content], pa.large_binary()), **counts})

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """The tokenizer, and beside it which token ends a text."""
        content = self._content(ruling)
        eos = vocabulary.end_of_text(vocabulary.load(content), self.eos)
        return {vocabulary.FILE: content, vocabulary.CONFIG: vocabulary.config(eos)}

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """Ids and their number; documents of more than `max_tokens` are dropped."""
        engine = Encoder.of(self._content(ruling))
        before = engine.mismatches
        tokens, count = engine.encode(whole(rows["text"]).cast(pa.large_string()))
        lists = pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(count)]), pa.array(tokens))
        columns = {"tokens": lists, "token_count": pa.array(count)}
        reasons, overlong = no_reasons(len(rows)), 0
        if self.max_tokens is not None:
            too_long = pa.array(count > self.max_tokens)
            overlong = int((count > self.max_tokens).sum())
            if self.overlong == "drop":
                reasons = pc.if_else(too_long, pa.scalar("too_many_tokens"), reasons)
            if self.overlong == "split":
                columns["split_at"] = pc.if_else(too_long, self.max_tokens, pa.scalar(None, pa.int64()))
        tallies = _fertility(rows, {"tokens": count}) | {"engine_mismatches": engine.mismatches - before}
        if self.extend is not None:
            _, earlier = Encoder.of(self._given()).encode(whole(rows["text"]).cast(pa.large_string()))
            tallies |= _fertility(rows, {"tokens_before": earlier})
        return Out(columns, reasons, tallies | {"overlong_documents": overlong})

    def _given(self) -> bytes:
        return vocabulary.read(self.paths("file")[0])

    def _content(self, ruling: pa.Table | None) -> bytes:
        if ruling is None:
            return self._given()
        learned: bytes = ruling[vocabulary.FILE][0].as_py()
        return learned


def _repeats(rows: pa.Table) -> npt.NDArray[np.int64]:
    if "repeats" not in rows.column_names:
        return np.ones(len(rows), np.int64)
    return np.asarray(whole(rows["repeats"])).astype(np.int64)


def _texts(sample: pa.Table) -> Iterator[str]:
    for text, times in zip(sample["text"], sample["repeats"], strict=True):
        yield from repeat(text.as_py(), times.as_py())


def _fertility(rows: pa.Table, counts: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, int]:
    """Tokens, characters and bytes, of all and by language: what a language costs in tokens."""
    text = pc.fill_null(whole(rows["text"]), "")
    measured = pa.table({**counts, "characters": pc.utf8_length(text), "bytes": pc.binary_length(text)})
    sums = {name: pc.sum(measured[name]).as_py() or 0 for name in measured.column_names}
    if "lang" in rows.column_names:
        by = measured.append_column("lang", pc.fill_null(rows["lang"].cast(pa.string()), "null"))
        for group in by.group_by("lang").aggregate([(name, "sum") for name in sums]).to_pylist():
            sums |= {f"{name}/{group['lang']}": group[f"{name}_sum"] for name in measured.column_names}
    return sums
