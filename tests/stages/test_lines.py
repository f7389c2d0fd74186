"""Line rules edit documents as RULES 4 and 6 say."""

import pyarrow as pa
import pytest

from stages.clean import Clean
from stages.lines import refined, without_repeated_lines
from stages.profiles import Bound
from tests.stages.test_clean import rows


def after(text: str, profile: str = "en", **thresholds: Bound | None) -> str:
    """One text after RefinedWeb's rules."""
    named = {f"rw.{name}": bound for name, bound in thresholds.items()}
    return str(refined(pa.array([text], pa.large_string()), [profile], named)[0].to_pylist()[0])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("one line\nBUY NOW TODAY\nABcd ef", "one line\nABcd ef"),
        ("one line\n12345\n123 45", "one line\n123 45"),
        (
            "one line\n3 Likes\n1,024 shares!\n* 12K views\n5 likes and more\n7 likes",
            "one line\n5 likes and more",
        ),
        ("one line\nword\n\nlast line", "one line\n\nlast line"),
        (
            "one line\nsign-in here now\nand read more...\n3 items in cart here",
            "one line\nhere now\nand\n3 here",
        ),
        ("one line\nread more...\nlast line", "one line\nlast line"),
        (
            "this line has far more than ten tokens in it so it stays read more...",
            "this line has far more than ten tokens in it so it stays read more...",
        ),
    ],
)
def test_removes_and_edits_lines(text: str, left: str) -> None:
    """Capitals, digits, counters, single tokens and phrases; empty lines stay."""
    assert after(text) == left


def test_bounds_of_line_rules_can_be_moved_or_lifted() -> None:
    """Half capitals are kept, more are not; null lifts a rule; lines without spaces have no tokens."""
    assert after("AB cd ef\nABcd gh\nABCD e") == "AB cd ef\nABcd gh"
    assert after("one line\nBUY NOW", uppercase_lines=None) == "one line\nBUY NOW"
    assert after("one line\nonly two", short_lines=Bound(min=3)) == ""
    assert after("春天来了\n花开了", "zh") == "春天来了\n花开了"


def test_long_digit_runs_take_linear_time() -> None:
    """A line of a million digits that is no counter is decided at once."""
    assert len(after("one line\n" + "1," * 500_000 + " lik es")) > 1_000_000


def test_too_many_words_removed_drops_the_document() -> None:
    """More than a twentieth of the words gone is too much; exactly a twentieth is kept."""
    stage = Clean(presets=("refinedweb",))
    body = "a b c d e f g h i j k l m n o p q r s"
    out = stage.apply(rows(body + "\nWORD", body[:-2] + "\nWORD"))
    assert out.reasons.to_pylist() == [None, "rw.word_removal_ratio"]
    assert out.columns["word_removal_ratio"].to_pylist() == [1 / 20, 1 / 19]
    assert out.columns["short_lines"].to_pylist() == [0, 0]
    assert out.columns["uppercase_lines"].to_pylist() == [1, 1]


def test_refinedweb_thresholds_need_the_preset() -> None:
    """A bound that nothing would measure is an error that says what to add."""
    with pytest.raises(ValueError, match="add it to `presets`"):
        Clean(thresholds={"rw.short_lines": {"min": 3}})


def test_c4_rewrites_text_and_drops_by_what_is_left() -> None:
    """Lines go, a brace in a line that went does not count, one in a line that stayed does."""
    good = "This is the first good line here. It has two sentences.\nAnd this is the third sentence here."
    out = Clean(presets=("c4",)).apply(
        rows(
            "Menu\n" + good + "[1]",
            "function() { no end mark }\n" + good,
            good + "\nThis line with { stays to the end.",
            "Only one sentence in this document.",
            good + "\nLorem ipsum dolor sit amet, and so on.",
        )
    )
    assert out.columns["text"].to_pylist() == [good, good, None, None, None]
    assert out.reasons.to_pylist() == [None, None, "c4.curly_brace", "c4.min_sentences", "c4.lorem_ipsum"]
    assert out.columns["terminal_punct_lines"].to_pylist() == [1, 1, 0, 0, 0]
    assert out.columns["citations"].to_pylist() == [1, 0, 0, 0, 0]


def test_c4_is_measured_without_its_preset() -> None:
    """The counts are stored, the text stays; a rule switched off removes nothing."""
    out = Clean().apply(rows("Menu\nA line of five words."))
    assert out.columns["text"].to_pylist() == ["Menu\nA line of five words."]
    assert out.columns["terminal_punct_lines"].to_pylist() == [1]
    relaxed = Clean(thresholds={"c4.terminal_punct_lines": None}).apply(rows("Menu\nA line of five words."))
    assert relaxed.columns["terminal_punct_lines"].to_pylist() == [0]
    assert relaxed.columns["min_words_lines"].to_pylist() == [1]


def test_repeated_lines_lose_their_later_copies() -> None:
    """Equal but for case and outer white space; blank lines are never repetitions of one another."""
    texts, removed = without_repeated_lines(
        pa.array(["Home\n\ntext\n HOME \n\nmore", "a"], pa.large_string())
    )
    assert texts.to_pylist() == ["Home\n\ntext\n\nmore", "a"]
    assert removed.to_pylist() == [1, 0]
    assert Clean(page_dedup=True).apply(rows("a\nA\nb")).columns["page_dedup"].to_pylist() == [1]
