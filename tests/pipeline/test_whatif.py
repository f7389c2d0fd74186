"""whatif says what a real run with that value would keep, and computes no more than it must."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.errors import Alarm, RecipeError
from pipeline.runs import Run
from pipeline.whatif import render, split, whatif
from tests import corpus
from tests.command import gristmill
from tests.pipeline.conftest import Pair, perform

RECIPE = """\
load:
  sources: [{name: books, paths: [books.jsonl]}, {name: web, paths: [web.jsonl]}, {name: forum, paths: [forum.jsonl]}]
  part_bytes: 20000
  metadata: {stars: number}
  max_quarantine: 0.05
clean:
  {thresholds: {gopher.words: {min: 25}, c4.badwords: {max: 4}}, scores: {stars: {min: 1}}, pii: tag, block: {all: [words.txt]}}
langid:
quality: {train: {paths: [labels.jsonl]}}
tokenize: {file: tokenizer.json}
dedup: {threshold: 0.75}
decontaminate:
  benchmarks: [{name: riddles, paths: [riddles.jsonl], question: question, answer: answer}]
  suspect_frequency: 1
mix: {temperature: 0.7, tokens: 30000, max_epochs: 4, on_shortfall: scale}
"""
"""Tokens are counted before anything that depends on a corpus drops, with a vocabulary that stays."""


@pytest.fixture(scope="module")
def recipe(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose every stage has something to measure, and that ran once."""
    folder = tmp_path_factory.mktemp("whatif")
    corpus.write(folder)
    draw = random.Random(5)
    begun = corpus.QUESTION.split()
    for source, rows in corpus.records().items():
        rows += [
            {"id": f"{source}-pii", "text": f"{rows[0]['text']} Write to someone@example.org for {source}."}
        ]
        for count in (9, 15, 22):
            text = f"{corpus.document(draw)} {' '.join(begun[:count])} {corpus.document(draw)}"
            rows.append({"id": f"{source}-{count}", "text": text})
        lines = [json.dumps({**row, "stars": draw.randint(0, 6)}) for row in rows]
        (folder / f"{source}.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copy(pair.first.path / "packed" / "tokenizer.json", folder)
    (folder / "words.txt").write_text("replaced\nsomeone\nfor\ntinker\nmends\n")
    labelled = [
        {"text": row["text"], "label": int("ka" in row["text"][:60])}
        for row in corpus.records(1)["books"] + corpus.records(1)["web"]
    ]
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    path = folder / "recipe.yaml"
    path.write_text(RECIPE)
    perform(path)
    return path


def rerun(recipe: Path, *settings: str, last: str) -> Run:
    """A real run as far as a stage; the report, most of its time, says nothing that is compared here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.report.write", lambda *_: None)
        return perform(recipe, *settings, last=last)


def counted(run: Run, word: str) -> dict[str, tuple[int, int]]:
    """Source -> documents and tokens that a stage of a run let live, tokens as often as a mixture repeats them."""
    words = [entry["stage"] for entry in run.record()["stages"]]
    later = {"kept", *words[words.index(word) + 1 :]}
    table = pq.ParquetDataset(sorted((run.path / "documents").glob("*.parquet"))).read().to_pylist()
    found: dict[str, tuple[int, int]] = {row["source"]: (0, 0) for row in table}
    for row in (row for row in table if row["fate"] in later):
        documents, tokens = found[row["source"]]
        times = row["repeats"] if word == "mix" else 1
        found[row["source"]] = documents + 1, tokens + row["tokens"] * times
    return found


def of_stage(run: Run, word: str) -> dict[str, Any]:
    """What run.json says of a stage."""
    return next(entry for entry in run.record()["stages"] if entry["stage"] == word)


def same(value: dict[str, Any], run: Run, word: str) -> None:
    """An answer has the documents, tokens, bytes and reasons of a run, source by source."""
    entry = of_stage(run, word)
    assert value["dropped"] == entry["dropped"]
    said = {source: (one["kept"], one["tokens"]) for source, one in value["by_source"].items()}
    assert said == counted(run, word)
    assert not value["estimated"]
    for source, book in entry["by_source"].items():
        assert value["by_source"][source]["in"] == book["in"]
        assert value["by_source"][source]["bytes"] == book["bytes"]
    assert value["tokens"] == sum(one["tokens"] for one in value["by_source"].values())


MEASURED = [
    ("clean.gopher.words.min", "30,60,120"),
    ("clean.gopher.words.max", "200,120.5,40"),
    ("clean.gopher.mean_word_length.max", "5.25,4.8,4.5"),
    ("clean.gopher_rep.top_2_gram.max", "0.35,0.45,0.55"),
    ("clean.thresholds", "{gopher.words: {min: 40}},{c4.badwords: {max: 2}},{c4.badwords: {max: 0}}"),
    ("clean.presets", "[gopher],[fineweb],[fineweb, gopher]"),
    ("clean.pii", "drop,tag"),
    ("clean.scores.stars.min", "2,3,5"),
    ("clean.scores", "{stars: {max: 5}},{stars: {min: 2, max: 4}},{}"),
    ("quality.threshold", "0.006,0.009,0.02"),
    ("quality.pareto", "1,3,9"),
    ("quality.seed", "1,2"),
]
"""Every kind of threshold whose measurement is a column that the stage can judge from."""


@pytest.mark.parametrize(("key", "values"), MEASURED)
def test_thresholds_are_judged_from_measurements(recipe: Path, key: str, values: str) -> None:
    """Every value equals a real run; nothing is computed; the values do not all say the same."""
    word = key.partition(".")[0]
    found = whatif(recipe, f"{key}={values}")
    assert (found["how"], found["why"]) == ("measurements", None)
    for value in found["values"]:
        rule = key.removeprefix("clean.")
        setting = f"{key}={value['value']}"
        if rule.startswith("gopher"):
            rule, _, side = rule.rpartition(".")
            bounds: dict[str, dict[str, float]] = {"gopher.words": {"min": 25}, "c4.badwords": {"max": 4}}
            bounds[rule] = {**bounds.get(rule, {}), side: float(value["value"])}
            setting = f"clean.thresholds={json.dumps(bounds)}"
        run = rerun(recipe, setting, f"{word}.max_drop=1.0", "langid.max_drop=1.0", last="tokenize")
        assert value["made"] == 0
        if key in {"clean.thresholds", "clean.scores"}:  # looser than what ran: nobody counted those tokens
            assert value["dropped"] == of_stage(run, word)["dropped"]
        else:
            same(value, run, word)
        assert all(rule["alone"] <= rule["fails"] for rule in value.get("rules", ()))
    if key != "quality.seed":
        assert len({value["kept"] for value in found["values"]}) > 1


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("langid.min_score", "0.3,0.8,0.97"),
        ("langid.keep", "[it],[pt],[it, pt]"),
        ("dedup.threshold", "0.97,0.75,0.5"),
        ("dedup.ngram", "3,5,14"),
        ("decontaminate.n", "8,13,20"),
        ("decontaminate.suspect_coverage", "0.3,0.5,0.8"),
        ("decontaminate.coverage", "0.2,0.5,0.9"),
        ("decontaminate.min_distinct_words", "1,8,14"),
        ("decontaminate.max_document_frequency", "1,3,10"),
        ("mix.max_epochs", "1,1.5,2"),
        ("mix.temperature", "0,0.5,1"),
        ("mix.tokens", "9000,12000,20000"),
    ],
)
def test_other_stages_equal_real_runs(recipe: Path, key: str, values: str) -> None:
    """Three values each; it says that the stage had to decide again, and what it computed is there for a run."""
    word = key.partition(".")[0]
    found = whatif(recipe, f"{key}={values}")
    assert found["how"] == "flow"
    assert found["why"] == f"{word} decides from more than the columns that it stores"
    assert f"{word} was asked again" in render(found)
    for value in found["values"]:
        last = "tokenize" if word == "langid" else word
        run = rerun(recipe, f"{key}={value['value']}", f"{word}.max_drop=1.0", last=last)
        same(value, run, word)
        assert of_stage(run, word)["made"][0] == 0
    assert len({(value["kept"], value["tokens"]) for value in found["values"]}) > 1


def test_thresholds_of_dedup_reuse_the_signatures(pair: Pair) -> None:
    """Values that ran already cost nothing; of another one only verdicts are made."""
    found = whatif(pair.recipe, "dedup.threshold=0.75,0.97,0.5")
    for value, run in zip(found["values"], pair[1:], strict=False):
        assert value["dropped"] == of_stage(run, "dedup")["dropped"]
        assert value["made"] == 0
    everything = of_stage(pair.first, "dedup")["made"][1]
    assert 0 < found["values"][2]["made"] < everything / 2


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("clean.repair=false", "repair of clean decides what is measured"),
        ("clean.presets=[c4]", "presets of clean decides what is measured"),
        ("clean.pii=mask", "pii of clean decides what is measured"),
        ("clean.block={all: [labels.jsonl]}", "block.all of clean decides what is measured"),
        ("quality.characters=100", "characters of quality decides what is measured"),
    ],
)
def test_what_decides_measurements_is_not_judged_from_them(recipe: Path, setting: str, why: str) -> None:
    """The stage is run, and the answer says why; it equals a real run."""
    found = whatif(recipe, setting)
    assert found["how"] == "flow"
    assert found["why"].startswith(why)
    assert found["values"][0]["made"] > 0
    word, _, _ = setting.partition(".")
    run = rerun(recipe, setting, f"{word}.max_drop=1.0", last=word)
    assert found["values"][0]["dropped"] == of_stage(run, word)["dropped"]
    assert of_stage(run, word)["made"][0] == 0


def test_a_recipe_that_never_ran_is_run_as_far_as_needed(tmp_path: Path) -> None:
    """Without a run there is nothing to read: it says so, and has no tokens to offer."""
    found = whatif(corpus.write(tmp_path), "clean.gopher.words.min=20,60")
    assert found["why"] == "no finished run gave clean the documents that recipe.yaml gives it"
    assert found["values"][0]["made"] > 0
    assert found["values"][0]["tokens"] is None
    assert found["values"][0]["kept"] > found["values"][1]["kept"]


def test_the_first_stage_is_asked_again(pair: Pair) -> None:
    """What load read says nothing of other parameters; no tokens are made up for it."""
    found = whatif(pair.recipe, "load.max_quarantine=0.1")
    assert found["why"].startswith("load stores nothing")
    assert found["values"][0]["tokens"] is None
    assert "≈" not in render(found)


def test_measurements_of_another_version_do_not_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that measures otherwise now is run again."""
    from stages.clean import Clean

    monkeypatch.setattr(Clean, "version", Clean.version + 1)
    found = whatif(pair.recipe, "clean.gopher.words.min=20")
    assert "another version of clean" in found["why"]


def test_tokens_that_nobody_counted_are_estimated(pair: Pair) -> None:
    """Of documents that a later stage dropped only bytes are known: marked, and near what they would be."""
    (value,) = whatif(pair.recipe, "clean.gopher.words.min=20")["values"]
    assert value["estimated"]
    assert render(whatif(pair.recipe, "clean.gopher.words.min=20")).count("≈") == 1
    report = json.loads((pair.first.path / "report.json").read_text())
    clean = next(entry for entry in report["stages"] if entry["stage"] == "clean")
    rate = report["stages"][-2]["tokens"] / report["stages"][-2]["bytes"]
    assert value["tokens"] == pytest.approx(clean["bytes"] * rate, rel=0.25)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dedupe.threshold=0.5", "did you mean 'dedup'"),
        ("dedup.threshold", "STAGE.PARAMETER=VALUE.*say which values of dedup.threshold"),
        ("dedup.threshold=", "say which values of dedup.threshold"),
        ("dedup=1", "say which parameter of dedup"),
        ("quality.threshold=0.5", "the recipe has no stage 'quality'"),
        ("dedup.treshold=0.5", "did you mean 'threshold'"),
        ("dedup.threshold=much", "valid number"),
        ("clean.gopher.words.min=many", "expected a number"),
        ("dedup.threshold=0.5,1.5", "^dedup.threshold: .*less than or equal to 1"),
        ("clean.gopher.word.min=30", "did you mean 'gopher.words'"),
        ("clean.words.min=30", "did you mean .*clean.gopher.words.min"),
        ("clean.gopher.words=30", "clean.gopher.words.min=VALUE or"),
        ("gopher.words.min=30", "this rule is clean's: clean.gopher.words.min"),
        ("langid.keep=en", r"expected a list, such as \[en\]"),
    ],
)
def test_a_wrong_setting_is_explained(pair: Pair, setting: str, words: str) -> None:
    """Nearest names and the shape that was expected."""
    with pytest.raises(RecipeError, match=words):
        whatif(pair.recipe, setting)


