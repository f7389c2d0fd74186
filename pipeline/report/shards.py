"""The shards as the report shows them: fill, documents a row, cuts, digests, and how the vocabulary is used.

Reads the manifest and what was counted of each shard.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.statistics.shards import added, merged
from pipeline.stored import Stored
from stages.packed import TOKENIZER, Packed

COMMON: Final = 20  # most common tokens that are listed
FEW: Final = 100  # a token seen less often than that is hardly learned


def packing(stored: Stored) -> dict[str, Any]:
    """Rows, tokens, fill, documents a row, cuts, every file with its digest; empty if nothing was packed."""
    folder = stored.run.path / "packed"
    if not folder.exists():
        return {}
    packed = Packed(folder)
    manifest = packed.manifest
    found = {entry["file"]: entry for entry in stored.statistics["shards"]}
    _, total = merged(found.values())
    counts = added(np.zeros(manifest.vocab_size, np.int64), total)
    splits: dict[str, Any] = {}
    for name, split in manifest.splits.items():
        sums, _ = merged(found[shard.file] for shard in split.shards)
        segments = sum(number * rows for number, rows in enumerate(sums["rows_by_segments"]))
        counts[manifest.pad_id] -= split.rows * manifest.seq_len - split.tokens
        splits[name] = {
            "rows": split.rows,
            "tokens": split.tokens,
            "fill": split.tokens / (split.rows * manifest.seq_len) if split.rows else None,
            "segments": segments,
            "segments_per_row": segments / split.rows if split.rows else None,
            "rows_by_segments": sums["rows_by_segments"],
            "cuts": sums["cuts"],
            "shards": [
                {"file": s.file, "rows": s.rows, "tokens": s.tokens, "sha256": s.sha256} for s in split.shards
            ],
        }
    rows, tokens = (sum(split[what] for split in splits.values()) for what in ("rows", "tokens"))
    return {
        "rows": rows,
        "tokens": tokens,
        "fill": tokens / (rows * manifest.seq_len) if rows else None,
        "seq_len": manifest.seq_len,
        "vocab_size": manifest.vocab_size,
        "dtype": manifest.dtype,
        "tokenizer_sha256": manifest.tokenizer_sha256,
        "fingerprint": manifest.fingerprint,
        "sources": list(manifest.sources),
        "splits": splits,
        "vocabulary": {
            "used": int((counts > 0).sum()),
            "unused": int((counts == 0).sum()),
            "rare": int(((counts > 0) & (counts < FEW)).sum()),
            "rare_below": FEW,
            "common": _common(folder, counts),
        },
    }


def _common(folder: Path, counts: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
    """The most common tokens as the tokenizer writes them, with how often they occur."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - a native library; only shards need it

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    order = np.lexsort((np.arange(len(counts)), -counts))[:COMMON]
    return [
        {
            "id": int(i),
            "token": tokenizer.decode([int(i)], skip_special_tokens=False),
            "count": int(counts[i]),
        }
        for i in order
        if counts[i]
    ]
