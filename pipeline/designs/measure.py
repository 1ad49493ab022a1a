"""Count what a design offers: `python -m pipeline.designs.measure cycle12 --slots 25`."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from pipeline import schema
from pipeline.balance import COUNTED, Balance, balance
from pipeline.designs import GENERATORS, Design, load_design
from pipeline.designs.script import run
from pipeline.values import value_ids

DOMAINS = 5


def measured(design: Design, slots: range) -> Balance:
    """Return the balance of the questions of these slots."""
    columns = ("option_values", "option_generators", "target_index")
    rows = [
        {
            "option_values": [value for value, _ in question.options],
            "option_generators": [GENERATORS[generator] for _, generator in question.options],
            "target_index": question.target,
        }
        for slot in slots
        for question in design.dealt(slot)
    ]
    types = {name: schema.QUESTIONS[name] for name in columns}
    return balance(pl.DataFrame(rows, schema=types), value_ids())


def show(design: Design, slots: int) -> None:
    """Print the least and the most of every count over the first slots, and in one domain."""
    whole = measured(design, range(slots))
    parts = [measured(design, range(domain, slots, DOMAINS)) for domain in range(DOMAINS)]
    typer.echo(f"{whole.questions} questions in {slots} slots")
    typer.echo(f"  {'least':>5} {'most':>5} {'if even':>8}   {'in a domain':<11}")
    for name, what in COUNTED.items():
        least, most, even = whole.counts[name]
        inside = (
            min(part.counts[name].least for part in parts),
            max(part.counts[name].most for part in parts),
        )
        typer.echo(f"  {least:>5} {most:>5} {even:>8.2f}   {inside[0]:>4} {inside[1]:>5}   {what}")


def main(
    name: Annotated[str, typer.Argument(help="A design in pipeline/designs/, without `.json`.")],
    slots: Annotated[
        int, typer.Option(min=0, help="Slots counted from the first; 0 for a whole cycle.")
    ] = 0,
) -> None:
    """Print how evenly a design offers values, letters, pairs and targets."""
    design = load_design(name)
    show(design, slots or len(design.cycle) * design.turns)


if __name__ == "__main__":
    run(main)
