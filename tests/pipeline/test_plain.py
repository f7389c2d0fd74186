"""Corpus text is shown, never acts."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.plain import clip, plain


@given(st.text(st.characters(codec=None)))
def test_nothing_that_acts_is_left(text: str) -> None:
    """No controls but tab and line feed, no embeddings, overrides or isolates, no surrogates; and once is enough."""
    shown = plain(text)
    kinds = {unicodedata.bidirectional(sign) for sign in shown}
    assert not kinds & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert all(unicodedata.category(sign) not in {"Cc", "Cs"} or sign in "\t\n" for sign in shown)
    assert plain(shown) == shown
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_ordinary_text_stays(text: str) -> None:
    """Letters, marks, numbers, signs and spaces of all scripts are shown as they are."""
    assert plain(text) == text


def test_long_text_is_cut_with_a_sign() -> None:
    """At so many characters, and no sign where nothing is cut."""
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcdef …"
