"""Exact copies are texts with one comparison form (RULES 10.1), and nothing else is."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.comparison import exact_keys
from tests.kernels.scanning import nfc, utf8_of

SPACED = st.text(
    "aA\u00e9漢😀 \t\n\x0b\x1c\x85\u00a0\u1680\u2003\u2028\u202f\u205f\u3000\u200b\u180e.", max_size=20
)


def form(text: str) -> str:
    """The reference: NFC, stripped, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@settings(max_examples=300, deadline=None)
@given(st.lists(SPACED | st.text(max_size=30), min_size=1, max_size=6))
def test_keys_are_equal_exactly_where_forms_are(texts: list[str]) -> None:
    """One key a form, one form a key, and the length is the form's in characters."""
    keys, lengths = exact_keys(*utf8_of(nfc(texts)))
    forms = [form(text) for text in texts]
    assert lengths.tolist() == [len(own) for own in forms]
    assert len(set(map(tuple, keys.tolist()))) == len(set(forms))
    assert len({(own, *key) for own, key in zip(forms, keys.tolist(), strict=True)}) == len(set(forms))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_a_key_does_not_depend_on_the_texts_around_it(before: str, text: str) -> None:
    """Scratch memory of one text never leaks into the next."""
    together, _ = exact_keys(*utf8_of(nfc([before, text])))
    single, _ = exact_keys(*utf8_of(nfc([text])))
    assert together[1].tolist() == single[0].tolist()
