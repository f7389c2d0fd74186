"""Excerpts for the page: dropped documents by reason, clusters of duplicates, contaminated spans, common phrases.

The documents with the least doc_ids are shown, as the parts remembered them: the choice hangs on the corpus
alone, not on how it was cut. So a bounded number of texts is read, however large the corpus is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.plain import clip
from pipeline.stored import Stored, reason_sentence

CLUSTERS: Final = 5
CHARS: Final = 360  # per excerpt: what a phone shows without scrolling
AROUND: Final = 100  # characters on each side of a contaminated span
GRAMS: Final = 15  # that are listed
SEEN: Final = 3  # documents that a phrase must occur in to be listed
_READ: Final = 2000  # characters of a text that may become an excerpt
_COLUMNS: Final = ["doc_id", "orig_id", "source", "file", "record", "fate", "reason", "lang",
                   "duplicate_of", "similarity", "cluster_size", "contamination"]  # fmt: skip


def gather(stored: Stored, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All excerpts of the page.

    Args:
        stored: the run.
        stages: `stages` of report.json.

    Returns:
        `reasons`: every reason of every stage with `examples`, each with its text as it was read (`before`) and
        as the stages left it (`text`); `clusters`: the largest, with `text` and `member`; `evidence`: benchmark
        -> spans; `phrases`: `kept` and `dropped` -> `documents` counted, `common`: (phrase, documents).
    """
    reasons, clusters = _reasons(stored, stages), _clusters(stored)
    documents = stored.rows_at(
        {row for reason in reasons for row in reason["rows"]} | {own["row"] for own in clusters}, _COLUMNS
    )
    others = {own["duplicate_of"] for own in documents.values()} | {own["member"] for own in clusters}
    places = stored.locate(sorted(others - {None}))
    texts = stored.texts([*documents, *places.values()], most=_READ)
    first = stored.texts(documents, most=_READ, first=True)
    for row, own in documents.items():
        own["before"], own["text"] = (clip(found.get(row, ""), CHARS) for found in (first, texts))
        at = places.get(own["duplicate_of"])
        own["survivor_text"] = clip(texts.get(at, ""), CHARS) if at is not None else None
    for reason in reasons:
        reason["examples"] = [documents[row] for row in reason.pop("rows")]
    for cluster in clusters:
        member = places.get(cluster["member"])
        cluster.update(documents[cluster["row"]])
        cluster["member_text"] = clip(texts.get(member, ""), CHARS) if member is not None else None
    return {
        "reasons": reasons,
        "clusters": clusters,
        "evidence": _evidence(stored),
        "phrases": _phrases(stored),
    }


def _reasons(stored: Stored, stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every reason of every stage, most documents first within a stage, with the `rows` of its examples."""
    least = stored.statistics["least"]["reasons"]
    found: list[dict[str, Any]] = []
    for stage in stages:
        bad = stage["quarantined_by_reason"] or {}
        counted = {**bad, **stage["dropped"]}
        for reason, documents in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])):
            fate = "quarantined" if reason in bad else stage["stage"]
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
                    "rows": [row for _, row in least.get(fate, {}).get(reason, ())],
                }
            )
    return found


def _clusters(stored: Stored) -> list[dict[str, Any]]:
    """The largest clusters: the survivor's `row`, and the least doc_id that was dropped for it."""
    path = stored.artifact("dedup", "duplicates.json")
    removed = (
        {own["survivor"]: own["removed"] for own in json.loads(path.read_bytes())["largest"]} if path else {}
    )
    return [
        {"row": own["row"], "member": next(iter(removed.get(own["doc_id"], ())), None)}
        for own in stored.statistics["most"][:CLUSTERS]
    ]


def _phrases(stored: Stored) -> dict[str, Any]:
    """Of the kept and of the dropped in the sample: how many they are, and what most of them have."""
    found = stored.statistics["counts"]["phrases"]
    return {
        name: {
            "documents": found["documents"][name],
            "common": sorted(
                ((phrase, count) for phrase, count in found[name].items() if count >= SEEN),
                key=lambda pair: (-pair[1], pair[0]),
            )[:GRAMS],
        }
        for name in ("kept", "dropped")
    }


def examples(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Contaminated spans for report.json: which document, which item, where, and what stands there."""
    return [{key: span[key] for key in ("doc_id", "item", "start", "end", "matched")} for span in spans]


def _evidence(stored: Stored) -> dict[str, list[dict[str, Any]]]:
    """The first contaminated span of the remembered documents of each benchmark, with the text around it."""
    least = stored.statistics["least"]["contamination"]
    documents = stored.rows_at({row for found in least.values() for _, row in found}, _COLUMNS)
    texts = stored.texts(documents, before="decontaminate")
    chosen: dict[str, list[dict[str, Any]]] = {}
    for benchmark, found in sorted(least.items()):
        for _, row in found:
            own, text = documents[row], texts.get(row, "")
            span = next(span for span in own["contamination"] if span["benchmark"] == benchmark)
            start, end = span["start"], span["end"]
            around = {"before": text[max(0, start - AROUND) : start], "after": text[end : end + AROUND]}
            chosen.setdefault(benchmark, []).append(
                {**own, **span, **around, "matched": clip(text[start:end], CHARS)}
            )
    return chosen
