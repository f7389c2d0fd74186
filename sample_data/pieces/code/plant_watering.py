"""Decides which pots on the balcony need water today.

Every plant has a thirst: how many millimetres it loses on a mild day. Heat makes it lose more,
rain gives some of it back. When the sum passes what the pot can hold, it is time to water.
The numbers were found by lifting pots and guessing, and then by killing two basil plants.
"""

from dataclasses import dataclass, field


@dataclass
class Pot:
    """One plant in one pot; `reserve` is the water that is left, in millimetres."""

    name: str
    thirst: float
    capacity: float
    sheltered: bool = False
    reserve: float = field(init=False)

    def __post_init__(self) -> None:
        # A pot starts its life freshly watered.
        self.reserve = self.capacity

    def spend_day(self, temperature: float, rain: float) -> None:
        """Lets a day pass. Above twenty degrees each further degree adds five per cent of loss."""
        heat = max(0.0, temperature - 20.0)
        loss = self.thirst * (1.0 + 0.05 * heat)
        gain = 0.0 if self.sheltered else rain
        self.reserve = min(self.capacity, max(0.0, self.reserve - loss + gain))

    @property
    def is_thirsty(self) -> bool:
        """True when less than a third of the water is left; leaves droop a little after that."""
        return self.reserve < self.capacity / 3.0


def plan(pots: list[Pot], forecast: list[tuple[float, float]]) -> list[list[str]]:
    """For every day of the forecast (temperature, rain): the names of the pots to water."""
    days = []
    for temperature, rain in forecast:
        for pot in pots:
            pot.spend_day(temperature, rain)
        thirsty = [pot for pot in pots if pot.is_thirsty]
        for pot in thirsty:
            pot.reserve = pot.capacity
        days.append([pot.name for pot in thirsty])
    return days


if __name__ == "__main__":
    balcony = [Pot("tomato", 6.0, 20.0), Pot("mint", 4.0, 12.0, sheltered=True), Pot("cactus", 0.3, 9.0)]
    for number, names in enumerate(plan(balcony, [(18, 0), (27, 0), (31, 0), (24, 8), (29, 0)]), start=1):
        print(f"day {number}: {', '.join(names) or 'nothing to do'}")
