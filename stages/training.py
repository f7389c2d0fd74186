"""Training a tokenizer: byte-level BPE, WordPiece or Unigram, the same file from the same texts every time.

Byte-level BPE is the `tokenizers` library's. Its WordPiece trainer numbers continuing characters in the order of
a randomised hash map, which changes what ties lead to, so they are numbered beforehand here. Its Unigram
trainer sums probabilities in such an order, so `sentencepiece` trains instead, on one thread.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from stages.base import StageError

UNKNOWN: Final = "[UNK]"
CONTINUES: Final = "##"
MAX_SENTENCE: Final = 4000
"""Bytes; sentencepiece leaves out longer sentences without a word."""


LONGEST_WORD: Final = 1000
"""Characters."""
_UNBROKEN: Final = re.compile(rf"\S{{{LONGEST_WORD}}}|\s{{{LONGEST_WORD}}}")
_WORD: Final = regex.compile(
    rf"(?:\p{{L}}{{{LONGEST_WORD}}}|\p{{N}}{{{LONGEST_WORD}}}|[^\s\p{{L}}\p{{N}}]{{{LONGEST_WORD}}}|\s{{{LONGEST_WORD}}})"
)
"""So much of a word: letters, numbers, other signs or white space, as GPT-2's pre-tokenizer parts them."""


class Training(BaseModel):
    """A tokenizer to train."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["bpe", "wordpiece", "unigram"] = "bpe"
    """Byte-level BPE and Unigram (with bytes for rare characters) give every text back; WordPiece does not."""
    vocab_size: Annotated[int, Field(ge=300, le=1 << 20)] = 32000
    """Ids, special tokens included. A small corpus may give fewer."""
    sample_bytes: Annotated[int, Field(gt=0)] = 50_000_000
    """Text to train on, drawn by hash."""
    min_frequency: Annotated[int, Field(ge=1)] = 2
    """How often a pair has to occur to become a token (BPE, WordPiece)."""
    lowercase: bool = False
    """Fold case and strip accents first (WordPiece)."""
    special_tokens: tuple[str, ...] = ()
    """Further special tokens, numbered after the end of text."""


def train(training: Training, eos: str, texts: Iterable[str]) -> bytes:
    """The `tokenizer.json` that these texts, in this order, give.

    Args:
        training: what to train.
        eos: the token that ends a text; its id is 0.
        texts: the sample.

    Raises:
        StageError: the texts are too few for the vocabulary that was asked for.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker has one core
    special = list(dict.fromkeys([eos, *training.special_tokens]))
    make = {"bpe": _bpe, "wordpiece": _wordpiece, "unigram": _unigram}[training.kind]
    tokenizer = make(training, special, texts)
    text: str = tokenizer.to_str(pretty=True)
    return text.encode()


def _bpe(training: Training, special: list[str], texts: Iterable[str]) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=training.vocab_size,
        min_frequency=training.min_frequency,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_bounded(texts), trainer)
    return tokenizer


def _wordpiece(training: Training, special: list[str], texts: Iterable[str]) -> Any:
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=training.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    kept = list(_bounded(texts))
    characters = sorted({char for text in kept for char in tokenizer.normalizer.normalize_str(text)})
    special = list(dict.fromkeys([*special, UNKNOWN]))
    seeds = [CONTINUES + char for char in characters if not char.isspace()]
    trainer = trainers.WordPieceTrainer(
        vocab_size=training.vocab_size,
        min_frequency=training.min_frequency,
        special_tokens=[*special, *seeds],  # what is special is numbered first, in this order
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(iter(kept), trainer)
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = []
    tokenizer = Tokenizer.from_str(json.dumps(raw))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _unigram(training: Training, special: list[str], texts: Iterable[str]) -> Any:
    import sentencepiece  # noqa: PLC0415 - only this kind needs it

    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts),
            model_writer=written,
            model_type="unigram",
            vocab_size=training.vocab_size,
            hard_vocab_limit=False,
            control_symbols=special,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_id=len(special),
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentence_length=2 * MAX_SENTENCE,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise StageError(f"tokenize.train: sentencepiece could not train: {error}") from None
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    vocab = [(pieces.id_to_piece(at), pieces.get_score(at)) for at in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=pieces.unk_id(), byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _bounded(texts: Iterable[str]) -> Iterator[str]:
    """The texts, cut inside of words of more than LONGEST_WORD characters: the trainers take n² steps for a word.

    Genomes, digits of pi and rows of dashes are such words to a pre-tokenizer.
    """
    for text in texts:
        first = 0
        if _UNBROKEN.search(text):
            for found in _WORD.finditer(text):
                yield text[first : found.end()]
                first = found.end()
        yield text[first:]


def _sentences(texts: Iterable[str]) -> Iterator[str]:
    """Lines, the long ones in pieces: what sentencepiece takes for sentences."""
    for text in texts:
        for line in text.split("\n"):
            for first in range(0, len(line), MAX_SENTENCE // 4):
                yield line[first : first + MAX_SENTENCE // 4]
