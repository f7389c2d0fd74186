"""The sample from end to end, as the README runs it: every planted record has its fate, and a model learns."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.explain import explain, render
from pipeline.runs import Run
from pipeline.stored import Stored
from stages.packed import Packed
from tests import results
from tests.command import HOME, gristmill
from trainer.order import Order

RECIPE = HOME / "sample_data" / "recipe.yaml"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the sample's recipe, training included."""
    folder = tmp_path_factory.mktemp("sample") / "work"
    gristmill("run", RECIPE, "--work", folder)
    return folder


@pytest.fixture(scope="module")
def edits() -> Iterator[Any]:
    """The generator's module that measures similarity."""
    sys.path.insert(0, str(HOME / "sample_data"))
    yield importlib.import_module("edits")
    sys.path.remove(str(HOME / "sample_data"))


def labels() -> list[dict[str, Any]]:
    """What the generator of the sample says of each record."""
    text = (HOME / "sample_data" / "corpus" / "labels.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_every_planted_record_has_its_fate(work: Path) -> None:
    """Kept, dropped by the labelled stage, or quarantined; records that are no documents make no row."""
    fates = {(row["file"], row["record"]): row["fate"] for row in results.documents(work)}
    wrong = []
    for label in labels():
        fate = fates.get((label["file"], label["record"]), "no_row")
        if label["fate"] != "either" and label.get("when") != "presets" and fate != label["fate"]:
            wrong.append((label["at"], label["kind"], label["fate"], fate))
    assert not wrong


def test_a_model_learns_more_than_how_often_tokens_occur(work: Path) -> None:
    """Within the recipe's 100 steps the loss falls below the unigram entropy of the tokens."""
    summary = json.loads((results.run_folder(work) / "train" / "summary.json").read_text())
    assert summary["steps"] == 100
    assert summary["train_loss_final"] < summary["unigram_entropy"] - 0.3
    assert summary["validation_loss"] < summary["unigram_entropy"]


def test_a_second_run_has_nothing_to_do(work: Path) -> None:
    """And says so."""
    assert gristmill("run", RECIPE, "--work", work).stdout.startswith("nothing to do")


def test_everything_of_the_sample_verifies(work: Path) -> None:
    """Digests, conservation, and rows decoded and compared with the documents."""
    assert "everything verifies" in gristmill("verify", "--packed", "--work", work).stdout


def test_explain_states_the_labelled_cause(work: Path) -> None:
    """Of one record of every kind and fate: the stage, the reason of damage, the item of a benchmark."""
    run = Run(results.run_folder(work))
    rows = {(row["file"], row["record"]): row for row in results.documents(work)}
    kinds: dict[tuple[str, str], dict[str, Any]] = {}
    for label in labels():
        if label["fate"] not in {"either", "no_row"} and label.get("when") != "presets":
            kinds.setdefault((label["kind"], label["fate"]), label)
    for label in kinds.values():
        found = explain(run, rows[label["file"], label["record"]]["doc_id"])
        assert found["fate"] == label["fate"], label
        assert found["reason"] == label.get("reason", found["reason"]), label
        assert bool(found["sentence"]) == (found["fate"] != "kept"), label
        if label["fate"] == "decontaminate":
            hits = {(hit["benchmark"], hit["item"]) for hit in found["evidence"]}
            assert (label["benchmark"], label["item"]) in hits, label
        assert found["fate"] in render(found)


def test_explain_names_the_survivor_of_every_planted_duplicate(work: Path, edits: Any) -> None:
    """It is kept, a copy of the same piece, and as similar as the stored texts of the two are."""
    run = Run(results.run_folder(work))
    rows = {row["doc_id"]: row for row in results.documents(work)}
    by_place = {(row["file"], row["record"]): row for row in rows.values()}
    known = {(label["file"], label["record"]): label for label in labels()}
    stored = Stored(run)
    order = {doc: place for place, doc in enumerate(stored.documents(["doc_id"])["doc_id"].to_pylist())}
    texts = stored.texts(order.values(), before="dedup")
    checked = 0
    for place, label in known.items():
        if label["fate"] != "dedup":
            continue
        found = explain(run, by_place[place]["doc_id"])
        survivor = rows[found["duplicate"]["survivor"]]
        other = known[survivor["file"], survivor["record"]]
        assert found["duplicate"]["fate"] != "dedup", label
        assert other["piece"] == label["piece"], label
        alike = edits.jaccard(texts[order[found["doc_id"]]], texts[order[survivor["doc_id"]]])
        assert found["duplicate"]["similarity"] == pytest.approx(alike, abs=1e-4), label
        checked += 1
    assert checked >= 20


def test_explain_names_the_steps_that_saw_a_document(work: Path) -> None:
    """As the trainer's order of rows has it."""
    run = Run(results.run_folder(work))
    kept = [row["doc_id"] for row in results.documents(work) if row["fate"] == "kept"]
    found = next(one for one in (explain(run, doc) for doc in kept) if one["trained"]["steps"])
    trained = found["trained"]
    assert trained["steps_done"] == 100
    assert f"trained on in {len(trained['steps'])} of 100 steps" in render(found)
    rows = {place["row_of_split"] for place in found["packed"] if place["split"] == "train"}
    config = json.loads((run.path / "train" / "config.json").read_text())
    manifest = Packed(run.path / "packed").manifest
    batch = max(1, config["batch_tokens"] // manifest.seq_len)
    order = Order(
        manifest.fingerprint, config["seed"], manifest.splits["train"].rows, batch, config["batch_ramp"]
    )
    assert trained["steps"] == [n + 1 for n in range(100) if rows & set(order.at(n)[0].tolist())]
