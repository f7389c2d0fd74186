"""What `explain` found, as lines for a terminal; corpus text cannot act on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.plain import plain

__all__ = ["render"]

SHOWN: Final = 10  # rows of shards that are listed


def render(found: Mapping[str, Any]) -> str:
    """What `explain` found, as lines for a terminal; corpus text cannot act on it."""
    lines = [
        f"{found['doc_id']}" + (f"  (in the data: {plain(found['orig_id'])})" if found["orig_id"] else ""),
        f"source {found['source']}, file {plain(found['file'])}, record {found['record']}",
        f"fate: {_fate(found)}",
    ]
    if kept := [f"{name} {_value(value)}" for name, value in found["metadata"].items() if value is not None]:
        lines.append(f"metadata: {', '.join(kept)}")
    if found["text"]:
        lines += ["", f"text ({found['characters']:,} characters):", *_indented(found["text"])]
    lines += ["", "route:"]
    for step in found["route"]:
        lines.append(f"  {step['stage']}: " + ("alive" if step["alive"] else f"dropped: {step['reason']}"))
        wrote = ", ".join(f"{k} {_value(v)}" for k, v in step["wrote"].items() if v is not None)
        lines += [f"      {wrote}"] if wrote and step["stage"] != "load" else []
        lines += [f"      fails {_limit(limit)}" for limit in step["limits"] if not limit["holds"]]
    lines += [*_render_duplicate(found["duplicate"]), *_render_evidence(found["evidence"])]
    return "\n".join([*lines, *_render_packed(found), *_render_trained(found.get("trained") or {})])


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
    alike = duplicate["similarity"]  # of documents that nobody compared there is none
    told = "the two were not compared" if alike is None else f"similarity {alike:.4f}"
    yield from ("", f"duplicate of {duplicate['survivor']}, {told}")
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


def _render_trained(trained: Mapping[str, Any]) -> Iterator[str]:
    if not trained:
        return
    yield ""
    yield f"trained on in {len(trained['steps'])} of {trained['steps_done']} steps{_listed(trained['steps'])}"
    if trained["masked"]:
        yield f"skipped by the guard in {len(trained['masked'])} steps{_listed(trained['masked'])}: its rows were masked"
    for event in trained["undone"]:
        undone = (
            f"undone by the rollback from step {event['step']} to {event['back_to']}{_listed(event['steps'])}"
        )
        yield f"{undone}; why: {plain(event['why'])}"
    for step in trained["not_taken"]:
        yield f"step {step['step']} drew it, but was left out whole: {plain(step['why'])}"


def _listed(steps: list[int]) -> str:
    shown = ", ".join(map(str, steps[: 2 * SHOWN])) + (" ..." if len(steps) > 2 * SHOWN else "")
    return f" ({shown})" if steps else ""


def _limit(limit: Mapping[str, Any]) -> str:
    value = "which has no value" if limit["value"] is None else f"{_value(limit['value'])}"
    bounds = [f"at least {limit['min']:g}"] if limit["min"] is not None else []
    bounds += [f"at most {limit['max']:g}"] if limit["max"] is not None else []
    return f"{limit['rule']}: {value}, asked for {' and '.join(bounds)}"


def _indented(text: str) -> list[str]:
    return [f"  | {line}" for line in plain(text).split("\n")]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(str(value))
