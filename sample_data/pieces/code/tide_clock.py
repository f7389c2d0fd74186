"""A tide clock for one harbour.

High water comes later every day because the moon moves on while the earth turns. This little
program takes one observed high tide and predicts the following ones with the mean interval
between two of them. It knows nothing of the sun, the shape of the coast or the wind, so it is
good to about an hour: enough to plan a swim, and not enough to sail by.
"""

from datetime import datetime, timedelta

# The mean time from one high water to the next: half a lunar day of 24 h 50 min 28 s.
HALF_LUNAR_DAY = timedelta(hours=12, minutes=25, seconds=14)


def next_high_waters(seen: datetime, after: datetime, count: int) -> list[datetime]:
    """The `count` high waters that follow `after`, given that one was seen at `seen`."""
    if count < 0:
        raise ValueError(f"count must not be negative, but it is {count}")
    # Whole tides that have passed since the observation. Floor division of two durations
    # gives an integer, and it is right for moments before the observation as well.
    passed = (after - seen) // HALF_LUNAR_DAY
    return [seen + (passed + step) * HALF_LUNAR_DAY for step in range(1, count + 1)]


def describe(moment: datetime, now: datetime) -> str:
    """Says in words how long one has to wait for the tide."""
    minutes = round((moment - now) / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if hours == 0:
        return f"in {rest} minutes"
    return f"in {hours} h {rest:02d} min, at {moment:%H:%M}"


if __name__ == "__main__":
    observed = datetime(2024, 6, 1, 7, 40)
    today = datetime(2024, 6, 5, 12, 0)
    for tide in next_high_waters(observed, today, 4):
        print(describe(tide, today))
