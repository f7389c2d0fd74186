"""Emoji are spelled out and disguised words unmasked, and nothing else is touched."""

import pytest

from stages.clean import Clean
from tests.stages.test_clean import rows


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("fine 😀!", "fine :grinning_face:!"),
        ("🇩🇪🇫🇷", ":flag_de::flag_fr:"),
        ("👩‍💻", ":woman_personal_computer:"),
        ("I ❤️ it", "I :heavy_black_heart: it"),
        ("© 2024 ™ ❤ 5️ 漢字 → é", "© 2024 ™ ❤ 5️ 漢字 → é"),
    ],
)
def test_emoji_become_words(text: str, spoken: str) -> None:
    """Sequences are one; signs that are text by default stay."""
    out = Clean(emoji_to_text=True).apply(rows(text))
    assert out.columns["text"].to_pylist() == [spoken]
    assert out.tallies["emoji_to_text"] == (text != spoken)
    assert Clean().apply(rows(text)).columns["text"].to_pylist() == [text]


@pytest.mark.parametrize(
    ("text", "honest"),
    [
        ("pаypаl lоgin", "paypal login"),
        ("Αmazon", "Amazon"),
        ("Привет world, Москва", "Привет world, Москва"),
        ("5-метилxyz", "5-метилxyz"),
        ("H-бомба и USB-порт", "H-бомба и USB-порт"),
    ],
)
def test_disguised_words_become_latin(text: str, honest: str) -> None:
    """Only mostly Latin words whose other letters all have Latin doubles."""
    out = Clean(fold_homoglyphs=True).apply(rows(text))
    assert out.columns["text"].to_pylist() == [honest]
