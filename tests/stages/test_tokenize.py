"""What tokenize promises: the library's ids, the same training from the same corpus, plain text throughout."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer

from stages import vocabulary
from stages.base import StageError
from stages.tokenize import Tokenize
from stages.training import Training, train
from tests.stages.rounds import cut, run_global

SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ther",
    "ing",
    "stra",
    "un",
    "ße",
    "der",
    "的",
    "語",
    "é",
    "ok",
    "na",
    "vi",
    "qu",
]
KINDS = ["bpe", "wordpiece", "unigram"]


def prose(documents: int = 200, seed: int = 1) -> list[str]:
    """Made-up words with a skewed frequency, lines, digits and a few scripts."""
    draw = np.random.default_rng(seed)
    words = ["".join(draw.choice(SYLLABLES, draw.integers(1, 4))) for _ in range(400)]
    chosen = (words[min(int(20 * draw.pareto(1.0)), 399)] for _ in range(documents * 60))
    texts = [" ".join(next(chosen) for _ in range(60)) for _ in range(documents)]
    return [f"{text}.\nNr {at}:  тест, 漢字!\n" for at, text in enumerate(texts)]


def corpus(texts: list[str]) -> pa.Table:
    """Rows of these texts."""
    ids = [hashlib.blake2b(f"{at}".encode(), digest_size=16).digest() for at in range(len(texts))]
    return pa.table(
        {
            "doc_id": pa.array(ids, pa.binary(16)),
            "text": pa.array(texts, pa.large_string()),
            "lang": ["en" if at % 2 else "de" for at in range(len(texts))],
        }
    )


@lru_cache
def trained(kind: str) -> bytes:
    """A small tokenizer of each kind."""
    return train(Training(kind=kind, vocab_size=800), vocabulary.EOS, prose())  # type: ignore[arg-type]


def given_file(folder: Path, content: bytes, **fields: Any) -> Tokenize:
    """The stage with this tokenizer."""
    path = folder / "tokenizer.json"
    path.write_bytes(content)
    return Tokenize(file=str(path), **fields)


# ------------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_the_librarys(tmp_path: Path, kind: str) -> None:
    """Every document gets the ids that `encode` gives it, and their number."""
    texts = [*prose(20, seed=2), "", "  \n\n x", "🙂\u200d🙂 \ufeff\x00 é e\u0301"]
    rows, _ = run_global(given_file(tmp_path, trained(kind)), [corpus(texts)])
    library = Tokenizer.from_str(trained(kind).decode())
    expected = [library.encode(text, add_special_tokens=False).ids for text in texts]
    assert rows["tokens"].to_pylist() == expected
    assert rows["token_count"].to_pylist() == [len(ids) for ids in expected]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_spells_a_special_token_is_plain_text(tmp_path: Path, kind: str) -> None:
    """The end of a text cannot be forged from within one."""
    rows, _ = run_global(given_file(tmp_path, trained(kind)), [corpus(["a <|endoftext|> b"])])
    eos = Tokenizer.from_str(trained(kind).decode()).token_to_id(vocabulary.EOS)
    assert eos == 0
    assert eos not in rows["tokens"][0].as_py()
    assert rows["token_count"][0].as_py() > 5


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_bpe_gives_every_text_back(text: str) -> None:
    """Any Unicode at all, decoded from its ids, is the same text."""
    tokenizer = vocabulary.encoder(trained("bpe"))
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60).filter(lambda text: "▁" not in text))
def test_unigram_gives_every_text_back(text: str) -> None:
    """But for the sign that stands for a blank."""
    tokenizer = vocabulary.encoder(trained("unigram"))
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_texts_are_encoded_in_batches_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents around and beyond the size of a batch keep their ids and their order."""
    monkeypatch.setattr("stages.encoding.BATCH_BYTES", 100)
    texts = ["kalo mi " * 12, "x", "kalo mi " * 30, "", "語" * 33, "y" * 100, "", ""]
    rows, _ = run_global(given_file(tmp_path, trained("bpe")), [corpus(texts)])
    library = Tokenizer.from_str(trained("bpe").decode())
    assert rows["tokens"].to_pylist() == [library.encode(text).ids for text in texts]


