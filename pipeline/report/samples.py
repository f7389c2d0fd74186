"""Excerpts for the page: dropped documents by reason, clusters of duplicates, contaminated spans, n-grams.

The documents with the least doc_ids are taken: the choice hangs on the corpus alone, not on how it was cut.
All texts are read in one pass over the parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.plain import clip
from pipeline.stored import Stored, reason_sentence, rows_of

EXAMPLES: Final = 3  # per reason and per benchmark
CLUSTERS: Final = 5
CHARS: Final = 360  # per excerpt: what a phone shows without scrolling
AROUND: Final = 100  # characters on each side of a contaminated span
SAMPLED: Final = 1000  # kept, and as many dropped documents, whose n-grams are counted
READ: Final = 2000  # characters of each of them
NGRAM: Final = 3
GRAMS: Final = 15  # that are listed
SEEN: Final = 3  # documents that an n-gram must occur in to be listed

_COLUMNS: Final = ("doc_id", "orig_id", "source", "file", "record", "fate", "reason", "lang",
                   "duplicate_of", "similarity", "cluster_size", "contamination")  # fmt: skip
_WORD: Final = re.compile(r"[\u2e80-\u2fdf\u3040-\u30ff\u3400-\u9fff]|[^\W\u2e80-\u9fff]+")
_CJK: Final = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff]")


def gather(stored: Stored, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All excerpts of the page.

    Args:
        stored: the run.
        stages: `stages` of report.json.

    Returns:
        `reasons`: every reason of every stage with `examples`; `clusters`: the largest, with `text` and
        `member`; `evidence`: benchmark -> spans; `ngrams`: `kept` and `dropped` -> (n-gram, documents).
    """
    table = stored.documents(list(_COLUMNS))
    reasons, clusters = _reasons(table, stages), _clusters(table)
    ids = {doc for reason in reasons for doc in reason["ids"]} | {row["doc_id"] for row in clusters}
    known = rows_of(table, sorted(ids))
    documents = {doc: table.slice(row, 1).to_pylist()[0] for doc, row in known.items()}
    survivors = {row["duplicate_of"] for row in documents.values() if row["duplicate_of"]}
    known |= rows_of(table, sorted(survivors)) | rows_of(
        table, [c["member"] for c in clusters if c["member"]]
    )
    sampled = {kept: _sampled(table, kept=kept) for kept in (True, False)}
    texts = stored.texts([*known.values(), *sampled[True], *sampled[False]], most=READ)

    def excerpt(doc: str | None) -> str | None:
        return clip(texts.get(known[doc], ""), CHARS) if doc in known else None

    for document in documents.values():
        document["text"] = excerpt(document["doc_id"])
        document["survivor_text"] = excerpt(document["duplicate_of"])
    for reason in reasons:
        reason["examples"] = [documents[doc] for doc in reason.pop("ids")]
    for cluster in clusters:
        cluster["text"], cluster["member_text"] = excerpt(cluster["doc_id"]), excerpt(cluster["member"])
    return {
        "reasons": reasons,
        "clusters": clusters,
        "evidence": _evidence(stored, table),
        "ngrams": {
            name: _ngrams(texts[row] for row in sampled[kept] if row in texts)
            for name, kept in (("kept", True), ("dropped", False))
        },
    }


