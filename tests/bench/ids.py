"""Ids of every document of some corpora beside those of the `tokenizers` library, for many kinds of tokenizers.

    python -m tests.bench.ids TOKENIZERS EVERY CORPUS...

TOKENIZERS is a folder with `gpt-neo-tokenizer.json`, `gpt2/encoder.json`, `gpt2/vocab.bpe` and
`bert-base-uncased-vocab.txt`; a Unigram and three byte-level BPE are trained on the corpora. A corpus is a file or a
folder. Where the library does the work either way (WordPiece, Unigram), every EVERYth document is compared.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from stages import vocabulary
from stages.encoding import Encoder
from stages.training import Training, train
from tests.bench.texts import texts_of

SAMPLE_BYTES = 8_000_000
AT_ONCE = 256


def given(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The tokenizers of the folder."""
    yield "GPT-Neo", (folder / "gpt-neo-tokenizer.json").read_bytes()
    merges = [tuple(line.split(" ")) for line in (folder / "gpt2/vocab.bpe").read_text().splitlines()[1:]]
    tokenizer: Any = Tokenizer(models.BPE(json.loads((folder / "gpt2/encoder.json").read_text()), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(vocabulary.EOS, special=True, normalized=False)])
    yield "GPT-2", tokenizer.to_str().encode()
    words = (folder / "bert-base-uncased-vocab.txt").read_text().splitlines()
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]", "[SEP]", "[CLS]", "[PAD]", "[MASK]"])
    yield "BERT", tokenizer.to_str().encode()


def trained(texts: list[str]) -> Iterator[tuple[str, bytes]]:
    """A Unigram and three BPE, the last with single digits set apart, learned from a spread sample."""
    step = max(1, sum(map(len, texts)) // SAMPLE_BYTES)
    sample = texts[::step]
    yield "Unigram 8k", train(Training(kind="unigram", vocab_size=8000), vocabulary.EOS, sample[::4])
    for size in (1000, 8000, 32_000):
        content = train(Training(vocab_size=size), vocabulary.EOS, sample)
        if size == 32_000:
            tokenizer: Any = Tokenizer.from_str(content.decode())
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), tokenizer.pre_tokenizer]
            )
            content = tokenizer.to_str().encode()
        yield f"BPE {size}", content


def compared(content: bytes, texts: list[str], every: int) -> tuple[str, int, int, int]:
    """Which engine was at work, documents compared, how many differ, and how many of these spell a special token.

    A Unigram finds its end of text among its pieces even where the library is told that it is text; here it is
    text indeed.
    """
    encoder = Encoder(content)
    fast = encoder.fast is not None
    chosen = texts if fast else texts[::every]
    library: Any = Tokenizer.from_str(content.decode())
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True  # what a text spells is text
    differing = spelling = 0
    for first in range(0, len(chosen), AT_ONCE):
        batch = chosen[first : first + AT_ONCE]
        ids, counts = encoder.encode(pa.array(batch, pa.large_string()))
        found = np.split(ids, np.cumsum(counts)[:-1])
        for text, own, other in zip(
            batch, found, library.encode_batch_fast(batch, add_special_tokens=False), strict=True
        ):
            differs = not np.array_equal(own, np.array(other.ids, np.uint32))
            differing += differs
            spelling += differs and vocabulary.EOS in text
    assert encoder.mismatches == 0
    return "fast" if fast else "library", len(chosen), differing, spelling


def main(folder: Path, every: int, corpora: list[Path]) -> None:
    """Prints a line a tokenizer."""
    files = [file for path in corpora for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    texts = [text for file in files if file.is_file() for text in texts_of(file)]
    print(f"{len(texts)} documents, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB", flush=True)
    for tokenizers in (given(folder), trained(texts)):
        for name, content in tokenizers:
            started = time.process_time()
            engine, number, differing, spelling = compared(content, texts, every)
            seconds = time.process_time() - started
            print(
                f"{name:12} {engine:8} {number:7} documents compared, {differing} differ, "
                f"{spelling} of them spell a special token  ({seconds:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
