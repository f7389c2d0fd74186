"""One document's route is told as the run went: cause, measurements, survivor, evidence, rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import explain
from pipeline.errors import RecipeError
from pipeline.runs import Run
from stages.packed import Packed
from tests import corpus
from tests.command import gristmill
from tests.pipeline.conftest import Pair


@pytest.fixture(scope="module")
def run(pair: Pair) -> Run:
    """The first run."""
    return pair.first


@pytest.fixture(scope="module")
def rows(run: Run) -> list[dict[str, Any]]:
    """The documents table."""
    files = sorted((run.path / "documents").glob("*.parquet"))
    return pq.ParquetDataset(files).read().to_pylist()  # type: ignore[no-any-return]


def test_a_document_of_every_fate_says_why(run: Run, rows: list[dict[str, Any]]) -> None:
    """Fate, reason and its sentence; the route ends at the stage that dropped it."""
    fates = {row["fate"]: row for row in rows}
    assert {"kept", "quarantined", "clean", "dedup", "decontaminate"} <= set(fates)
    for fate, row in fates.items():
        found = explain.explain(run, row["doc_id"])
        assert (found["fate"], found["reason"]) == (fate, row["reason"])
        last = found["route"][-1]
        assert last["alive"] == (fate == "kept")
        if fate != "kept":
            assert found["sentence"]
            assert last["stage"] == ("load" if fate == "quarantined" else fate)
            assert last["reason"] == row["reason"]
            assert row["reason"] in explain.render(found)


def test_the_broken_bound_is_named(run: Run, rows: list[dict[str, Any]]) -> None:
    """A document that a rule dropped fails exactly that rule, with the value in the table."""
    row = next(row for row in rows if row["reason"] == "gopher.words")
    step = explain.explain(run, row["doc_id"])["route"][1]
    failed = [limit for limit in step["limits"] if not limit["holds"]]
    assert [(limit["rule"], limit["value"], limit["min"]) for limit in failed] == [
        ("gopher.words", row["words"], 40)
    ]


def test_a_duplicate_stands_beside_its_survivor(run: Run, rows: list[dict[str, Any]]) -> None:
    """Near copies say where they differ; exact ones do not differ."""
    near = next(row["orig_id"] for row in rows if (row["orig_id"] or "").startswith("near-"))
    pairs = [explain.explain(run, name) for name in (near, near.replace("near", "plain"))]
    (lost,) = [found for found in pairs if found["fate"] == "dedup"]
    (kept,) = [found for found in pairs if found["fate"] != "dedup"]
    assert lost["duplicate"]["survivor"] == kept["doc_id"]
    assert lost["duplicate"]["text"] == kept["text"]
    assert lost["duplicate"]["differences"]
    assert all("replaced" in "".join(d.values()) for d in lost["duplicate"]["differences"])
    exact = [explain.explain(run, f"{kind}-3") for kind in ("plain", "copy-of")]
    (lost,) = [found for found in exact if found["fate"] == "dedup"]
    assert lost["duplicate"]["similarity"] == 1.0
    assert lost["duplicate"]["differences"] == []


def test_evidence_is_the_text_at_the_span(run: Run) -> None:
    """The matched text holds the question, whatever its case."""
    (hit,) = explain.explain(run, "contaminated")["evidence"]
    assert (hit["benchmark"], hit["item"]) == ("riddles", "r1")
    assert "COPPER KETTLES DOES THE TINKER MEND" in hit["matched"]
    assert (
        corpus.QUESTION.upper().startswith(hit["matched"][:20]) or hit["matched"] in corpus.QUESTION.upper()
    )
    assert hit["before"] + hit["matched"] + hit["after"]


def test_packed_rows_hold_the_document(run: Run, rows: list[dict[str, Any]]) -> None:
    """The tokens at the places that are named are the document's, as often as it is repeated."""
    row = max((row for row in rows if row["fate"] == "kept"), key=lambda row: row["tokens"])
    found = explain.explain(run, row["doc_id"])["packed"]
    packed = Packed(run.path / "packed")
    copies = 1 if found[0]["split"] == "validation" else row["repeats"]
    assert sum(place["tokens"] for place in found) == (row["tokens"] + 1) * copies
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(packed.folder / "tokenizer.json"))
    tokens: list[int] = []
    for place in sorted(found, key=lambda place: place["start"])[:: copies or 1]:
        first = sum(s.rows for s in packed.manifest.splits[place["split"]].shards if s.file < place["shard"])
        ids = packed.split(place["split"]).rows([first + place["row"]])[0]
        tokens += ids[place["offset"] : place["offset"] + place["tokens"]].tolist()
    text = tokenizer.decode(tokens[:-1], skip_special_tokens=False)
    assert text.startswith(explain.explain(run, row["doc_id"])["text"].removesuffix(" …"))


