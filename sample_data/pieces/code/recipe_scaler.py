"""Scales a recipe and turns ugly numbers into the spoons and cups that a kitchen really has.

If a cake for eight takes a cup and a quarter of sugar, then a cake for five takes 25/32 of a cup,
and no such cup hangs on any wall. The program rounds each amount to something one can measure, and
says how far the rounding has moved it, so that the cook may decide whether it matters.
"""

from fractions import Fraction

# Spoons and cups that hang on the wall, as parts of one unit.
MEASURABLE = [Fraction(0), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(3, 4)]


def to_measurable(amount: Fraction) -> Fraction:
    """The nearest amount that can be measured: a whole number plus one of the spoons above."""
    whole = int(amount)
    choices = [whole + part for part in MEASURABLE] + [Fraction(whole + 1)]
    nearest = min(choices, key=lambda choice: abs(choice - amount))
    # Never round an ingredient away: a pinch of salt is still a pinch of salt.
    return nearest if nearest > 0 else Fraction(1, 4)


def pretty(amount: Fraction) -> str:
    """Writes 7/4 as '1 3/4', which is how a grandmother would write it."""
    whole, rest = divmod(amount, 1)
    if rest == 0:
        return str(whole)
    return f"{whole} {rest}" if whole else str(rest)


def scale(recipe: dict[str, Fraction], serves: int, wanted: int) -> list[str]:
    """One line for each ingredient, with a remark when rounding changed it by more than a tenth."""
    lines = []
    for ingredient, amount in recipe.items():
        exact = amount * wanted / serves
        rounded = to_measurable(exact)
        error = float((rounded - exact) / exact)
        remark = f"   (off by {error:+.0%}, taste it)" if abs(error) > 0.1 else ""
        lines.append(f"{pretty(rounded):>6} {ingredient}{remark}")
    return lines


if __name__ == "__main__":
    lemon_cake = {
        "cups of beaten egg": Fraction(3, 4),
        "cups of flour": Fraction(2),
        "cups of sugar": Fraction(5, 4),
        "teaspoons of salt": Fraction(1, 2),
    }
    print("\n".join(scale(lemon_cake, serves=8, wanted=5)))
