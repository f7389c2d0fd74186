"""Change ringing: every order in which a few bells can be rung, each order exactly once.

Ringers cannot jump. From one row to the next a bell may stay where it is or swap places with a
neighbour. The method here is called plain changes, and was printed in 1621, long before anybody
thought of it as an algorithm. One bell walks through all the others from back to front; then two
of the others swap, and it walks back again.
"""

from collections.abc import Iterator


def plain_changes(bells: int) -> Iterator[tuple[int, ...]]:
    """Yields all rows of `bells` bells; neighbouring rows differ by one swap of neighbours."""
    row = list(range(1, bells + 1))
    # Each bell looks either to the left (-1) or to the right (+1). In the beginning all look left.
    gaze = {bell: -1 for bell in row}
    yield tuple(row)
    while True:
        # A bell can move if the neighbour it looks at is smaller. The largest such bell moves.
        movable = [
            bell
            for place, bell in enumerate(row)
            if 0 <= place + gaze[bell] < bells and row[place + gaze[bell]] < bell
        ]
        if not movable:
            return
        mover = max(movable)
        here = row.index(mover)
        there = here + gaze[mover]
        row[here], row[there] = row[there], row[here]
        # Whoever is larger than the mover turns round, so that it can walk back later.
        for bell in row:
            if bell > mover:
                gaze[bell] = -gaze[bell]
        yield tuple(row)


def is_ringable(rows: list[tuple[int, ...]]) -> bool:
    """True when no bell ever moves by more than one place between two rows."""
    for before, after in zip(rows, rows[1:], strict=False):
        for bell in before:
            if abs(before.index(bell) - after.index(bell)) > 1:
                return False
    return True


if __name__ == "__main__":
    peal = list(plain_changes(4))
    print(len(peal), "rows, ringable:", is_ringable(peal))
    for changed in peal:
        print(" ".join(str(bell) for bell in changed))
