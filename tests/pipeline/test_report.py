"""The report: its numbers agree wherever they stand, and no corpus text can break the page."""

from __future__ import annotations

import base64
import csv
import hashlib
import inspect
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from resiliparse.parse.html import HTMLTree

from pipeline import report
from pipeline.bounds import clean_bounds
from pipeline.report import charts, counts, outcomes
from pipeline.runs import Run
from pipeline.stored import Stored
from tests.command import gristmill
from tests.pipeline.conftest import NASTY, Pair
from tests.pipeline.test_statistics import counted


@pytest.fixture(scope="module")
def facts(pair: Pair) -> dict[str, Any]:
    """report.json."""
    return json.loads((pair.first.path / "report.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def rows(pair: Pair) -> list[dict[str, Any]]:
    """The documents table."""
    files = sorted((pair.first.path / "documents").glob("*.parquet"))
    return pq.ParquetDataset(files).read().to_pylist()  # type: ignore[no-any-return]


def table(run: Run, name: str) -> list[dict[str, str]]:
    """One of the CSV files."""
    with (run.path / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_fixed_keys_are_there(facts: dict[str, Any]) -> None:
    """Those that are read from outside by name."""
    assert {"run", "stages", "tokens", "mixture", "contamination", "packing"} <= set(facts)
    fixed = {"stage", "key", "in", "alive", "dropped", "quarantined", "seconds", "bytes", "by_source"}
    assert all(fixed <= set(stage) for stage in facts["stages"])


def test_page_json_and_csv_say_what_the_table_says(
    pair: Pair, facts: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """Documents by fate, source, language and reason; tokens; and the same in the CSV files and on the page."""
    fates = Counter(row["fate"] for row in rows)
    assert facts["documents"] == {"total": len(rows), **dict(fates)}
    kept = [row for row in rows if row["fate"] == "kept"]
    assert facts["tokens"]["kept"] == sum(row["tokens"] for row in kept)
    assert facts["tokens"]["repeated"] == sum(row["tokens"] * row["repeats"] for row in kept)
    for key, name in (("source", "sources"), ("lang", "languages")):
        for group in facts[name]:
            mine = [row for row in rows if row[key] == group[key]]
            assert group["documents"] == len(mine)
            assert group["kept"] == sum(row["fate"] == "kept" for row in mine)
            assert group["contaminated"] == sum(bool(row["contamination"]) for row in mine)
        written = [(row[key], int(row["documents"]), int(row["kept"])) for row in table(pair.first, name)]
        assert written == [(g[key] or "", g["documents"], g["kept"]) for g in facts[name]]
    reasons = Counter((row["fate"], row["reason"]) for row in rows if row["fate"] != "kept")
    for line in table(pair.first, "reasons"):
        fate = "quarantined" if line["stage"] == "load" else line["stage"]
        assert reasons.pop((fate, line["reason"])) == int(line["documents"])
    assert not reasons
    page = HTMLTree.parse((pair.first.path / "report.html").read_text()).body.text
    for number in (len(rows), fates["kept"], facts["tokens"]["kept"], facts["packing"]["rows"]):
        assert f"{number:,}" in page


def test_the_ledger_holds_and_a_broken_one_shows(facts: dict[str, Any]) -> None:
    """Every line adds up; a stage that gives or takes a document is marked."""
    assert all(line["holds"] for line in facts["ledger"])
    stages = json.loads(json.dumps(facts["stages"]))
    stages[2]["by_source"]["books"]["alive"] += 1
    broken = [(line["stage"], line["source"]) for line in counts.ledger(stages) if not line["holds"]]
    assert broken == [(stages[2]["stage"], "books"), (stages[3]["stage"], "books")]


def test_shards_and_mixture_add_up(facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Rows hold the tokens of the kept documents with their ends; the shares are one."""
    packing = facts["packing"]
    assert packing["tokens"] == sum(split["tokens"] for split in packing["splits"].values())
    assert packing["fill"] == packing["tokens"] / (packing["rows"] * packing["seq_len"])
    assert packing["vocabulary"]["used"] + packing["vocabulary"]["unused"] == packing["vocab_size"]
    assert sum(row["realised_share"] for row in facts["mixture"]) == pytest.approx(1)
    ends = sum(row["repeats"] for row in rows if row["tokens"])
    assert sum(row["realised"] for row in facts["mixture"]) == facts["tokens"]["repeated"] + ends


def test_cuts_are_counted_exactly(pair: Pair, facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """What lies beyond the bound of a rule, and beyond half of it, is what a loop over the table finds."""
    words = next(metric for metric in facts["metrics"] if metric["column"] == "words")
    (rule,) = words["rules"]
    bounds = clean_bounds(Stored(pair.first), {row["profile"] for row in rows})
    for factor in (0.5, 1.0, 2.0):
        beyond = sum(
            row["words"] < bounds[row["profile"]]["gopher.words"].min * factor
            for row in rows
            if row["profile"] is not None
        )
        assert rule["at"][str(factor)] == beyond
    assert rule["fails"] == rule["at"]["1.0"] == rule["reason"] > 0
    assert sum(words["all"]) == words["documents"] == sum(row["words"] is not None for row in rows)


def test_examples_are_the_least_ids_with_their_survivors(pair: Pair, rows: list[dict[str, Any]]) -> None:
    """Three of a reason, and beside a duplicate the text it repeats."""
    page = HTMLTree.parse((pair.first.path / "report.html").read_text())
    exact = sorted(row["doc_id"] for row in rows if row["reason"] == "exact")[:3]
    section = page.document.get_element_by_id("reasons")
    shown = next(d for d in section.get_elements_by_tag_name("details") if "dedup: exact" in d.text)
    captions = [c.text for c in shown.get_elements_by_tag_name("figcaption")]
    assert [caption.rpartition(" ")[2] for caption in captions[::2]] == exact
    quotes = [" ".join(q.text.split()) for q in shown.get_elements_by_tag_name("blockquote")]
    assert quotes[::2] == quotes[1::2]


def test_the_page_stands_alone(pair: Pair) -> None:
    """No script, no address to load from, and a policy that forbids both."""
    text = (pair.first.path / "report.html").read_text()
    tree = HTMLTree.parse(text)
    names = {element.tag for element in tree.document.query_selector_all("*")}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "video"}
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_corpus_text_cannot_break_the_page(nasty: Run) -> None:
    """Tags, overrides, controls, ten megabytes in a line: shown as text, cut, and nothing else changes."""
    text = (nasty.path / "report.html").read_text(encoding="utf-8")
    assert len(text) < 300_000
    tree = HTMLTree.parse(text)
    names = {element.tag for element in tree.document.query_selector_all("*")}
    assert not names & {"script", "img"}
    assert not set(text) & {chr(c) for c in (*range(9), 11, 12, *range(14, 32), 0x85, 0x202D, 0x202E, 0x2066)}
    quotes = "\n".join(q.text for q in tree.document.query_selector_all("blockquote"))
    assert NASTY["script"] in quotes
    assert NASTY["jinja"] in quotes
    assert "before␀after␛[31mred␇ ⟦0085⟧ next⟦2028⟧line⟦FEFF⟧" in quotes
    assert "left ⟦202E⟧right to left⟦202C⟧" in quotes
    assert [h.text for h in tree.document.query_selector_all("h2")][-1] == "Keys and versions"


def test_every_word_of_the_page_has_its_chinese() -> None:
    """The catalogue holds every translatable text of the templates and every verdict."""
    environment = report.environment("en")
    folder = Path(report.__file__).parent / "templates"
    found: set[str] = set()
    for path in folder.glob("*.html"):
        for _, _, message in environment.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            found |= {part for part in (message if isinstance(message, tuple) else (message,)) if part}
    verdicts = set(re.findall(r'\(\w[^"]*, "([^"]+)", (?:\[|numbers)', inspect.getsource(outcomes.verdicts)))
    assert len(verdicts) == 10
    assert found | verdicts == set(report.catalogue("zh"))


def test_the_page_speaks_chinese(pair: Pair) -> None:
    """`report --language zh`: the same page, the same numbers, other words; other languages are refused."""
    names = (pair.first.id, "--work", pair.first.work, "--language")
    path = Path(gristmill("report", *names, "zh").stdout.strip())
    page, english = (
        path.read_text(encoding="utf-8"),
        (pair.first.path / "report.html").read_text(encoding="utf-8"),
    )
    assert '<html lang="zh">' in page
    assert "语料报告" in page
    assert "Why documents were dropped" not in page
    assert re.findall(r"<td[^>]*>[\d,]+</td>", page) == re.findall(r"<td[^>]*>[\d,]+</td>", english)
    assert "speaks en and zh" in gristmill("report", *names, "xx", expect=2).stderr


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (report.size(None), "–"),
        (report.size(0), "0 B"),
        (report.size(999), "999 B"),
        (report.size(1_234_567), "1.23 MB"),
        (report.share(0.0001), "< 0.1 %"),
        (report.share(0), "0.0 %"),
        (report.share(0.5), "50.0 %"),
        (report.duration(7300), "2.0 h"),
        (report.count(12345), "12,345"),
        (charts.label(262144), "262k"),
    ],
)
def test_numbers_are_said_as_people_say_them(shown: str, said: str) -> None:
    """Units, thousands, and what is not nothing is not 0 %."""
    assert shown == said


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (3, 1234567), (-2, 0.5), (0, 0)])
def test_axes_have_round_marks_inside(low: float, high: float) -> None:
    """Few of them, rising, none outside."""
    marks = charts.rounds(low, high, 6)
    assert 1 <= len(marks) <= 8
    assert marks == sorted(marks)
    assert all(low <= mark <= high for mark in marks)


def test_a_curve_of_many_points_keeps_its_end() -> None:
    """At most about 600 points, the last one among them."""
    points = [[float(x), float(np.sin(x))] for x in range(10_000)]
    path = charts.curve(points, charts.loss_axes(points))
    assert path.count("L") <= charts.POINTS
    assert path.endswith(f"L{charts.loss_axes(points).x(9999)} {charts.loss_axes(points).y(points[-1][1])}")


def test_contamination_is_told_by_benchmark(
    pair: Pair, facts: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    """How many of the items that can be checked, in which documents, how long, what was said, and examples."""
    (found,) = facts["contamination"]
    hits = {row["doc_id"]: row["contamination"] for row in rows if row["contamination"]}
    assert found["documents"] == found["dropped"] == len(hits) > 0
    assert found["regions"] == sum(map(len, hits.values()))
    assert found["share"] == found["items_found"] / (found["items"] - found["not_checkable"])
    assert found["longest"] >= 8
    (example, *_) = found["examples"]
    assert (example["start"], example["end"]) in {
        (hit["start"], hit["end"]) for hit in hits[example["doc_id"]]
    }
    assert example["matched"].lower().startswith(found["grams"][0]["text"][:20].lower())
    (line,) = table(pair.first, "contamination")
    assert (line["benchmark"], line["longest"]) == (found["benchmark"], str(found["longest"]))
    phrases = table(pair.first, "phrases")
    assert [json.loads(row["text"]) for row in phrases] == [row["text"] for row in found["grams"]]


def test_the_interactive_page_allows_its_own_script_only(pair: Pair) -> None:
    """`report --interactive`: one script, the one that the policy names by its digest; the plain page has none."""
    path = Path(gristmill("report", "--work", pair.first.work, pair.first.id, "--interactive").stdout.strip())
    page = path.read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    plain = (pair.first.path / "report.html").read_text()
    assert "script" not in re.sub(r"<blockquote.*?</blockquote>", "", plain, flags=re.DOTALL)


def test_documents_are_counted_by_registered_domain() -> None:
    """Hosts of one owner together, suffixes as the public suffix list has them; addresses are their own."""
    urls = [
        "https://www.example.co.uk/a",
        "http://shop.example.co.uk:80/",
        "https://u@WWW.b.com/x",
        "http://10.0.0.1/",
    ]
    found = counts.Counted(counted(url=[*urls, None])).domains()
    assert (found["hosts"], found["domains"], found["addresses"]) == (4, 3, 4)
    assert {(row["domain"], row["hosts"], row["documents"]) for row in found["top"]} == {
        ("example.co.uk", 2, 2), ("b.com", 1, 1), ("10.0.0.1", 1, 1),
    }  # fmt: skip
    assert counts.Counted(counted(url=[None])).domains() == {}


def test_a_text_that_a_stage_changed_is_shown_as_it_was_read_and_as_it_was_left(tmp_path: Path) -> None:
    """Beside the excerpt of a dropped document stands what the stages had made of it."""
    words = "The miller ground the wheat slowly and the great wheel turned beside the river. "
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": f"<br>&nbsp;{words * 3}I\u00e2\u20ac\u2122ll"}) + "\n"
    )
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "load: {sources: [{name: a, paths: [a.jsonl]}]}\nclean: {presets: []}\nlangid: {keep: [zh], max_drop: 1.0}\n"
    )
    gristmill("run", recipe, "--executor", "serial")
    page = HTMLTree.parse(next(tmp_path.glob("work/runs/*/report.html")).read_text())
    section = page.document.get_element_by_id("reasons")
    before, after = (q.text for q in section.get_elements_by_tag_name("blockquote"))
    assert before.endswith("I\u00e2\u20ac\u2122ll")
    assert after.endswith("I\u2019ll")
