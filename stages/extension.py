"""New tokens for a script that a byte-level BPE tokenizer spells in bytes, without touching any other text.

Characters and words of the script are learned from the corpus and appended: old ids stay, old merges keep their
priority, and every new merge begins with the first byte of a character of the script, so that a text without
the script gets the ids it had. Words are learned over characters, each of which is first put together
from the tokens that spelled it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from stages import vocabulary
from stages.base import StageError
from stages.training import LONGEST_WORD

SCRIPTS: Final = {
    "han": "\u3400-\u9fff\U00020000-\U0003ffff",
    "kana": "\u3040-\u30ff\u31c0-\u31ff",
    "hangul": "\uac00-\ud7bf",
    "thai": "\u0e00-\u0e7f",
}
"""Scripts whose words are not set apart by blanks, as ranges of characters. They are widened to whole blocks of
64, whose characters share all bytes but the last: else the first bytes of a character could be another's."""
LONGEST_TOKEN: Final = 8  # characters
CHARACTERS_SHARE: Final = 0.5  # of the new tokens, at most; the rest are words


class Extension(BaseModel):
    """What to add to a tokenizer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tokens: Annotated[int, Field(gt=0, le=1 << 20)] = 8000
    """New ids, at most."""
    scripts: tuple[Literal["han", "kana", "hangul", "thai"], ...] = ("han",)
    """The scripts that new tokens are made of."""
    sample_bytes: Annotated[int, Field(gt=0)] = 50_000_000
    """Text to learn from, drawn by hash."""
    min_frequency: Annotated[int, Field(ge=1)] = 5
    """How often a character or word has to occur to become a token."""


def extend(content: bytes, extension: Extension, texts: Iterable[str]) -> bytes:
    """The `tokenizer.json` with the tokens added that these texts, in this order, give.

    Raises:
        StageError: not byte-level BPE, or texts without the scripts.
    """
    raw = json.loads(vocabulary.load(content).to_str())
    if raw["model"]["type"] != "BPE" or '"ByteLevel"' not in json.dumps(raw["pre_tokenizer"]):
        raise StageError(
            f"tokenize.extend: {vocabulary.FILE} holds {raw['model']['type']} without a byte-level pre-tokenizer; "
            "only byte-level BPE (of GPT-2, Llama 3, Qwen) can be extended. Train a new one instead"
        )
    grown = _Grown(raw, extension.tokens)
    runs = _runs(extension, texts)
    counts: Counter[str] = Counter()
    for run, times in runs.items():
        for character in run:
            counts[character] += times
    common = sorted(
        (c for c, n in counts.items() if n >= extension.min_frequency), key=lambda c: (-counts[c], c)
    )
    if not common:
        raise StageError(
            f"tokenize.extend: no character of {', '.join(extension.scripts)} occurs {extension.min_frequency} times "
            "in the sample; choose other `scripts`, or leave `extend` out"
        )
    library = vocabulary.encoder(content)
    kept = []
    for character in common:
        if grown.left <= extension.tokens * (1 - CHARACTERS_SHARE):
            break
        left, *others = (
            library.id_to_token(at) for at in library.encode(character, add_special_tokens=False).ids
        )
        for other in others:
            left = grown.merge(left, other)
        kept.append(character)
    for one, other in _words(runs, kept, grown.left, extension.min_frequency):
        if not grown.left:
            break
        grown.merge(_spelled(one), _spelled(other))
    return grown.content()


class _Grown:
    """A tokenizer as JSON, with merges and tokens being appended to it."""

    def __init__(self, raw: dict[str, Any], tokens: int) -> None:
        self._raw, self._model = raw, raw["model"]
        self._vocab: dict[str, int] = self._model["vocab"]
        # Added tokens are numbered after the model's; among the model's tokens they keep their numbers.
        self._vocab |= {token["content"]: token["id"] for token in raw["added_tokens"]}
        self._next = 1 + max(self._vocab.values())
        self._known = {tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in self._model["merges"]}
        self.left = tokens

    def merge(self, one: str, other: str) -> str:
        """Two tokens become one from now on."""
        joined = one + other
        if joined not in self._vocab:
            self._vocab[joined] = self._next
            self._next += 1
            self.left -= 1
        if (one, other) not in self._known:
            self._known.add((one, other))
            self._model["merges"].append([one, other])
        return joined

    def content(self) -> bytes:
        """The file."""
        text: str = Tokenizer.from_str(json.dumps(self._raw)).to_str(pretty=True)
        return text.encode()


def _runs(extension: Extension, texts: Iterable[str]) -> Counter[str]:
    """The stretches of the scripts in the texts, the longest in pieces, with how often each occurs."""
    ranges = "".join(SCRIPTS[script] for script in extension.scripts)
    pattern = re.compile(f"[{ranges}]{{1,{LONGEST_WORD}}}")
    runs: Counter[str] = Counter()
    for text in texts:
        runs.update(pattern.findall(text))
    return runs


def _words(runs: Counter[str], kept: list[str], tokens: int, min_frequency: int) -> Iterator[tuple[str, str]]:
    """What BPE over these characters merges, in order."""
    pattern = re.compile("[" + re.escape("".join(kept)) + "]+")
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=len(kept) + tokens,
        min_frequency=min_frequency,
        initial_alphabet=kept,
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    pieces = (piece for run, times in runs.items() for piece in pattern.findall(run) for _ in range(times))
    tokenizer.train_from_iterator(pieces, trainer)
    yield from json.loads(tokenizer.to_str())["model"]["merges"]


def _spelled(word: str) -> str:
    """A word in the letters that byte-level tokenizers write bytes with."""
    ((letters, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)
    spelled: str = letters
    return spelled
