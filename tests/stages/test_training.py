"""Tokenizers learn from whatever a crawl holds."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from stages.extension import Extension, extend
from stages.training import LONGEST_WORD, Training, _bounded, train

RUNS = st.tuples(st.sampled_from("a漢1-= \n"), st.sampled_from([1, 5, LONGEST_WORD, 2 * LONGEST_WORD + 7]))


@given(st.lists(RUNS, max_size=6).map(lambda runs: "".join(one * times for one, times in runs)))
def test_words_are_cut_and_nothing_is_lost(text: str) -> None:
    """Only inside of runs of one kind that are too long."""
    pieces = list(_bounded([text]))
    assert "".join(pieces) == text
    if all(run * LONGEST_WORD not in text for run in "a漢1-= \n"):
        assert len(pieces) == 1


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
@pytest.mark.parametrize("word", ["ACGTTGCA", "漢字", "3141592653", "-=", " "])
def test_a_word_of_a_megabyte_takes_no_minutes(kind: str, word: str) -> None:
    """Genomes, digits of pi, rows of dashes: the trainers would take time quadratic in them."""
    begun = process_time()
    content = train(Training.model_validate({"kind": kind, "vocab_size": 300}), "</s>", [word * 100_000] * 2)
    assert process_time() - begun < 5
    assert Tokenizer.from_str(content.decode()).get_vocab_size() > 1


def test_an_extension_learns_from_runs_of_any_length() -> None:
    """Chinese without a mark between its characters."""
    content = train(Training(vocab_size=300), "</s>", ["some text"])
    begun = process_time()
    grown = extend(content, Extension(tokens=20), ["漢字仮名" * 50_000])
    assert process_time() - begun < 5
    assert len(Tokenizer.from_str(grown.decode()).encode("漢字仮名").ids) == 1
