"""Where in the order of hashes each group of a mixture has given what is wanted of it.

Documents are taken in the order of their hashes. Sizes are known by bin of the hash, so that only one document in
4,096 is looked at twice: those in the bin in which the target is reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.apportion import GroupPlan
from stages.kernels.hashing import first_of_bin

PLAN: Final = {
    "group": pa.string(),
    "documents": pa.int64(),
    "size": pa.int64(),
    "unit": pa.string(),
    "share": pa.float64(),  # a column `weight` of findings would be summed by the exchange
    "target": pa.int64(),
    "epochs": pa.float64(),
    "whole": pa.int32(),
    "amount": pa.int64(),
    "bin": pa.int32(),
    "below": pa.int64(),
    "room": pa.int64(),
}
"""What is planned for a group: sizes in tokens; in `unit`: its `amount`, what lies `below` the bin of the
threshold, and the `room` left in that bin."""
DRAWN: Final = ("bucket", *PLAN, "hash")
SIZES: Final = {
    "group": pa.string(),
    "bin": pa.int32(),
    "amount": pa.int64(),
    "documents": pa.int64(),
    "ends": pa.int64(),
    "unit": pa.string(),
}
BLOCKS: Final = {
    "hash": pa.uint64(),
    "text": pa.large_string(),
    "encoded": pa.int64(),
    "copies": pa.int64(),
}
"""A block of text, drawn to see how many tokens it takes: `encoded`, where the tokenizer is known."""
RULING: Final = PLAN | {"weight": pa.float64(), "threshold": pa.uint64(), "realised": pa.int64()}


def sums_of(table: pa.Table) -> pa.Table:
    """Amounts, documents and ends of texts by group and bin, in this order."""
    keys, values = ["group", "bin", "unit"], ["amount", "documents", "ends"]
    sums = table.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in values])
    sums = sums.rename_columns([*keys, *values]).select(list(SIZES)).cast(pa.schema(SIZES))
    return sums.sort_by([("group", "ascending"), ("bin", "ascending")])


def planned(
    plan: Mapping[str, GroupPlan],
    sums: pa.Table,
    found: Mapping[str, npt.NDArray[np.int64]],
    sizes: Mapping[str, int],
    unit: str,
) -> pa.Table:
    """The plan as a table: how much of each group, and in which bin of hashes that much is reached."""
    rows = []
    for name, group in plan.items():
        mine = sums.take(pa.array(found.get(name, np.zeros(0, np.int64))))
        amounts = mine["amount"].to_numpy()
        amount, ends = int(amounts.sum()), np.cumsum(amounts)
        room = group.remainder * amount // (sizes[name] or 1)
        edge = int(np.searchsorted(ends, room, side="right"))  # the first bin that does not fit whole
        below = int(ends[edge - 1]) if edge else 0
        rows.append(
            {
                "group": name,
                "documents": int(mine["documents"].to_numpy().sum()),
                "size": sizes[name],
                "unit": unit,
                "amount": amount,
                "share": float(group.weight),
                "target": group.target,
                "epochs": group.epochs,
                "whole": group.whole_epochs,
                "bin": mine["bin"][edge].as_py() if edge < len(mine) and room else 0,
                "below": below,
                "room": room - below,
            }
        )
    return pa.Table.from_pylist(rows, pa.schema(PLAN))


def reached(findings: pa.Table) -> pa.Table:
    """How far into its documents each group's target reaches: plans and documents in (`DRAWN`), `RULING` out."""
    plans = findings.filter(pc.is_null(findings["hash"])).select(list(PLAN)).to_pylist()
    drawn = findings.filter(pc.is_valid(findings["hash"]))
    decided = []
    for name, plan in {plan["group"]: plan for plan in plans}.items():
        mine = drawn.filter(pc.equal(drawn["group"], name)).sort_by("hash")
        hashes, amounts = mine["hash"].to_numpy(), mine["amount"].to_numpy()
        beyond = np.flatnonzero(np.cumsum(amounts) > plan["room"])
        threshold = int(hashes[beyond[0]]) if len(beyond) else first_of_bin(plan["bin"])
        threshold = threshold if plan["below"] + plan["room"] else 0
        taken = plan["below"] + int(amounts[hashes < threshold].sum())
        realised = Fraction(plan["whole"] * plan["amount"] + taken, plan["amount"] or 1) * plan["size"]
        found = {"weight": plan["share"], "threshold": threshold, "realised": round(realised)}
        decided.append(plan | found)
    return pa.Table.from_pylist(decided, pa.schema(RULING))
