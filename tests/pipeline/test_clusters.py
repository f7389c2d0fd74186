"""What explain, whatif and the report say where dedup compares less than it usually does."""

import json
from pathlib import Path

import pytest

from pipeline import explain
from pipeline.report.duplicates import duplicates
from pipeline.stored import Stored
from pipeline.whatif import whatif
from tests.pipeline.conftest import perform
from tests.results import documents
from tests.stages.test_dedup_clusters import chain


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of near copies, a copy of its beginning, and a text alone."""
    folder = tmp_path_factory.mktemp("clusters")
    texts = [*chain(), chain()[0], "a text of its own, which nobody else has written"]
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.yaml"
    path.write_text("load: {sources: [{name: rows, paths: [rows.jsonl]}]}\ndedup: {}\n")
    return path


def test_what_was_not_compared_has_no_similarity_anywhere(recipe: Path) -> None:
    """Null in the table, no number on the terminal, no threshold in the report; the chance to meet stays."""
    run = perform(recipe, "dedup.clusters=closure")
    (first, *others) = [row for row in documents(recipe.parent / "work") if row["reason"] == "linked"]
    assert len(others) == 1
    assert first["similarity"] is None
    found = explain.explain(run, first["doc_id"])
    assert found["duplicate"]["similarity"] is None
    assert f"duplicate of {first['duplicate_of']}, the two were not compared" in explain.render(found)
    said = duplicates(Stored(run))
    assert (said["rule"], said["missed"]) == ("closure", None)
    assert dict(map(tuple, said["curve"]))[0.78] == pytest.approx(1 - (1 - 0.78**8) ** 14)
    assert said["clusters"] == {"4": 1}
    assert sum(said["similarity"]) == 1
    page = (run.path / "report.html").read_text()
    assert "the others were not compared" in page
    assert "The line is the threshold" not in page


def test_estimates_are_called_so(recipe: Path) -> None:
    """In the report; the threshold they are held against is drawn."""
    run = perform(recipe, "dedup.clusters=estimated")
    assert duplicates(Stored(run))["missed"] is not None
    page = (run.path / "report.html").read_text()
    assert "Similarities are estimates from signatures." in page
    assert "The line is the threshold 0.75" in page
    assert "estimates" not in (perform(recipe).path / "report.html").read_text()


def test_variants_are_compared_from_one_survey(recipe: Path) -> None:
    """`whatif` counts what each keeps; band keys are computed once."""
    perform(recipe)
    found = whatif(recipe, "dedup.clusters=verified,estimated,closure")
    assert [value["kept"] for value in found["values"]] == [3, 3, 2]
    assert [value["dropped"] for value in found["values"]] == [
        {"exact": 1, "near": 1},
        {"exact": 1, "near": 1},
        {"exact": 1, "linked": 2},
    ]
    assert found["values"][0]["made"] == 0
