"""The fast engine is held to the library: same ids on everything, and out of use where it is not."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from stages import encoding, vocabulary
from stages.encoding import Encoder
from stages.training import Training, train
from tests.stages.test_tokenize import KINDS, prose, trained

RANGES = re.sub(r"\\x\{(\w+)\}", lambda found: re.escape(chr(int(found[1], 16))), encoding.NEWER)


def library(content: bytes, texts: list[str]) -> list[list[int]]:
    """The ids that `tokenizers` gives, one text at a time."""
    tokenizer = vocabulary.encoder(content)
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def encoded(encoder: Encoder, texts: list[str]) -> list[list[int]]:
    """The ids that the encoder gives."""
    ids, counts = encoder.encode(pa.array(texts, pa.large_string()))
    return [piece.tolist() for piece in np.split(ids, np.cumsum(counts)[:-1])] if texts else []


def test_byte_level_bpe_is_encoded_fast_and_the_rest_by_the_library() -> None:
    """Which engine is at work, by kind of model."""
    assert [Encoder(trained(kind)).fast is not None for kind in KINDS] == [True, False, False]


ODD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(
            " \t\n\r\u00a0\u3000\u0085'sStTmM09٣²ßé\u0301\u200d\ufeff🙂漢字ไ<|>_-.\x00\x1f\ufffe\U0001e6c0"
        ),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=8))
def test_any_text_gets_the_ids_of_the_library(texts: list[str]) -> None:
    """Adversarial Unicode, new code points included."""
    assert encoded(Encoder.of(trained("bpe")), texts) == library(trained("bpe"), texts)


def test_code_points_of_all_planes_get_the_ids_of_the_library() -> None:
    """Every 61st code point, and every one where the general category changes, in letters, digits and blanks."""
    kinds = [unicodedata.category(chr(at))[0] for at in range(0x110000)]
    edges = [at for at in range(1, 0x110000) if kinds[at] != kinds[at - 1]]
    chosen = sorted({*range(0, 0x110000, 61), *edges, *(at - 1 for at in edges)})
    chars = [chr(at) for at in chosen if not 0xD800 <= at < 0xE000]
    texts = [
        "".join(f"a{c}b {c} 1{c}2 {c}{c}\n{c}'s" for c in chars[at : at + 8])
        for at in range(0, len(chars), 8)
    ]
    assert encoded(Encoder.of(trained("bpe")), texts) == library(trained("bpe"), texts)


def test_characters_of_newer_unicode_are_looked_for_by_their_first_bytes() -> None:
    """None of them begins with another byte, wherever in a batch it stands."""
    newer = [chr(at) for at in range(0x110000) if not 0xD800 <= at < 0xE000 and re.match(RANGES, chr(at))]
    assert len(newer) > 4000
    assert {char.encode()[0] for char in newer} == set(encoding.NEWER_LEADS)
    texts = ["", "a", newer[0], "é漢", "x" + newer[-1] + "y", "ไทย 🙂", ""]
    assert encoding._newer(pa.array(["cut", *texts], pa.large_string()).slice(1)).tolist() == [
        text in (texts[2], texts[4]) for text in texts
    ]


def test_a_disagreement_ends_the_use_of_the_fast_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch in which the sample differs is encoded by the library, and all that follow."""
    encoder = Encoder(trained("bpe"))
    quick = encoder._quick
    monkeypatch.setattr(encoder, "_quick", lambda texts: (quick(texts)[0] + 1, quick(texts)[1]))
    texts = prose(5)
    assert encoded(encoder, texts) == library(trained("bpe"), texts)
    assert encoder.mismatches == 1
    assert encoder.fast is None


def test_an_engine_that_fails_the_awkward_strings_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreement is shown before the first text, not hoped for."""
    monkeypatch.setattr(
        Encoder, "_quick", lambda _, texts: (np.zeros(0, np.uint32), np.zeros(len(texts), np.int64))
    )
    assert Encoder(trained("bpe")).fast is None


def test_without_the_fast_engine_all_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an accelerator, not a requirement."""
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    encoder = Encoder(trained("bpe"))
    assert encoder.fast is None
    assert encoded(encoder, prose(5)) == library(trained("bpe"), prose(5))


def test_the_cache_is_dropped_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewed engine goes on with the same ids."""
    monkeypatch.setattr(encoding, "RENEW_BYTES", 1000)
    monkeypatch.setattr(encoding, "BATCH_BYTES", 400)
    encoder = Encoder(trained("bpe"))
    first: Any = encoder.fast
    assert encoded(encoder, prose(20)) == library(trained("bpe"), prose(20))
    assert encoder.fast is not first


def test_the_cache_is_dropped_when_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is memory: new words in plenty fill it long before the bytes are many."""
    grown = iter(range(0, 10**12, encoding.RENEW_MEMORY // 4))
    monkeypatch.setattr(encoding, "_resident", lambda: next(grown))
    monkeypatch.setattr(encoding, "BATCH_BYTES", 400)
    encoder = Encoder(trained("bpe"))
    engines = []
    monkeypatch.setattr(
        encoder, "_renewed", lambda made=encoder._renewed: engines.append(made()) or engines[-1]
    )
    texts = prose(20)
    assert encoded(encoder, texts) == library(trained("bpe"), texts)
    assert len(engines) > 2


@pytest.mark.parametrize("split", ["digits", "whitespace"])
def test_other_splits_of_text_are_encoded_alike(split: str) -> None:
    """BPE behind another pre-tokenizer: fast or not, the ids are the library's."""
    tokenizer = Tokenizer.from_str(trained("bpe").decode())
    parts: dict[str, Any] = {
        "digits": pre_tokenizers.Digits(individual_digits=True),
        "whitespace": pre_tokenizers.Whitespace(),
    }
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [parts[split], pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    content = tokenizer.to_str().encode()
    texts = [*prose(10), "1234 5,6", "  a   b "]
    assert encoded(Encoder(content), texts) == library(content, texts)


def test_added_words_that_are_not_special_are_found_in_text() -> None:
    """They are part of how a tokenizer reads; ids stay what the file says."""
    tokenizer = Tokenizer.from_str(trained("bpe").decode())
    tokenizer.add_special_tokens(["<sep>"])
    tokenizer.add_tokens(["   ", "kalo!"])
    content = tokenizer.to_str().encode()
    size = tokenizer.get_vocab_size()
    (ids,) = encoded(Encoder(content), ["x   kalo!<sep>"])
    assert {size - 1, size - 2} <= set(ids)
    assert size - 3 not in ids


def test_a_model_of_words_does_not_find_special_tokens_in_text() -> None:
    """Not even one whose whole words are looked up."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "</s>": 1, "a": 2}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["</s>", "[UNK]"])
    assert encoded(Encoder(tokenizer.to_str().encode()), ["a </s> a"]) == [[2, 0, 2]]


def test_large_vocabularies_are_read_in_full() -> None:
    """Ids beyond 65,535 come through as they are."""
    content = train(Training(vocab_size=400), vocabulary.EOS, prose())
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.add_tokens([f"<{at}>" for at in range(70_000)])
    content = tokenizer.to_str().encode()
    assert encoded(Encoder(content), ["<69999>"]) == library(content, ["<69999>"])
    assert max(encoded(Encoder(content), ["<69999>"])[0]) > 65_535
