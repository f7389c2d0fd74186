"""A `tokenizer.json` of Hugging Face as a value: read, checked, and asked for its size and its end of text.

Shared by `tokenize`, which makes ids, and `pack`, which must know what they mean. It encodes nothing itself.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from stages.base import StageError

FILE: Final = "tokenizer.json"
CONFIG: Final = "tokenizer_config.json"
"""Beside it, as `transformers` expects it: says which token ends a text."""
MAX_BYTES: Final = 256 << 20
EOS: Final = "<|endoftext|>"
COMMON_EOS: Final = (EOS, "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "<|im_end|>", "[SEP]")
"""Looked for in this order where none is named."""


def read(path: Path) -> bytes:
    """The content of a file, which is not read if it is too large to be a tokenizer.

    Raises:
        StageError: it is.
    """
    _check_size(path.stat().st_size)
    return path.read_bytes()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise StageError(
            f"{FILE} has {size:,} bytes, more than {MAX_BYTES:,}; that is no vocabulary of words"
        )


@lru_cache(maxsize=2)
def load(content: bytes) -> Any:
    """The `tokenizers.Tokenizer` of a file's content.

    Raises:
        StageError: not a tokenizer, or one too large.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker has one core
    _check_size(len(content))
    try:
        return Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise StageError(
            f"{FILE} cannot be read as a tokenizer of the `tokenizers` library: {error}. Expected the file that "
            "its `save` writes; other formats (vocab.json, sentencepiece) have to be converted"
        ) from None


@lru_cache(maxsize=2)
def encoder(content: bytes) -> Any:
    """The same for a corpus: it neither cuts nor pads, and special tokens in a text are plain text.

    Special tokens go by names that no text has. That is more than `encode_special_tokens` does: models that
    look whole words or pieces up would still find a special token that is among them. Ids stay as they are.
    """
    raw = json.loads(load(content).to_str())
    raw |= {"truncation": None, "padding": None, "post_processor": None}
    model = raw["model"]
    special = {token["content"]: token["id"] for token in raw["added_tokens"] if token["special"]}
    special.pop(model.get("unk_token"), None)
    if isinstance(model["vocab"], dict):
        model["vocab"] = {
            _hidden(at) if token in special else token: at for token, at in model["vocab"].items()
        }
    else:
        unknown = model.get("unk_id")
        special = {token: at for token, at in special.items() if at != unknown}
        model["vocab"] = [
            [_hidden(at) if token in special else token, score]
            for at, (token, score) in enumerate(model["vocab"])
        ]
    for token in raw["added_tokens"]:
        if token["content"] in special:
            token["content"] = _hidden(token["id"])
    return Tokenizer.from_str(json.dumps(raw))


def _hidden(at: int) -> str:
    return f"\0\ufffe{at}\ufffe\0"  # U+FFFE is no character


def size(tokenizer: Any) -> int:
    """One more than the largest id, added tokens included."""
    return 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)


def end_of_text(tokenizer: Any, name: str | None) -> str:
    """The token that ends a text: the one named, else the first common one that the tokenizer has.

    Raises:
        StageError: it has no such token.
    """
    for token in [name] if name else COMMON_EOS:
        if tokenizer.token_to_id(token) is not None:
            return token
    raise StageError(
        f"tokenize: the tokenizer has no token {name!r} to end a text; set `eos` to one of its tokens"
        if name
        else f"tokenize: the tokenizer has none of {', '.join(COMMON_EOS)} to end a text; "
        "name the token to use: `eos`"
    )


def config(eos: str) -> bytes:
    """The content of `tokenizer_config.json`."""
    values = {"eos_token": eos, "pad_token": eos, "tokenizer_class": "PreTrainedTokenizerFast"}
    return json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n"


@lru_cache(maxsize=2)
def described(content: bytes, configured: bytes) -> tuple[int, int]:
    """Vocabulary size and id of the end of text, from the two files."""
    tokenizer = load(content)
    return size(tokenizer), tokenizer.token_to_id(json.loads(configured)["eos_token"])