def test_a_beginning_is_enough_if_it_is_one_documents(run: Run, rows: list[dict[str, Any]]) -> None:
    """The first digits of a doc_id; several documents are listed, none is answered with the nearest id."""
    ids = sorted(row["doc_id"] for row in rows)
    assert explain.explain(run, ids[0][:20])["doc_id"] == ids[0]
    with pytest.raises(RecipeError, match="documents; say which by its doc_id") as several:
        explain.explain(run, "near-")
    assert str(several.value).count("near-") == 1 + 5
    with pytest.raises(RecipeError, match="did you mean 'contaminated'"):
        explain.explain(run, "contaminatd")


def test_a_run_that_did_not_finish_says_so(pair: Pair, tmp_path: Path) -> None:
    """There is nothing to explain, to compare or to list before the documents table is written."""
    run = Run(tmp_path / "runs" / "early")
    run.path.mkdir(parents=True)
    run.update(state="failed", stages=[])
    with pytest.raises(RecipeError, match="it is failed; run its recipe to the end"):
        explain.explain(run, "any")
    run.update(state="running")
    for verb in (("explain", "any"), ("explain", "--grep", "any"), ("documents",)):
        said = gristmill(*verb, "--work", tmp_path, expect=2)
        assert "it is running; wait for it" in said.stderr
        assert said.stdout == ""
    assert "it is running" in gristmill("diff", run.path, pair.first.path, expect=2).stderr


def test_a_wrong_run_or_folder_is_answered_with_what_there_is(pair: Pair, tmp_path: Path) -> None:
    """The runs that there are, or the folder that was meant; an empty word names no document."""
    work = pair.first.work
    said = gristmill("explain", "any", "nope", "--work", work, expect=2).stderr
    assert pair.second.id in said
    for wrong in (work / "runs", work.parent):
        assert f"did you mean --work {work}" in gristmill("explain", "any", "--work", wrong, expect=2).stderr
    assert "gristmill run RECIPE" in gristmill("explain", "any", "--work", tmp_path, expect=2).stderr
    with pytest.raises(RecipeError, match="names no document"):
        explain.explain(pair.first, " ")


def test_grep_finds_documents_by_their_text(run: Run) -> None:
    """Upper and lower case are the same; dead documents are found too; nothing to look for is an error."""
    found = explain.grep(run, "the tinker mend on the second day")
    assert [row["orig_id"] for row in found] == ["contaminated"]
    assert "TINKER MEND" in found[0]["around"]
    assert explain.grep(run, "no such words anywhere") == []
    with pytest.raises(RecipeError, match="say which"):
        explain.grep(run, "")


def test_a_terminal_is_safe(nasty: Run) -> None:
    """Escape sequences of corpus text do not reach it."""
    said = explain.render(explain.explain(nasty, "nul-0"))
    assert "\x1b" not in said
    assert "␛[31mred" in said


def test_the_verb_prints_text_or_json(pair: Pair) -> None:
    """`gristmill explain` and `--json`, `--grep`, and a usage error without either."""
    work = pair.first.work
    found = json.loads(gristmill("explain", "contaminated", pair.first.id, "--work", work, "--json").stdout)
    assert found["fate"] == "decontaminate"
    assert "riddles, item r1" in gristmill("explain", "contaminated", pair.first.id, "--work", work).stdout
    assert "contaminated" not in gristmill("explain", "--grep", "tinker mend", "--work", work).stderr
    assert "--grep TEXT" in gristmill("explain", "--work", work, expect=2).stderr
