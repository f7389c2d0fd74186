"""Documents, bytes and tokens by stage, source, language and fate, from the ledgers and the parts' statistics.

Adds nothing up but what the tasks counted: ledgers were checked when the run made them, and `ledger` shows the
check again.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pipeline.statistics import Statistics, sketches
from pipeline.statistics.counting import SUMMED
from pipeline.stored import Stored

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


class Counted:
    """The statistics of a run as the report wants them.

    Attributes:
        counts: what adds up (`statistics.counting`).
        distinct: registers of sketches.
    """

    def __init__(self, found: Statistics) -> None:
        self.counts: dict[str, Any] = found["counts"]
        self.distinct: dict[str, Any] = found["distinct"]
        self.tokenised = bool(self.counts["tokenised"])

    def fates(self) -> dict[str, int]:
        """Documents by fate, `total` first."""
        fates = {fate: sums["documents"] for fate, sums in self._everything().items()}
        return {
            "total": self.counts["documents"],
            "kept": fates.pop("kept", 0),
            **dict(sorted(fates.items())),
        }

    def by(self, key: str) -> list[dict[str, Any]]:
        """Per value of `source` or `lang`, most documents first: what came, what is kept, where the rest went.

        Rates are null where nothing is there to divide by.
        """
        groups = [{key: value or None, **self._group(fates)} for value, fates in self.counts[key].items()]
        total = sum(group["repeated"] or 0 for group in groups)
        for group in groups:
            group["share"] = _rate(group["repeated"], total)
        if key == "source":
            words = self.distinct["words"]
            for group in groups:
                name = group["source"]
                group["distinct_words"] = sketches.estimate(words[name]) if name in words else 0
        return sorted(groups, key=lambda group: (-group["documents"], str(group[key])))

    def kept(self, key: str) -> dict[str, dict[str, int]]:
        """Per value of a key the sums of the kept documents; values without any are left out."""
        return {value: fates["kept"] for value, fates in self.counts[key].items() if "kept" in fates}

    def domains(self, most: int = 20) -> dict[str, Any]:
        """Where documents come from, by registered domain (example.co.uk), as the public suffix list has it.

        Returns:
            `hosts`, `domains`: how many there are, exactly; `addresses`: how many different ones, about;
            `top`: the domains that most documents come from, with `domain`, `hosts`, `documents` read and
            `kept`. Empty if no document has an address.
        """
        hosts = self.counts["hosts"]
        if not hosts:
            return {}
        from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - reads its list: only where there are hosts

        suffixes = PublicSuffixList()
        found: dict[str, dict[str, Any]] = {}
        for host, own in hosts.items():
            address = host.replace(".", "").isdecimal()
            name = host if address else suffixes.privatesuffix(host) or host
            entry = found.setdefault(name, {"domain": name, "hosts": 0, "documents": 0, "kept": 0})
            entry["hosts"] += 1
            entry["documents"] += own["documents"]
            entry["kept"] += own["kept"]
        top = sorted(found.values(), key=lambda entry: (-entry["documents"], entry["domain"]))[:most]
        addresses = sketches.estimate(self.distinct["addresses"])
        return {"hosts": len(hosts), "domains": len(found), "addresses": addresses, "top": top}

    def vocabulary(self) -> dict[str, Any]:
        """`words`: how many different ones the kept documents have, about; `error`: its standard error, relative."""
        words = self.distinct["words"]
        return {"words": sketches.estimate(*words.values()) if words else 0, "error": sketches.ERROR}

    def tokens(self) -> dict[str, Any]:
        """Tokens of the kept documents, once and as often as they are repeated, without ends of documents."""
        kept = self._everything().get("kept", dict.fromkeys(SUMMED, 0))
        once = kept["tokens"] if self.tokenised else None
        return {
            "kept": once,
            "repeated": kept["repeated"] if self.tokenised else None,
            "bytes_per_token": _rate(kept["bytes"], once),
            "tokens_per_word": _rate(once, kept["words"]),
            "by_source": {group["source"]: group["repeated"] for group in self.by("source")},
        }

    def _everything(self) -> dict[str, dict[str, int]]:
        """Fate -> sums."""
        total: dict[str, dict[str, int]] = {}
        for fates in self.counts["source"].values():
            for fate, sums in fates.items():
                into = total.setdefault(fate, dict.fromkeys(SUMMED, 0))
                for name, value in sums.items():
                    into[name] += value
        return total

    def _group(self, fates: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
        kept = fates.get("kept", dict.fromkeys(SUMMED, 0))
        documents = sum(sums["documents"] for sums in fates.values())
        contaminated = sum(sums["contaminated"] for sums in fates.values())
        tokens, repeated = (kept[name] if self.tokenised else None for name in ("tokens", "repeated"))
        dropped = {fate: sums["documents"] for fate, sums in sorted(fates.items()) if fate != "kept"}
        return {
            "documents": documents,
            "contaminated": contaminated,
            "dropped": dropped,
            "kept": kept["documents"],
            **{name: kept[name] for name in ("bytes", "chars", "words")},
            "tokens": tokens,
            "repeated": repeated,
            "bytes_per_token": _rate(kept["bytes"], tokens),
            "tokens_per_word": _rate(tokens, kept["words"]),
            "mean_chars": _rate(kept["chars"] or None, kept["documents"]),
            "duplicate_rate": _rate(dropped.get("dedup", 0), documents),
            "contamination_rate": _rate(contaminated, documents),
            "epochs": _rate(repeated, tokens),
        }


def _rate(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
