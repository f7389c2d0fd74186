"""langid names languages, never invents one, and drops only by `keep` and `min_score`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.base import StageError
from stages.langid import Guess, Langid, _language, bundled_model

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


CASES = json.loads((Path(__file__).parent / "cases" / "langid.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_language_is_named_where_there_is_one(case: dict[str, str]) -> None:
    """And none is invented: no letters outside code fences, no language, score 0, no guesses."""
    columns = Langid().apply(rows(case["text"])).columns
    assert columns["lang"].to_pylist() == [case["lang"]]
    if case["lang"] == "und":
        assert columns["lang_score"].to_pylist() == [0.0]
        assert [columns[f"lang_{rank}"].to_pylist() for rank in (1, 2, 3)] == [[None]] * 3
        assert columns["lang_3_score"].to_pylist() == [None]


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


def test_below_min_score_the_language_is_undetermined() -> None:
    """What the model guessed stays in `lang_1` and `lang_score`; `keep` may name `und`."""
    part = rows(ENGLISH, GERMAN)
    raw = Langid().apply(part).columns
    out = Langid(min_score={"en": 1.0}).apply(part)
    assert out.columns["lang"].to_pylist() == ["und", "de"]
    assert out.columns["lang_1"].to_pylist() == ["en", "de"]
    assert out.columns["lang_score"] == raw["lang_score"]
    assert out.tallies == {"und": 1}
    assert Langid(min_score={"en": 1.0}, keep=("de", "und")).apply(part).reasons.null_count == 2
    assert Langid(min_score={"en": 1.0}, keep=("de",)).apply(part).reasons.to_pylist() == [
        "lid.language",
        None,
    ]
    assert Langid(min_score={"en": 1.0}, keep=("en",)).apply(part).reasons.to_pylist() == [
        "lid.score",
        "lid.language",
    ]


@pytest.mark.parametrize(
    ("guesses", "keys", "expected"),
    [
        ([("de", 0.6), ("en", 0.3)], {"keep": ("en",), "min_score": 0.2}, ("de", "lid.language")),
        (
            [("de", 0.6), ("en", 0.3)],
            {"keep": ("en",), "min_score": 0.2, "policy": "any_listed"},
            ("de", None),
        ),
        (
            [("de", 0.6), ("en", 0.25)],
            {"keep": ("en",), "min_score": 0.25, "policy": "any_listed"},
            ("de", "lid.score"),
        ),
        ([("en", 0.25)], {"keep": ("en",), "min_score": 0.25, "policy": "any_listed"}, ("en", "lid.score")),
        ([("en", 0.25)], {"keep": ("en",), "min_score": 0.25}, ("en", None)),
        ([("de", 0.6)], {"keep": ("en",), "policy": "any_listed"}, ("de", "lid.language")),
        ([("de", 0.6), ("en", 0.5)], {"min_score": {"de": 0.7}, "policy": "any_listed"}, ("und", None)),
        ([("de", 0.6), ("en", 0.5)], {"min_score": {"de": 0.7}}, ("und", "lid.score")),
        ([], {"keep": ("en",), "min_score": 0.9, "short": 0}, ("und", "lid.empty")),
        ([], {"min_score": 0.9, "short": 0}, ("und", None)),
    ],
)
def test_who_is_listed_and_likely_enough_stays(
    guesses: list[tuple[str, float]], keys: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    """The likeliest language at or above its bound; or any listed one above it (RULES 9.2)."""
    found = [Guess(*guess) for guess in guesses]
    assert Langid(**keys)._decide(found, 100 if guesses else 0) == expected


def test_a_language_that_the_model_does_not_know_is_an_error() -> None:
    """`jp` is no language code; it would drop all Japanese without a word."""
    with pytest.raises(StageError, match=r"keep names jp, but lid\.176\.ftz knows no such language"):
        Langid(keep=("jp", "und")).apply(rows(ENGLISH))


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("__label__en", "en"),
        ("__label__deu_Latn", "deu_Latn"),
        ("__label__und_Mong", "und"),
        ("__label__zxx_Zzzz", "und"),
    ],
)
def test_labels_of_no_language_are_undetermined(label: str, language: str) -> None:
    """GlotLID has labels for what is no language (RULES 9.1)."""
    assert _language(label) == language


def test_short_texts_are_not_judged_by_score() -> None:
    """Below twenty letters scores mean nothing (RULES 9.2), unless the recipe says otherwise."""
    part = rows("kein Wort mehr")
    kept = Langid(min_score=1.0).apply(part)
    assert kept.reasons.to_pylist() == [None]
    assert kept.columns["lang"] == kept.columns["lang_1"]
    assert Langid(min_score=1.0, short=0).apply(part).reasons.to_pylist() == ["lid.score"]


def test_a_file_that_is_no_model_is_named(tmp_path: pytest.TempPathFactory) -> None:
    """The error names the file and the key to change."""
    with pytest.raises(StageError, match=r"nothing\.bin.*`model`"):
        Langid(model=f"{tmp_path}/nothing.bin").apply(rows(ENGLISH))


def test_a_model_that_changed_is_read_again(tmp_path: Path) -> None:
    """A worker lives longer than the content of a file: the size alone, or the time alone, tells."""
    path = tmp_path / "model.ftz"
    path.write_bytes(Path(bundled_model()).read_bytes())
    stage = Langid(model=str(path))
    assert stage.apply(rows(ENGLISH)).columns["lang"].to_pylist() == ["en"]
    written = path.stat().st_mtime_ns
    path.write_bytes(b"no model")
    os.utime(path, ns=(written, written))
    with pytest.raises(StageError, match="is not a fastText model"):
        stage.apply(rows(ENGLISH))


def test_the_model_is_known_by_content_not_by_place() -> None:
    """`model` stays out of the identity: the digest of the file decides."""
    assert Langid(model="a.bin").identity() == Langid(model="b/a.bin").identity()
    assert Langid(model="a.bin").files() == {"model": ("a.bin",)}


def test_columns_are_as_declared() -> None:
    """All declared columns and no others, of the declared types, for any number of rows."""
    for part in (rows(), rows(None), rows(ENGLISH, "")):
        columns = Langid().apply(part).columns
        assert {name: column.type for name, column in columns.items()} == dict(Langid.writes)
