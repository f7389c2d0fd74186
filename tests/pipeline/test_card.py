"""The dataset card and the Croissant metadata say what the run says."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from pipeline.card import card, croissant
from tests.pipeline.conftest import Pair


def test_the_cards_head_is_yaml_and_its_tables_are_whole(pair: Pair) -> None:
    """Languages and size for machines; a line a source, a stage, a benchmark."""
    text = (pair.first.path / "DATASET_CARD.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    found = YAML(typ="safe", pure=True).load(head)
    assert found["size_categories"] == ["n<1K"]
    assert found["configs"][0]["data_files"] == "documents/*.parquet"
    facts = json.loads((pair.first.path / "report.json").read_text())
    assert f"{facts['documents']['kept']:,} of {facts['documents']['total']:,} documents" in body
    for line in body.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")
    for source in facts["sources"]:
        assert f"| {source['source']} | {source['documents']:,} |" in body
    assert "| riddles | 1 | 1 | 1 |" in body


def test_names_cannot_leave_their_cell(pair: Pair) -> None:
    """Bars, line feeds and markup of a source's name are shown as they are."""
    facts = json.loads((pair.first.path / "report.json").read_text())
    facts["sources"][0]["source"] = "a|b\n# c <d>"
    assert "| a\\|b \\# c \\<d\\> |" in card(facts)


def test_croissant_has_a_field_for_every_column(pair: Pair) -> None:
    """Names and kinds of the table's columns; the file set names files that are there."""
    folder = pair.first.path
    written = json.loads((folder / "croissant.json").read_text())
    facts = json.loads((folder / "report.json").read_text())
    assert written == croissant(folder, facts)
    schema = pq.read_schema(min((folder / "documents").glob("*.parquet")))
    fields = {field["name"]: field for field in written["recordSet"][0]["field"]}
    assert list(fields) == schema.names
    assert fields["doc_id"]["dataType"] == "sc:Text"
    assert fields["record"]["dataType"] == "sc:Integer"
    assert fields["lang_score"]["dataType"] == "sc:Float"
    assert [name for name, field in fields.items() if field.get("repeated")] == [
        column.name for column in schema if pa.types.is_list(column.type)
    ]
    assert list(Path(folder).glob(written["distribution"][0]["includes"]))


@pytest.mark.parametrize("key", ["@context", "@type", "name", "conformsTo", "distribution", "recordSet"])
def test_croissant_has_its_required_properties(pair: Pair, key: str) -> None:
    """Those without which mlcroissant reads nothing."""
    assert json.loads((pair.first.path / "croissant.json").read_text())[key]