def test_a_tokenizer_that_cuts_and_pads_does_neither_here(tmp_path: Path) -> None:
    """Truncation, padding and a post-processor in the file are for its model, not for a corpus."""
    library = Tokenizer.from_str(trained("bpe").decode())
    library.enable_truncation(4)
    library.enable_padding(length=4)
    rows, _ = run_global(given_file(tmp_path, library.to_str().encode()), [corpus(["kalo " * 9, "ka"])])
    library.no_truncation()
    library.no_padding()
    assert rows["tokens"].to_pylist() == [library.encode(text).ids for text in ("kalo " * 9, "ka")]


def test_documents_of_too_many_tokens_may_be_dropped(tmp_path: Path) -> None:
    """With `max_tokens`, longer documents are dropped with a reason; one of just that many stays."""
    library = Tokenizer.from_str(trained("bpe").decode())
    texts = ["ka", "kalo mi ther", "kalo mi ther ing stra un"]
    most = sorted(len(library.encode(text).ids) for text in texts)[1]
    rows, _ = run_global(given_file(tmp_path, trained("bpe"), max_tokens=most), [corpus(texts)])
    dropped = [count > most for count in rows["token_count"].to_pylist()]
    assert [reason is not None for reason in rows["reason"].to_pylist()] == dropped
    assert sum(dropped) == 1


@pytest.mark.parametrize("overlong", ["keep", "split"])
def test_documents_of_too_many_tokens_may_be_kept_or_split(tmp_path: Path, overlong: str) -> None:
    """Nothing is dropped; where to split is said of those that are too long, and how many these are is tallied."""
    stage = given_file(tmp_path, trained("bpe"), max_tokens=5, overlong=overlong)
    rows, _ = run_global(stage, [corpus(["ka", "kalo mi ther " * 9])])
    assert rows["reason"].null_count == 2
    assert stage.apply(corpus(["ka", "kalo mi ther " * 9]), None).tallies["overlong_documents"] == 1
    assert ("split_at" in rows.column_names) == (overlong == "split") == ("split_at" in stage.written)
    if overlong == "split":
        assert rows["split_at"].to_pylist() == [None, 5]


def test_the_cost_of_a_language_is_tallied(tmp_path: Path) -> None:
    """Tokens, characters and bytes by language add up to those of all."""
    stage, rows = given_file(tmp_path, trained("bpe")), corpus(prose(10))
    tallies = stage.apply(rows, None).tallies
    assert tallies["tokens"] == tallies["tokens/en"] + tallies["tokens/de"]
    assert tallies["bytes"] == sum(len(text.encode()) for text in rows["text"].to_pylist())
    assert tallies["characters/de"] == sum(len(text) for text in rows["text"].to_pylist()[::2])


def test_no_rows_give_no_tokens(tmp_path: Path) -> None:
    """An empty part is fine."""
    out = given_file(tmp_path, trained("bpe")).apply(corpus([]), None)
    assert len(out.columns["tokens"]) == 0
    assert out.columns["tokens"].type == Tokenize.writes["tokens"]


# ------------------------------------------------------------------------------------------- artifacts


def test_a_given_tokenizer_is_published_byte_for_byte(tmp_path: Path) -> None:
    """With it, which token ends a text."""
    published = given_file(tmp_path, trained("unigram")).artifacts(None)
    assert published[vocabulary.FILE] == trained("unigram")
    assert json.loads(published[vocabulary.CONFIG])["eos_token"] == vocabulary.EOS


def test_the_end_of_text_may_be_named(tmp_path: Path) -> None:
    """Any token of the vocabulary; one that is not there is an error that says so."""
    library = Tokenizer.from_str(trained("bpe").decode())
    library.add_special_tokens(["<stop>"])
    content = library.to_str().encode()
    published = given_file(tmp_path, content, eos="<stop>").artifacts(None)
    assert json.loads(published[vocabulary.CONFIG])["eos_token"] == "<stop>"  # noqa: S105 - a token of text
    with pytest.raises(StageError, match="no token '<halt>'"):
        given_file(tmp_path, content, eos="<halt>").artifacts(None)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": {"type": "BPE"}}'])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    """The error says what was expected."""
    with pytest.raises(StageError, match="cannot be read as a tokenizer"):
        run_global(given_file(tmp_path, content), [corpus(["x"])])


def test_a_tokenizer_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's vocabulary is larger; a file that is, is something else."""
    monkeypatch.setattr(vocabulary, "MAX_BYTES", 100)
    with pytest.raises(StageError, match="more than 100"):
        run_global(given_file(tmp_path, trained("bpe") + b" "), [corpus(["x"])])


