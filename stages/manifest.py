"""The manifest of a folder of packed shards: what is there, and how to know that it is still the same.

It is read and written whole and checked both times; it knows no Arrow and opens no shard (`packed.py` does).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SPLITS: Final = ("train", "validation")
DTYPES: Final = {"uint16": 2**16, "uint32": 2**32}
"""Type of a token -> how many ids it can tell apart."""


class PackedError(ValueError):
    """A folder of shards that is not what its manifest, or the format, says."""


def token_dtype(vocab_size: int) -> str:
    """The smallest type of the format that holds `vocab_size - 1` (RULES §14.1)."""
    if not 0 < vocab_size <= 2**32:
        raise PackedError(f"a vocabulary of {vocab_size} ids: expected 1 to 2**32")
    return "uint16" if vocab_size <= 2**16 else "uint32"


@dataclass(frozen=True)
class ShardEntry:
    """One file of a split: its name in the folder, its rows, its tokens (without padding) and its digest."""

    file: str
    rows: int
    tokens: int
    sha256: str


@dataclass(frozen=True)
class SplitEntry:
    """The shards of a split, in order, and their sums."""

    rows: int
    tokens: int
    shards: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds.

    Attributes:
        format_version: `FORMAT_VERSION` of the writer.
        seq_len: tokens of a row.
        vocab_size: every id is below it.
        eos_id: ends each document; never follows a cut.
        pad_id: fills the rest of a row. It may be a real token too (the writer takes `eos_id`): which
            places are padding is known from the segments alone.
        dtype: "uint16" or "uint32".
        tokenizer_sha256: hex digest of `tokenizer.json`.
        sources: names that `segment_source` points at.
        splits: "train" and "validation".
        fingerprint: digest of all the rest; says the same corpus wherever the folder lies.
    """

    format_version: int
    seq_len: int
    vocab_size: int
    eos_id: int
    pad_id: int
    dtype: str
    tokenizer_sha256: str
    sources: tuple[str, ...]
    splits: Mapping[str, SplitEntry]
    fingerprint: str

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """Reads and checks `manifest.json`; unknown keys are let through, for later versions of writers.

        Raises:
            PackedError: no manifest, or one that is damaged, of another version or contradicts itself.
        """
        path = Path(folder) / MANIFEST
        try:
            raw = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise PackedError(
                f"{path}: there is no such file; a folder of packed shards has one. "
                "Give the folder that `pack` wrote, or run the recipe up to `pack`"
            ) from None
        except ValueError as error:
            raise PackedError(f"{path}: not JSON ({error}); pack the corpus again") from None
        if not isinstance(raw, dict):
            raise PackedError(f"{path}: expected an object; pack the corpus again")
        if (version := raw.get("format_version")) != FORMAT_VERSION:
            raise PackedError(
                f"{path}: format_version is {version!r}, this reader knows {FORMAT_VERSION}; "
                "use the release that packed it, or pack again"
            )
        if raw.get("fingerprint") != fingerprint(raw):
            raise PackedError(
                f"{path}: the fingerprint does not match the content, so the manifest was changed by hand or "
                "damaged; restore it or pack again"
            )
        try:
            splits = {
                name: SplitEntry(
                    entry["rows"], entry["tokens"], tuple(ShardEntry(**shard) for shard in entry["shards"])
                )
                for name, entry in raw["splits"].items()
            }
            known = {name: raw[name] for name in cls.__dataclass_fields__}
            manifest = cls(**(known | {"sources": tuple(raw["sources"]), "splits": splits}))
        except (KeyError, TypeError, AttributeError) as error:
            raise PackedError(f"{path}: incomplete ({error}); pack the corpus again") from None
        for problem in manifest.contradictions():
            raise PackedError(f"{path}: {problem}")
        return manifest

    def contradictions(self) -> Iterator[str]:
        """What cannot be true of any folder."""
        if self.vocab_size > DTYPES.get(self.dtype, 0):
            yield f"dtype {self.dtype!r} cannot hold a vocabulary of {self.vocab_size}"
        if self.seq_len < 1:
            yield f"seq_len is {self.seq_len}, expected at least 1"
        for label, value in (("eos_id", self.eos_id), ("pad_id", self.pad_id)):
            if not 0 <= value < self.vocab_size:
                yield f"{label} {value} is not below the vocabulary size {self.vocab_size}"
        if set(self.splits) != set(SPLITS):
            yield f"splits are {sorted(self.splits)}, expected {' and '.join(SPLITS)}"
        for name, split in self.splits.items():
            for what in ("rows", "tokens"):
                total = sum(getattr(shard, what) for shard in split.shards)
                if total != getattr(split, what):
                    yield f"split {name} states {getattr(split, what)} {what}, its shards {total}"
            if split.tokens > split.rows * self.seq_len:
                yield f"split {name} has more tokens than its rows can hold"
        files = [shard.file for split in self.splits.values() for shard in split.shards]
        if len(set(files)) < len(files):
            yield "a shard is listed twice"
        for file in files:
            if Path(file).name != file:
                yield f"shard {file!r} is not a plain file name"


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """The digest of a manifest (as JSON values) without its fingerprint."""
    rest = {key: value for key, value in manifest.items() if key != "fingerprint"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(
    folder: Path,
    *,
    seq_len: int,
    vocab_size: int,
    eos_id: int,
    tokenizer_sha256: str,
    sources: Sequence[str],
    shards: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Manifest:
    """Writes `manifest.json` (beside, synced, renamed) and reads it back, checked.

    Args:
        folder: where the shards lie.
        seq_len: tokens of a row.
        vocab_size: ids are below it; decides the type of a token.
        eos_id: ends each document; fills rows too (`pad_id`).
        tokenizer_sha256: hex digest of the folder's `tokenizer.json`.
        sources: names, in the order that `segment_source` counts.
        shards: split -> entries of `write_shard`, in order; a split left out is empty.
    """
    splits = {
        name: {
            "rows": sum(shard["rows"] for shard in shards.get(name, ())),
            "tokens": sum(shard["tokens"] for shard in shards.get(name, ())),
            "shards": [dict(shard) for shard in shards.get(name, ())],
        }
        for name in SPLITS
    }
    raw: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "seq_len": seq_len,
        "vocab_size": vocab_size,
        "eos_id": eos_id,
        "pad_id": eos_id,
        "dtype": token_dtype(vocab_size),
        "tokenizer_sha256": tokenizer_sha256,
        "sources": list(sources),
        "splits": splits,
    }
    raw["fingerprint"] = fingerprint(raw)
    beside = folder / (MANIFEST + ".tmp")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(raw, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / MANIFEST)
    return Manifest.read(folder)
