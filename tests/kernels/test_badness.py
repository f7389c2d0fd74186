"""The automaton is ftfy's expression for mojibake, on every kind of character it tells apart."""

import numpy as np
from ftfy.badness import BADNESS_RE, is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.badness import BAD, FRESH, mojibake

AUTOMATON = mojibake()
# A few characters of every class of the automaton, and more of those that text is made of.
SAMPLES = [
    [chr(code) for code in np.flatnonzero(AUTOMATON.classes == kind)[:40].tolist()]
    for kind in range(int(AUTOMATON.classes.max()) + 1)
]
CHARACTERS = st.sampled_from(SAMPLES).flatmap(st.sampled_from).filter(lambda c: not "\ud800" <= c <= "\udfff")


def is_bad_to_the_automaton(text: str) -> bool:
    """Runs the automaton over a text."""
    state = FRESH
    for character in text:
        state = AUTOMATON.moves[state, AUTOMATON.classes[ord(character)]]
    return bool(state == BAD)


@given(st.lists(CHARACTERS | st.sampled_from("aB \n."), max_size=8).map("".join) | st.text(max_size=8))
@settings(max_examples=500, deadline=None)
def test_agrees_with_the_expression(text: str) -> None:
    """Any text is bad to both or to neither."""
    assert is_bad_to_the_automaton(text) == is_bad(text)


@given(st.from_regex(BADNESS_RE))
@settings(max_examples=300, deadline=None)
def test_finds_what_the_expression_describes(text: str) -> None:
    """Texts made from the expression itself are bad to both."""
    assert is_bad_to_the_automaton(text) == is_bad(text)
