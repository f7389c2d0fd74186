"""diff compares two runs document by document."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from resiliparse.parse.html import HTMLTree

from pipeline.diff import diff, page, render
from pipeline.runs import Run
from tests.command import gristmill
from tests.pipeline.conftest import Pair


def rows(run: Run) -> dict[str, dict[str, Any]]:
    """The documents table by doc_id."""
    files = sorted((run.path / "documents").glob("*.parquet"))
    return {row["doc_id"]: row for row in pq.ParquetDataset(files).read().to_pylist()}


def test_documents_are_compared_one_by_one(pair: Pair) -> None:
    """Gained, lost and moved are what a comparison of two sets finds."""
    a, b = rows(pair.first), rows(pair.second)
    kept = [{doc for doc, row in table.items() if row["fate"] == "kept"} for table in (a, b)]
    found = diff(pair.first, pair.second)
    assert found["documents"]["kept in both"] == len(kept[0] & kept[1])
    assert found["documents"]["gained"] == len(kept[1] - kept[0]) > 0
    assert found["documents"]["lost"] == len(kept[0] - kept[1])
    moves = Counter(
        (a[doc]["fate"], a[doc]["reason"], b[doc]["fate"], b[doc]["reason"])
        for doc in a
        if (a[doc]["fate"], a[doc]["reason"]) != (b[doc]["fate"], b[doc]["reason"])
    )
    said = {
        (m["a"]["fate"], m["a"]["reason"], m["b"]["fate"], m["b"]["reason"]): m["documents"]
        for m in found["moves"]
    }
    assert said == dict(moves)
    for move in found["moves"]:
        assert all(a[doc]["fate"] == move["a"]["fate"] for doc in move["examples"])


def test_recipe_and_sums_are_compared(pair: Pair) -> None:
    """The key that differs; the same results up to where it matters; kept documents and tokens by source."""
    found = diff(pair.first, pair.second)
    assert found["recipe"] == [{"key": "dedup.threshold", "a": 0.75, "b": 0.97}]
    same = {row["stage"]: row["same"] for row in found["stages"]}
    assert same["load"]
    assert same["langid"]
    assert not same["dedup"]
    for side, run in (("a", pair.first), ("b", pair.second)):
        kept = [row for row in rows(run).values() if row["fate"] == "kept"]
        for group in found["sources"]:
            mine = [row for row in kept if row["source"] == group["source"]]
            assert group[f"kept_{side}"] == len(mine)
            assert group[f"tokens_{side}"] == sum(row["tokens"] * row["repeats"] for row in mine)


def test_a_run_does_not_differ_from_itself(pair: Pair) -> None:
    """Nothing moves, and the recipe is the same."""
    found = diff(pair.first, pair.first)
    assert found["moves"] == []
    assert found["recipe"] == []
    assert "the same" in render(found)


def test_documents_that_one_run_never_read_are_absent(pair: Pair, nasty: Run) -> None:
    """Runs over other files can be compared, too."""
    found = diff(pair.first, nasty)
    assert found["documents"]["kept in both"] == 0
    assert {move["a"]["fate"] for move in found["moves"] if move["b"]["fate"] != "absent"} == {"absent"}


def test_the_verb_prints_text_or_json_and_writes_a_page(pair: Pair, tmp_path: Path) -> None:
    """All three say the same."""
    names = (pair.first.id, pair.second.id, "--work", pair.first.work)
    text = gristmill("diff", *names, "--html", tmp_path / "d.html").stdout
    found = json.loads(gristmill("diff", *names, "--json").stdout)
    assert "dedup.threshold: 0.75 -> 0.97" in text
    assert found == json.loads(json.dumps(diff(pair.first, pair.second)))
    tree = HTMLTree.parse((tmp_path / "d.html").read_text())
    assert tree.document.query_selector("script") is None
    assert (tmp_path / "d.html").read_text() == page(found)
