"""Plans the round of a village postwoman who would like to be home by noon.

Visiting every house by the shortest round is a famous hard problem. For a village an honest
approximation will do: start with the greedy round (always go to the nearest house that is left),
and then undo its worst mistakes by turning parts of it around until nothing improves any more.
"""

from math import hypot

House = tuple[float, float]


def length(route: list[House]) -> float:
    """The length of a closed round in metres, including the way home."""
    return sum(hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(route, route[1:] + route[:1], strict=True))


def greedy(post_office: House, houses: list[House]) -> list[House]:
    """From wherever she stands, she goes to the nearest house that has not had its letters."""
    route = [post_office]
    left = sorted(houses)
    while left:
        x, y = route[-1]
        nearest = min(left, key=lambda house: hypot(house[0] - x, house[1] - y))
        left.remove(nearest)
        route.append(nearest)
    return route


def untangle(route: list[House]) -> list[House]:
    """Removes crossings. Where two legs of the round cross, reversing what lies between helps."""
    best = list(route)
    improved = True
    while improved:
        improved = False
        for first in range(1, len(best) - 1):
            for last in range(first + 1, len(best)):
                turned = best[:first] + best[first : last + 1][::-1] + best[last + 1 :]
                # The small margin keeps rounding errors from turning the round back and forth.
                if length(turned) < length(best) - 1e-9:
                    best, improved = turned, True
    return best


if __name__ == "__main__":
    office = (0.0, 0.0)
    doors = [(120.0, 40.0), (30.0, 210.0), (200.0, 180.0), (90.0, 95.0), (15.0, 60.0), (160.0, 10.0)]
    rough = greedy(office, doors)
    smooth = untangle(rough)
    print(f"greedy {length(rough):.0f} m, untangled {length(smooth):.0f} m")
