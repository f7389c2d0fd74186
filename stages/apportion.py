"""How much of each group goes into a mixture: exact arithmetic on integers and fractions, no data.

Rules: RULES §13. Shares are fractions, sizes are integers, and the sum is always what was asked for:
remainders go to the largest fractional parts first (Hamilton). Which documents are taken, `mix.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, Literal

from stages.base import StageError

REST: Final = "*"
"""The key of every group not named otherwise; they share its part in proportion to their sizes."""

SUM_TOLERANCE: Final = Fraction(1, 10**6)
_PRECISE = Context(prec=50)  # the same digits on every machine, which libm's pow does not promise


@dataclass(frozen=True)
class GroupPlan:
    """What one group gives.

    Attributes:
        available: its size in tokens.
        weight: its share of the total.
        target: how many tokens of it are wanted, repeats included; targets sum to the total.
    """

    available: int
    weight: Fraction
    target: int

    @property
    def whole_epochs(self) -> int:
        """Full passes over the group."""
        return self.target // self.available if self.available else 0

    @property
    def remainder(self) -> int:
        """What is still wanted after the full passes; less than one pass."""
        return self.target - self.whole_epochs * self.available

    @property
    def epochs(self) -> float:
        """Passes, with the fraction."""
        return self.target / self.available if self.available else 0.0


def plan_mixture(
    available: Mapping[str, int],
    *,
    weights: Mapping[str, float] | None = None,
    temperature: float | None = None,
    total: int | None = None,
    budgets: Mapping[str, int] | None = None,
    max_epochs: float | Mapping[str, float] = 1.0,
    on_shortfall: Literal["error", "scale"] = "error",
) -> dict[str, GroupPlan]:
    """Targets for every group, in the order of its name.

    Args:
        available: group -> size in tokens.
        weights: group -> share; or
        temperature: shares in proportion to `size ** temperature` (1: as they are, 0: all the same); or
        budgets: group -> absolute target. None of the three: shares as they are.
        total: sum of the targets. None: the largest total that keeps the shares, repeats no group beyond its
            `max_epochs`, and is not above the size of the whole corpus (OLMo-core's rule).
        max_epochs: how often a group may be repeated; one number or by group (others: 1).
        on_shortfall: what to do where a group cannot give its share: an error, or the largest
            total that keeps the shares.

    Raises:
        StageError: weights for groups that do not exist or that are empty, groups without a weight,
            shares that do not sum to 1, or a total that the data cannot give.
    """
    names = sorted(available)
    sizes = {name: available[name] for name in names}
    epochs = {
        name: _exact(max_epochs if isinstance(max_epochs, int | float) else max_epochs.get(name, 1.0))
        for name in names
    }
    capacity = {name: int(sizes[name] * epochs[name]) for name in names}
    if budgets is not None:
        wanted = _spread(budgets, sizes, "tokens")
        total = sum(int(budget) for budget in budgets.values())
        shares = {name: budget / total if total else Fraction(0) for name, budget in wanted.items()}
    elif weights is not None:
        shares = _spread(weights, sizes, "weights")
        if abs(sum(shares.values(), Fraction(0)) - 1) > SUM_TOLERANCE:
            raise StageError(
                f"mix.weights sum to {float(sum(shares.values())):.6g}, expected 1; change them, or set "
                "`normalise: true`"
            )
        shares = _normalised(shares)
    else:
        shares = temperature_shares(sizes, 1.0 if temperature is None else temperature)
    if not any(sizes.values()):
        raise StageError("mix: no documents are left to mix; look at the report for what dropped them")
    feasible = int(min(capacity[name] / shares[name] for name in names if shares[name]))
    most = min(sum(sizes.values()), feasible) if total is None else total
    if on_shortfall == "scale":
        most = min(most, feasible)
    targets = apportion(most, shares)
    plan = {name: GroupPlan(sizes[name], shares[name], targets[name]) for name in names}
    if most > feasible:
        raise StageError(_shortfall(plan, capacity, feasible))
    return plan


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Integers in proportion to the shares (which sum to 1, or are all 0) that sum to `total`.

    Hamilton: rounded down, then one more for the largest fractional parts; ties go to the first in order.
    """
    quotas = {name: total * share for name, share in shares.items()}
    sizes = {name: int(quota) for name, quota in quotas.items()}
    left = total - sum(sizes.values()) if any(shares.values()) else 0
    remainders = {name: quotas[name] - sizes[name] for name in shares}
    for name in sorted(shares, key=remainders.__getitem__, reverse=True)[:left]:
        sizes[name] += 1
    return sizes


def temperature_shares(sizes: Mapping[str, int], temperature: float) -> dict[str, Fraction]:
    """Shares in proportion to `size ** temperature`; empty groups get nothing."""
    power = Decimal(str(temperature))
    raw = {
        name: Fraction(_PRECISE.power(Decimal(size), power)) if size else Fraction(0)
        for name, size in sizes.items()
    }
    return _normalised(raw)


def _exact(value: float) -> Fraction:
    """A number as the recipe wrote it: 0.7 is seven tenths."""
    return Fraction(str(value))


def _normalised(shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    total = sum(shares.values(), Fraction(0))
    return {name: share / total if total else Fraction(0) for name, share in shares.items()}


def _spread(given: Mapping[str, float], sizes: Mapping[str, int], key: str) -> dict[str, Fraction]:
    """A number for each group, `*` shared out; every group named, every name a group with something in it."""
    rest = [name for name in sizes if name not in given]
    if rest and REST not in given:
        raise StageError(
            f"mix.{key} says nothing of {listed(rest)}; add a number (0 leaves a group out), "
            f'or "{REST}" for all others'
        )
    empty = [name for name, number in given.items() if number and name != REST and not sizes.get(name)]
    if empty:
        raise StageError(
            f"mix.{key} asks for {listed(empty)}, of which nothing is left (or never was); groups with "
            f"documents are {listed([name for name, size in sizes.items() if size])}. Set it to 0, or look "
            "at what dropped its documents"
        )
    among = sum(sizes[name] for name in rest)
    if given.get(REST) and not among:
        raise StageError(f'mix.{key} gives a part to "{REST}", but no other group has documents')
    numbers = {name: _exact(given[name]) for name in sizes if name in given}
    for name in rest:
        numbers[name] = _exact(given[REST]) * sizes[name] / among if among else Fraction(0)
    return {name: numbers[name] for name in sizes}


def _shortfall(plan: Mapping[str, GroupPlan], most: Mapping[str, int], feasible: int) -> str:
    """Why targets cannot be met, from the group that falls shortest."""
    name = max(plan, key=lambda name: Fraction(plan[name].target, max(most[name], 1)))
    group = plan[name]
    return (
        f"mix: {sum(other.target for other in plan.values()):,} tokens cannot be had. Group {name!r} would "
        f"have to give {float(group.weight):.2%} of them, {group.target:,}: {group.epochs:.2f} epochs of its "
        f"{group.available:,}, and `max_epochs` allows {most[name]:,}. The largest feasible budget with "
        f"these shares is {feasible:,} tokens: lower `tokens` to it, raise `max_epochs`, lower the share of "
        f"{name!r}, or set `on_shortfall: scale`"
    )


def listed(names: Sequence[str]) -> str:
    """Some names for a message, the first five of many."""
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
