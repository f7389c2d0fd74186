"""Holds a run to what it says: digests, conservation, the documents table, and the shards down to their tokens.

    verify(run, packed=False) -> problems, a sentence each; none: everything is as it was

Reads everything again and repairs nothing: what is damaged is made anew by the next run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import ledger
from pipeline.errors import StageFailed
from pipeline.runs import Run
from pipeline.store import inspect, read_marker, read_table
from pipeline.stored import Stored
from pipeline.tabulate import hexadecimal
from stages.packed import TOKENIZER, Packed, PackedError, Split

__all__ = ["verify"]

ROWS: Final = 2000  # of a split that are compared with the documents; all of them when there are no more
DECODED: Final = 500  # documents of those rows that are decoded back to text
SHOWN: Final = 20  # problems of one kind that are listed
_COMPARED: Final = ("doc", "source", "lengths", "bytes")


def verify(run: Run, *, packed: bool = False) -> list[str]:
    """Everything that is wrong with a run, one sentence each; empty when all is well.

    Args:
        run: the run.
        packed: also the shards: digests, sums, ids, splits, and rows compared with the stored tokens and,
            decoded, with the stored text.
    """
    stored = Stored(run)
    found = [*_results(stored)]
    problems = [problem for _, problem in found]
    if any(stage != "pack" for stage, _ in found):
        return problems  # what follows reads them
    if not problems:
        problems += [*_conserved(stored), *_documents(stored)]
    if packed:
        problems += list(_shards(stored))
    return problems


def _results(stored: Stored) -> Iterator[tuple[str, str]]:
    """Every marker and data file of the run, read and compared with its digest: stage and problem."""
    stems: dict[str, tuple[str, str]] = {}
    for entry in stored.stages:
        for step, found in entry["steps"].items():
            stems |= dict.fromkeys(found, (entry["stage"], f" ({step})"))
        if "read" not in entry["steps"]:  # markers of slices vouch for the parts cut from them
            stems |= dict.fromkeys(entry["parts"], (entry["stage"], ""))
    for name, found in stored.record.get("statistics", {}).items():
        stems |= dict.fromkeys(found, ("documents", f" ({name})"))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        states = pool.map(lambda stem: inspect(Path(stem))[0], stems)
        for (stem, (stage, step)), state in zip(stems.items(), states, strict=True):
            if state != "fresh":
                yield stage, f"{stage}{step}: {stem} is {state}; run the recipe again to make it anew"


def _conserved(stored: Stored) -> Iterator[str]:
    """The ledgers of all parts, added up and compared with what the run says of itself."""
    before = None
    for entry in stored.stages:
        stems = entry["parts"] or entry["steps"].get("route", [])
        markers = [marker for stem in stems if (marker := read_marker(Path(stem))) is not None]
        try:
            book = ledger.conserve(entry["stage"], before, markers)
        except StageFailed as error:
            yield str(error)
            continue
        if book != entry["by_source"]:
            yield f"{entry['stage']}: run.json has another ledger than the parts it names"
        before = markers if entry["parts"] else before


def _documents(stored: Stored) -> Iterator[str]:
    """The documents table: every document once, with the fates that the ledgers count."""
    columns = ["doc_id", "source", "fate", "reason", "duplicate_of"]
    table = stored.documents(columns)
    if len(table.column("doc_id").unique()) != table.num_rows:
        yield "documents: a doc_id occurs twice"
    grouped = table.group_by(["source", "fate", "reason"], use_threads=False).aggregate([([], "count_all")])
    found = Counter({(r["source"], r["fate"], r["reason"]): r["count_all"] for r in grouped.to_pylist()})
    counted: Counter[tuple[str, str, str | None]] = Counter()
    for entry in stored.stages:
        for source, book in entry["by_source"].items():
            for reason, number in book["dropped"].items():
                counted[source, entry["stage"], reason] += number
            for reason, number in book["quarantined"].items():
                counted[source, "quarantined", reason] += number
    for source, book in (stored.stages[-1]["by_source"] if stored.stages else {}).items():
        counted[source, "kept", None] += book["alive"]
    for key in sorted({*found, *counted}, key=str):
        if found[key] != counted[key]:
            source, fate, reason = key
            what = f"{source}, {fate}" + (f", {reason}" if reason else "")
            yield f"documents: {what}: {found[key]} in the table, {counted[key]} in the ledger"
    yield from _survivors(stored, table)


def _survivors(stored: Stored, table: pa.Table) -> Iterator[str]:
    """Every dropped duplicate names a document that dedup, and whatever came before it, let live."""
    words = [entry["stage"] for entry in stored.stages]
    if "dedup" not in words:
        return
    dead = pa.array(["quarantined", *words[: words.index("dedup") + 1]])
    lived = table.filter(pc.invert(pc.is_in(table.column("fate"), value_set=dead))).column("doc_id")
    dropped = table.filter(pc.equal(table.column("fate"), "dedup"))
    dropped = dropped.filter(
        pc.not_equal(dropped.column("reason"), "passages")
    )  # for what they held, not for whom
    lost = dropped.filter(
        pc.invert(pc.is_in(dropped.column("duplicate_of"), value_set=lived.combine_chunks()))
    )
    for row in lost.slice(0, SHOWN).to_pylist():
        yield f"documents: {row['doc_id']} was dropped for {row['duplicate_of']}, which dedup did not keep"


def _shards(stored: Stored) -> Iterator[str]:
    folder = stored.run.path / "packed"
    if not folder.exists():
        yield f"{stored.run.id} has no packed shards: its recipe has no pack:, or it was stopped before it"
        return
    try:
        packed = Packed(folder)
    except PackedError as error:
        yield str(error)
        return
    problems = packed.verify()
    yield from problems
    if not problems:
        yield from _compared(stored, packed)


def _compared(stored: Stored, packed: Packed) -> Iterator[str]:
    """Which documents are packed how often and under which source; then rows against stored tokens and text."""
    table = stored.documents(["doc_id", "source", "fate", "tokens", "repeats", "duplicate_of"])
    ids = table.column("doc_id").combine_chunks()
    names = pa.array(packed.manifest.sources, pa.string())
    sources = pc.fill_null(pc.index_in(table.column("source"), value_set=names), -1).to_numpy()
    copies = np.where(
        pc.equal(table.column("fate"), "kept").to_numpy(), table.column("repeats").to_numpy(), 0
    ).astype(np.int64)
    once = _lengths(stored, packed, table)
    size = stored.column("bytes")
    bytes_once = np.where(once > 0, pc.fill_null(size, 0).to_numpy() if size is not None else 0, 0)
    found, found_bytes = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    clusters = {}
    for name in packed.manifest.splits:
        held: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
        for file, shard in packed.split(name).tables():
            flat = {what: pc.list_flatten(shard.column(f"segment_{what}")) for what in _COMPARED}
            sums = (
                pa.table(flat).group_by(["doc", "source"]).aggregate([("lengths", "sum"), ("bytes", "sum")])
            )
            rows = pc.index_in(hexadecimal(sums.column("doc").combine_chunks()), value_set=ids)
            if rows.null_count:
                yield f"{file}: holds {rows.null_count} documents that the run does not know"
                return
            at = rows.to_numpy()
            wrong = np.flatnonzero(sums.column("source").to_numpy() != sources[at])
            for one in wrong[:SHOWN].tolist():
                source = table.column("source")[at[one]].as_py()
                number = sums.column("source")[one].as_py()
                yield f"{file}: {ids[at[one]]} is of {source}, but a segment of it names source {names[number]}"
            held.append(at)
            np.add.at(found, at, sums.column("lengths_sum").to_numpy().astype(np.int64))
            np.add.at(found_bytes, at, sums.column("bytes_sum").to_numpy().astype(np.int64))
        rows_held = np.unique(np.concatenate(held))
        clusters[name] = _clusters(table, rows_held)
        if name == "validation":  # held out once, however often the mixture repeats it
            copies[rows_held] = np.minimum(copies[rows_held], 1)
    first, *others = clusters.values()
    for cluster in sorted(first.intersection(*others))[:SHOWN]:
        yield f"{cluster}: duplicates of it are in both splits"
    wanted, whole = once * copies, bytes_once * copies
    for row in np.flatnonzero(found != wanted)[:SHOWN].tolist():
        yield f"{ids[row]}: {found[row]} tokens in the shards, but its tokens and repeats ask for {wanted[row]}"
    if not _truncates(stored):
        for row in np.flatnonzero((found == wanted) & (found_bytes != whole))[:SHOWN].tolist():
            yield f"{ids[row]}: its segments stand for {found_bytes[row]} bytes, but its text and repeats for {whole[row]}"
    checked: dict[int, npt.NDArray[np.int64]] = {}
    for name in packed.manifest.splits:
        yield from _rows(stored, packed, packed.split(name), name, ids, checked)
    yield from _decoded(stored, packed, checked)


def _lengths(stored: Stored, packed: Packed, table: pa.Table) -> npt.NDArray[np.int64]:
    """Tokens that each document takes in the shards, its end included."""
    tokens = pc.fill_null(table.column("tokens"), 0).to_numpy()
    full: npt.NDArray[np.int64] = (tokens + 1) * (tokens > 0)
    return np.minimum(full, packed.manifest.seq_len) if _truncates(stored) else full


def _clusters(table: pa.Table, rows: npt.NDArray[np.int64]) -> set[str]:
    """The documents that these rows are, or are duplicates of."""
    taken = table.select(["duplicate_of", "doc_id"]).take(pa.array(rows))
    return set(pc.coalesce(taken.column("duplicate_of"), taken.column("doc_id")).to_pylist())


def _truncates(stored: Stored) -> bool:
    entry = stored.entry("pack")
    return entry is not None and entry["parameters"].get("overlong") == "truncate"


def _rows(
    stored: Stored,
    packed: Packed,
    split: Split,
    name: str,
    ids: pa.Array,
    checked: dict[int, npt.NDArray[np.int64]],
) -> Iterator[str]:
    """Evenly spread rows of a split, segment by segment, against the tokens that tokenize stored."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(ROWS, len(split))).astype(np.int64))
    if not len(chosen):
        return
    rows, flat = split.rows(chosen), split.segments(chosen)
    documents = pc.index_in(pa.array([doc.tobytes().hex() for doc in flat.doc], pa.string()), value_set=ids)
    stored_tokens = _tokens(stored, sorted({row for row in documents.to_pylist() if row not in checked}))
    checked |= {row: np.append(own, packed.manifest.eos_id) for row, own in stored_tokens.items()}
    for at, number in enumerate(chosen.tolist()):
        place = 0
        for segment in range(int(flat.offsets[at]), int(flat.offsets[at + 1])):
            length, start = int(flat.lengths[segment]), int(flat.start[segment])
            own = checked[documents[segment].as_py()][start : start + length]
            if not np.array_equal(rows[at, place : place + length], own):
                doc = flat.doc[segment].tobytes().hex()
                yield f"{name} row {number}: holds other tokens of {doc} than tokenize stored"
            place += length


