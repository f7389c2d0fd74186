"""The automaton finds every pattern wherever it stands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.matching import matcher


def found(patterns: list[bytes], text: bytes, *, fold: bool = True) -> set[tuple[int, int]]:
    """(end, pattern) of every match, by running the automaton in Python."""
    automaton = matcher(patterns, fold=fold)
    matches, state = set(), 0
    for at, byte in enumerate(text):
        state = int(automaton.moves[state, automaton.columns[byte]])
        ending = state
        while ending:
            if automaton.ends[ending] >= 0:
                matches.add((at + 1, int(automaton.ends[ending])))
            ending = int(automaton.shorter[ending])
    return matches


@given(
    st.lists(st.text("abA", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.text("abAB", max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_finds_all_occurrences(patterns: list[str], text: str) -> None:
    """Overlapping and nested matches too, exactly those that a search at every place finds."""
    wanted = {
        (at + len(pattern), number)
        for number, pattern in enumerate(patterns)
        for at in range(len(text))
        if text.startswith(pattern, at)
    }
    encoded = [pattern.encode() for pattern in patterns]
    assert found(encoded, text.encode(), fold=False) == wanted


def test_folds_ascii_only() -> None:
    """Capitals of ASCII match small letters; other letters match themselves."""
    assert found([b"ab"], b"AB aB") == {(2, 0), (5, 0)}
    assert found(["é".encode()], "É".encode()) == set()


def test_an_empty_pattern_is_refused() -> None:
    """It would be found everywhere."""
    with pytest.raises(ValueError, match="empty string"):
        matcher([b"a", b""])
