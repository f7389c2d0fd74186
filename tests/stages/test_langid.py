"""langid names languages, never invents one, and drops only by `keep` and `min_score`."""

import pyarrow as pa
import pytest

from stages.base import StageError
from stages.langid import Langid

ENGLISH = "The committee will meet again on Thursday to discuss the budget for the coming year."
GERMAN = "Der Ausschuss tritt am Donnerstag erneut zusammen, um über den Haushalt zu beraten."
CHINESE = "委员会将于星期四再次开会，讨论明年的预算。"
JAPANESE = "委員会は木曜日に再び集まり、来年の予算について話し合います。"
RUSSIAN = "Комитет снова соберётся в четверг, чтобы обсудить бюджет на следующий год."


def rows(*texts: str | None) -> pa.Table:
    """A part that holds these texts."""
    return pa.table(
        {"row": pa.array(range(len(texts)), pa.uint32()), "text": pa.array(texts, pa.large_string())}
    )


def test_names_languages_and_scripts() -> None:
    """Label, score and script of plain sentences."""
    columns = Langid().apply(rows(ENGLISH, GERMAN, CHINESE, JAPANESE, RUSSIAN)).columns
    assert columns["lang"].to_pylist() == ["en", "de", "zh", "ja", "ru"]
    assert columns["script"].to_pylist() == ["Latn", "Latn", "Hani", "Jpan", "Cyrl"]
    assert all(0.8 < score <= 1.0 for score in columns["lang_score"].to_pylist())


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        " \n\t",
        "0123 456.78",
        "😀👍🎉",
        "--- *** !!!",
        "```python\nfor x in range(3): print(x)\n```",
    ],
)
def test_no_language_is_invented(text: str | None) -> None:
    """What has no letters outside code fences is undetermined, with score 0 and no runners-up."""
    columns = Langid().apply(rows(text)).columns
    assert columns["lang"].to_pylist() == ["und"]
    assert columns["lang_score"].to_pylist() == [0.0]
    assert columns["lang_2"].to_pylist() == columns["lang_3_score"].to_pylist() == [None]


def test_code_in_fences_does_not_count() -> None:
    """A German page with English code is German."""
    code = "```\nreturn the first of the open files that have not been closed by the reader\n```\n"
    text = "Das Beispiel:\n" + code * 20 + "Das Programm schließt die Datei."
    assert Langid().apply(rows(text)).columns["lang"].to_pylist() == ["de"]


def test_a_line_feed_does_not_end_the_text() -> None:
    """FastText would stop at the first line feed; all of the text counts."""
    assert Langid().apply(rows("ok\n" + RUSSIAN)).columns["lang"].to_pylist() == ["ru"]


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("届出者数は26％増の51万5168人。", "ja"),
        ("传统中医治高血压必须辨证论治。", "zh"),
        (GERMAN + "カ", "de"),
    ],
)
def test_a_guess_that_fits_the_script_goes_first(text: str, lang: str) -> None:
    """The model takes the first for Chinese and the second for Japanese; one kana makes no Japanese."""
    assert Langid().apply(rows(text)).columns["lang"].to_pylist() == [lang]


def test_keeps_everything_by_default() -> None:
    """Without `keep` and `min_score` nothing is dropped, not even what has no language."""
    assert Langid().apply(rows(ENGLISH, "", "123")).reasons.null_count == 3


def test_keep_drops_other_languages() -> None:
    """Reasons tell another language from none; `und` may be kept by name."""
    part = rows(ENGLISH, GERMAN, "123")
    assert Langid(keep=("en",)).apply(part).reasons.to_pylist() == [None, "lid.language", "lid.empty"]
    assert Langid(keep=("de", "und")).apply(part).reasons.to_pylist() == ["lid.language", None, None]


def test_min_score_by_language() -> None:
    """A score below the language's own bound drops; equality keeps."""
    part = rows(ENGLISH, GERMAN)
    score = Langid().apply(part).columns["lang_score"].to_pylist()[0]
    assert Langid(min_score={"en": score}).apply(part).reasons.to_pylist() == [None, None]
    assert Langid(min_score={"en": 1.0, "de": 0.2}).apply(part).reasons.to_pylist() == ["lid.score", None]
    assert Langid(min_score={"default": 1.0, "en": 0.2}).apply(part).reasons.to_pylist() == [
        None,
        "lid.score",
    ]


def test_short_texts_are_not_judged_by_score() -> None:
    """Below twenty letters scores mean nothing (RULES 9.2), unless the recipe says otherwise."""
    part = rows("kein Wort mehr")
    assert Langid(min_score=1.0).apply(part).reasons.to_pylist() == [None]
    assert Langid(min_score=1.0, short=0).apply(part).reasons.to_pylist() == ["lid.score"]


def test_a_file_that_is_no_model_is_named(tmp_path: pytest.TempPathFactory) -> None:
    """The error names the file and the key to change."""
    with pytest.raises(StageError, match=r"nothing\.bin.*`model`"):
        Langid(model=f"{tmp_path}/nothing.bin").apply(rows(ENGLISH))


def test_the_model_is_known_by_content_not_by_place() -> None:
    """`model` stays out of the identity: the digest of the file decides."""
    assert Langid(model="a.bin").identity() == Langid(model="b/a.bin").identity()
    assert Langid(model="a.bin").files() == {"model": ("a.bin",)}


def test_columns_are_as_declared() -> None:
    """All declared columns and no others, of the declared types, for any number of rows."""
    for part in (rows(), rows(None), rows(ENGLISH, "")):
        columns = Langid().apply(part).columns
        assert {name: column.type for name, column in columns.items()} == dict(Langid.writes)
