"""exclude: documents named in lists are dropped: what `gristmill trace --drop` found, what someone asked to remove.

A list names documents by doc_id, which stays the same from run to run. Where the stage stands in the recipe
decides what a removal means: behind `dedup` a document's near copies stay dropped with it; before `dedup` the
next best copy takes its place. Ids that no living document has are counted (`not_found`) and published as a
list of their own: they belong to another corpus, or an earlier stage has dropped them already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.attached import Stamped, stamped
from stages.base import Global, Out, StageError
from stages.columns import DOC_ID, whole

FILE: Final = "not_found.txt"


class Exclude(Global):
    """Drops the documents that lists name."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[Mapping[str, pa.DataType]] = {}
    reasons: ClassVar[Mapping[str, str]] = {"drop_list": "one of the lists of `exclude` names the document"}
    publishes: ClassVar[tuple[str, ...]] = (FILE,)

    lists: Annotated[tuple[str, ...], Field(min_length=1)]
    """Files of doc_ids: a line each, 32 hex digits or a JSON object with `doc_id`; globs allowed.

    Blank lines and what follows a # are passed over.
    """

    def files(self) -> Mapping[str, Sequence[str]]:
        """The lists."""
        return {"lists": self.lists}

    def identity(self) -> dict[str, Any]:
        """Nothing but the lists' content counts."""
        found = super().identity()
        del found["lists"]
        return found

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """The rows of a part that a list names: bucket (all 0), row, doc_id."""
        del turn, ruling
        ids = whole(rows["doc_id"])
        found = rows.select(["row", "doc_id"]).filter(pc.is_in(ids, value_set=self._listed()))
        return found.append_column("bucket", pa.repeat(pa.scalar(0, pa.uint16()), len(found)))

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """As they are, each with its part."""
        del turn
        return findings.select(["part", "row", "doc_id"])

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """The rows to drop; metadata `tallies`: how many ids the lists name, and how many no row has."""
        del turn
        listed = self._listed()
        counts = {"listed": len(listed), "not_found": len(listed) - len(rulings)}
        return rulings.replace_schema_metadata({b"tallies": json.dumps(counts).encode()})

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """The ids that no living document has, sorted, a line each."""
        listed = self._listed()
        if ruling is not None:
            listed = listed.filter(pc.invert(pc.is_in(listed, value_set=whole(ruling["doc_id"]))))
        return {FILE: "".join(f"{one.hex()}\n" for one in sorted(listed.to_pylist())).encode()}

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """A reason for the rows that the ruling names."""
        named = pa.array([], pa.uint32()) if ruling is None else whole(ruling["row"]).cast(pa.uint32())
        hit = pc.is_in(whole(rows["row"]), value_set=named)
        return Out({}, pc.if_else(hit, pa.scalar("drop_list"), pa.scalar(None, pa.string())))

    def _listed(self) -> pa.Array:
        """Distinct ids of all lists, fixed binary 16."""
        return _union(stamped(self.paths("lists")))


@lru_cache(maxsize=2)
def _union(lists: Stamped) -> pa.Array:
    """The ids of some lists, sorted; read once a worker, as long as they stay as they are."""
    return pa.array(sorted({one for path, _, _ in lists for one in _ids(path)}), DOC_ID)


def _ids(path: Path) -> list[bytes]:
    """The ids of a list.

    Raises:
        StageError: a line is no id, or the file no UTF-8; the message names file and line.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise StageError(f"exclude: {path} is not UTF-8 ({error}); convert it") from error
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        try:
            named = json.loads(entry)["doc_id"] if entry.startswith("{") else entry.partition("#")[0]
            one = bytes.fromhex(named)
        except (ValueError, KeyError, TypeError):
            one = b"?"
        if len(one) not in {0, 16}:
            raise StageError(
                f"exclude: {path}, line {number}: {line.strip()[:80]!r} names no document; expected a doc_id, 32 "
                'hex digits as `gristmill documents` shows them, or {"doc_id": "..."}'
            )
        if one:
            found.append(one)
    return found
