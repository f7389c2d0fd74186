"""The table over code points says of every character what Python says of it."""

import random
import unicodedata

from stages.kernels.characters import (
    CODE_POINTS,
    DIGIT,
    LETTER,
    MARK,
    NUMBER,
    SPACE,
    TERMINAL,
    UNIT,
    UPPER,
    classes,
    folds,
)

EVERY = [*range(0x35000), *range(0xE0000, 0xE0200)]


def test_classes_are_those_of_unicodedata() -> None:
    """Letters, marks, numbers, white space, capitals and digits, for all assigned code points."""
    for code in EVERY:
        character, found = chr(code), int(classes()[code])
        category = unicodedata.category(character)
        if category == "Cn":
            continue  # among ideographs, unassigned code points count as ideographs
        assert bool(found & LETTER) == (category[0] == "L"), hex(code)
        assert bool(found & MARK) == (category[0] == "M"), hex(code)
        assert bool(found & NUMBER) == (category[0] == "N"), hex(code)
        assert bool(found & SPACE) == character.isspace(), hex(code)
        assert bool(found & UPPER) == character.isupper(), hex(code)
        assert bool(found & DIGIT) == character.isdigit(), hex(code)


def test_folds_are_lower_case() -> None:
    """One character each: U+0130 loses its dot, and the final sigma becomes the plain one."""
    for code in EVERY:
        expected = {0x0130: "i", 0x03C2: "σ"}.get(code, chr(code).lower())
        assert chr(int(folds()[code])) == expected, hex(code)


def test_folding_twice_changes_nothing() -> None:
    """The lower-case form of a lower-case form is itself."""
    assert (folds()[folds()] == folds()).all()


def test_units_are_characters_of_scripts_without_spaces() -> None:
    """Samples on both sides; punctuation of those scripts is no unit."""
    for character in "漢々〇〡ひカｶกาລខក်မ𠀀":
        assert classes()[ord(character)] & UNIT, character
    for character in "aΩж한ㄱअ、。「」ـ1٣":
        assert not classes()[ord(character)] & UNIT, character


def test_sentences_end_at_terminal_marks() -> None:
    """Full stops of many scripts; commas, quotation marks and the ellipsis do not end a sentence."""
    assert all(classes()[ord(c)] & TERMINAL for c in "!.?。！？।؟۔።")
    assert not any(classes()[ord(c)] & TERMINAL for c in ',;:"”…、')


def test_random_code_points_have_an_entry() -> None:
    """The tables cover Unicode."""
    draw = random.Random(0)
    assert len(classes()) == len(folds()) == CODE_POINTS
    assert all(int(folds()[draw.randrange(CODE_POINTS)]) < CODE_POINTS for _ in range(1000))
