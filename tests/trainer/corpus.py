"""Small packed corpora for the trainer's tests: text-like tokens, written with the real writer.

Every token is followed by one of a few others, the first of them more often (Zipf), and sources differ in
which; so there is structure beyond the unigram counts for a model to find, as in text.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.packed import Packed, packed_schema, token_dtype, write_manifest, write_shard

EOS = 0


def documents(count: int, vocab: int, seed: int, longest: int = 400, fan: int = 12) -> list[np.ndarray]:
    """Token arrays, each ending with EOS."""
    random = np.random.default_rng(seed)
    # successors are themselves drawn by Zipf, so that the unigram distribution is skewed like that of words
    frequency = 1.0 / np.arange(1, vocab) ** 0.9
    successors = random.choice(np.arange(1, vocab), (vocab, fan), p=frequency / frequency.sum())
    steps = 1.0 / np.arange(1, fan + 1)
    made = []
    for _ in range(count):
        length = int(np.exp(random.uniform(np.log(4), np.log(longest))))
        choices = random.choice(fan, length, p=steps / steps.sum())
        tokens = [int(random.integers(1, vocab))]
        for choice in choices[: length - 2]:
            tokens.append(int(successors[tokens[-1], choice]))
        made.append(np.array([*tokens, EOS]))
    return made


def rows_of(docs: list[tuple[int, np.ndarray]], seq_len: int, vocab: int) -> pa.Table:
    """Documents (source, tokens) in order: whole where they fit, else in pieces; with padding."""
    rows: list[dict[str, list[object]]] = []
    room = 0
    for number, (source, tokens) in enumerate(docs):
        ident = hashlib.sha256(f"{number}/{source}/".encode() + tokens.tobytes()).digest()[:16]
        for start in range(0, len(tokens), seq_len):
            piece = tokens[start : start + seq_len]
            if len(piece) > room:
                rows.append({name: [] for name in packed_schema(seq_len, "uint16").names})
                room = seq_len
            row = rows[-1]
            room -= len(piece)
            row["input_ids"] += piece.tolist()
            row["segment_lengths"].append(len(piece))
            row["segment_doc"].append(ident)
            row["segment_start"].append(start)
            row["segment_bytes"].append(4 * len(piece))
            row["segment_source"].append(source)
    for row in rows:
        row["input_ids"] += [EOS] * (seq_len - len(row["input_ids"]))
    return pa.Table.from_pylist(rows, packed_schema(seq_len, token_dtype(vocab)))


def pack(
    folder: Path,
    docs: list[tuple[int, np.ndarray]],
    held_out: list[tuple[int, np.ndarray]],
    *,
    seq_len: int = 64,
    vocab: int = 256,
    sources: tuple[str, ...] = ("web", "books"),
    shards: int = 2,
    tokenizer: Path | None = None,
) -> Packed:
    """Writes a corpus of `shards` train shards and one validation shard, and opens it.

    `tokenizer` is a folder with a tokenizer.json; without one the corpus' own is empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_by = (tokenizer / "tokenizer.json").read_bytes() if tokenizer else b"{}"
    (folder / "tokenizer.json").write_bytes(made_by)
    table = rows_of(docs, seq_len, vocab)
    size = -(-table.num_rows // shards)
    train = [write_shard(folder / f"train-{n:05d}.arrow", table.slice(n * size, size)) for n in range(shards)]
    validation = [write_shard(folder / "validation-00000.arrow", rows_of(held_out, seq_len, vocab))]
    write_manifest(
        folder, seq_len=seq_len, vocab_size=vocab, eos_id=EOS, sources=sources,
        tokenizer_sha256=hashlib.sha256(made_by).hexdigest(), shards={"train": train, "validation": validation},
    )  # fmt: skip
    return Packed(folder)


def text_like(
    folder: Path,
    *,
    tokens: int = 8000,
    seq_len: int = 64,
    vocab: int = 256,
    seed: int = 1,
    tokenizer: Path | None = None,
) -> Packed:
    """A corpus of about so many tokens in two sources, a tenth of it held out."""
    mean = 86  # of the document lengths above
    count = max(8, tokens // mean // 2)
    docs = [
        (source, document) for source in range(2) for document in documents(count, vocab, seed * 10 + source)
    ]
    docs = [docs[at] for at in np.random.default_rng(seed).permutation(len(docs))]
    cut = len(docs) // 10
    return pack(folder, docs[cut:], docs[:cut], seq_len=seq_len, vocab=vocab, tokenizer=tokenizer)
