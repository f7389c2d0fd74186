"""mix: how often each document is seen, so that the groups of a corpus have the shares that were asked for.

Groups are sources, or the values of any columns. Their sizes are counted over the whole corpus,
`apportion.py` says how many tokens of each are wanted, and every document gets `repeats`: the full passes
over its group, plus one if its hash is below the group's threshold. The threshold is placed so that the
documents below it fill the group's target up to one document; a smaller target takes a subset of them.

Sizes are tokens (each document's end included, as `pack` adds it) where `tokenize` ran before, else bytes
divided by `bytes_per_token`. Rules: RULES §13. It neither copies nor reorders documents: `pack` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from stages.apportion import REST, SUM_TOLERANCE, plan_mixture
from stages.base import Global, Out, Share, StageError
from stages.columns import ids, no_reasons, whole
from stages.kernels.hashing import hash64

BINS: Final = 4096
"""Hashes are counted by their upper 12 bits, so that only 1 document in 4,096 is looked at twice."""
MAX_GROUPS: Final = 10_000

_PLAN: Final = {
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
_DRAWN: Final = ("bucket", *_PLAN, "hash")
_RULING: Final = _PLAN | {"weight": pa.float64(), "threshold": pa.uint64(), "realised": pa.int64()}

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Mix(Global):
    """How often each document is seen: shares by source or any column, temperature, budget, epochs."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("source", "bytes")
    apply_reads: ClassVar[tuple[str, ...]] = ("source",)
    optional: ClassVar[tuple[str, ...]] = (
        "token_count",
        "lang",
        "script",
        "profile",
        "file",
        "cluster_size",
        "quality",
    )
    writes: ClassVar[Mapping[str, pa.DataType]] = {"repeats": pa.int32()}
    meanings: ClassVar[Mapping[str, str]] = {"repeats": "how often the document is seen; 0 if not at all"}
    reasons: ClassVar[Mapping[str, str]] = {"not_sampled": "The mixture did not need this document."}

    max_drop: Share | dict[str, Share] = 1.0
    """Largest share of a source that the mixture may leave out; any, by default: weights are meant."""
    by: str | tuple[str, ...] = "source"
    """The column, or columns, whose values are the groups (`web`, or `web/en` for two)."""
    weights: dict[str, NonNegative] | None = None
    """Share of the tokens by group; they sum to 1. `"*"` stands for all other groups."""
    normalise: bool = False
    """Divide the weights by their sum."""
    temperature: NonNegative | None = None
    """Shares in proportion to tokens ** temperature: 1 leaves them as they are, 0 makes them equal."""
    tokens: Annotated[int, Field(gt=0)] | dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Tokens of the whole mixture, or by group (then without weights)."""
    max_epochs: Positive | dict[str, Positive] = 1.0
    """How often a group may be seen at most; one number or by group (others: once)."""
    on_shortfall: Literal["error", "scale"] = "error"
    """What to do where the budget cannot be met: stop, or take the largest that keeps the shares."""
    bytes_per_token: Positive | dict[str, Positive] = 4.0
    """For sizes in tokens where `tokenize` has not run yet; one number or by group (others: 4)."""
    upsample: dict[str, dict[float, Annotated[int, Field(ge=0)]]] | None = None
    """Column -> {value from which on: copies}, `{cluster_size: {2: 2, 10: 3}}`: before all else, a document
    counts as so many. Below the first value, and without a value, as one."""
    seed: int | None = None
    """Decides which documents a fraction of an epoch takes; the recipe's seed if not set."""
    sources: tuple[str, ...] = ()
    """The sources of the recipe; filled in by the pipeline."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        asked = [key for key in ("weights", "temperature") if getattr(self, key) is not None]
        asked += ["tokens by group"] if isinstance(self.tokens, dict) else []
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other; keep one of them")
        known = {*self.apply_reads, *self.optional}
        if unknown := {*self._by, *(self.upsample or {})} - known:
            raise ValueError(
                f"no column {', '.join(sorted(unknown))} to go by; there are {', '.join(sorted(known))}"
            )
        if self.weights is not None and not self.normalise:
            total = sum(self.weights.values())
            if abs(total - 1) > SUM_TOLERANCE:
                raise ValueError(f"weights sum to {total:.6g}, expected 1; or set `normalise: true`")
        if self.sources and self._by == ("source",):
            for key in ("weights", "tokens", "max_epochs", "bytes_per_token"):
                names = getattr(self, key)
                if not isinstance(names, dict):
                    continue
                if strange := sorted(names.keys() - {*self.sources, REST}):
                    raise ValueError(
                        f"{key}: no source {_listed(strange)}; there are {_listed(self.sources)}"
                    )
                missing = [name for name in self.sources if name not in names]
                if key in {"weights", "tokens"} and missing and REST not in names:
                    raise ValueError(
                        f"{key}: nothing is said of {_listed(missing)}; 0 leaves a source out, "
                        f'"{REST}" stands for all others'
                    )
        return self

    def check(self, sizes: Mapping[str, int]) -> list[tuple[tuple[str | int, ...], str]]:
        """Budgets that no tokenizer could meet, as a token takes a byte at least."""
        if self.tokens is None or self._by != ("source",) or self.on_shortfall == "scale" or self.upsample:
            return []
        most = {name: size * self._epochs(name) for name, size in sizes.items()}
        wanted: Mapping[str, float] = {}
        if isinstance(self.tokens, dict):
            wanted = self.tokens
        elif self._weights:
            wanted = {name: self.tokens * weight for name, weight in self._weights.items()}
        elif self.tokens > sum(most.values()):
            return [
                (
                    ("tokens",),
                    f"{self.tokens:,} tokens cannot come from {sum(sizes.values()):,} bytes of text",
                )
            ]
        short = [name for name in sizes if wanted.get(name, 0) > most[name]]
        return [(("tokens",), self._short(name, wanted[name], sizes[name])) for name in short]

    def _short(self, name: str, wanted: float, size: int) -> str:
        return (
            f"{name} would have to give {wanted:,.0f} tokens, but its files hold at most {size:,} bytes of text, "
            f"seen {self._epochs(name):g} times: lower `tokens` or its share, or raise `max_epochs`"
        )

    @property
    def _by(self) -> tuple[str, ...]:
        return (self.by,) if isinstance(self.by, str) else self.by

    @property
    def rounds(self) -> int:
        """Two where something is asked for: sizes of the groups, then the documents at each threshold."""
        return 2 if self.tokens is not None or self.weights or self.temperature is not None else 0

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """Sizes depend on the groups and the seed alone, so that weights are changed at no cost."""
        if turn:
            return self.identity()
        return {key: value for key, value in self.identity().items() if key in {"by", "upsample", "seed"}}

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Turn 0: sizes by group and bin of the hash. Turn 1: the documents in the bin of the threshold."""
        groups, hashes = self._groups(rows), self._hashes(rows)
        amount, unit = self._amounts(rows)
        if turn == 0 or ruling is None:
            table = pa.table(
                {"group": groups, "bin": (hashes >> np.uint64(52)).astype(np.int32), "amount": amount}
            )
            sums = table.group_by(["group", "bin"], use_threads=False).aggregate(
                [("amount", "sum"), ("amount", "count")]
            )
            return pa.table(
                {
                    "bucket": pa.array(np.zeros(len(sums), np.uint16)),
                    "group": sums["group"],
                    "bin": sums["bin"],
                    "amount": sums["amount_sum"],
                    "documents": sums["amount_count"],
                    "unit": pa.repeat(unit, len(sums)),
                }
            )
        at = _position(groups, ruling)
        bins = ruling["bin"].to_numpy()
        drawn = np.flatnonzero((hashes >> np.uint64(52)).astype(np.int32) == bins[at])
        found = pa.table(
            {
                "bucket": pa.array(at[drawn].astype(np.uint16)),
                "group": groups.take(pa.array(drawn)),
                "hash": hashes[drawn],
                "amount": amount[drawn],
            }
        )
        plan = ruling.append_column("bucket", pa.array(np.arange(len(ruling)), pa.uint16()))
        return pa.concat_tables([plan, found], promote_options="default").select(_DRAWN)

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """Turn 0: sums over the parts. Turn 1: how far into its documents each group's target reaches."""
        if turn == 0:
            return _sums(findings)
        plans = findings.filter(pc.is_null(findings["hash"])).select(list(_PLAN)).to_pylist()
        drawn = findings.filter(pc.is_valid(findings["hash"]))
        decided = []
        for name, plan in {plan["group"]: plan for plan in plans}.items():
            mine = drawn.filter(pc.equal(drawn["group"], name)).sort_by("hash")
            hashes, amounts = mine["hash"].to_numpy(), mine["amount"].to_numpy()
            beyond = np.flatnonzero(np.cumsum(amounts) > plan["room"])
            threshold = int(hashes[beyond[0]]) if len(beyond) else plan["bin"] << 52
            threshold = threshold if plan["below"] + plan["room"] else 0
            taken = plan["below"] + int(amounts[hashes < threshold].sum())
            realised = Fraction(plan["whole"] * plan["amount"] + taken, plan["amount"] or 1) * plan["size"]
            found = {"weight": plan["share"], "threshold": threshold, "realised": round(realised)}
            decided.append(plan | found)
        return pa.Table.from_pylist(decided, pa.schema(_RULING))

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Turn 0: the plan of the mixture. Turn 1: the same, with thresholds and what they realise."""
        if turn:
            return rulings.sort_by("group")
        sums = _sums(rulings).sort_by([("group", "ascending"), ("bin", "ascending")])
        groups = sums["group"].to_numpy(zero_copy_only=False)
        found = {name: np.flatnonzero(groups == name) for name in sorted(set(groups))}
        if len(found) > MAX_GROUPS:
            raise StageError(
                f"mix.by: {'/'.join(self._by)} has {len(found):,} values, at most {MAX_GROUPS:,} can be "
                "mixed; group by a column with fewer"
            )
        empty = dict.fromkeys(self.sources if self._by == ("source",) else (), 0)
        amount = {name: int(sums["amount"].take(pa.array(at)).to_numpy().sum()) for name, at in found.items()}
        unit = sums["unit"][0].as_py() if len(sums) else "tokens"
        sizes = {
            name: total if unit == "tokens" else int(total / self._bytes_per_token(name))
            for name, total in (empty | amount).items()
        }
        plan = plan_mixture(
            sizes,
            weights=self._weights,
            temperature=self.temperature,
            total=self.tokens if isinstance(self.tokens, int) else None,
            budgets=self.tokens if isinstance(self.tokens, dict) else None,
            max_epochs=self.max_epochs,
            on_shortfall=self.on_shortfall,
        )
        rows = []
        for name, group in plan.items():
            at = pa.array(found.get(name, np.zeros(0, np.int64)))
            mine = sums.take(at)
            ends = np.cumsum(mine["amount"].to_numpy())
            room = group.remainder * amount.get(name, 0) // (sizes[name] or 1)
            edge = int(np.searchsorted(ends, room, side="right"))  # the first bin that does not fit whole
            below = int(ends[edge - 1]) if edge else 0
            rows.append(
                {
                    "group": name,
                    "documents": int(mine["documents"].to_numpy().sum()),
                    "size": sizes[name],
                    "unit": unit,
                    "amount": amount.get(name, 0),
                    "share": float(group.weight),
                    "target": group.target,
                    "epochs": group.epochs,
                    "whole": group.whole_epochs,
                    "bin": mine["bin"][edge].as_py() if edge < len(mine) and room else 0,
                    "below": below,
                    "room": room - below,
                }
            )
        return pa.Table.from_pylist(rows, pa.schema(_PLAN))

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """How often each document is seen; those seen never are dropped."""
        repeats = self._copies(rows)
        if ruling is not None:
            at = _position(self._groups(rows), ruling)
            once_more = self._hashes(rows) < ruling["threshold"].to_numpy()[at]
            repeats = repeats * (ruling["whole"].to_numpy()[at] + once_more)
        left = pa.array(repeats == 0)
        reasons = pc.if_else(left, pa.scalar("not_sampled"), no_reasons(len(rows)))
        tallies = {"repeats": int(repeats.sum()), "repeated_documents": int((repeats > 1).sum())}
        return Out({"repeats": pa.array(repeats.astype(np.int32))}, reasons, tallies)

    @property
    def _weights(self) -> dict[str, float] | None:
        if self.weights is None or not self.normalise:
            return self.weights
        total = sum(Fraction(str(weight)) for weight in self.weights.values())
        return {name: float(Fraction(str(weight)) / total) for name, weight in self.weights.items()}

    def _epochs(self, group: str) -> float:
        given = self.max_epochs
        return given.get(group, 1.0) if isinstance(given, dict) else given

    def _bytes_per_token(self, group: str) -> Fraction:
        given = self.bytes_per_token
        return Fraction(str(given.get(group, 4.0) if isinstance(given, dict) else given))

    def _hashes(self, rows: pa.Table) -> npt.NDArray[np.uint64]:
        return hash64(ids(rows["doc_id"]), self.seed or 0, "mix")

    def _groups(self, rows: pa.Table) -> pa.Array:
        """The group of each row; values of several columns are joined by a slash, null is `null`."""
        parts = [
            pc.fill_null(whole(rows[self._column(rows, name)]).cast(pa.string()), "null") for name in self._by
        ]
        return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")

    @staticmethod
    def _column(rows: pa.Table, name: str) -> str:
        if name not in rows.column_names:
            raise StageError(
                f"mix goes by the column {name!r}, which no earlier stage has written; put the stage that "
                "writes it before mix (langid writes lang, dedup cluster_size)"
            )
        return name

    def _copies(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """As how many documents each row counts."""
        copies = np.ones(len(rows), np.int64)
        for name, steps in (self.upsample or {}).items():
            values = pc.fill_null(
                whole(rows[self._column(rows, name)]).cast(pa.float64()), -np.inf
            ).to_numpy()
            starts = sorted(steps)
            factors = np.array([1, *(steps[start] for start in starts)], np.int64)
            copies *= factors[np.searchsorted(starts, values, side="right")]
        return copies

    def _amounts(self, rows: pa.Table) -> tuple[npt.NDArray[np.int64], str]:
        """Tokens of each row, or bytes where they are not known, times its copies; and which of the two."""
        if "token_count" in rows.column_names:
            counts = whole(rows["token_count"]).to_numpy().astype(np.int64)
            return (counts + (counts > 0)) * self._copies(rows), "tokens"  # pack ends each document with EOS
        return whole(rows["bytes"]).to_numpy().astype(np.int64) * self._copies(rows), "bytes"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _sums(table: pa.Table) -> pa.Table:
    """Amounts and documents by group and bin."""
    keys = ["group", "bin", "unit"]
    sums = table.group_by(keys, use_threads=False).aggregate([("amount", "sum"), ("documents", "sum")])
    return sums.rename_columns([*keys, "amount", "documents"])


def _position(groups: pa.Array, ruling: pa.Table) -> npt.NDArray[np.int64]:
    """Where in the ruling each row's group stands."""
    found = pc.index_in(groups, value_set=whole(ruling["group"]))
    return np.asarray(found, dtype=np.int64)
