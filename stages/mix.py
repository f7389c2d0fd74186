"""mix: how often each document is seen, so that the groups of a corpus have the shares that were asked for.

Groups are sources, or the values of any columns, of numbers by range. Their sizes are counted over the whole corpus,
`apportion.py` says how many tokens of each are wanted, and every document gets `repeats`: the full passes
over its group, plus one if its hash is below the group's threshold. The threshold is placed so that the
documents below it fill the group's target up to one document; a smaller target takes a subset of them.

Sizes are tokens (each document's end included, as `pack` adds it) where `tokenize` ran before. Where it runs
afterwards they are bytes, and `estimating.py` measures how many bytes a token takes in each group. Rules:
RULES §13. It neither copies nor reorders documents: `pack` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, FiniteFloat, model_validator

from stages import vocabulary
from stages.apportion import REST, SUM_TOLERANCE, GroupPlan, listed, plan_mixture
from stages.base import Global, Out, Share, Stage, StageError
from stages.columns import ids, no_reasons, whole
from stages.estimating import Later, blocks, stand_in, thresholds, tokens_of
from stages.groups import copies_of, names_of
from stages.kernels.hashing import bins, hash64
from stages.targets import BLOCKS, DRAWN, SIZES, planned, reached, sums_of

MAX_GROUPS: Final = 10_000

PRIOR: Final = 4.0
"""Bytes of a token where there is nothing to measure: English with a large vocabulary."""

MOST_REPEATS: Final = 2**31 - 1
"""What the column `repeats` can say."""

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Epochs = Annotated[float, Field(gt=0, le=1e6)]
BytesPerToken = Annotated[float, Field(ge=0.1, le=1000)]
Tokens = Annotated[int, Field(ge=0, le=1 << 60)]


class Mix(Global):
    """How often each document is seen: shares by source or any column, temperature, budget, epochs."""

    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("source", "bytes")
    optional: ClassVar[tuple[str, ...]] = ("token_count",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {"repeats": pa.int32(), "mix_group": pa.string()}
    meanings: ClassVar[Mapping[str, str]] = {
        "repeats": "how often the document is seen; 0 if not at all",
        "mix_group": "the group of the mixture that it belongs to",
    }
    reasons: ClassVar[Mapping[str, str]] = {"not_sampled": "The mixture did not need this document."}

    max_drop: Share | dict[str, Share] = 1.0
    """Largest share of a source that the mixture may leave out; any, by default: weights are meant."""
    by: str | Annotated[tuple[str, ...], Field(min_length=1)] = "source"
    """The column, or columns, whose values are the groups (`web`, or `web/en` for two)."""
    ranges: dict[str, tuple[FiniteFloat, ...]] = Field(default_factory=dict)
    """Column of numbers in `by` -> where its ranges begin, `{quality: [0.3, 0.7]}`: the groups are then
    `below 0.3`, `0.3 to 0.7` and `from 0.7`."""
    weights: dict[str, NonNegative] | None = None
    """Share of the tokens by group; they sum to 1. `"*"` stands for all other groups."""
    normalise: bool = False
    """Divide the weights by their sum."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    """Shares in proportion to tokens ** temperature: 1 leaves them as they are, 0 makes them equal."""
    tokens: Annotated[Tokens, Field(gt=0)] | dict[str, Tokens] | None = None
    """Tokens of the whole mixture, or by group (then without weights)."""
    max_epochs: Epochs | dict[str, Epochs] = 1.0
    """How often a group may be seen at most; one number or by group (others: once)."""
    on_shortfall: Literal["error", "scale"] = "error"
    """What to do where the budget cannot be met: stop, or take the largest that keeps the shares."""
    bytes_per_token: BytesPerToken | dict[str, BytesPerToken] | None = None
    """For sizes in tokens where `tokenize` has not run yet; one number or by group. If not set, it is measured on
    a sample of each group; 4 if the recipe has no `tokenize`."""
    upsample: dict[str, dict[float, Annotated[int, Field(ge=0, le=1000)]]] | None = None
    """Column -> {value from which on: copies}, `{cluster_size: {2: 2, 10: 3}}`: before all else, a document
    counts as so many. Below the first value, and without a value, as one."""
    seed: int | None = None
    """Decides which documents a fraction of an epoch takes; the recipe's seed if not set."""
    sources: tuple[str, ...] = ()
    """The sources of the recipe; filled in by the pipeline."""
    later: Later | None = None
    """What `tokenize` will do after the mixture; filled in by the pipeline."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        asked = [key for key in ("weights", "temperature") if getattr(self, key) is not None]
        asked += ["tokens by group"] if isinstance(self.tokens, dict) else []
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other; keep one of them")
        for column, starts in self.ranges.items():
            if column not in self._by or not starts or list(starts) != sorted(set(starts)):
                raise ValueError(
                    f"ranges of {column!r}: expected a column of `by` and ascending numbers, found {list(starts)}"
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
                    raise ValueError(f"{key}: no source {listed(strange)}; there are {listed(self.sources)}")
                missing = [name for name in self.sources if name not in names]
                if key in {"weights", "tokens"} and missing and REST not in names:
                    raise ValueError(
                        f"{key}: nothing is said of {listed(missing)}; 0 leaves a source out, "
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

    def followed_by(self, stages: Sequence[Stage]) -> Self:
        """Told how texts will be tokenized, if they are not yet."""
        for stage in stages:
            if stage.word() == "tokenize":
                keys = {key: getattr(stage, key) for key in Later.model_fields}
                return self.model_copy(update={"later": Later(**keys)})
        return self

    def files(self) -> Mapping[str, Sequence[str]]:
        """The tokenizer, if texts will be tokenized with a given one."""
        return {"file": (self.later.file,)} if self.later is not None and self.later.file is not None else {}

    @property
    def _measures(self) -> bool:
        return self.later is not None and not isinstance(self.bytes_per_token, float)

    @property
    def rounds(self) -> int:
        """None where nothing is asked for; else sizes of the groups and the documents at each threshold.

        Before these, where tokens are to be measured, the bytes of the groups.
        """
        asked = self.tokens is not None or self.weights or self.temperature is not None
        return (3 if self._measures else 2) if asked else 0

    def _step(self, turn: int) -> int:
        """0: bytes of the groups, 1: sizes, 2: documents at the thresholds."""
        return turn if self._measures else turn + 1

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that it goes by."""
        return tuple(dict.fromkeys(("source", *self._by, *(self.upsample or {}))))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns of `ranges` and `upsample`."""
        return tuple(dict.fromkeys((*self.ranges, *(self.upsample or {}))))

    def survey_reads(self, turn: int) -> tuple[str, ...]:
        """The same and sizes; texts where blocks of them are drawn."""
        texts = ("text",) if self._measures and self._step(turn) == 1 else ()
        return (*self.needed, "bytes", *texts, *self.optional)

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """Sizes depend on the groups and the seed alone, so that weights are changed at no cost."""
        if self._step(turn) == 2:
            return self.identity()
        kept = {"by", "ranges", "upsample", "seed"} | (
            {"later"} if self._measures and self._step(turn) else set()
        )
        return {key: value for key, value in self.identity().items() if key in kept}

    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Sizes by group and bin of the hash, and blocks of text; last, the documents in the bin of the threshold."""
        groups, hashes = self._groups(rows), self._hashes(rows)
        amount, unit = self._amounts(rows)
        places = bins(hashes).astype(np.int32)
        if self._step(turn) < 2 or ruling is None:
            copies = self._copies(rows)
            by = {"group": groups, "bin": places if self._step(turn) else np.zeros_like(places)}
            table = pa.table({**by, "amount": amount, "ends": copies * (amount > 0)})
            sums = table.group_by(["group", "bin"], use_threads=False).aggregate(
                [("amount", "sum"), ("amount", "count"), ("ends", "sum")]
            )
            sums = sums.rename_columns(["group", "bin", "amount", "documents", "ends"])
            sums = sums.append_column("unit", pa.repeat(unit, len(sums)))
            if self._measures and self._step(turn) == 1 and ruling is not None:
                drawn = self._blocks(rows, groups, copies, ruling)
                sums = pa.concat_tables([sums, drawn], promote_options="default")
            return sums.append_column("bucket", pa.array(np.zeros(len(sums), np.uint16)))
        at = _position(groups, ruling)
        drawn = np.flatnonzero(places == ruling["bin"].to_numpy()[at])
        found = pa.table(
            {
                "bucket": pa.array(at[drawn].astype(np.uint16)),
                "group": groups.take(pa.array(drawn)),
                "hash": hashes[drawn],
                "amount": amount[drawn],
            }
        )
        plan = ruling.append_column("bucket", pa.array(np.arange(len(ruling)), pa.uint16()))
        return pa.concat_tables([plan, found], promote_options="default").select(DRAWN)

    def _blocks(
        self, rows: pa.Table, groups: pa.Array, copies: npt.NDArray[np.int64], ruling: pa.Table
    ) -> pa.Table:
        """Blocks of text; where the tokenizer is known, the tokens they take instead of what they say."""
        threshold = ruling["threshold"].to_numpy()[_position(groups, ruling)]
        drawn = blocks(rows, threshold, self.seed or 0, "mix sample")
        at, text = drawn["at"].to_numpy(), whole(drawn["text"])
        found = {"group": groups.take(whole(drawn["at"])), "copies": copies[at], "hash": drawn["hash"]}
        found["amount"] = pc.binary_length(text)
        if self.later is not None and self.later.known:
            found["encoded"] = tokens_of(vocabulary.read(self.paths("file")[0]), text)
        else:
            found["text"] = text
        return pa.table(found)

    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """Sums over the parts; last, how far into its documents each group's target reaches."""
        if self._step(turn) < 2:
            drawn = pc.is_null(findings["bin"])
            sums = sums_of(findings.filter(pc.invert(drawn)))
            kept = [name for name in (*SIZES, *BLOCKS) if name in findings.column_names]
            both = [sums, findings.select(kept).filter(drawn)]
            return pa.concat_tables(both, promote_options="default")
        return reached(findings)

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Which blocks to draw; the plan of the mixture; the same, with thresholds and what they realise."""
        if self._step(turn) == 2:
            return rulings.sort_by("group")
        drawn = pc.is_null(rulings["bin"])
        sums = sums_of(rulings.filter(pc.invert(drawn)))
        groups = sums["group"].to_numpy(zero_copy_only=False)
        found = {name: np.flatnonzero(groups == name) for name in sorted(set(groups))}
        if len(found) > MAX_GROUPS:
            raise StageError(
                f"mix.by: {'/'.join(self._by)} has {len(found):,} values, at most {MAX_GROUPS:,} can be "
                "mixed; group by a column with fewer, or by `ranges` of it"
            )
        empty = dict.fromkeys(self.sources if self._by == ("source",) else (), 0)
        totals = {
            key: empty | {name: int(sums[key].to_numpy()[at].sum()) for name, at in found.items()}
            for key in ("amount", "ends")
        }
        if self._step(turn) == 0:
            limits = thresholds(totals["amount"])
            columns = {"group": list(limits), "threshold": pa.array(limits.values(), pa.uint64())}
            return pa.table(columns, pa.schema({"group": pa.string(), "threshold": pa.uint64()}))
        unit = sums["unit"][0].as_py() if len(sums) else "tokens"
        sizes = totals["amount"]
        if unit == "bytes":
            sizes = self._estimated(totals["amount"], totals["ends"], rulings.filter(drawn))
        return planned(self.plan(sizes), sums, found, sizes, unit)

    def plan(self, sizes: Mapping[str, int], *, scale: bool = False) -> dict[str, GroupPlan]:
        """What is wanted of groups of these sizes in tokens.

        Raises:
            StageError: they cannot give it (with `scale`: less is taken instead).
        """
        return plan_mixture(
            sizes,
            weights=self._weights,
            temperature=self.temperature,
            total=self.tokens if isinstance(self.tokens, int) else None,
            budgets=self.tokens if isinstance(self.tokens, dict) else None,
            max_epochs=self.max_epochs,
            on_shortfall="scale" if scale else self.on_shortfall,
        )

    def _estimated(
        self, amounts: Mapping[str, int], ends: Mapping[str, int], sample: pa.Table
    ) -> dict[str, int]:
        """Tokens of each group, from its bytes: as the recipe says, as measured, or as English has it."""
        given = self.bytes_per_token
        told = given if isinstance(given, dict) else dict.fromkeys(amounts, given) if given else {}
        sizes = {name: int(amount / Fraction(str(told.get(name, PRIOR)))) for name, amount in amounts.items()}
        if self.later is not None and len(sample) and "encoded" not in sample.column_names:
            shares = {name: group.weight for name, group in self.plan(sizes, scale=True).items()}
            given_file = self.paths("file")[0] if self.later.file is not None else None
            content = stand_in(self.later, given_file, sample, shares)
            if content is None:
                return sizes
            sample = sample.append_column("encoded", pa.array(tokens_of(content, whole(sample["text"]))))
        for name in amounts:
            mine = sample.filter(pc.equal(sample["group"], name))
            if name in told or not len(mine):
                continue
            copies = mine["copies"].to_numpy()
            seen = int((mine["amount"].to_numpy() * copies).sum())
            encoded = int((mine["encoded"].to_numpy() * copies).sum())
            sizes[name] = amounts[name] * encoded // seen + ends[name] if seen else ends[name]
        return sizes

    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """How often each document is seen; those seen never are dropped."""
        groups, repeats = self._groups(rows), self._copies(rows)
        if ruling is not None:
            at = _position(groups, ruling)
            once_more = self._hashes(rows) < ruling["threshold"].to_numpy()[at]
            repeats = repeats * (ruling["whole"].to_numpy()[at] + once_more)
        if (most := int(repeats.max(initial=0))) > MOST_REPEATS:
            raise StageError(
                f"mix: a document would be seen {most:,} times, more than {MOST_REPEATS:,}; lower `tokens`, "
                "`max_epochs` or the copies of `upsample`"
            )
        left = pa.array(repeats == 0)
        reasons = pc.if_else(left, pa.scalar("not_sampled"), no_reasons(len(rows)))
        tallies = {"repeats": int(repeats.sum()), "repeated_documents": int((repeats > 1).sum())}
        columns = {"repeats": pa.array(repeats.astype(np.int32)), "mix_group": groups}
        return Out(columns, reasons, tallies)

    @property
    def _weights(self) -> dict[str, float] | None:
        if self.weights is None or not self.normalise:
            return self.weights
        total = sum(Fraction(str(weight)) for weight in self.weights.values())
        return {name: float(Fraction(str(weight)) / total) for name, weight in self.weights.items()}

    def _epochs(self, group: str) -> float:
        given = self.max_epochs
        return given.get(group, 1.0) if isinstance(given, dict) else given

    def _hashes(self, rows: pa.Table) -> npt.NDArray[np.uint64]:
        return hash64(ids(rows["doc_id"]), self.seed or 0, "mix")

    def _groups(self, rows: pa.Table) -> pa.Array:
        return names_of(rows, self._by, self.ranges)

    def _copies(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        """As how many documents each row counts."""
        return copies_of(rows, self.upsample or {})

    def _amounts(self, rows: pa.Table) -> tuple[npt.NDArray[np.int64], str]:
        """Tokens of each row, or bytes where they are not known, times its copies; and which of the two."""
        if "token_count" in rows.column_names:
            counts = whole(rows["token_count"]).to_numpy().astype(np.int64)
            return (counts + (counts > 0)) * self._copies(rows), "tokens"  # pack ends each document with EOS
        return whole(rows["bytes"]).to_numpy().astype(np.int64) * self._copies(rows), "bytes"


def _position(groups: pa.Array, ruling: pa.Table) -> npt.NDArray[np.int64]:
    """Where in the ruling each row's group stands."""
    found = pc.index_in(groups, value_set=whole(ruling["group"]))
    return np.asarray(found, dtype=np.int64)