def test_a_file_far_too_large_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is looked at first: nobody has memory for all that might be called tokenizer.json."""
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(vocabulary.MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(StageError, match="268,435,457 bytes, more than"):
        Tokenize(file=str(path)).artifacts(None)


def test_a_file_or_training_but_not_both() -> None:
    """Two wishes that exclude each other; none at all means training with the defaults."""
    with pytest.raises(ValidationError, match="keep one of them"):
        Tokenize.model_validate({"file": "a.json", "train": {}})
    assert Tokenize().rounds == 2


# ------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", KINDS)
def test_training_keeps_to_the_vocabulary(kind: str) -> None:
    """Ids are 0 to the size, the end of text is 0, further special tokens follow."""
    training = Training(kind=kind, vocab_size=500, special_tokens=("<a>", "<b>"))  # type: ignore[arg-type]
    tokenizer = Tokenizer.from_str(train(training, "<end>", prose()).decode())
    assert [tokenizer.token_to_id(token) for token in ("<end>", "<a>", "<b>")] == [0, 1, 2]
    ids = sorted(tokenizer.get_vocab().values())
    assert ids == list(range(len(ids)))
    assert 300 < len(ids) <= 500


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=4), st.randoms(use_true_random=False))
def test_training_does_not_depend_on_the_cut(bounds: list[int], random: Any) -> None:
    """Any parts in any order: the same tokenizer, the same ids."""
    rows = corpus(prose())
    stage = Tokenize(train=Training(vocab_size=400, sample_bytes=60_000), seed=3)
    parts = cut(rows, bounds)
    found, ruling = run_global(stage, parts, random.randrange(1000))
    expected, whole = run_global(stage, [rows])
    assert ruling is not None
    assert whole is not None
    assert ruling[vocabulary.FILE] == whole[vocabulary.FILE]
    assert found["tokens"].to_pylist() == expected["tokens"].to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_any_process(kind: str) -> None:
    """Another PYTHONHASHSEED and another number of threads: the same bytes."""
    program = (
        "import sys, hashlib; from tests.stages.test_tokenize import trained;"
        "sys.stdout.write(hashlib.sha256(trained(sys.argv[1])).hexdigest())"
    )
    digests = {hashlib.sha256(trained(kind)).hexdigest()}
    for seed, threads in (("0", "1"), ("1", "2")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", program, kind], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_sample_is_as_large_as_asked_for() -> None:
    """Whole bins of hashes up to the size, and at least one bin with a document in it."""
    rows = corpus(prose(300))
    for asked in (1, 20_000, 10**9):
        stage = Tokenize(train=Training(vocab_size=300, sample_bytes=asked))
        _, ruling = run_global(stage, [rows])
        assert ruling is not None
        size, documents = ruling["bytes"][0].as_py(), ruling["documents"][0].as_py()
        assert size <= asked or documents == 1
        assert documents == {1: 1, 10**9: 300}.get(asked, documents)
        assert size > asked * 0.9 or asked == 10**9


def test_the_mixture_weighs_the_sample() -> None:
    """A document that is seen three times counts three times: as if it stood there thrice."""
    texts = prose(40)
    repeats = [1 + at % 3 for at in range(40)]
    rows = corpus(texts).append_column("repeats", pa.array(repeats, pa.int32()))
    stage = Tokenize(train=Training(vocab_size=350))
    _, ruling = run_global(stage, [rows])
    assert ruling is not None
    thrice = train(
        Training(vocab_size=350),
        vocabulary.EOS,
        [t for t, n in zip(texts, repeats, strict=True) for _ in range(n)],
    )
    assert ruling[vocabulary.FILE][0].as_py() == thrice


def test_nothing_to_train_on_is_an_error() -> None:
    """Said plainly."""
    with pytest.raises(StageError, match="no documents are left to learn from"):
        Tokenize(train=Training()).settle(
            pa.table({"hash": pa.array([], pa.uint64()), "doc_id": pa.array([], pa.binary(16))}), 1
        )


# ------------------------------------------------------------------------------------------ extending


def test_an_extended_tokenizer_leaves_other_texts_alone(tmp_path: Path) -> None:
    """Chinese takes fewer tokens; old ids keep their meaning, and a text without Chinese its ids."""
    draw = np.random.default_rng(4)
    words = ["".join(chr(c) for c in draw.integers(0x4E00, 0x4E80, draw.integers(1, 4))) for _ in range(60)]
    chinese = ["".join(draw.choice(words, 30)) + "\u3002" for _ in range(100)]
    other = [*prose(20), "\u4dc0 \u3042\u3044 \uc548\ub155 \U0001f642"]
    plain = given_file(tmp_path, trained("bpe"))
    stage = given_file(tmp_path, trained("bpe"), extend={"tokens": 150, "min_frequency": 2})
    before, _ = run_global(plain, [corpus([*chinese, *other])])
    after, ruling = run_global(stage, [corpus([*chinese, *other])])
    lengths = [np.array(rows["token_count"])[: len(chinese)].sum() for rows in (before, after)]
    assert lengths[1] < 0.6 * lengths[0]
    shared = [at for at, text in enumerate(other) if "\u6f22" not in text]
    assert shared
    for at in shared:
        assert before["tokens"][len(chinese) + at] == after["tokens"][len(chinese) + at]
    old, new = (
        Tokenizer.from_str(c.decode()).get_vocab()
        for c in (trained("bpe"), stage.artifacts(ruling)[vocabulary.FILE])
    )
    assert {token: new[token] for token in old} == old
    assert 0 < len(new) - len(old) <= 150


def test_what_an_extension_saves_is_tallied(tmp_path: Path) -> None:
    """Tokens with and without it, by language."""
    stage = given_file(tmp_path, trained("bpe"), extend={"tokens": 20, "min_frequency": 1})
    rows = corpus(["\u5c71\u6c34\u5c71\u6c34" * 9, "ka"])
    found, ruling = run_global(stage, [rows])
    tallies = stage.apply(rows, ruling).tallies
    assert tallies["tokens/de"] == found["token_count"][0].as_py()
    assert tallies["tokens_before/de"] > tallies["tokens/de"]
    assert tallies["tokens_before/en"] == tallies["tokens/en"]


def test_added_tokens_keep_their_ids_when_a_tokenizer_grows(tmp_path: Path) -> None:
    """Tokens that were numbered after the model's are not pushed up by new ones."""
    library = Tokenizer.from_str(trained("bpe").decode())
    library.add_special_tokens(["<late>"])
    stage = given_file(tmp_path, library.to_str().encode(), extend={"tokens": 9, "min_frequency": 1})
    _, ruling = run_global(stage, [corpus(["\u5c71\u6c34\u98a8" * 9])])
    grown = Tokenizer.from_str(stage.artifacts(ruling)[vocabulary.FILE].decode())
    assert grown.token_to_id("<late>") == library.token_to_id("<late>")


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_only_byte_level_bpe_can_be_extended(tmp_path: Path, kind: str) -> None:
    """Others are refused with what to do instead."""
    stage = given_file(tmp_path, trained(kind), extend={})
    with pytest.raises(StageError, match="only byte-level BPE"):
        run_global(stage, [corpus(["\u5c71\u6c34"])])


def test_a_script_that_is_not_there_cannot_be_learned(tmp_path: Path) -> None:
    """Named, with what to change."""
    with pytest.raises(StageError, match="no character of thai"):
        run_global(given_file(tmp_path, trained("bpe"), extend={"scripts": ["thai"]}), [corpus(["ka"])])


def test_an_extension_needs_something_to_extend() -> None:
    """Without a file there is nothing to add to."""
    with pytest.raises(ValidationError, match="name it"):
        Tokenize.model_validate({"extend": {}})
