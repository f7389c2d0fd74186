"""Cuts take the region and its margin, and end where words end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.cutting import JOINT, cut_away, joints_of


@pytest.mark.parametrize(
    ("text", "region", "margin", "pieces"),
    [
        ("one two three four five", (8, 13), 0, ["one two", "four five"]),
        ("one two three four five", (8, 13), 2, ["one", "five"]),
        ("one two three four five", (9, 12), 0, ["one two", "four five"]),
        ("one two, three. four", (9, 14), 0, ["one two,", "four"]),
        ("漢字仮名交文章", (3, 4), 1, ["漢字", "文章"]),
        ("one two", (0, 3), 0, ["two"]),
        ("one two", (0, 7), 0, []),
        ("one two", (4, 7), 99, []),
        ("onetwothree", (3, 6), 0, []),
    ],
)
def test_examples(text: str, region: tuple[int, int], margin: int, pieces: list[str]) -> None:
    """Margins grow to the edges of words; Han characters are words."""
    assert cut_away(text, [region], margin) == pieces


@pytest.mark.parametrize(
    ("text", "region", "pieces"),
    [
        ("One. Two three four. Five.", (9, 14), ["One.", "Five."]),
        ("甲。乙丙丁！戊", (3, 4), ["甲。", "戊"]),
        ("title\nTwo three\nFive", (10, 15), ["title", "Five"]),
        ("no end here at all", (3, 6), []),
    ],
)
def test_a_cut_may_go_on_to_the_ends_of_sentences(
    text: str, region: tuple[int, int], pieces: list[str]
) -> None:
    """Whole sentences go; a line ends one too."""
    assert cut_away(text, [region], 0, sentences=True) == pieces


@settings(max_examples=200, deadline=None)
@given(st.text("ab 漢\n.", max_size=60), st.data(), st.integers(0, 10))
def test_what_is_left_is_untouched_text_outside_the_margins(
    text: str, data: st.DataObject, margin: int
) -> None:
    """Pieces are stretches of the text, in order; none holds a character of a region or its margin."""
    places = st.integers(0, len(text))
    regions = [
        tuple(sorted((data.draw(places), data.draw(places)))) for _ in range(data.draw(st.integers(0, 3)))
    ]
    numbered = "".join(chr(0x100000 + k) if c == "." else c for k, c in enumerate(text))
    pieces = cut_away(numbered, regions, margin)
    left = JOINT.join(pieces)
    gone = {k for start, end in regions for k in range(start - margin, end + margin)}
    for k, character in enumerate(numbered):
        if ord(character) >= 0x100000:
            assert left.count(character) <= (k not in gone)
    at = 0
    for piece in pieces:
        assert piece == piece.strip() != ""
        at = numbered.index(piece, at) + len(piece)


def test_without_regions_nothing_but_outer_space_goes() -> None:
    """The margin belongs to regions only."""
    assert cut_away("  a b  ", [], 200) == ["a b"]


def test_joints_lie_between_pieces() -> None:
    """At the end of each piece but the last."""
    assert joints_of(["ab", "c", "def"]) == [2, 5]
    assert joints_of(["ab"]) == []
