"""Which expert gets which item: equal loads, and every pair of experts equally often together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import combinations

from pipeline.artifacts import unit_interval


class Loads:
    """Items that each expert has so far; gives the next item to those who have least.

    Args:
        experts: Numbers of the experts who take part.
        seed: Salt of the ties.
    """

    def __init__(self, experts: Iterable[int], seed: str) -> None:
        self.items: Counter[int] = Counter(dict.fromkeys(sorted(experts), 0))
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._seed = seed

    def give(self, item: str, count: int, barred: Collection[int] = ()) -> list[int]:
        """Give an item to `count` experts.

        Args:
            item: Its id.
            count: How many experts.
            barred: Experts who must not get it.

        Returns:
            Their numbers, sorted; fewer if there are not so many.
        """
        free = [number for number in self.items if number not in barred]
        count = min(count, len(free))
        # Those with the least load; among these the pairs that met least; among these by hash.
        choices = [
            (
                sum(self.items[number] for number in group),
                sum(self._pairs[pair] for pair in combinations(group, 2)),
                group,
            )
            for group in combinations(free, count)
        ]
        least = min(choice[:2] for choice in choices)
        best = [group for *costs, group in choices if tuple(costs) == least]
        group = min(best, key=lambda g: unit_interval(self._seed, "give", item, *g))
        self.items.update(group)
        self._pairs.update(combinations(group, 2))
        return list(group)

    def give_all(self) -> list[int]:
        """Give an item to everyone."""
        self.items.update(self.items.keys())
        return list(self.items)
