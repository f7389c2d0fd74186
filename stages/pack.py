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
from stages.kernels.hashing import hash64, mix64, unit

I64 = npt.NDArray[np.int64]


class Pack(Shuffle):
    """Global shuffle, packing (`best_fit` or `concat`), validation split, Arrow shards."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("source", "tokens", "bytes")
    optional: ClassVar[tuple[str, ...]] = ("repeats", "duplicate_of", "split_at")
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
        from stages.kernels import packing  # noqa: PLC0415 - Numba is for workers, not for plans

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
        keys = self._keys(ids(rows["doc_id"])[documents], repeat)
        bucket = (keys >> np.uint64(32)) * np.uint64(self.buckets) >> np.uint64(32)
        bucket += held[documents] * np.uint64(self.buckets)
        order = np.argsort(bucket, kind="stable")  # as they will lie in the file: tokens are moved once
        documents, repeat, keys, bucket = documents[order], repeat[order], keys[order], bucket[order]
        doc_id = ids(rows["doc_id"])[documents]
        lengths = counts[documents] + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = np.asarray(lists.values)
        if len(values) and int(values.max()) >= vocab_size:
            raise StageError(
                f"pack: a token id is {int(values.max())}, but {vocabulary.FILE} has {vocab_size} ids: the tokens were "
                "made by another tokenizer; run again with `--force tokenize`"
            )
        kind = packed.token_dtype(vocab_size)
        tokens = np.full(offsets[-1], eos, kind)
        packing.place(values.astype(kind), bounds[documents], lengths - 1, offsets[:-1], tokens)
        split = {}
        if "split_at" in rows.column_names:  # pieces stay together: one key, one shard
            most = pc.fill_null(whole(rows["split_at"]), np.iinfo(np.int64).max).to_numpy()
            split["most"] = np.minimum(most[documents], lengths)
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
                **split,
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
        from stages.rows import Pieces  # noqa: PLC0415 - likewise

        vocab_size, eos = self._vocabulary()
        doc_id = np.concatenate([ids(chunk) for chunk in group["doc_id"].chunks])
        halves = doc_id.view(">u8").reshape(-1, 2)
        order = np.lexsort((group["repeat"].to_numpy(), halves[:, 1], halves[:, 0], group["key"].to_numpy()))
        full = group["weight"].to_numpy()[order]
        kept = np.minimum(full, self.seq_len) if self.overlong == "truncate" else full
        most = group["most"].to_numpy()[order] if "most" in group.column_names else None
        pieces = Pieces.laid_out(kept, self.seq_len, self.strategy, self.seed or 0, "rows", name, most=most)
        schema = packed.packed_schema(self.seq_len, packed.token_dtype(vocab_size))
        entry = packed.write_batches(path, schema, pieces.batches(group, order, schema, eos))
        return entry | {
            "file": f"{name}.arrow",
            "split": name.rpartition("-")[0],
            "documents": len(order),
            "segments": len(pieces.document),
            "cut": int((np.bincount(pieces.document) > 1).sum()),
            "truncated": int((full - kept).sum()),
            "padding": entry["rows"] * self.seq_len - entry["tokens"],
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
                f"pack: documents of a source that is not among {', '.join(self.sources) or 'the (empty) sources'}; "
                "the pipeline fills in `sources`, leave it out of the recipe"
            )
        return np.asarray(found).astype(np.uint16)
