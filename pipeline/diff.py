"""What differs between two runs: the recipe, the funnel, sources and languages, and which documents moved.

    diff(a, b) -> dict        compared document by document, by doc_id
    render(found) -> str      for a terminal; `page(found)` for a browser

Reads the two documents tables and records; runs of different recipes or works may be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ruamel.yaml import YAML

from pipeline import report
from pipeline.runs import Run
from pipeline.stored import Stored

__all__ = ["diff", "page", "render"]

EXAMPLES: Final = 5  # documents that are named for each kind of move
ABSENT: Final = "absent"  # the fate of a document that the other run never read
_COLUMNS: Final = ["doc_id", "source", "lang", "fate", "reason", "tokens", "repeats"]


def diff(a: Run, b: Run) -> dict[str, Any]:
    """Compares two runs.

    Returns:
        `a`, `b`: run ids; `recipe`: keys that differ with both values; `stages`: documents alive after each
        and whether the results are the same ones; `sources`, `languages`: kept documents and tokens in both;
        `documents`: how many are kept in both, gained, lost, and changed otherwise; `moves`: (fate, reason) in
        a -> in b, with documents and the least doc_ids as examples.
    """
    stored = Stored(a), Stored(b)
    tables = [one.documents(_COLUMNS) for one in stored]
    joined = _joined(*tables)
    kept = [pc.equal(joined.column(f"fate_{side}"), "kept").to_numpy() for side in "ab"]
    moves = list(_moves(joined))
    return {
        "a": a.id,
        "b": b.id,
        "recipe": list(_recipe(_resolved(a), _resolved(b))),
        "stages": _stages(*stored),
        "sources": _groups(tables[0], tables[1], "source"),
        "languages": _groups(tables[0], tables[1], "lang"),
        "documents": {
            "a": tables[0].num_rows,
            "b": tables[1].num_rows,
            "kept in both": int((kept[0] & kept[1]).sum()),
            "gained": int((~kept[0] & kept[1]).sum()),
            "lost": int((kept[0] & ~kept[1]).sum()),
            "dropped otherwise": sum(
                m["documents"] for m in moves if "kept" not in (m["a"]["fate"], m["b"]["fate"])
            ),
            "repeated otherwise": int((kept[0] & kept[1] & _differ(joined, "repeats")).sum()),
        },
        "moves": moves,
    }


def _joined(a: pa.Table, b: pa.Table) -> pa.Table:
    """Both tables side by side, a row a doc_id of either; fate `absent` where one run did not read it."""
    columns = ["doc_id", "fate", "reason", "repeats"]
    both = a.select(columns).join(
        b.select(columns), "doc_id", join_type="full outer", left_suffix="_a", right_suffix="_b"
    )
    for side in "ab":
        place = both.column_names.index(f"fate_{side}")
        both = both.set_column(place, f"fate_{side}", pc.fill_null(both.column(f"fate_{side}"), ABSENT))
    return both


def _differ(joined: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    unequal = pc.not_equal(joined.column(f"{name}_a"), joined.column(f"{name}_b"))
    return np.asarray(pc.fill_null(unequal, False).to_numpy(), dtype=bool)


def _moves(joined: pa.Table) -> Iterator[dict[str, Any]]:
    """Documents whose fate or reason differs, by what it was and is; most documents first."""
    keys = ["fate_a", "reason_a", "fate_b", "reason_b"]
    filled = joined
    for side in "ab":
        name = f"reason_{side}"
        filled = filled.set_column(
            filled.column_names.index(name), name, pc.fill_null(filled.column(name), "")
        )
    moved = filled.filter(pa.array(_differ(filled, "fate") | _differ(filled, "reason")))
    groups = moved.group_by(keys, use_threads=False).aggregate([([], "count_all")]).to_pylist()
    for group in sorted(groups, key=lambda g: (-g["count_all"], *(g[key] for key in keys))):
        same = pc.and_(*(pc.equal(moved.column(key), group[key]) for key in keys[:2]))
        same = pc.and_(same, pc.and_(*(pc.equal(moved.column(key), group[key]) for key in keys[2:])))
        ids = sorted(moved.column("doc_id").filter(same).to_pylist())[:EXAMPLES]
        yield {
            "a": {"fate": group["fate_a"], "reason": group["reason_a"] or None},
            "b": {"fate": group["fate_b"], "reason": group["reason_b"] or None},
            "documents": group["count_all"],
            "examples": ids,
        }


def _stages(a: Stored, b: Stored) -> list[dict[str, Any]]:
    words = list(dict.fromkeys(entry["stage"] for one in (a, b) for entry in one.stages))
    rows = []
    for word in words:
        sides = [one.entry(word) for one in (a, b)]
        rows.append(
            {
                "stage": word,
                "alive_a": sides[0]["alive"] if sides[0] else None,
                "alive_b": sides[1]["alive"] if sides[1] else None,
                "same": all(sides) and sides[0]["key"] == sides[1]["key"] if sides[0] and sides[1] else False,
            }
        )
    return rows


def _groups(a: pa.Table, b: pa.Table, key: str) -> list[dict[str, Any]]:
    """Per value of a column: kept documents and tokens (repeats counted) in both."""
    found: dict[Any, dict[str, Any]] = {}
    for side, table in (("a", a), ("b", b)):
        kept = table.filter(pc.equal(table.column("fate"), "kept"))
        tokens = pc.multiply(kept.column("tokens"), kept.column("repeats").cast(pa.int64()))
        sums = pa.table({key: kept.column(key), "tokens": tokens}).group_by(key, use_threads=False)
        for row in sums.aggregate([([], "count_all"), ("tokens", "sum")]).to_pylist():
            entry = found.setdefault(
                row[key], {key: row[key], "kept_a": 0, "kept_b": 0, "tokens_a": None, "tokens_b": None}
            )
            entry |= {f"kept_{side}": row["count_all"], f"tokens_{side}": row["tokens_sum"]}
    return sorted(found.values(), key=lambda row: (-max(row["kept_a"], row["kept_b"]), str(row[key])))


def _resolved(run: Run) -> Any:
    with (run.path / "recipe.resolved.yaml").open(encoding="utf-8") as file:
        return YAML(typ="safe", pure=True).load(file)


def _recipe(a: Any, b: Any, key: str = "") -> Iterator[dict[str, Any]]:
    """Keys whose values differ, deepest first where both sides go deeper."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys((*a, *b)):
            inner = f"{key}.{name}" if key else str(name)
            yield from _recipe(a.get(name, ABSENT), b.get(name, ABSENT), inner)
    elif a != b:
        yield {"key": key, "a": a, "b": b}


