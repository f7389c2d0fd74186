"""Units of a text: they cover it, in order, and equal words give equal hashes."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.columns import TEXT, utf8
from stages.kernels.passages import LINES, PARAGRAPHS, SENTENCES, units, words
from stages.kernels.sentences import count_sentences
from tests.kernels.scanning import tokens

TEXTS = st.lists(
    st.lists(
        st.sampled_from(["one", "Two.", "\n", "\n\n", " ", "三", "!", "\r\n", " \n", "four? "]), max_size=12
    ).map("".join),
    max_size=6,
)


def cut(texts: list[str], kind: int) -> list[list[tuple[str, int]]]:
    """Each text as its units: what stands there, and the hash."""
    data, offsets = utf8(pa.array(texts, TEXT))
    rows, starts, keys = units(data, offsets, kind)
    found: list[list[tuple[str, int]]] = [[] for _ in texts]
    for at, (row, start, key) in enumerate(zip(rows.tolist(), starts.tolist(), keys.tolist(), strict=True)):
        more = at + 1 < len(rows) and rows[at + 1] == row
        stop = int(starts[at + 1]) if more else int(offsets[row + 1])
        found[row].append((data[start:stop].tobytes().decode(), key))
    return found


@pytest.mark.parametrize("kind", [LINES, PARAGRAPHS, SENTENCES])
@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_units_laid_end_to_end_are_the_text(kind: int, texts: list[str]) -> None:
    """Nothing is lost, and every unit has a word; a text without a word has no unit."""
    for text, own in zip(texts, cut(texts, kind), strict=True):
        assert "".join(unit for unit, _ in own) == (text if own else "")
        assert all(tokens(unit) for unit, _ in own)
        assert bool(own) == bool(tokens(text))


@pytest.mark.parametrize(("kind", "separator"), [(LINES, r"\n"), (PARAGRAPHS, r"\n[ \t\r]*\n")])
@settings(max_examples=60, deadline=None)
@given(texts=TEXTS)
def test_hashes_are_those_of_the_words(kind: int, separator: str, texts: list[str]) -> None:
    """Two units have one hash if and only if they have the same match tokens, by a plain split."""
    spelled: dict[int, tuple[str, ...]] = {}
    for text, own in zip(texts, cut(texts, kind), strict=True):
        expected = [tuple(t for t, _, _ in tokens(piece)) for piece in re.split(separator, text)]
        expected = [piece for piece in expected if piece]
        assert [tuple(t for t, _, _ in tokens(unit)) for unit, _ in own] == expected
        for (_, key), piece in zip(own, expected, strict=True):
            assert spelled.setdefault(key, piece) == piece
    assert len(set(spelled.values())) == len(spelled)


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_there_are_as_many_sentences_as_the_rule_counts(texts: list[str]) -> None:
    """The cut and the count are one rule."""
    counts = count_sentences(*utf8(pa.array(texts, TEXT)))
    assert [len(own) for own in cut(texts, SENTENCES)] == counts.tolist()


def test_words_are_match_tokens() -> None:
    """A Chinese character is a word."""
    data, offsets = utf8(pa.array(["One two, 三四!"], TEXT))
    assert words(data, offsets) == 4
    assert words(data, np.zeros(2, np.int64)) == 0
