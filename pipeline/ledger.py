"""Every document accounted for: conservation, totals by source, and the alarms.

For every stage and source, `in = alive + dropped (by reason) + quarantined`, and what a stage is given is
what the stage before let live. Markers carry the ledger of their part; this module adds them up and judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeline.errors import Alarm, StageFailed
from pipeline.store import Marker
from stages.base import Stage

Ledger = dict[str, dict[str, Any]]

# Below this many documents a share says nothing about a source (and one document is always 0 % or 100 %).
FEW: Final = 5


def add(ledgers: Iterable[Mapping[str, Mapping[str, Any]]]) -> Ledger:
    """The sum of ledgers: source -> in, alive, dropped, quarantined, bytes, tokens."""
    total: Ledger = {}
    for ledger in ledgers:
        for source, entry in ledger.items():
            into = total.setdefault(source, {"in": 0, "alive": 0, "dropped": {}, "quarantined": {}})
            for key, value in entry.items():
                if isinstance(value, Mapping):
                    for reason, count in value.items():
                        into[key][reason] = into[key].get(reason, 0) + count
                else:
                    into[key] = into.get(key, 0) + value
    return {source: total[source] for source in sorted(total)}


def totals(ledger: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A ledger over all sources."""
    return add({"all": entry} for entry in ledger.values()).get(
        "all", {"in": 0, "alive": 0, "dropped": {}, "quarantined": {}}
    )


def tallies(markers: Iterable[Marker]) -> dict[str, int]:
    """The sum of the stages' integer tallies."""
    total: dict[str, int] = {}
    for marker in markers:
        for key, count in marker.body.get("tallies", {}).items():
            total[key] = total.get(key, 0) + count
    return dict(sorted(total.items()))


def conserve(word: str, before: list[Marker] | None, after: list[Marker]) -> Ledger:
    """Checks conservation part by part and source by source, and returns the stage's ledger.

    Raises:
        StageFailed: documents appeared or vanished; the message names part, source and numbers.
    """
    for index, marker in enumerate(after):
        for source, entry in marker["ledger"].items():
            gone = sum(entry["dropped"].values()) + sum(entry["quarantined"].values())
            if entry["in"] != entry["alive"] + gone:
                raise StageFailed(
                    f"{word}: part {marker.path.stem}, source {source}: {entry['in']} documents in, but "
                    f"{entry['alive']} alive and {gone} dropped or quarantined: the stage loses documents"
                )
            if before is None:
                continue
            given = before[index]["ledger"].get(source, {"alive": 0})["alive"]
            if given != entry["in"]:
                raise StageFailed(
                    f"{word}: part {marker.path.stem}, source {source}: the stage before left {given} documents "
                    f"alive, but {entry['in']} came in"
                )
    return add(marker["ledger"] for marker in after)


def alarm_quarantine(stage: Stage, ledger: Ledger, limit: float) -> None:
    """Stops a run whose sources hold more bad records than the recipe allows.

    Raises:
        Alarm: more than `limit` of all records were quarantined, or more than `max_drop` of one source's.
    """
    for source, entry in ledger.items():
        gone = sum(entry["quarantined"].values())
        most = limit_of(stage, source)
        if entry["in"] >= FEW and gone > most * entry["in"] and gone > limit * entry["in"]:
            reason = max(entry["quarantined"], key=lambda r: entry["quarantined"][r])
            raise Alarm(
                f"load: {gone} of {entry['in']} records of source {source!r} were quarantined, mainly {reason!r}: "
                f"{stage.reasons[reason]} Look at them with `gristmill quarantine`; if they may be lost, set "
                f"load.max_drop: {{{source}: 1.0}}."
            )
    total = totals(ledger)
    bad, records = sum(total["quarantined"].values()), total["in"]
    if bad <= limit * records:
        return
    worst = max(ledger, key=lambda source: sum(ledger[source]["quarantined"].values()))
    reason = max(ledger[worst]["quarantined"], key=lambda r: ledger[worst]["quarantined"][r])
    raise Alarm(
        f"load: {bad} of {records} records ({bad / records:.1%}) were quarantined, more than max_quarantine "
        f"{limit:.1%}; most in source {worst!r}, mainly {reason!r}. Look at them with `gristmill quarantine`; if "
        f"they may be lost, raise load.max_quarantine."
    )


def limit_of(stage: Stage, source: str) -> float:
    """The share of a source that a stage may drop: as the recipe says, for sources it does not name the default."""
    limits = stage.max_drop
    default: float = type(stage).model_fields["max_drop"].default
    return limits.get(source, default) if isinstance(limits, dict) else limits


def alarm_drop(stage: Stage, ledger: Ledger) -> None:
    """Stops a run in which a stage drops nearly all of a source.

    Raises:
        Alarm: naming stage, source, share, top reason and the key to change.
    """
    word = stage.word()
    for source, entry in ledger.items():
        limit = limit_of(stage, source)
        dropped = sum(entry["dropped"].values())
        if entry["in"] < FEW or dropped <= limit * entry["in"]:
            continue
        reason = max(entry["dropped"], key=lambda r: entry["dropped"][r])
        raise Alarm(
            f"{word}: {dropped} of {entry['in']} documents of source {source!r} ({dropped / entry['in']:.1%}) were "
            f"dropped, more than max_drop {limit:.1%}; mainly {reason!r}: {stage.reasons[reason]} Look at them with "
            f"`gristmill documents` (fate = '{word}'); if that is what you want, set {word}.max_drop: "
            f"{{{source}: 1.0}}."
        )
