"""A wrong recipe is refused before anything runs: every complaint at once, with its line and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.errors import RecipeError
from tests import corpus


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recipe that is right."""
    return corpus.write(tmp_path)


def complaints(path: Path, *settings: str) -> list[str]:
    """What is said of a recipe."""
    with pytest.raises(RecipeError) as caught:
        recipe.read(path, settings)
    assert caught.value.exit_code == 2
    return caught.value.complaints


def edit(path: Path, old: str, new: str) -> Path:
    """Replaces text in the recipe."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_right_recipe_becomes_stages_in_its_order(path: Path) -> None:
    """The words are the stages; seeds and source names are filled in."""
    read = recipe.read(path)
    words = [stage.word() for stage in read.stages]
    assert words == ["load", "clean", "langid", "dedup", "decontaminate", "mix", "tokenize", "pack"]
    assert read.stages[3].model_dump()["sources"] == ("books", "web", "forum")
    assert read.stages[5].model_dump()["seed"] == 3


def test_an_unknown_stage_is_named_with_line_and_nearest(path: Path) -> None:
    """`dedupe:` is taken for `dedup`."""
    said = complaints(edit(path, "dedup:", "dedupe:"))
    assert said == [f"{path}:12: unknown key 'dedupe'; did you mean 'dedup'?"]


def test_an_unknown_parameter_is_named_with_line_and_nearest(path: Path) -> None:
    """Keys inside a stage, at any depth."""
    edit(path, "threshold: 0.75", "treshold: 0.75")
    edit(path, "vocab_size", "vocabsize")
    said = complaints(path)
    assert f"{path}:12: unknown key 'dedup.treshold'; did you mean 'threshold'?" in said
    assert any("tokenize.train" in line and "vocab_size" in line for line in said)


def test_all_complaints_come_at_once(path: Path) -> None:
    """Three mistakes, three complaints."""
    edit(path, "seq_len: 64", "seq_len: many")
    edit(
        path,
        "{temperature: 0.7, tokens: 30000, max_epochs: 4}",
        "{temprature: 0.7, tokens: 30000, max_epochs: 4}",
    )
    edit(path, "seed: 3", "seed: three")
    said = complaints(path)
    assert len(said) == 3
    assert {line.split(":")[1] for line in said} == {"2", "15", "17"}


def test_a_missing_source_file_is_named(path: Path) -> None:
    """The pattern that matches nothing stands in the complaint, with its line."""
    said = complaints(edit(path, "web.jsonl.gz", "wbe.jsonl.gz"))
    assert len(said) == 1
    assert said[0].startswith(f"{path}:6: ")
    assert "wbe.jsonl.gz" in said[0]


def test_a_missing_tokenizer_is_named(path: Path) -> None:
    """A tokenizer that is no file is refused before anything runs."""
    said = complaints(edit(path, "{train: {kind: bpe, vocab_size: 600}}", "{file: gpt2}"))
    assert len(said) == 1
    assert said[0].startswith(f"{path}:16: ")
    assert "gpt2" in said[0]


def test_a_missing_benchmark_is_named(path: Path) -> None:
    """The nearest file of the folder is proposed."""
    said = complaints(edit(path, "[riddles.jsonl]", "[ridles.jsonl]"))
    assert len(said) == 1
    assert "did you mean 'riddles.jsonl'" in said[0]


def test_a_mixture_that_no_file_can_fill_is_refused(path: Path) -> None:
    """A budget beyond what the files can hold is seen before anything runs."""
    said = complaints(
        edit(
            path,
            "{temperature: 0.7, tokens: 30000, max_epochs: 4}",
            "{temperature: 0.7, tokens: 900000000000, max_epochs: 4}",
        )
    )
    assert len(said) == 1
    assert said[0].startswith(f"{path}:15: ")


def test_a_weight_for_an_unknown_source_is_refused(path: Path) -> None:
    """The nearest source is proposed."""
    said = complaints(
        edit(path, "{temperature: 0.7, tokens: 30000, max_epochs: 4}", "{weights: {bokos: 0.5, web: 0.5}}")
    )
    assert any("bokos" in line and "books" in line for line in said)


def test_stages_in_an_impossible_order_are_refused(path: Path) -> None:
    """Pack before tokenize lacks its columns, and the complaint says what to put before it."""
    text = path.read_text()
    path.write_text(text.replace("tokenize: {train: {kind: bpe, vocab_size: 600}}\n", ""))
    assert any("put tokenize: before it" in line for line in complaints(path))


def test_a_recipe_without_load_is_refused(tmp_path: Path) -> None:
    """The first stage names the sources."""
    (tmp_path / "r.yaml").write_text("clean:\n")
    assert "load" in complaints(tmp_path / "r.yaml")[0]


@pytest.mark.parametrize("text", ["", "- a\n", "load: [", "a: 1\na: 2\n", "load: {sources: [{name: *x}]}"])
def test_what_is_no_recipe_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """Broken YAML, lists, doubled keys, dangling aliases."""
    (tmp_path / "r.yaml").write_text(text)
    assert complaints(tmp_path / "r.yaml")[0].startswith(f"{tmp_path / 'r.yaml'}:")


def test_norwegian_stays_norwegian(path: Path) -> None:
    """YAML 1.2: `no` is a language, not a truth value."""
    read = recipe.read(path, ["langid.keep=[no, en]"])
    assert read.stages[2].model_dump()["keep"] == ("no", "en")


def test_a_setting_overrides_a_key(path: Path) -> None:
    """--set reaches keys inside stages that stand empty, and is named when it is wrong."""
    assert recipe.read(path, ["dedup.threshold=0.5"]).stages[3].model_dump()["threshold"] == 0.5
    assert recipe.read(path, ["clean.max_drop=0.5"]).stages[1].max_drop == 0.5
    assert complaints(path, "dedup.treshold=0.5")[0].startswith("--set dedup.treshold: ")
    assert "expected KEY" in complaints(path, "dedup")[0]


def test_the_trainer_checks_its_own_keys(path: Path) -> None:
    """A typo under train: has its line and the nearest key."""
    path.write_text(path.read_text() + "train:\n  layers: 2\n  widht: 64\n")
    said = complaints(path)
    assert len(said) == 1
    assert said[0].startswith(f"{path}:20: train.widht")
    assert "width" in said[0]
