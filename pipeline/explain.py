"""One document's whole route: where it came from, what was measured, why it was kept or dropped, where it lies.

    explain(run, doc) -> dict       everything that the run stored about it
    render(found) -> str            the same for people

Finds nothing out anew: it reads columns, texts and shards, and puts them side by side.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.complaints import nearest
from pipeline.errors import RecipeError
from pipeline.plain import clip, plain
from pipeline.runs import Run
from pipeline.store import read_table
from pipeline.stored import Stored, reason_sentence, rows_of
from stages.packed import Packed

__all__ = ["explain", "find", "render"]

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
    table = stored.documents(["doc_id", "orig_id", "source", "file", "record"])
    hexadecimal = doc.lower()
    for wanted in (
        pc.equal(table.column("doc_id"), hexadecimal),
        pc.equal(table.column("orig_id"), doc),
        pc.starts_with(table.column("doc_id"), hexadecimal),
    ):
        rows = np.flatnonzero(pc.fill_null(wanted, False).to_numpy())
        if len(rows) == 1:
            return int(rows[0])
        if len(rows):
            some = table.take(pa.array(rows[:SHOWN])).to_pylist()
            lines = [f"  {r['doc_id']}  {r['source']}: {r['file']}, record {r['record']}" for r in some]
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


def explain(run: Run, doc: str) -> dict[str, Any]:
    """Everything that a run stored about a document.

    Args:
        run: the run.
        doc: a doc_id, a prefix of one, or an orig_id.

    Returns:
        The columns of the documents table; `sentence`: what the reason says; `route`: a stage each, with what
        it measured; `text`: an excerpt; `duplicate`, `evidence`, `packed`: empty where there is nothing.

    Raises:
        RecipeError: no such document, or several.
    """
    stored = Stored(run)
    row = find(stored, doc)
    document: dict[str, Any] = stored.documents().slice(row, 1).to_pylist()[0]
    text = stored.texts([row]).get(row, "")
    route = list(_route(stored, row))
    where = "load" if document["fate"] == "quarantined" else document["fate"]
    return {
        **document,
        "sentence": reason_sentence(where, document["reason"] or ""),
        "run": run.id,
        "route": route,
        "characters": len(text),
        "text": clip(text, EXCERPT),
        "duplicate": _duplicate(stored, document, text) if document["duplicate_of"] else {},
        "evidence": _evidence(stored, row, document["contamination"] or []),
        "packed": list(_packed(stored, document["doc_id"])),
    }


def _route(stored: Stored, row: int) -> Iterator[dict[str, Any]]:
    """Each stage that was given the document: what it wrote of it, and why it dropped it if it did."""
    part = int(np.searchsorted(stored.bounds, row, side="right")) - 1
    place = row - int(stored.bounds[part])
    for entry in stored.stages:
        if not entry["parts"]:
            continue
        table = read_table(stored.part_file(entry, part))
        names = [name for name in table.column_names if name not in {"text", "tokens"}]
        values = table.select(names).slice(place, 1).to_pylist()[0]
        yield {
            "stage": entry["stage"],
            "reason": values["reason"],
            "alive": values["alive"],
            "wrote": {name: _shown(value) for name, value in values.items() if name not in _HIDDEN},
        }
        if not values["alive"]:
            return


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _duplicate(stored: Stored, document: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The survivor, and where the two differ."""
    table = stored.documents(["doc_id", "orig_id", "source", "file", "record", "fate"])
    rows = rows_of(table, [document["duplicate_of"]])
    if not rows:
        return {"survivor": document["duplicate_of"], "similarity": document["similarity"]}
    row = rows[document["duplicate_of"]]
    other = stored.texts([row], before="dedup").get(row, "")
    return {
        "survivor": document["duplicate_of"],
        "similarity": document["similarity"],
        **{key: value for key, value in table.slice(row, 1).to_pylist()[0].items() if key != "doc_id"},
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
                        "segment": place,
                        "offset": sum(lengths[:place]),
                        "start": batch.column("segment_start")[row][place].as_py(),
                        "tokens": lengths[place],
                    }
                first += batch.num_rows


def render(found: Mapping[str, Any]) -> str:
    """What `explain` found, as lines for a terminal; corpus text cannot act on it."""
    lines = [
        f"{found['doc_id']}" + (f"  (in the data: {plain(found['orig_id'])})" if found["orig_id"] else ""),
        f"source {found['source']}, file {plain(found['file'])}, record {found['record']}",
        f"fate: {_fate(found)}",
    ]
    if found["text"]:
        lines += ["", f"text ({found['characters']:,} characters):", *_indented(found["text"])]
    lines += ["", "route:"]
    for step in found["route"]:
        lines.append(f"  {step['stage']}: " + ("alive" if step["alive"] else f"dropped: {step['reason']}"))
        wrote = ", ".join(f"{k} {_value(v)}" for k, v in step["wrote"].items() if v is not None)
        lines += [f"      {wrote}"] if wrote and step["stage"] != "load" else []
    lines += [*_render_duplicate(found["duplicate"]), *_render_evidence(found["evidence"])]
    return "\n".join([*lines, *_render_packed(found)])


def _fate(found: Mapping[str, Any]) -> str:
    if found["fate"] == "kept":
        times = f", seen {found['repeats']} times" if (found["repeats"] or 0) > 1 else ""
        tokens = f", {found['tokens']:,} tokens" if found["tokens"] is not None else ""
        return f"kept{tokens}{times}"
    how = "quarantined" if found["fate"] == "quarantined" else f"dropped by {found['fate']}"
    return f"{how}: {found['reason']}" + (f" ({found['sentence']})" if found["sentence"] else "")


def _render_duplicate(duplicate: Mapping[str, Any]) -> Iterator[str]:
    if not duplicate:
        return
    yield from ("", f"duplicate of {duplicate['survivor']}, similarity {duplicate['similarity']:.4f}")
    if "text" not in duplicate:
        return
    yield f"  {duplicate['source']}, {plain(duplicate['file'])}, record {duplicate['record']} ({duplicate['fate']})"
    yield from _indented(duplicate["text"])
    for difference in duplicate["differences"]:
        yield f"  here:  {plain(difference['here']) or '(nothing)'}"
        yield f"  there: {plain(difference['there']) or '(nothing)'}"


def _render_evidence(evidence: list[dict[str, Any]]) -> Iterator[str]:
    for hit in evidence:
        yield from ("", f"{hit['benchmark']}, item {hit['item']}: characters {hit['start']} to {hit['end']}")
        yield from _indented(f"… {hit['before']}【{hit['matched']}】{hit['after']} …")


def _render_packed(found: Mapping[str, Any]) -> Iterator[str]:
    rows = found["packed"]
    if not rows:
        return
    yield from ("", f"packed in {len(rows)} segments:")
    for row in rows[:SHOWN]:
        yield (
            f"  {row['shard']}, row {row['row']}, segment {row['segment']}: {row['tokens']} tokens at {row['offset']}, "
            f"from token {row['start']} of the document"
        )
    if len(rows) > SHOWN:
        yield f"  and {len(rows) - SHOWN} more"


def _indented(text: str) -> list[str]:
    return [f"  | {line}" for line in plain(text).split("\n")]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(str(value))
