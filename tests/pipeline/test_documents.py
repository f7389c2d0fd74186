"""Every record is in the documents table, with its fate; the funnel, the report and the table agree."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import documents
from tests import corpus
from tests.command import gristmill


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the small recipe."""
    path = corpus.write(tmp_path_factory.mktemp("documents"))
    gristmill("run", path, "--executor", "serial")
    return path.parent / "work"


@pytest.fixture(scope="module")
def rows(work: Path) -> list[dict[str, object]]:
    """The documents table."""
    folder = Path(gristmill("documents", "--work", work).stdout.strip()).parent
    return pq.ParquetDataset(sorted(folder.glob("*.parquet"))).read().to_pylist()  # type: ignore[no-any-return]


def test_every_record_is_there_once(rows: list[dict[str, object]]) -> None:
    """Good and bad records of all sources, by file and position."""
    planted = sum(len(found) for found in corpus.records().values())
    assert len(rows) == planted + 1
    assert len({row["doc_id"] for row in rows}) == len(rows)
    assert len({(row["source"], row["file"], row["record"]) for row in rows}) == len(rows)


def test_a_bad_record_is_quarantined_with_its_place(rows: list[dict[str, object]], work: Path) -> None:
    """Line 5 of books.jsonl is no JSON; `gristmill quarantine` shows how it begins."""
    bad = [row for row in rows if row["fate"] == "quarantined"]
    assert [(row["file"], row["record"]) for row in bad] == [("books.jsonl", 5)]
    said = gristmill("quarantine", "--work", work).stdout
    assert "books.jsonl, record 5: bad_json" in said
    assert '"id": "bad"' in said.replace("\\", "")


def test_planted_documents_have_their_fate(rows: list[dict[str, object]]) -> None:
    """One of each pair of copies is dropped, near ones too, and the contaminated one is."""
    fates = {str(row["orig_id"]): row for row in rows}
    ids = {row["doc_id"]: str(row["orig_id"]) for row in rows}
    for number in range(0, 30, 3):
        pair = [fates[f"plain-{number}"], fates[f"copy-of-{number}"]]
        dropped = [row for row in pair if row["fate"] == "dedup"]
        assert len(dropped) == 1
        assert dropped[0]["reason"] == "exact"
        assert dropped[0]["similarity"] == 1.0
        assert ids[dropped[0]["duplicate_of"]] in {f"plain-{number}", f"copy-of-{number}"}
    near = [str(name).removeprefix("near-") for name in fates if str(name).startswith("near-")]
    assert len(near) == 5
    for number in near:
        assert {fates[f"plain-{number}"]["fate"], fates[f"near-{number}"]["fate"]} == {"kept", "dedup"}
    assert fates["contaminated"]["fate"] == "decontaminate"
    hits = fates["contaminated"]["contamination"]
    assert isinstance(hits, list)
    assert hits[0]["item"] == "r1"


def test_every_stages_measurements_are_columns(tmp_path: Path) -> None:
    """The score of quality is there to filter by, null where no score was given; every recipe has all columns."""
    (tmp_path / "labels.jsonl").write_text(
        "".join(
            json.dumps({"text": f"{word} {n}", "label": int(word == "good")}) + "\n"
            for n in range(9)
            for word in ("good", "bad")
        )
    )
    texts = [f"good {n}" for n in range(20)] + [f"bad {n}" for n in range(20)] + [""]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    stages = {
        "scored": "clean:\nquality: {train: {paths: [labels.jsonl]}, threshold: 0.5}\n",
        "plain": "dedup:\n",
    }
    found = {}
    for name, rest in stages.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"load: {{sources: [{{name: docs, paths: [docs.jsonl]}}]}}\n{rest}")
        gristmill("run", path, "--executor", "serial", "--work", tmp_path / name)
        folder = Path(gristmill("documents", "--work", tmp_path / name).stdout.strip()).parent
        found[name] = pq.ParquetDataset(sorted(folder.glob("*.parquet"))).read()
    assert found["scored"].schema == found["plain"].schema
    rows = found["scored"].to_pylist()
    assert {(row["fate"], row["quality"] is None) for row in rows} == {
        ("kept", False),
        ("quality", False),
        ("clean", True),
    }
    assert all(
        (row["quality"] >= 0.5) == (row["fate"] == "kept") for row in rows if row["quality"] is not None
    )
    assert found["plain"].column("quality").null_count == len(texts)
    names = found["plain"].schema.names
    assert {"mix_group", "passages_removed", "scores", "banned", "script", "lang_2_score"} <= set(names)
    assert not {"text", "signature", "split_at"} & set(names)
    assert set(names) <= set(documents.meanings())


