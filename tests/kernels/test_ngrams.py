"""The scan finds every window that is an indexed gram, and no other, whatever lengths are indexed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.ngrams import Rules, grams_of, scan, spans_of, table_of
from tests.kernels.scanning import TEXTS, nfc, tokens, utf8_of

WORDS = st.lists(st.sampled_from(["a", "b", "c", "漢", "字"]), max_size=30).map(" ".join)
RULES = st.sampled_from([Rules(3, 2, 4, 2), Rules(5, 5, 5, 5), Rules(4, 1, 6, 3), Rules(13, 8, 20, 12)])


def plain_grams(text: str, rules: Rules) -> set[tuple[str, ...]]:
    """RULES 12.2 for one part of an item."""
    found = tokens(text)
    words = [token for token, _, _ in found]
    single = sum(word in "漢字" for word in words)
    n, short = (rules.n_cjk, rules.short_cjk) if single * 2 > len(words) else (rules.n, rules.short)
    if len(words) < short:
        return set()
    n = min(n, len(words))
    return {tuple(words[k : k + n]) for k in range(len(words) - n + 1)}


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, min_size=1, max_size=3), RULES)
def test_hits_are_those_of_a_plain_scan(items: list[str], texts: list[str], rules: Rules) -> None:
    """Every window of every text is looked up in the set of all grams."""
    grams = set().union(*(plain_grams(item, rules) for item in items))
    found = grams_of(*utf8_of(items), np.full(len(items), -1), rules)
    hits = scan(*utf8_of(texts), table_of(found, rules.head)).tolist()
    expected = []
    for row, text in enumerate(texts):
        words = [token for token, _, _ in tokens(text)]
        for at in range(len(words)):
            expected += [
                (row, at, length)
                for length in range(1, 21)
                if at + length <= len(words) and tuple(words[at : at + length]) in grams
            ]
    assert sorted((row, at, length) for row, at, length, _ in hits) == expected


@settings(max_examples=100, deadline=None)
@given(WORDS, WORDS, RULES)
def test_a_seam_gives_only_the_grams_that_reach_across(one: str, other: str, rules: Rules) -> None:
    """Of two joined parts, those windows are new that have a token of each."""
    joined = f"{one}\n{other}"
    words = [token for token, _, _ in tokens(joined)]
    seam = len(tokens(one))
    found = grams_of(*utf8_of([joined]), np.array([len(one.encode())]), rules)
    every = grams_of(*utf8_of([joined]), np.array([-1]), rules)
    length = int(every.lengths[0]) if len(every.lengths) else 0
    across = [k for k in range(len(every.grams)) if k < seam < k + length]
    assert found.grams.tolist() == every.grams[across].tolist()
    assert found.distinct.tolist() == [len(set(words[k : k + length])) for k in across]


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_spans_of_tokens_are_those_of_the_reference(text: str) -> None:
    """Characters, not bytes."""
    (text,) = nfc([text])
    data, _ = utf8_of([text])
    assert spans_of(data, 0, len(data)).tolist() == [[start, end] for _, start, end in tokens(text)]


def test_many_hits_are_all_found() -> None:
    """More hits than the first buffer holds."""
    found = grams_of(*utf8_of(["x y"]), np.array([-1]), Rules(2, 2, 2, 2))
    assert len(scan(*utf8_of(["x y " * 5000]), table_of(found, 2))) == 5000