def _tokens(stored: Stored, rows: list[int]) -> dict[int, npt.NDArray[np.int64]]:
    """The stored tokens of documents, by row; the files are memory-mapped."""
    entry = stored.entry("tokenize")
    parts: dict[int, Any] = {}
    found = {}
    for row in rows:
        part, place = stored.place(row)
        if part not in parts and entry is not None:
            parts[part] = read_table(stored.part_file(entry, part), ["tokens"]).column("tokens")
        values = parts[part][place].values
        found[row] = np.zeros(0, np.int64) if values is None else values.to_numpy().astype(np.int64)
    return found


def _decoded(stored: Stored, packed: Packed, checked: dict[int, npt.NDArray[np.int64]]) -> Iterator[str]:
    """Tokens decoded with the folder's tokenizer give the text; or, if it folds text, the text gives the tokens."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - only this check needs it

    tokenizer = Tokenizer.from_file(str(packed.folder / TOKENIZER))
    rows = sorted(checked)[:: max(1, len(checked) // DECODED)]
    texts = stored.texts(rows, before="tokenize")
    for row in rows:
        tokens, text = checked[row][:-1].tolist(), texts.get(row, "")
        if tokenizer.decode(tokens, skip_special_tokens=False) == text:
            continue
        if tokenizer.encode(text, add_special_tokens=False).ids != tokens:
            doc = stored.documents(["doc_id"]).column("doc_id")[row].as_py()
            yield f"{doc}: its packed tokens are not those of its stored text"
