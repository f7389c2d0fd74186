"""Match tokens are those of the plain reference, wherever in Unicode a text lies."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.units import characters, digest, hashes, normalised, origins, spans
from tests.kernels.scanning import AWKWARD, TEXTS, alone, nfc, tokens, utf8_of


def found(text: str) -> tuple[list[int], list[tuple[int, int]], int, int]:
    """Of one NFC text: hashes and spans of the tokens, how many stand alone, and the hash of the letters."""
    data, _ = utf8_of([text])
    out = np.zeros(len(data) + 1, np.uint64)
    words = np.zeros(3 * len(data) // 8 + 2, np.uint64)
    count, single, size = hashes(data, 0, len(data), characters(), out, words.view(np.uint8))
    places = np.zeros((len(data), 2), np.int64)
    assert spans(data, 0, len(data), characters(), places) == count
    return out[:count].tolist(), [tuple(p) for p in places[:count].tolist()], single, int(digest(words, size))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_spans_are_those_of_the_reference(text: str) -> None:
    """Every token begins and ends where the plain scan says, in characters."""
    text = unicodedata.normalize("NFC", text)
    assert found(text)[1] == [(start, end) for _, start, end in tokens(text)]


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_equal_tokens_have_equal_hashes_and_others_do_not(texts: Sequence[str]) -> None:
    """Over several texts a hash stands for one token, and a token for one hash."""
    token_of: dict[int, str] = {}
    hash_of: dict[str, int] = {}
    for text in nfc(list(texts)):
        for value, (token, _, _) in zip(found(text)[0], tokens(text), strict=True):
            assert token_of.setdefault(value, token) == token
            assert hash_of.setdefault(token, value) == value


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_letters_are_the_tokens_with_nothing_between(texts: Sequence[str]) -> None:
    """Texts have one hash of letters exactly when their tokens, joined, are the same."""
    known: dict[str, int] = {}
    spelled: dict[int, str] = {}
    for text in nfc(list(texts)):
        joined = "".join(token for token, _, _ in tokens(text))
        value = found(text)[3]
        assert known.setdefault(joined, value) == value
        assert spelled.setdefault(value, joined) == joined


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_characters_that_stand_alone_are_counted(text: str) -> None:
    """The second result is the number of tokens that are one character of a script without spaces."""
    text = unicodedata.normalize("NFC", text)
    assert found(text)[2] == sum(len(t) == 1 and alone(text[s]) for t, s, _ in tokens(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't stop", "dont STOP"),
        ("İstanbul", "i\u0307stanbul"),
        ("ΟΔΟΣ", "οδος"),
        ("漢字 mixed", "漢 字mixed"),
        ("a-b_c", "A B C"),
        ("ʼtis", "tis"),
    ],
)
def test_case_apostrophes_and_separators_do_not_distinguish(one: str, other: str) -> None:
    """These pairs have the same tokens."""
    assert found(one)[0] == found(other)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("e.g.", "eg"), ("straße", "strasse"), ("résumé", "resume"), ("日本", "本日"), ("1 5", "15")],
)
def test_other_differences_do(one: str, other: str) -> None:
    """These pairs have not."""
    assert found(one)[0] != found(other)[0]


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_normalised_gives_nfc_and_names_the_rows_it_changed(texts: list[str]) -> None:
    """The column is NFC whatever came in, and only rows that were not NFC are named."""
    column, changed = normalised(pa.chunked_array([pa.array(texts, pa.large_string())]))
    assert column.to_pylist() == nfc(texts)
    assert changed.tolist() == [
        n for n, text in enumerate(texts) if text != unicodedata.normalize("NFC", text)
    ]


def test_no_character_outside_the_unstable_ones_is_touched_by_nfc() -> None:
    """Every code point that NFC changes, or that joins a starter before it, is looked at."""
    stable = [c for c in map(chr, range(0x110000)) if not found_unstable(c) and not 0xD800 <= ord(c) < 0xE000]
    text = "".join(stable)
    assert unicodedata.normalize("NFC", text) == text
    assert unicodedata.normalize("NFC", "".join(f"a{c}" for c in stable)) == "".join(f"a{c}" for c in stable)


def found_unstable(character: str) -> bool:
    """Whether the table calls a character unstable."""
    return bool(characters()[ord(character)] & (1 << 26))


@settings(max_examples=300, deadline=None)
@given(AWKWARD)
def test_origins_lead_back_to_the_stored_text(text: str) -> None:
    """Each character of the NFC text comes from a span; spans are in order, cover the text, and are NFC-equal."""
    composed = unicodedata.normalize("NFC", text)
    back = origins(text).tolist()
    assert len(back) == len(composed)
    reach = 0
    for start, end in back:
        assert start <= reach <= len(text)
        assert end >= reach
        reach = end
    assert reach == len(text) or not composed
    for character, (start, end) in zip(composed, back, strict=True):
        assert character in unicodedata.normalize("NFC", text[start:end])
