"""Balanced plans: equally many pictures in every cell of mask size, resolution and strength of a dial.

A *cell* of a plan is a size (mask / picture, the bins of `objascale.sizes`) at a resolution (a factor of two of the
picture's side). With difficulty, each dial divides each cell further by its strength, into whole units. Slots take the
cells in turn, and the pictures of a cell take the units of each dial in turn. The order is shuffled in every round, and
for each dial in another way, so that dials stay independent of sizes and of each other.

The counts of any two cells therefore differ by at most one, and so do those of a dial's units over all cells. A slot
keeps its cell in every attempt: if a spec cannot be rendered, the next attempt is drawn for the same cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from objascale.difficulty.ranges import DialRange, DialRanges
from objascale.difficulty.record import MAX_STRENGTH, stream
from objascale.settings import PlanSettings
from objascale.sizes import SIZE_EDGES, SIZE_LABELS

Interval = tuple[float, float]

_ABOVE = 1 + 1e-5  # a fraction has six digits, and one at the lower edge of a size belongs to the size below


@dataclass(frozen=True)
class Cell:
    """A size at a resolution.

    Attributes:
        size: Index into `SIZE_LABELS`.
        fraction: Smallest and largest mask area / picture area.
        side: Smallest and largest side of the picture, px.
    """

    size: int
    fraction: Interval
    side: tuple[int, int]

    def __str__(self) -> str:
        """The cell in words: `10⁻⁵ to 10⁻⁴ at 512 to 1023 px`."""
        return f"{SIZE_LABELS[self.size]} at {side_label(self.side)}"


def side_label(side: tuple[int, int]) -> str:
    """Return a resolution in words: `512 to 1023 px`."""
    return f"{side[0]} px" if side[0] == side[1] else f"{side[0]} to {side[1]} px"


def cells_of(settings: PlanSettings) -> tuple[list[Cell], list[Cell]]:
    """Return the cells in the ranges of a plan: those that are possible, and those that no mask can fill.

    A cell is impossible if the limits on the area exclude all of its masks: a mask below 10⁻⁵ of a picture of 512 px
    has at most 2 px.
    """
    fractions = (0.0, *SIZE_EDGES, 1.0)
    sizes = [
        (index, (max(low * _ABOVE, settings.min_fraction), min(high, settings.max_fraction)))
        for index, (low, high) in enumerate(pairwise(fractions))
        if low < settings.max_fraction and high >= settings.min_fraction
    ]
    cells = [
        Cell(index, fraction, side)
        for side, (index, fraction) in product(_sides(settings.min_px, settings.max_px), sizes)
        if fraction[0] <= fraction[1]
    ]
    largest = math.inf if settings.max_area is None else settings.max_area
    possible = [
        cell
        for cell in cells
        if cell.fraction[1] * cell.side[1] ** 2 >= settings.min_area and cell.fraction[0] * cell.side[0] ** 2 <= largest
    ]
    return possible, [cell for cell in cells if cell not in possible]


def _sides(low: int, high: int) -> list[tuple[int, int]]:
    """Divide a range of sides at the powers of two inside it."""
    edges = [2**power for power in range(low.bit_length(), high.bit_length()) if low < 2**power < high]
    alone = low < high and high.bit_count() == 1  # a power of two at the end begins no resolution of its own
    return [(start, end - 1) for start, end in pairwise((low, *edges, high if alone else high + 1))]


def units_of(each: DialRange) -> list[Interval]:
    """Return the whole units of strength in a range, cut to the range: 0 to 1.5 has (0, 1) and (1, 1.5)."""
    edges = [float(unit) for unit in range(1, int(MAX_STRENGTH)) if each.low < unit < each.high]
    return list(pairwise((each.low, *edges, each.high)))


@dataclass(frozen=True)
class Balance:
    """The cell and the units of the dials of each slot.

    Attributes:
        seed: Seed of the plan.
        cells: The possible cells.
        ranges: Ranges of the dials; empty without difficulty.
    """

    seed: int
    cells: Sequence[Cell]
    ranges: DialRanges

    def limits(self, settings: PlanSettings, slot: int) -> PlanSettings:
        """Return the settings with the ranges of the cell of a slot."""
        cell = self.cells[self._place(slot)[0]]
        (min_fraction, max_fraction), (min_px, max_px) = cell.fraction, cell.side
        ranges = {"min_fraction": min_fraction, "max_fraction": max_fraction, "min_px": min_px, "max_px": max_px}
        return settings.model_copy(update=ranges)

    def units(self, slot: int) -> dict[str, Interval]:
        """Return the unit of each dial from which the strength of a slot is drawn."""
        cell, turn = self._place(slot)
        found = {}
        for name, each in self.ranges.items():
            units = units_of(each)
            turn_of_dial, position = divmod(turn, len(units))
            order = stream(f"units of {name}", self.seed, cell, turn_of_dial).permutation(len(units))
            found[name] = units[order[position]]
        return found

    def _place(self, slot: int) -> tuple[int, int]:
        """Return the index of a slot's cell, and how many earlier slots have it."""
        turn, position = divmod(slot, len(self.cells))
        return int(stream("cells", self.seed, turn).permutation(len(self.cells))[position]), turn
