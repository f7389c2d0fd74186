"""Reads the notebook of a mountain hut and finds the winters worth remembering.

The warden writes one line a day: the date, the depth of the snow in centimetres, and sometimes a
remark. Fog, guests and cats have left their marks, so a line that does not make sense is reported
with its number instead of being guessed at. A winter is named after the year in which it ends.
"""

from collections import defaultdict
from datetime import date


def read_notebook(lines: list[str]) -> tuple[dict[date, int], list[str]]:
    """Returns the depth by day, and one complaint for every line that could not be understood."""
    depths: dict[date, int] = {}
    complaints: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=2)
        try:
            day = date.fromisoformat(words[0])
            depth = int(words[1])
        except (IndexError, ValueError):
            complaints.append(f"line {number}: expected a date and a depth, found {line.strip()!r}")
            continue
        if day in depths and depths[day] != depth:
            complaints.append(f"line {number}: {day} was already given as {depths[day]} cm")
            continue
        depths[day] = depth
    return depths, complaints


def winters(depths: dict[date, int]) -> dict[int, tuple[int, int]]:
    """For every winter: the greatest depth, and the number of days with snow on the ground."""
    deepest: dict[int, int] = defaultdict(int)
    white_days: dict[int, int] = defaultdict(int)
    for day, depth in depths.items():
        # Snow that falls in autumn belongs to the winter which ends in the year after.
        winter = day.year + 1 if day.month >= 8 else day.year
        deepest[winter] = max(deepest[winter], depth)
        white_days[winter] += depth > 0
    return {winter: (deepest[winter], white_days[winter]) for winter in sorted(deepest)}


if __name__ == "__main__":
    notebook = """
# kept by the stove
2021-12-24 85 guests sang
2022-01-30 140
2022-01-3O 140
2022-05-02 0 swallows
2022-11-19 12 first snow, cat displeased
2023-02-11 95
""".splitlines()
    found, errors = read_notebook(notebook)
    for year, (depth, days) in winters(found).items():
        print(f"{year}: up to {depth} cm, snow on {days} recorded days")
    print("\n".join(errors))