def test_values_that_would_stop_a_run_are_named(recipe: Path) -> None:
    """The drop alarm of a run that loses a source is told beforehand."""
    found = whatif(recipe, "clean.gopher.words.min=30,5000")
    assert [value["alarm"] for value in found["values"]] == [[], ["books", "forum", "web"]]
    assert "with 5000 a run would stop: books, forum, web" in render(found)
    with pytest.raises(Alarm):
        perform(recipe, "clean.thresholds={gopher.words: {min: 5000}}", last="clean")


def test_values_are_split_outside_brackets() -> None:
    """Commas of lists and mappings belong to the value."""
    assert split("0.7, 0.8") == ["0.7", "0.8"]
    assert split("[a, b],[c]") == ["[a, b]", "[c]"]
    assert split("{a: 1, b: 2},3") == ["{a: 1, b: 2}", "3"]
    assert split("{a: {min: 1, max: 2}, b: [1, 2]},{}") == ["{a: {min: 1, max: 2}, b: [1, 2]}", "{}"]


def test_the_verb_prints_a_column_a_value(pair: Pair) -> None:
    """A table, or JSON; what comes after the stage is named."""
    found = json.loads(
        gristmill(
            "whatif", pair.recipe, "clean.gopher.words.min=20,60", "--executor", "serial", "--json"
        ).stdout
    )
    text = render(found)
    assert text.splitlines()[0].split() == ["clean.gopher.words.min", "20", "60"]
    assert "nothing was computed" in text
    assert "not replayed: langid, dedup" in text
