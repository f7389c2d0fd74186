"""From fields of records to decisions: the newest copy stays, stars are a threshold, topics are the mixture."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import recipe
from pipeline.errors import RecipeError
from tests import corpus
from tests.command import gristmill

RECIPE = """\
name: kept
load:
  sources:
    - {name: lines, paths: [lines.jsonl]}
    - {name: table, paths: [table.parquet]}
    - {name: notes, paths: [notes]}
  metadata:
    day: {field: [date, meta.date], type: date}
    stars: integer
    topic: {field: meta.topic}
clean: {scores: {stars: {min: 3, missing: drop}}}
dedup: {near: false, prefer: [newest(day)]}
mix: {by: [topic], ranges: {}, weights: {science: 0.5, art: 0.5}, tokens: 3000}
tokenize: {train: {kind: bpe, vocab_size: 300}}
pack: {seq_len: 64}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in which every text is there three times, from three sources, and its recipe."""
    folder = tmp_path_factory.mktemp("metadata")
    draw = random.Random(1)
    texts = [corpus.document(draw) for _ in range(30)]
    topics = ["science" if n % 2 else "art" for n in range(30)]
    days = [["2021-03-04", "2022", "2023-01-01T00:00:00+01:00"][n % 3 :] for n in range(30)]
    days = [[*day, *["2020-01-01"] * (3 - len(day))] for day in days]
    lines = [
        {"id": f"line-{n}", "text": text, "date": days[n][0], "stars": 5, "meta": {"topic": topics[n]}}
        for n, text in enumerate(texts)
    ]
    lines.append({"id": "few", "text": corpus.document(draw), "stars": 2, "meta": {"topic": "art"}})
    lines.append({"id": "three", "text": corpus.document(draw), "stars": "3", "meta": {"topic": "art"}})
    lines.append({"id": "none", "text": corpus.document(draw), "stars": "many"})
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = [
        {"id": f"row-{n}", "text": text, "stars": 4.0, "meta": {"topic": topics[n], "date": days[n][1]}}
        for n, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet", row_group_size=7)
    (folder / "notes").mkdir()
    for n, text in enumerate(texts):
        front = f"id: note-{n}\nstars: 3\nmeta:\n  topic: {topics[n]}\n  date: {days[n][2]}"
        (folder / "notes" / f"{n:02}.md").write_text(f"---\n{front}\n---\n{text}")
    (folder / "recipe.yaml").write_text(RECIPE)
    gristmill("run", folder / "recipe.yaml", "--executor", "serial")
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def rows(path: Path) -> dict[str, dict[str, Any]]:
    """The documents table by orig_id."""
    folder = Path(gristmill("documents", "--work", path.parent / "work").stdout.strip()).parent
    table = pq.ParquetDataset(sorted(folder.glob("*.parquet"))).read()
    assert table.column_names[-3:] == ["day", "stars", "topic"]
    return {row["orig_id"]: row for row in table.to_pylist()}


def test_the_table_ends_with_the_metadata(rows: dict[str, dict[str, Any]]) -> None:
    """The same columns from lines, columns and front matter."""
    assert [(rows[f"{kind}-1"]["stars"], rows[f"{kind}-1"]["topic"]) for kind in ("line", "row", "note")] == [
        (5, "science"),
        (4, "science"),
        (3, "science"),
    ]
    assert (rows["line-0"]["day"], rows["note-0"]["day"]) == ("2021-03-04T00:00:00Z", "2022-12-31T23:00:00Z")
    assert rows["none"]["stars"] is None


def test_the_newest_copy_is_kept(rows: dict[str, dict[str, Any]]) -> None:
    """Whichever source has it."""
    for n in range(30):
        copies = [rows[f"{kind}-{n}"] for kind in ("line", "row", "note")]
        stays = max(copies, key=lambda row: str(row["day"]))
        for row in copies:
            assert (row["fate"] == "dedup") == (row is not stays), n
            assert row["duplicate_of"] in {None, stays["doc_id"]}


def test_stars_decide(rows: dict[str, dict[str, Any]]) -> None:
    """A value at the bound stays; below it, and without one, documents are dropped."""
    assert [(rows[name]["fate"], rows[name]["reason"]) for name in ("few", "none")] == [
        ("clean", "score.threshold")
    ] * 2
    assert rows["three"]["fate"] != "clean"


def test_topics_have_their_shares(rows: dict[str, dict[str, Any]]) -> None:
    """Half of the tokens each, up to a document."""
    tokens = {"science": 0, "art": 0}
    for row in rows.values():
        if row["fate"] == "kept":
            tokens[row["topic"]] += row["repeats"] * (row["tokens"] + 1)
    assert min(tokens.values()) > 0
    assert abs(tokens["science"] - tokens["art"]) < 0.25 * sum(tokens.values())


def test_one_document_shows_its_metadata(path: Path) -> None:
    """`explain` for people and for machines; `documents --columns` says what the columns are."""
    work = path.parent / "work"
    assert (
        "metadata: day 2021-03-04T00:00:00Z, stars 5, topic art"
        in gristmill("explain", "line-0", "--work", work).stdout
    )
    found = json.loads(gristmill("explain", "line-0", "--work", work, "--json").stdout)
    assert found["metadata"] == {"day": "2021-03-04T00:00:00Z", "stars": 5, "topic": "art"}
    assert "topic\tmetadata that the data carry" in gristmill("documents", "--columns", "--work", work).stdout


def test_misfits_are_counted(path: Path) -> None:
    """The report says how many values were not of their type."""
    report = next((path.parent / "work" / "runs").iterdir()) / "report.json"
    assert '"unfit.stars": 1' in report.read_text()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "dedup.prefer=[newest(date)]",
            "dedup reads the column 'date', which no stage before it writes; if records",
        ),
        ("mix.by=[subject]", "mix reads the column 'subject', which no stage before it writes"),
        ("mix.upsample={topic: {2: 3}}", "mix compares the column 'topic' with numbers, but it holds string"),
        (
            "clean.scores={topic: {min: 1}}",
            "clean compares the column 'topic' with numbers, but it holds string",
        ),
        ("clean.scores={quality: {min: 1}}", "which no stage before it writes; put quality: before it"),
        ("load.metadata.lang=string", "'lang' is a column of stage langid; choose another name"),
        ("load.metadata.votes=int", "load.metadata.votes"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(path: Path, setting: str, said: str) -> None:
    """Columns that nobody writes, text that is no number, names that are taken, types that are none."""
    with pytest.raises(RecipeError) as caught:
        recipe.read(path, [setting])
    assert said in "\n".join(caught.value.complaints)


def test_another_field_is_read_anew_and_only_then(path: Path) -> None:
    """`load` has nothing to do with the same key, and everything with another."""
    assert "nothing to do" in gristmill("plan", path).stdout
    changed = gristmill("plan", path, "--set", "load.metadata.votes=integer").stdout
    assert "load      stale" in changed
    assert "run 3 of 3 read" in changed