def _reasons(table: pa.Table, stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every reason of every stage, most documents first within a stage, with the `ids` of its examples."""
    found: list[dict[str, Any]] = []
    for stage in stages:
        bad = stage["quarantined_by_reason"] or {}
        counted = {**bad, **stage["dropped"]}
        for reason, documents in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])):
            fate = "quarantined" if reason in bad else stage["stage"]
            here = pc.and_(pc.equal(table.column("fate"), fate), pc.equal(table.column("reason"), reason))
            by_source = {
                source: entry["dropped"].get(reason, 0) + entry["quarantined"].get(reason, 0)
                for source, entry in stage["by_source"].items()
            }
            found.append(
                {
                    "stage": stage["stage"],
                    "reason": reason,
                    "sentence": reason_sentence(stage["stage"], reason),
                    "documents": documents,
                    "share": documents / stage["in"] if stage["in"] else 0.0,
                    "by_source": {source: n for source, n in by_source.items() if n},
                    "ids": _least(table, here, EXAMPLES).column("doc_id").to_pylist(),
                }
            )
    return found


def _least(table: pa.Table, here: pa.ChunkedArray, most: int) -> pa.Table:
    """The rows with the least doc_ids among those that are true in `here`."""
    some = table.filter(here)
    order = pc.bottom_k_unstable(some.column("doc_id"), min(most, some.num_rows))
    return some.take(order)


def _clusters(table: pa.Table) -> list[dict[str, Any]]:
    """The largest clusters: the survivor, and the least doc_id that was dropped for it."""
    sizes = pc.fill_null(table.column("cluster_size"), 0)
    kept = table.filter(pc.and_(pc.equal(table.column("fate"), "kept"), pc.greater(sizes, 1)))
    order = pc.select_k_unstable(
        kept, min(CLUSTERS, kept.num_rows), [("cluster_size", "descending"), ("doc_id", "ascending")]
    )
    found = []
    for row in kept.take(order).to_pylist():
        members = _least(table, pc.equal(table.column("duplicate_of"), row["doc_id"]), 1)
        found.append({**row, "member": members.column("doc_id")[0].as_py() if members.num_rows else None})
    return found


def _sampled(table: pa.Table, *, kept: bool) -> list[int]:
    """The rows of the `SAMPLED` least doc_ids among the kept, or the dropped, documents."""
    fates = table.column("fate")
    dead = pa.array(["kept", "quarantined"])
    here = pc.equal(fates, "kept") if kept else pc.invert(pc.is_in(fates, value_set=dead))
    return sorted(rows_of(table, _least(table, here, SAMPLED).column("doc_id").to_pylist()).values())


def _ngrams(texts: Iterable[str]) -> list[tuple[str, int]]:
    """The n-grams of words (of CJK characters) that occur in most documents, and in how many.

    Words are numbered, and an n-gram is one integer: as tuples in a Counter, those of 2,000 excerpts are
    half a gigabyte.
    """
    numbers: dict[str, int] = {}
    numbered = [
        np.array([numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.lower())], np.int64)
        for text in texts
    ]
    seen = [np.zeros(0, np.int64)]
    for words in numbered:
        grams = np.zeros(max(0, len(words) - NGRAM + 1), np.int64)
        for place in range(NGRAM):
            grams = grams * len(numbers) + words[place : place + len(grams)]
        seen.append(np.unique(grams))
    grams, counts = np.unique(np.concatenate(seen), return_counts=True)
    least = max(SEEN, int(np.sort(counts)[-GRAMS:].min(initial=SEEN)))  # ties go by the words
    words_of = list(numbers)
    common = []
    for gram, count in zip(grams[counts >= least].tolist(), counts[counts >= least].tolist(), strict=True):
        places = [gram // len(numbers) ** power % len(numbers) for power in reversed(range(NGRAM))]
        common.append((-count, tuple(words_of[place] for place in places)))
    return [(_joined(words), -count) for count, words in sorted(common)[:GRAMS]]


def _joined(gram: Sequence[str]) -> str:
    return "".join(gram) if all(_CJK.match(word) for word in gram) else " ".join(gram)


def examples(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Contaminated spans for report.json: which document, which item, where, and what stands there."""
    return [{key: span[key] for key in ("doc_id", "item", "start", "end", "matched")} for span in spans]


def _evidence(stored: Stored, table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Up to `EXAMPLES` contaminated spans by benchmark, with the text around them."""
    hit = table.filter(pc.greater(pc.fill_null(pc.list_value_length(table.column("contamination")), 0), 0))
    if not hit.num_rows:
        return {}
    chosen: dict[str, list[dict[str, Any]]] = {}
    for row in hit.sort_by("doc_id").to_pylist():
        for span in row["contamination"]:
            mine = chosen.setdefault(span["benchmark"], [])
            if len(mine) < EXAMPLES and all(other["doc_id"] != row["doc_id"] for other in mine):
                mine.append({**row, **span})
    rows = rows_of(table, sorted({span["doc_id"] for spans in chosen.values() for span in spans}))
    texts = stored.texts(rows.values(), before="decontaminate")
    for span in (span for spans in chosen.values() for span in spans):
        text, start, end = texts.get(rows[span["doc_id"]], ""), span["start"], span["end"]
        span["before"] = text[max(0, start - AROUND) : start]
        span["matched"], span["after"] = clip(text[start:end], CHARS), text[end : end + AROUND]
    return dict(sorted(chosen.items()))
