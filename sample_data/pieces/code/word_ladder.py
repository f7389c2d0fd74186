"""Word ladders: from one word to another by changing a single letter at a time.

The puzzle was invented for two bored children at Christmas. To solve it, think of each word as a
place and of each permitted change as a road. The shortest ladder is the shortest walk, and a
breadth-first search finds it: first look at everything one step away, then two steps, and so on.
"""

from collections import deque


def neighbours(word: str, dictionary: set[str]) -> list[str]:
    """All words of the dictionary that differ from `word` in exactly one letter, in order."""
    found = []
    for place in range(len(word)):
        for letter in "abcdefghijklmnopqrstuvwxyz":
            candidate = word[:place] + letter + word[place + 1 :]
            if candidate != word and candidate in dictionary:
                found.append(candidate)
    return sorted(found)


def ladder(start: str, goal: str, dictionary: set[str]) -> list[str] | None:
    """The shortest ladder from start to goal, both included, or None when there is no way."""
    if len(start) != len(goal):
        return None
    came_from: dict[str, str | None] = {start: None}
    waiting = deque([start])
    while waiting:
        word = waiting.popleft()
        if word == goal:
            # Walk back along the way we came, and then read it from the front.
            path: list[str] = []
            step: str | None = word
            while step is not None:
                path.append(step)
                step = came_from[step]
            return path[::-1]
        for other in neighbours(word, dictionary):
            if other not in came_from:
                came_from[other] = word
                waiting.append(other)
    return None


if __name__ == "__main__":
    words = set("cold cord card ward warm word worm wore ware bold bald ball bale".split())
    print(" -> ".join(ladder("cold", "warm", words) or ["no ladder"]))
