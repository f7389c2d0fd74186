"""How long the n-grams are that are looked for (RULES 12.2). Numbers only: a plan needs no compiler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST: Final = 64
"""Most tokens in a gram: the lengths under a head are the bits of one word."""


@dataclass(frozen=True)
class Rules:
    """What is indexed of a text (RULES 12.2).

    Attributes:
        n: tokens in a gram; a shorter text is one gram.
        short: fewest tokens of a text that is one gram; a text below it cannot be checked.
        n_cjk, short_cjk: the same for texts most of whose tokens are single characters.
    """

    n: int
    short: int
    n_cjk: int
    short_cjk: int

    @property
    def head(self) -> int:
        """Tokens of the shortest gram there can be."""
        return min(self.n, self.short, self.n_cjk, self.short_cjk)
