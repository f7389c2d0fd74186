"""Every document accounted for, and alarms that teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline import ledger
from pipeline.errors import Alarm, StageFailed
from pipeline.store import Marker
from stages.base import Stage


class Toy(Stage):
    """A stage with a reason."""

    reasons: ClassVar = {"short": "The document is too short."}


def _marker(**sources: dict[str, Any]) -> Marker:
    blank = {"dropped": {}, "quarantined": {}}
    return Marker(Path("part"), {"ledger": {name: blank | entry for name, entry in sources.items()}})


def test_ledgers_add_up_over_parts() -> None:
    """Counts and reasons of all parts are summed by source."""
    parts = [
        _marker(a={"in": 3, "alive": 2, "dropped": {"short": 1}}),
        _marker(a={"in": 1, "alive": 1}, b={"in": 2, "alive": 0, "dropped": {"short": 2}}),
    ]
    book = ledger.conserve("toy", None, parts)
    assert book["a"] == {"in": 4, "alive": 3, "dropped": {"short": 1}, "quarantined": {}}
    assert ledger.totals(book)["dropped"] == {"short": 3}


def test_a_lost_document_fails_the_stage() -> None:
    """In = alive + dropped + quarantined, else the message names part, source and numbers."""
    with pytest.raises(StageFailed, match="source a: 3 documents in, but 1 alive and 1 dropped"):
        ledger.conserve("toy", None, [_marker(a={"in": 3, "alive": 1, "dropped": {"short": 1}})])


def test_a_document_lost_between_stages_fails_the_stage() -> None:
    """What comes in is what the stage before left alive."""
    before = [_marker(a={"in": 3, "alive": 3})]
    with pytest.raises(StageFailed, match="left 3 documents alive, but 2 came in"):
        ledger.conserve("toy", before, [_marker(a={"in": 2, "alive": 2})])


def test_a_source_that_vanishes_raises_the_alarm() -> None:
    """Stage, source, share, top reason and the key to change are named; the exit code is 3."""
    book = ledger.conserve("toy", None, [_marker(web={"in": 100, "alive": 4, "dropped": {"short": 96}})])
    with pytest.raises(
        Alarm, match=r"96 of 100 documents of source 'web' \(96.0%\).*too short.*max_drop"
    ) as caught:
        ledger.alarm_drop(Toy(), book)
    assert caught.value.exit_code == 3


def test_a_share_equal_to_the_limit_is_allowed() -> None:
    """The alarm is for more than the limit; a limit may be set by source."""
    book = ledger.conserve("toy", None, [_marker(web={"in": 100, "alive": 5, "dropped": {"short": 95}})])
    ledger.alarm_drop(Toy(), book)
    with pytest.raises(Alarm):
        ledger.alarm_drop(Toy(max_drop={"web": 0.9}), book)


def test_a_handful_of_documents_is_no_alarm() -> None:
    """Below five documents a share says nothing."""
    book = ledger.conserve("toy", None, [_marker(tiny={"in": 4, "alive": 0, "dropped": {"short": 4}})])
    ledger.alarm_drop(Toy(), book)


def test_too_many_bad_records_raise_the_alarm() -> None:
    """Above max_quarantine the run stops with exit code 3 and names the worst source and reason."""
    book = ledger.add([{"a": {"in": 50, "alive": 49, "dropped": {}, "quarantined": {"bad_json": 1}}}])
    ledger.alarm_quarantine(Toy(), book, 0.02)
    with pytest.raises(Alarm, match=r"1 of 50 records.*source 'a', mainly 'bad_json'"):
        ledger.alarm_quarantine(Toy(), book, 0.01)


def test_a_source_whose_records_are_all_bad_raises_the_alarm() -> None:
    """However small its share of the corpus: whole sources do not vanish in silence."""
    good = {"in": 5000, "alive": 5000, "dropped": {}, "quarantined": {}}
    bad = {"in": 20, "alive": 0, "dropped": {}, "quarantined": {"short": 20}}
    with pytest.raises(Alarm, match="20 of 20 records of source 'b'"):
        ledger.alarm_quarantine(Toy(), {"a": good, "b": bad}, 0.01)
