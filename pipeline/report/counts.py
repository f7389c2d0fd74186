"""Documents, bytes and tokens by stage, source, language and fate, from the ledgers and the documents table.

Only sums: the ledgers were checked when the run made them, and `ledger` shows the check again.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stored import Stored

_READ: Final = ("doc_id", "source", "lang", "fate", "reason", "duplicate_of", "similarity", "cluster_size",
                "contamination", "chars", "tokens", "repeats", "words")  # fmt: skip
_SUMMED: Final = ("documents", "bytes", "chars", "words", "tokens", "repeated")
_SHOWN: Final = ("stage", "key", "in", "alive", "dropped", "quarantined", "seconds", "bytes", "by_source",
                 "quarantined_by_reason", "tokens", "peak_mb", "tallies", "made")  # fmt: skip


def stage_facts(entry: dict[str, Any]) -> dict[str, Any]:
    """A stage's entry in report.json: its entry in run.json without paths."""
    return {key: entry.get(key) for key in _SHOWN}


def funnel(stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is left after each stage: documents, bytes, tokens; `tokens_estimated` where they were not yet known."""
    known = next((s for s in stages if s["tokens"] and s["bytes"]), None)
    rate = known["tokens"] / known["bytes"] if known else None
    steps = []
    for stage in stages:
        estimate = rate is not None and stage["tokens"] is None
        steps.append(
            {
                "stage": stage["stage"],
                "documents": stage["alive"],
                "lost": stage["in"] - stage["alive"],
                "bytes": stage["bytes"],
                "tokens": round(stage["bytes"] * rate) if estimate and rate is not None else stage["tokens"],
                "tokens_estimated": estimate,
            }
        )
    return steps


def ledger(stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per stage and source: in, alive, dropped, quarantined, and whether they add up and fit the stage before."""
    rows = []
    before: dict[str, int] | None = None
    for stage in stages:
        for source, entry in stage["by_source"].items():
            dropped, bad = sum(entry["dropped"].values()), sum(entry["quarantined"].values())
            adds_up = entry["in"] == entry["alive"] + dropped + bad
            follows = before is None or before.get(source, 0) == entry["in"]
            rows.append(
                {
                    "stage": stage["stage"],
                    "source": source,
                    "in": entry["in"],
                    "alive": entry["alive"],
                    "dropped": dropped,
                    "quarantined": bad,
                    "holds": adds_up and follows,
                }
            )
        before = {source: entry["alive"] for source, entry in stage["by_source"].items()}
    return rows


def versions(stored: Stored) -> dict[str, str]:
    """What decides bytes: Gristmill, Python and the libraries that entered the keys."""
    try:
        own = version("gristmill")
    except PackageNotFoundError:  # run from a checkout
        own = "checkout"
    found = {"gristmill": own, "python": platform.python_version()}
    for entry in stored.stages:
        found |= entry.get("identity", {}).get("libraries", {})
    return found


class Documents:
    """The documents table with what reports count: a row a document, dead ones included.

    Attributes:
        table: the columns of `_READ`, and `bytes` and `repeated` (tokens times repeats).
    """

    def __init__(self, stored: Stored) -> None:
        table = stored.documents(list(_READ))
        rows = table.num_rows
        size = stored.column("bytes")
        table = table.append_column("bytes", size if size is not None else pa.nulls(rows, pa.int64()))
        repeated = pc.multiply(table.column("tokens"), table.column("repeats").cast(pa.int64()))
        table = table.append_column("repeated", repeated)
        self.table = table.append_column("documents", pa.array(np.ones(rows, np.int64)))
        self.kept = pc.equal(table.column("fate"), "kept")

    def fates(self) -> dict[str, int]:
        """Documents by fate, `total` first."""
        counted = self.table.column("fate").value_counts().to_pylist()
        fates = {entry["values"]: entry["counts"] for entry in counted}
        return {"total": self.table.num_rows, "kept": fates.pop("kept", 0), **dict(sorted(fates.items()))}

    def by(self, key: str) -> list[dict[str, Any]]:
        """Per value of a column, most documents first: what came, what is kept, and where the rest went.

        Rates are null where nothing is there to divide by.
        """
        hit = pc.greater(pc.fill_null(pc.list_value_length(self.table.column("contamination")), 0), 0)
        table = self.table.append_column("contaminated", hit.cast(pa.int64()))
        sums = [(name, "sum") for name in (*_SUMMED, "contaminated")]
        groups: dict[Any, dict[str, Any]] = {}
        for row in table.group_by([key, "fate"], use_threads=False).aggregate(sums).to_pylist():
            group = groups.setdefault(
                row[key], {key: row[key], "documents": 0, "contaminated": 0, "dropped": {}} | dict.fromkeys(
                    ("kept", "bytes", "chars", "words", "tokens", "repeated"), 0)
            )  # fmt: skip
            group["documents"] += row["documents_sum"]
            group["contaminated"] += row["contaminated_sum"]
            if row["fate"] != "kept":
                group["dropped"][row["fate"]] = row["documents_sum"]
                continue
            group["kept"] = row["documents_sum"]
            group |= {name: row[f"{name}_sum"] for name in _SUMMED[1:]}
        if self.table.column("tokens").null_count == self.table.num_rows:  # nothing was tokenised
            for group in groups.values():
                group |= {"tokens": None, "repeated": None}
        total = sum(group["repeated"] or 0 for group in groups.values())
        for group in groups.values():
            group["dropped"] = dict(sorted(group["dropped"].items()))
            group["bytes_per_token"] = _rate(group["bytes"], group["tokens"])
            group["tokens_per_word"] = _rate(group["tokens"], group["words"])
            group["mean_chars"] = _rate(group["chars"], group["kept"])
            group["duplicate_rate"] = _rate(group["dropped"].get("dedup", 0), group["documents"])
            group["contamination_rate"] = _rate(group["contaminated"], group["documents"])
            group["share"] = _rate(group["repeated"], total)
            group["epochs"] = _rate(group["repeated"], group["tokens"])
        return sorted(groups.values(), key=lambda group: (-group["documents"], str(group[key])))

    def domains(self, urls: pa.ChunkedArray | None, most: int = 20) -> dict[str, Any]:
        """Where documents come from, by registered domain (example.co.uk), as the public suffix list has it.

        Returns:
            `hosts`, `domains`: how many there are, exactly; `top`: the domains that most documents come from,
            with `domain`, `hosts`, `documents` read and `kept`. Empty if no document has an address.
        """
        if urls is None:
            return {}
        host = pc.struct_field(
            pc.extract_regex(urls, r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<h>[^/:?#]+)"), "h"
        )
        table = pa.table({"host": pc.utf8_lower(host), "kept": self.kept.cast(pa.int64())})
        named = table.filter(pc.is_valid(table.column("host"))).group_by("host", use_threads=False)
        rows = named.aggregate([([], "count_all"), ("kept", "sum")]).to_pylist()
        if not rows:
            return {}
        from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - reads its list: only where there are hosts

        suffixes = PublicSuffixList()
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            address = row["host"].replace(".", "").isdecimal()
            name = row["host"] if address else suffixes.privatesuffix(row["host"]) or row["host"]
            entry = found.setdefault(name, {"domain": name, "hosts": 0, "documents": 0, "kept": 0})
            entry["hosts"] += 1
            entry["documents"] += row["count_all"]
            entry["kept"] += row["kept_sum"]
        top = sorted(found.values(), key=lambda entry: (-entry["documents"], entry["domain"]))[:most]
        return {"hosts": len(rows), "domains": len(found), "top": top}

    def tokens(self) -> dict[str, Any]:
        """Tokens of the kept documents, once and as often as they are repeated, without ends of documents."""
        kept = self.table.filter(self.kept)
        once = pc.sum(kept.column("tokens")).as_py()
        size = pc.sum(kept.column("bytes")).as_py()
        return {
            "kept": once,
            "repeated": pc.sum(kept.column("repeated")).as_py(),
            "bytes_per_token": _rate(size, once),
            "tokens_per_word": _rate(once, pc.sum(kept.column("words")).as_py()),
            "by_source": {group["source"]: group["repeated"] for group in self.by("source")},
        }

    def lengths(self) -> dict[str, Any]:
        """Documents by length in characters, in powers of two: bin i holds [2^i, 2^(i+1)); before and after."""
        chars = self.table.column("chars")
        known = pc.is_valid(chars)
        return {"before": _log2(chars.filter(known)), "after": _log2(chars.filter(pc.and_(known, self.kept)))}


def _log2(values: pa.ChunkedArray) -> list[int]:
    numbers = values.to_numpy()
    exponents = np.frexp(np.maximum(numbers, 1).astype(np.float64))[1] - 1
    return [int(n) for n in np.bincount(exponents)] if len(numbers) else []


def _rate(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
