"""One document's whole route: where it came from, what was measured, why it was kept or dropped, where it lies.

    explain(run, doc) -> dict       everything that the run stored about it
    grep(run, text) -> documents    those whose text holds it, to be explained
    render(found) -> str            the same for people (`route.py`)

Finds nothing out anew: it reads columns, texts and shards, and puts them side by side.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.complaints import nearest
from pipeline.errors import RecipeError
from pipeline.plain import clip
from pipeline.route import render
from pipeline.runs import Run
from pipeline.stored import Stored, read_columns, reason_sentence
from pipeline.training import lessons
from stages.naming import stage_class
from stages.packed import Packed

__all__ = ["explain", "find", "grep", "render"]

DIGITS: Final = 32  # of a doc_id
EXCERPT: Final = 600  # characters of a document
AROUND: Final = 120  # characters on each side of a contaminated span
COMPARED: Final = 1500  # words of two documents that are compared: the comparison is quadratic at worst
SHOWN: Final = 10  # candidates, spans, differences or rows that are listed
_HIDDEN: Final = frozenset({"text", "tokens", "excerpt", "reason", "alive", "doc_id", "contamination"})
_WORDS: Final = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s]")


def find(stored: Stored, doc: str) -> int:
    """The row of the document that a user means: by doc_id, by the id in the data, or by the doc_id's beginning.

    Raises:
        RecipeError: none or several; the message lists what it could be.
    """
    if not doc.strip():
        raise RecipeError(
            [f"{doc!r} names no document; DOC is a doc_id, its beginning, or the id in the data"]
        )
    hexadecimal = doc.lower()
    if len(hexadecimal) == DIGITS and (known := stored.locate([hexadecimal])):
        return known[hexadecimal]
    table = stored.documents(["doc_id", "orig_id", "source", "file", "record"])
    for wanted in (
        pc.equal(table.column("doc_id"), hexadecimal),
        pc.equal(table.column("orig_id"), doc),
        pc.starts_with(table.column("doc_id"), hexadecimal),
        pc.starts_with(table.column("orig_id"), doc),
    ):
        rows = np.flatnonzero(pc.fill_null(wanted, False).to_numpy())
        if len(rows) == 1:
            return int(rows[0])
        if len(rows):
            some = table.take(pa.array(rows[:SHOWN])).to_pylist()
            lines = [f"  {r['doc_id']}  {r['orig_id'] or ''}  {_place(r)}" for r in some]
            more = [f"  and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
            raise RecipeError(
                ["\n".join([f"{doc!r} names {len(rows)} documents; say which by its doc_id:", *lines, *more])]
            )
    alike = pc.starts_with(table.column("orig_id"), doc[:3])
    known = table.column("orig_id").filter(alike)[:5000].to_pylist()
    message = (
        f"no document {doc!r} in run {stored.run.id}{nearest(doc, known)}; DOC is a doc_id (32 hex digits, or "
        f"the first few) or the id that the data carries; `gristmill documents` says where the table with all "
        f"of them lies"
    )
    raise RecipeError([message])


def explain(run: Run, doc: str, train: Path | None = None) -> dict[str, Any]:
    """Everything that a run stored about a document.

    Args:
        run: the run.
        doc: a doc_id, a prefix of one, or an orig_id.
        train: folder of a training on the run's shards; the run's own training if it has one.

    Returns:
        The columns of the documents table; `sentence`: what the reason says; `route`: a stage each, with what
        it measured; `metadata`: what load kept of the record; `text`: an excerpt; `duplicate`, `evidence`,
        `packed`: empty where there is nothing; `trained`: `folder`, and what `training.lessons` says of the rows with the document.

    Raises:
        RecipeError: no such document, or several.
    """
    stored = Stored(run)
    row = find(stored, doc)
    document = stored.document(row)
    text = stored.texts([row]).get(row, "")
    route = list(_route(stored, row))
    packed = list(_packed(stored, document["doc_id"]))
    where = "load" if document["fate"] == "quarantined" else document["fate"]
    return {
        **document,
        "sentence": reason_sentence(where, document["reason"] or ""),
        "run": run.id,
        "metadata": {
            name: value for name, value in route[0]["wrote"].items() if name not in stage_class("load").writes
        },
        "route": route,
        "characters": len(text),
        "text": clip(text, EXCERPT),
        "duplicate": _duplicate(stored, document, text) if document["duplicate_of"] else {},
        "evidence": _evidence(stored, row, document["contamination"] or []),
        "packed": packed,
        "trained": _trained(stored, packed, train),
    }


def grep(run: Run, text: str, most: int = 20) -> list[dict[str, Any]]:
    """Documents whose text, as the run left it, holds a text; upper and lower case are the same.

    Returns:
        doc_id, orig_id, source, file, record, fate, reason and `around`: the text about the first place; in
        load order, `most` at most.

    Raises:
        RecipeError: nothing to look for.
    """
    if not text:
        raise RecipeError(["--grep looks for a text; say which"])
    stored = Stored(run)
    columns = ["doc_id", "orig_id", "source", "file", "record", "fate", "reason"]
    found: list[dict[str, Any]] = []
    for row, around in stored.search(text, AROUND, most):
        found.append({**stored.document(row, columns), "around": around})
    return found


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['source']}: {row['file']}, record {row['record']}"


def _route(stored: Stored, row: int) -> Iterator[dict[str, Any]]:
    """Each stage that was given the document: what it wrote of it, and why it dropped it if it did."""
    part, place = stored.place(row)
    for entry in stored.stages:
        if not entry["parts"]:
            continue
        names = [name for name in stored.names(entry) if name not in {"text", "tokens"}]
        table = read_columns(stored.part_file(entry, part), names)
        values = table.slice(place, 1).to_pylist()[0]
        yield {
            "stage": entry["stage"],
            "reason": values["reason"],
            "alive": values["alive"],
            "wrote": {name: _shown(value) for name, value in values.items() if name not in _HIDDEN},
            "limits": _limits(stored, values) if entry["stage"] == "clean" else [],
        }
        if not values["alive"]:
            return


def _limits(stored: Stored, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bounds that clean held the document to, with its values."""
    from pipeline.bounds import (  # noqa: PLC0415 - only documents that met clean pay for its import
        clean_bounds,
        column_of,
    )

    limits = []
    for rule, bound in clean_bounds(stored, [values["profile"]]).get(values["profile"], {}).items():
        value = values[column_of(rule)]
        holds = value is not None and not (
            (bound.min is not None and value < bound.min) or (bound.max is not None and value > bound.max)
        )
        limits.append({"rule": rule, "value": value, "min": bound.min, "max": bound.max, "holds": holds})
    return limits


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _duplicate(stored: Stored, document: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The survivor, and where the two differ."""
    rows = stored.locate([document["duplicate_of"]])
    if not rows:
        return {"survivor": document["duplicate_of"], "similarity": document["similarity"]}
    row = rows[document["duplicate_of"]]
    survivor, other = stored.document(row), stored.texts([row], before="dedup").get(row, "")
    return {
        "survivor": document["duplicate_of"],
        "similarity": document["similarity"],
        **{key: survivor[key] for key in ("orig_id", "source", "file", "record", "fate")},
        "text": clip(other, EXCERPT),
        "characters": len(other),
        "differences": list(islice(_differences(text, other), SHOWN)),
    }


def _differences(here: str, there: str) -> Iterator[dict[str, str]]:
    """Where two texts part, in words, among the first `COMPARED` of each."""
    one, two = (list(islice(_WORDS.finditer(text), COMPARED)) for text in (here, there))
    matcher = difflib.SequenceMatcher(None, [w[0] for w in one], [w[0] for w in two], autojunk=False)
    for kind, start, stop, begin, end in matcher.get_opcodes():
        if kind != "equal":
            yield {"here": _span(here, one[start:stop]), "there": _span(there, two[begin:end])}


def _span(text: str, words: list[re.Match[str]]) -> str:
    return clip(text[words[0].start() : words[-1].end()], 200) if words else ""


def _evidence(stored: Stored, row: int, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The contaminated spans with the text around them, in the text that decontaminate read."""
    if not hits:
        return []
    text = stored.texts([row], before="decontaminate").get(row, "")
    return [
        {
            **hit,
            "before": text[max(0, hit["start"] - AROUND) : hit["start"]],
            "matched": text[hit["start"] : hit["end"]],
            "after": text[hit["end"] : hit["end"] + AROUND],
        }
        for hit in hits
    ]


def _packed(stored: Stored, doc: str) -> Iterator[dict[str, Any]]:
    """The rows that hold the document, with the place in the row and the tokens of the document there."""
    folder = stored.run.path / "packed"
    if not folder.exists():
        return
    packed, wanted = Packed(folder), pa.scalar(bytes.fromhex(doc), pa.binary(16))
    for name in packed.manifest.splits:
        before = 0
        for file, shard in packed.split(name).tables():
            first = 0
            for batch in shard.to_batches():
                ids = batch.column("segment_doc")
                found = np.flatnonzero(pc.equal(ids.flatten(), wanted).to_numpy(zero_copy_only=False))
                rows = pc.list_parent_indices(ids).to_numpy()
                for segment in found.tolist():
                    row = int(rows[segment])
                    place = segment - int(np.searchsorted(rows, row))
                    lengths = batch.column("segment_lengths")[row].as_py()
                    yield {
                        "split": name,
                        "shard": file,
                        "row": first + row,
                        "row_of_split": before + first + row,
                        "segment": place,
                        "offset": sum(lengths[:place]),
                        "start": batch.column("segment_start")[row][place].as_py(),
                        "tokens": lengths[place],
                    }
                first += batch.num_rows
            before += first


def _trained(stored: Stored, packed: list[dict[str, Any]], train: Path | None) -> dict[str, Any]:
    """What a training did with the document's rows; empty without a training."""
    folder = train or stored.run.path / "train"
    rows = sorted({place["row_of_split"] for place in packed if place["split"] == "train"})
    if train is None and not folder.is_dir():
        return {}
    return {"folder": str(folder), **lessons(stored.run.path / "packed", folder, rows)}
