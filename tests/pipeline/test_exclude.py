"""The loop from a finished run back to the recipe: documents named in a list are gone in the next run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.verify import verify
from tests.command import gristmill
from tests.pipeline.conftest import perform
from tests.results import documents, run_folder

RECIPE = """name: x
load:
  sources: [{name: s, paths: [a.jsonl, b.jsonl]}]
  part_bytes: 1000
dedup: {}
exclude: {lists: [drop.txt]}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Twelve documents, one of them twice, and an empty list."""
    texts = [" ".join(f"word{n * 97 + m * 31 % 89}" for m in range(40)) for n in range(12)]
    for name, own in (("a", texts), ("b", texts[:1])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in own))
    (tmp_path / "drop.txt").write_text("")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_listed_document_is_dropped_with_a_reason_of_its_own(recipe: Path) -> None:
    """Its copy stays dropped; what is named in vain is said; load and dedup do nothing again."""
    perform(recipe)
    work = recipe.parent / "work"
    twin = next(row for row in documents(work) if row["duplicate_of"])
    listed = twin["duplicate_of"]
    (recipe.parent / "drop.txt").write_text(f"{listed}\n{'ab' * 16}\n{twin['doc_id']}\n")
    said = gristmill("run", recipe, "--executor", "serial").stdout
    assert "1 drop_list" in said
    assert "exclude: 2 of 3 listed ids are no living document's" in said
    fates = {row["doc_id"]: (row["fate"], row["reason"]) for row in documents(work)}
    assert fates[listed] == ("exclude", "drop_list")
    assert fates[twin["doc_id"]][0] == "dedup"
    assert sum(fate == "kept" for fate, _ in fates.values()) == 11
    report = json.loads((run_folder(work) / "report.json").read_text())
    stage = report["stages"][-1]
    assert stage["dropped"] == {"drop_list": 1}
    assert stage["tallies"] == {"listed": 3, "not_found": 2}
    assert [entry["made"][0] for entry in report["stages"]][:2] == [0, 0]
    published = [path.read_text().split() for path in (work / "store" / "exclude").rglob("*.not_found.txt")]
    assert sorted(["ab" * 16, twin["doc_id"]]) in published
    assert "drop_list" in gristmill("explain", listed, "--work", work).stdout
    again = perform(recipe)
    assert verify(again) == []
