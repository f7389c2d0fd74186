"""The report's tables as CSV files, for spreadsheets: RUN/tables/<name>.csv, the same numbers as report.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.store import writing


def tables(found: Mapping[str, Any], reasons: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Name -> rows.

    Args:
        found: the content of report.json.
        reasons: `samples.gather(...)["reasons"]`.
    """
    rules = [
        {
            "column": metric["column"],
            **{k: v for k, v in rule.items() if k not in {"at", "line"}},
            **_at(rule),
        }
        for metric in found["metrics"]
        for rule in metric["rules"]
    ]
    shards = [
        {"split": name, **shard}
        for name, split in found["packing"].get("splits", {}).items()
        for shard in split["shards"]
    ]
    stages = [
        {
            key: stage[key]
            for key in ("stage", "key", "in", "alive", "quarantined", "seconds", "bytes", "tokens", "peak_mb")
        }
        for stage in found["stages"]
    ]
    return {
        "stages": stages,
        "funnel": found["funnel"],
        "ledger": found["ledger"],
        "reasons": [{k: v for k, v in row.items() if k != "examples"} for row in reasons],
        "sources": found["sources"],
        "languages": found["languages"],
        "rules": rules,
        "losses": found["duplicates"].get("losses", []),
        "mixture": found["mixture"],
        "contamination": [
            {key: value for key, value in row.items() if not isinstance(value, list)}
            for row in found["contamination"]
        ],
        "phrases": [
            {
                "benchmark": row["benchmark"],
                "kind": kind,
                **phrase,
                "text": json.dumps(phrase["text"], ensure_ascii=False),
            }
            for row in found["contamination"]
            for kind in ("grams", "common_phrases")
            for phrase in row[kind]
        ],
        "domains": found["domains"].get("top", []),
        "shards": shards,
        "loss": [{"step": step, "loss": loss} for step, loss in found["training"].get("loss", [])],
    }


def write(folder: Path, rows_by_name: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Writes the tables that have rows; values that are no scalars are written as JSON."""
    for name, rows in rows_by_name.items():
        if not rows:
            continue
        with (
            writing(folder / f"{name}.csv") as beside,
            beside.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({key: _cell(value) for key, value in row.items()})


def _at(rule: Mapping[str, Any]) -> dict[str, int]:
    return {f"fails at {factor} x": count for factor, count in rule["at"].items()}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
