"""pack: documents become rows of equal length, shuffled over the whole corpus, in shards for the trainer.

Every document (and every repeat of one) has a key, a hash of its id and the seed. The order of keys is the
global shuffle: buckets are ranges of keys, shards are runs of buckets, and so the shards do not depend on how
the corpus was cut. Inside a shard documents meet in rows by best fit (Ding et al. 2024, arXiv 2404.10830)
or end to end. A share of each source, drawn by hash, is held out: never a document, nor a member of its
cluster of duplicates, on both sides. Rules: RULES §14. The format of the shards is `packed.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages import packed, vocabulary
from stages.base import Share, Shuffle, StageError
from stages.columns import DOC_ID, ids, whole
from stages.kernels import packing
from stages.kernels.hashing import hash64, mix64, salt64, unit

I64 = npt.NDArray[np.int64]


class Pack(Shuffle):
    """Rows and shards."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("source", "tokens", "bytes")
    optional: ClassVar[tuple[str, ...]] = ("repeats", "duplicate_of")
    libraries: ClassVar[tuple[str, ...]] = ("pyarrow",)
    uses: ClassVar[tuple[str, ...]] = (vocabulary.FILE, vocabulary.CONFIG)

    seq_len: Annotated[int, Field(ge=2, le=1 << 24)] = 2048
    """Tokens of a row."""
    strategy: Literal["best_fit", "concat"] = "best_fit"
    """`best_fit`: no document is cut that fits a row; `concat`: end to end, cut at every row."""
    validation: Share | dict[str, Share] = 0.005
    """Share of the documents held out of training; one number or by source (others: none)."""
    shard_tokens: Annotated[int, Field(gt=0)] = 64 << 20
    """Tokens of a shard, about. A worker holds one shard in memory while it writes it."""
    overlong: Literal["fragment", "truncate"] = "fragment"
    """Documents longer than a row: cut into pieces, or reduced to their first row (counted)."""
    buckets: Annotated[int, Field(ge=1, le=1 << 15)] = 1024
    """Ranges of keys; the smallest shard is one."""
    seed: int | None = None
    """Decides the order; the recipe's seed if not set."""
    sources: tuple[str, ...] = ()
    """The sources of the recipe; filled in by the pipeline."""

    def route(self, rows: pa.Table) -> tuple[pa.Table, Mapping[str, int]]:
        """One row per document and repeat, its end of text appended; documents of no tokens add nothing."""
        vocab_size, eos = self._vocabulary()
        lists = whole(rows["tokens"])
        bounds = np.asarray(lists.offsets)
        counts = np.diff(bounds)
        held = self._held_out(rows)
        repeats = (
            whole(rows["repeats"]).to_numpy() if "repeats" in rows.column_names else np.ones_like(counts)
        )
        repeats = np.where(held, np.minimum(repeats, 1), repeats) * (counts > 0)
        documents = np.repeat(np.arange(len(rows)), repeats)
        repeat = np.arange(len(documents)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        lengths = counts[documents] + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = np.asarray(lists.values)
        if len(values) and int(values.max()) >= vocab_size:
            raise StageError(f"pack: a token id is not below {vocab_size}, the size of the vocabulary")
        kind = packed.token_dtype(vocab_size)
        tokens = np.full(offsets[-1], eos, kind)
        packing.place(values.astype(kind), bounds[documents], lengths - 1, offsets[:-1], tokens)
        doc_id = ids(rows["doc_id"])[documents]
        keys = self._keys(doc_id, repeat)
        bucket = (keys >> np.uint64(32)) * np.uint64(self.buckets) >> np.uint64(32)
        bucket += held[documents] * np.uint64(self.buckets)
        routed = pa.table(
            {
                "bucket": bucket.astype(np.uint16),
                "weight": lengths,
                "key": keys,
                "doc_id": pa.FixedSizeBinaryArray.from_buffers(
                    DOC_ID, len(doc_id), [None, pa.py_buffer(np.ascontiguousarray(doc_id))]
                ),
                "repeat": repeat.astype(np.int32),
                "source": self._sources(rows)[documents],
                "bytes": whole(rows["bytes"]).to_numpy()[documents].astype(np.int64),
                "tokens": pa.LargeListArray.from_arrays(offsets, pa.array(tokens)),
            }
        )
        return routed, {
            "documents": int((counts > 0).sum()),
            "validation_documents": int((held & (counts > 0)).sum()),
            "empty_documents": int((counts == 0).sum()),
            "tokens": int(lengths.sum()),
        }

    def groups(self, weights: Mapping[int, int]) -> Mapping[str, tuple[int, ...]]:
        """Neighbouring buckets joined to shards of about `shard_tokens`, the two splits apart."""
        groups: dict[str, list[int]] = {}
        for number, split in enumerate(packed.SPLITS):
            mine = sorted(bucket for bucket in weights if bucket // self.buckets == number)
            total = sum(weights[bucket] for bucket in mine)
            shards = max(1, round(total / self.shard_tokens))
            before = 0
            filled: dict[int, int] = {}
            for bucket in mine:
                middle = 2 * before + weights[bucket]  # twice the position of the bucket's middle
                shard = filled.setdefault(middle * shards // (2 * total), len(filled))
                groups.setdefault(f"{split}-{shard:05d}", []).append(bucket)
                before += weights[bucket]
        return {name: tuple(buckets) for name, buckets in groups.items()}

    def write(self, name: str, group: pa.Table, path: Path) -> Mapping[str, Any]:
        """One shard; its entry adds to the manifest's `split`, `documents`, `segments`, `cut` and `truncated`."""
        vocab_size, eos = self._vocabulary()
        kind = packed.token_dtype(vocab_size)
        doc_id = np.concatenate([ids(chunk) for chunk in group["doc_id"].chunks] or [ids(group["doc_id"])])
        halves = np.ascontiguousarray(doc_id).view(">u8").reshape(-1, 2)
        order = np.lexsort((group["repeat"].to_numpy(), halves[:, 1], halves[:, 0], group["key"].to_numpy()))
        full = group["weight"].to_numpy()[order]
        kept = np.minimum(full, self.seq_len) if self.overlong == "truncate" else full
        document, start, length, row, rows = self._rows(name, kept)
        by_row = np.argsort(row, kind="stable")
        document, start, length, row = document[by_row], start[by_row], length[by_row], row[by_row]
        offsets = np.searchsorted(row, np.arange(rows + 1))
        ends = np.cumsum(length)
        in_row = ends - length - np.repeat((ends - length)[offsets[:-1]], np.diff(offsets))
        source_row = order[document]
        filled = np.full(rows * self.seq_len, eos, kind)
        _fill(group["tokens"], (source_row, start, length, row * self.seq_len + in_row), filled)
        size = group["bytes"].to_numpy()[source_row]
        whole_length = full[document]
        share = size * (start + length) // whole_length - size * start // whole_length
        columns = (
            (length.astype(np.uint32), pa.uint32()),
            (doc_id[source_row], DOC_ID),
            (start.astype(np.uint32), pa.uint32()),
            (share.astype(np.uint32), pa.uint32()),
            (group["source"].to_numpy()[source_row], pa.uint16()),
        )
        at = pa.array(offsets.astype(np.int32))
        segments = [pa.ListArray.from_arrays(at, _column(values, kind)) for values, kind in columns]
        schema = packed.packed_schema(self.seq_len, kind)
        tokens = pa.FixedSizeListArray.from_arrays(pa.array(filled), type=schema.field("input_ids").type)
        entry = packed.write_shard(path, pa.table([tokens, *segments], schema=schema))
        return entry | {
            "file": f"{name}.arrow",
            "split": name.rpartition("-")[0],
            "documents": len(order),
            "segments": len(document),
            "cut": int((np.bincount(document, minlength=len(order)) > 1).sum()),
            "truncated": int((full - kept).sum()),
            "padding": rows * self.seq_len - int(length.sum()),
        }

    def manifest(self, shards: Sequence[Mapping[str, Any]], folder: Path) -> None:
        """`manifest.json`, and the tokenizer that made the ids."""
        vocab_size, eos = self._vocabulary()
        for label in self.uses:
            (folder / label).write_bytes(self.paths(label)[0].read_bytes())
        keys = packed.ShardEntry.__dataclass_fields__
        packed.write_manifest(
            folder,
            seq_len=self.seq_len,
            vocab_size=vocab_size,
            eos_id=eos,
            tokenizer_sha256=packed.digest(folder / vocabulary.FILE),
            sources=self.sources,
            shards={
                split: [{key: shard[key] for key in keys} for shard in shards if shard["split"] == split]
                for split in packed.SPLITS
            },
        )

    def _rows(self, name: str, lengths: I64) -> tuple[I64, I64, I64, I64, int]:
        """Document, start, length and row of each piece, and the number of rows."""
        if self.strategy == "concat":
            document, start, length = packing.cut_rows(lengths, self.seq_len)
            return (
                document,
                start,
                length,
                (np.cumsum(length) - length) // self.seq_len,
                -(-int(lengths.sum()) // self.seq_len),
            )
        document, start, length = packing.cut_documents(lengths, self.seq_len)
        row, rows = packing.best_fit(length, self.seq_len)
        # Best fit opens rows with the longest documents first; the shuffle is for rows, too.
        numbers = np.arange(rows, dtype=np.uint64) + salt64(self.seed or 0, "rows", name)
        rank = np.empty(rows, np.int64)
        rank[np.argsort(mix64(numbers), kind="stable")] = np.arange(rows)
        return document, start, length, rank[row], rows

    def _vocabulary(self) -> tuple[int, int]:
        content, configured = (self.paths(label)[0].read_bytes() for label in self.uses)
        return vocabulary.described(content, configured)

    def _keys(self, doc_id: npt.NDArray[np.uint8], repeat: I64) -> npt.NDArray[np.uint64]:
        return mix64(hash64(doc_id, self.seed or 0, "pack") ^ mix64(repeat.astype(np.uint64)))

    def _held_out(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Which documents are for validation: all of a cluster of duplicates, or none."""
        cluster = rows["doc_id"]
        if "duplicate_of" in rows.column_names:
            cluster = pc.coalesce(rows["duplicate_of"].cast(DOC_ID), cluster)
        share: Any = self.validation
        if isinstance(share, dict):
            share = np.array([0.0, *share.values()])[
                1 + pc.fill_null(pc.index_in(whole(rows["source"]), pa.array(list(share))), -1).to_numpy()
            ]
        held: npt.NDArray[np.bool_] = unit(hash64(ids(cluster), self.seed or 0, "validation")) < share
        return held

    def _sources(self, rows: pa.Table) -> npt.NDArray[np.uint16]:
        """Index of each row's source."""
        found = pc.index_in(whole(rows["source"]).cast(pa.string()), pa.array(self.sources, pa.string()))
        if found.null_count:
            raise StageError(
                f"pack: documents of a source that is not among {', '.join(self.sources) or 'the (empty) sources'}"
            )
        return np.asarray(found).astype(np.uint16)


def _fill(tokens: pa.ChunkedArray, pieces: tuple[I64, I64, I64, I64], out: npt.NDArray[Any]) -> None:
    """Copies pieces of the documents in `tokens` to their places, chunk by chunk, so that none is joined.

    Args:
        tokens: lists, one a document.
        pieces: of each piece its document, its first token there, its length and its place in `out`.
        out: flat rows.
    """
    order = np.argsort(pieces[0], kind="stable")
    document, start, length, target = (values[order] for values in pieces)
    first = 0
    for chunk in tokens.chunks:
        low, high = np.searchsorted(document, [first, first + len(chunk)])
        begins = np.asarray(chunk.offsets)[document[low:high] - first] + start[low:high]
        packing.place(np.asarray(chunk.values), begins, length[low:high], target[low:high], out)
        first += len(chunk)


def _column(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    if kind == DOC_ID:
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
    return pa.array(values, kind)
