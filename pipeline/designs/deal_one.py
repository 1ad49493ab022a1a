"""Make a design with one question a scenario: `python -m pipeline.designs.deal_one --out FILE`.

It holds the same questions as a cycle of twelve scenarios, each once, one a slot: what the cycle
balances, sixty slots with one question balance as well. Free is only which slot gets which one. A
domain takes every fifth slot, so that the sixty are first parted into five blocks of twelve, as
alike as they get, and then put in an order in which every beginning of the cycle, and of each
block, is as even as it gets. A domain's block is another one in the next sixty slots (`turns`), so
that after 300 slots every domain has met every question once and is exactly even, too.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.balance import Cell, cells
from pipeline.designs import DealtQuestion, Design, load_design, write_design
from pipeline.designs.anneal import Move, Schedule, anneal
from pipeline.designs.measure import DOMAINS, show
from pipeline.designs.script import run
from pipeline.values import value_ids

Excess = dict[Hashable, float]

_BLOCKS = Schedule(start=10.0, factor=0.9998, least=1.0, moves=80_000)
_ORDER = Schedule(start=10.0, factor=0.9999, least=0.5, moves=60_000)
_WEIGHTS: dict[Hashable, float] = {"value": 3.0, "target": 3.0, "target_letter": 3.0}
"""What counts more than other cells do; beginnings of a cycle hold too little of the others."""


def deal(design: Design, seed: int) -> Design:
    """Return a design with one question a slot, made of the questions of `design`."""
    rng = random.Random(seed)  # noqa: S311 - a search, no secret
    questions = [question for scenario in design.cycle for question in scenario]
    rng.shuffle(questions)
    _part(questions, rng)
    _order(questions, rng)
    return Design(tuple((question,) for question in questions), DOMAINS)


def _part(questions: list[DealtQuestion], rng: random.Random) -> None:
    """Swap questions of different blocks until the blocks are alike; slot % 5 is the block."""
    counted = {q: {cell: _WEIGHTS.get(cell[0], 1.0) for cell in _cells(q)} for q in questions}
    total: defaultdict[Cell, float] = defaultdict(float)
    for question in questions:
        for cell, n in counted[question].items():
            total[cell] += n
    excess: Excess = {(b, c): -n / DOMAINS for c, n in total.items() for b in range(DOMAINS)}
    for slot, question in enumerate(questions):
        for cell, n in counted[question].items():
            excess[slot % DOMAINS, cell] += n

    def swap() -> Move[Hashable]:
        i, j = rng.sample(range(len(questions)), 2)
        changes: defaultdict[Hashable, float] = defaultdict(float)
        if i % DOMAINS != j % DOMAINS:
            for cell, n in counted[questions[i]].items():
                changes[i % DOMAINS, cell] -= n
                changes[j % DOMAINS, cell] += n
            for cell, n in counted[questions[j]].items():
                changes[j % DOMAINS, cell] -= n
                changes[i % DOMAINS, cell] += n

        def accept() -> None:
            questions[i], questions[j] = questions[j], questions[i]

        return changes.items(), accept

    anneal(excess, swap, rng, _BLOCKS)


def _order(questions: list[DealtQuestion], rng: random.Random) -> None:
    """Swap questions within blocks until beginnings of the cycle and of the blocks are even."""
    counted = {q: [cell for cell in _cells(q) if cell[0] in _WEIGHTS] for q in questions}
    total = Counter(cell for question in questions for cell in counted[question])
    length = len(questions)
    excess: Excess = {}
    for end in range(1, length + 1):
        began = Counter(c for question in questions[:end] for c in counted[question])
        own = questions[(end - 1) % DOMAINS : end : DOMAINS]
        block = Counter(c for question in own for c in counted[question])
        whole = Counter(c for q in questions[(end - 1) % DOMAINS :: DOMAINS] for c in counted[q])
        for cell, n in total.items():
            excess["all", end, cell] = began[cell] - n * end / length
            share = whole[cell] * len(own) * DOMAINS / length
            excess["block", end, cell] = block[cell] - share

    def swap() -> Move[Hashable]:
        block = rng.randrange(DOMAINS)
        i, j = sorted(rng.sample(range(block, length, DOMAINS), 2))
        change = Counter(counted[questions[j]])
        change.subtract(counted[questions[i]])
        some = [(cell, n) for cell, n in change.items() if n]
        changes = [
            *((("all", end, cell), n) for end in range(i + 1, j + 1) for cell, n in some),
            *((("block", end, c), n) for end in range(i + 1, j + 1, DOMAINS) for c, n in some),
        ]

        def accept() -> None:
            questions[i], questions[j] = questions[j], questions[i]

        return changes, accept

    anneal(excess, swap, rng, _ORDER)


def _cells(question: DealtQuestion) -> list[Cell]:
    return list(cells(question.options, question.target))


def main(
    out: Annotated[Path, typer.Option(help="File to write.", dir_okay=False, writable=True)],
    source: Annotated[str, typer.Option(help="Design whose questions are dealt.")] = "cycle12",
    seed: Annotated[int, typer.Option(help="Another seed deals them in another order.")] = 1,
) -> None:
    """Deal the questions of a design one a slot, write that and print how even it is."""
    design = deal(load_design(source), seed)
    made = f"python -m pipeline.designs.deal_one --source {source} --seed {seed}"
    write_design(out, design, value_ids(), made)
    typer.echo(f"{out}: {len(design.cycle)} slots of one question")
    show(design, len(design.cycle))


if __name__ == "__main__":
    run(main)