def test_the_report_says_what_the_table_says(rows: list[dict[str, object]], work: Path) -> None:
    """Kept, dropped by stage and reason, and quarantined are the same numbers."""
    run = Path(gristmill("report", "--work", work).stdout.strip()).parent
    report = json.loads((run / "report.json").read_text())
    fates = Counter((row["fate"], row["reason"]) for row in rows)
    for stage in report["stages"]:
        for reason, count in stage["dropped"].items():
            assert fates[stage["stage"], reason] == count
    assert report["stages"][0]["in"] == len(rows)
    assert report["stages"][0]["quarantined"] == 1
    assert report["stages"][-1]["alive"] == fates["kept", None]
    for before, after in zip(report["stages"], report["stages"][1:], strict=False):
        assert before["alive"] == after["in"]


def test_shards_hold_what_was_kept(rows: list[dict[str, object]], work: Path) -> None:
    """Every kept document is in training as often as it is repeated, or once in validation; no other is."""
    from stages.packed import Packed

    run = Path(gristmill("report", "--work", work).stdout.strip()).parent
    packed = Packed(run / "packed")
    found: dict[str, Counter[str]] = {}
    for name in packed.manifest.splits:
        split = packed.split(name)
        segments = split.segments(range(len(split)))
        starts = zip(segments.doc.tolist(), segments.start.tolist(), strict=True)
        found[name] = Counter(bytes(doc).hex() for doc, start in starts if start == 0)
    expected = {str(row["doc_id"]): row["repeats"] for row in rows if row["fate"] == "kept"}
    assert set(found["train"]) | set(found["validation"]) == set(expected)
    assert not set(found["train"]) & set(found["validation"])
    assert found["train"] == Counter({doc: expected[doc] for doc in found["train"]})
    assert set(found["validation"].values()) == {1}


def test_everything_verifies(work: Path) -> None:
    """`verify --packed` decodes rows and compares them with the documents."""
    assert "everything verifies" in gristmill("verify", "--packed", "--work", work).stdout


def test_status_shows_funnel_and_ledger(work: Path) -> None:
    """State, stages and sources."""
    said = gristmill("status", "--work", work).stdout
    assert "done" in said
    assert "decontaminate" in said
    record = json.loads(gristmill("status", "--json", "--work", work).stdout)
    assert record["state"] == "done"


def test_an_unknown_run_is_named(work: Path) -> None:
    """Usage errors exit 2."""
    assert "no run 'nope'" in gristmill("status", "nope", "--work", work, expect=2).stderr


def test_the_schema_names_every_stage() -> None:
    """`gristmill schema` is a JSON schema of the recipe; of one stage with its columns and reasons."""
    whole = json.loads(gristmill("schema").stdout)
    assert {"load", "clean", "langid", "dedup", "decontaminate", "mix", "tokenize", "pack", "train"} <= set(
        whole["properties"]
    )
    assert "near" in json.loads(gristmill("schema", "dedup").stdout)["x-reasons"]
    assert "did you mean 'dedup'" in gristmill("schema", "dedupe", expect=2).stderr


def test_a_file_whose_name_is_not_utf_8_is_read(tmp_path: Path) -> None:
    """Its name is shown escaped; the run verifies, and a second one has nothing to do."""
    name = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    with open(name, "w") as file:  # noqa: PTH123 - a name that only bytes can say
        file.write('{"text": "The mill turns beside the river."}\n')
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("load: {sources: [{name: a, paths: ['*.jsonl']}]}\nclean: {}\n")
    gristmill("run", recipe, "--executor", "serial")
    assert (
        r"caf\xe9.jsonl" in gristmill("explain", "--grep", "turns beside", "--work", tmp_path / "work").stdout
    )
    assert "everything verifies" in gristmill("verify", "--work", tmp_path / "work").stdout
    assert "nothing to do" in gristmill("plan", recipe).stdout


@pytest.mark.parametrize("suffix", [".parquet", ".statistics.json"])
def test_a_damaged_table_is_made_again_by_the_next_run(tmp_path: Path, suffix: str) -> None:
    """`verify` finds it; the next run, which has nothing else to do, makes it and is a run of its own."""
    recipe = corpus.write(tmp_path)
    gristmill("run", recipe, "--executor", "serial")
    path = min((tmp_path / "work" / "store" / "documents").glob(f"*{suffix}"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    assert "corrupt" in gristmill("verify", "--work", tmp_path / "work", expect=6).stderr
    gristmill("run", recipe, "--executor", "serial")
    assert path.read_bytes() == content
    assert len(list((tmp_path / "work" / "runs").iterdir())) == 2
    assert "everything verifies" in gristmill("verify", "--work", tmp_path / "work").stdout
    assert "nothing to do" in gristmill("run", recipe, "--executor", "serial").stdout