def render(found: Mapping[str, Any]) -> str:
    """The comparison as lines."""
    lines = [f"a: {found['a']}", f"b: {found['b']}", "", "recipe:"]
    lines += [f"  {row['key']}: {row['a']} -> {row['b']}" for row in found["recipe"]] or ["  the same"]
    lines += ["", "alive after each stage:"]
    for row in found["stages"]:
        same = "  (the same results)" if row["same"] else ""
        lines.append(f"  {row['stage']}: {_n(row['alive_a'])} -> {_n(row['alive_b'])}{same}")
    for key, title in (("source", "sources"), ("lang", "languages")):
        lines += ["", f"{title}, kept documents and tokens:"]
        for row in found[title]:
            if (row["kept_a"], row["tokens_a"]) != (row["kept_b"], row["tokens_b"]):
                lines.append(
                    f"  {row[key]}: {_n(row['kept_a'])} -> {_n(row['kept_b'])}, {_n(row['tokens_a'])} -> {_n(row['tokens_b'])}"
                )
    lines += ["", "documents:", *(f"  {name}: {number:,}" for name, number in found["documents"].items())]
    for move in found["moves"][:20]:
        lines.append(
            f"  {_fate(move['a'])} -> {_fate(move['b'])}: {move['documents']:,}, such as {move['examples'][0]}"
        )
    return "\n".join(lines)


def page(found: Mapping[str, Any]) -> str:
    """The comparison as one offline page."""
    return report.environment("en").get_template("diff.html").render(found=found, fate=_fate)


def _fate(side: Mapping[str, Any]) -> str:
    return f"{side['fate']}: {side['reason']}" if side["reason"] else str(side["fate"])


def _n(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
