"""What others need to use a corpus: a dataset card (Markdown with YAML) and Croissant metadata (JSON-LD).

Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html) describes the documents table, a
field a column; the card follows the Hugging Face template as far as a run knows the answers. Both are made
from report.json; licences of sources are not in it, and the card says so.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from pipeline.plain import plain
from pipeline.store import writing

__all__ = ["card", "croissant", "write"]

_SIZES: Final = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
                 (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip

_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """Writes DATASET_CARD.md and croissant.json into a run's folder.

    Args:
        folder: the run's folder, with its documents table.
        found: the content of report.json.
    """
    with writing(folder / "DATASET_CARD.md") as beside:
        beside.write_text(card(found), encoding="utf-8")
    with writing(folder / "croissant.json") as beside:
        text = json.dumps(croissant(folder, found), indent=1, ensure_ascii=False)
        beside.write_text(text + "\n", encoding="utf-8")


def card(found: Mapping[str, Any]) -> str:
    """The dataset card: YAML for machines, then what is in the corpus and how it came about."""
    kept, total = found["documents"]["kept"], found["documents"]["total"]
    languages = [
        row["lang"] for row in found["languages"] if row["kept"] and row["lang"] not in {None, "und"}
    ]
    head = {
        "pretty_name": found["name"],
        "language": languages,
        "size_categories": [next((name for limit, name in _SIZES if kept < limit), "n>1B")],
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "croissant", "gristmill"],
        "configs": [{"config_name": "documents", "data_files": "documents/*.parquet"}],
    }
    yaml = YAML()
    text = io.StringIO()
    yaml.dump(head, text)
    tokens = found["tokens"]
    lines = ["---", text.getvalue().rstrip(), "---", "", f"# {_cell(found['name'])}", ""]
    lines.append(
        f"{kept:,} of {total:,} documents are kept"
        + (f", {tokens['kept']:,} tokens ({tokens['repeated']:,} with repeats)" if tokens["kept"] else "")
        + f". Made by Gristmill, run `{found['run']}`; figures and excerpts are in `report.html`."
    )
    lines += ["", "## How it was made", ""]
    lines += _table(
        ("stage", "in", "alive", "dropped, by reason"),
        [
            (s["stage"], s["in"], s["alive"], ", ".join(f"{r} {n:,}" for r, n in s["dropped"].items()) or "–")
            for s in found["stages"]
        ],
    )
    lines += [
        "",
        "All parameters: `recipe.resolved.yaml`. Every document with its fate and measurements: `documents/`.",
    ]
    lines += ["", "## Sources", ""]
    lines += _table(
        ("source", "read", "kept", "bytes", "tokens with repeats"),
        [(g["source"], g["documents"], g["kept"], g["bytes"], g["repeated"]) for g in found["sources"]],
    )
    lines += ["", "## Languages", ""]
    lines += _table(
        ("language", "read", "kept", "bytes", "tokens with repeats"),
        [(g["lang"], g["documents"], g["kept"], g["bytes"], g["repeated"]) for g in found["languages"][:40]],
    )
    if found["contamination"]:
        lines += ["", "## Benchmarks found in it", ""]
        lines += _table(
            ("benchmark", "documents", "of them dropped", "items found"),
            [
                (r["benchmark"], r["documents"], r["dropped"], r["items_found"])
                for r in found["contamination"]
            ],
        )
    if found["packing"]:
        packing = found["packing"]
        lines += ["", "## Shards", ""]
        lines.append(
            f"`packed/`: {packing['rows']:,} rows of {packing['seq_len']:,} tokens ({packing['tokens']:,} tokens), "
            f"vocabulary of {packing['vocab_size']:,}, fingerprint `{packing['fingerprint']}`."
        )
    lines += ["", "## Licence and personal data", ""]
    lines.append(
        "The run does not know the licences of its sources: whoever publishes this corpus states them here. What was "
        "done about personal data stands in the recipe, under `clean`."
    )
    return "\n".join(lines) + "\n"


def croissant(folder: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """The documents table as Croissant metadata; contentUrls are relative to the file."""
    files = sorted((folder / "documents").glob("*.parquet"))
    schema = pq.read_schema(files[0]) if files else pa.schema([])
    started = datetime.fromtimestamp(found["started"] or 0, UTC).date().isoformat()
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": found["name"],
        "description": f"The documents of Gristmill run {found['run']}: a row a document, with fate and measurements.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "version": "1.0.0",
        "datePublished": started,
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": "documents",
                "name": "documents",
                "description": "The documents table in parts, in load order.",
                "encodingFormat": "application/x-parquet",
                "includes": "documents/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "document",
                "name": "document",
                "key": {"@id": "document/doc_id"},
                "field": [_field(column) for column in schema],
            }
        ],
    }


def _field(column: pa.Field) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"document/{column.name}",
        "name": column.name,
        "dataType": _kind(column.type),
        "source": {"fileSet": {"@id": "documents"}, "extract": {"column": column.name}},
    }
    return {**field, "repeated": True} if pa.types.is_list(column.type) else field


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    cells = [[_cell(value) for value in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (list(head), ["---"] * len(head), *cells)]


def _cell(value: Any) -> str:
    """A value that cannot leave its cell of a Markdown table."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    text = plain(str(value)).replace("\n", " ")
    return "".join("\\" + sign if sign in "\\|`*_[]<>#" else sign for sign in text)
