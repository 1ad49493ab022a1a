"""Commands that need no release and no model: ``reference``, ``power``, ``identical-people``."""

from typing import Annotated

import typer

from valact_eval.errors import ValactError

# scipy takes a second to import, which `--help` need not wait for


def register(app: typer.Typer) -> None:
    """Adds the commands to ``app``."""
    app.command()(reference)
    app.command()(power)
    app.command("identical-people")(identical_people)


def reference(
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Print the figures of the ten published models, recomputed from their tables."""
    from valact_eval.stats import reference as published
    from valact_eval.stats.estimate import to_json

    found = published.reference()
    print(to_json(found).rstrip() if as_json else "\n".join(published.lines(found)))


def power(
    scenarios: Annotated[
        int | None, typer.Option(min=2, help="How wide intervals get with so many.")
    ] = None,
    half_width: Annotated[
        float | None, typer.Option(help="How many scenarios it takes for this half-width.")
    ] = None,
    accuracy: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Expected in selection and adoption.")
    ] = 0.9,
    discordant: Annotated[
        float, typer.Option(min=0.001, max=1, help="Share of items right in one of both only.")
    ] = 0.1,
    design_effect: Annotated[
        float, typer.Option(min=0.1, help="Above 1 if answers to one scenario are alike.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Print half-widths for a number of scenarios, or scenarios for a half-width."""
    from valact_eval.stats.estimate import to_json
    from valact_eval.stats.power import plan, scenarios_for

    if (scenarios is None) == (half_width is None):
        raise ValactError("power: give either --scenarios or --half-width")
    if scenarios is not None:
        found = plan(
            scenarios, accuracy=accuracy, discordant=discordant, design_effect=design_effect
        )
        if as_json:
            print(to_json(found).rstrip())
            return
        print(f"{scenarios} scenarios of five questions: half-widths of 95 % intervals")
        for row in found.figures:
            print(f"  {row.figure:<35}{row.half_width:7.3f}  ({row.assumes})")
        return
    assert half_width is not None
    needed = {
        row.figure: (
            scenarios_for(
                half_width,
                row.figure,
                accuracy=accuracy,
                discordant=discordant,
                design_effect=design_effect,
            ),
            row.assumes,
        )
        for row in plan(2).figures
    }
    if as_json:
        print(to_json({name: count for name, (count, _) in needed.items()}).rstrip())
        return
    print(f"scenarios of five questions for a half-width of {half_width:g}")
    for name, (count, assumes) in needed.items():
        print(f"  {name:<35}{count:7,}  ({assumes})")


def identical_people(
    people: Annotated[int, typer.Option(min=2, help="In each study.")] = 55,
    questions: Annotated[int, typer.Option(min=2, help="Each answers.")] = 80,
    strength: Annotated[
        float, typer.Option(min=0, help="Of their values; 1: as the published models.")
    ] = 0.33,
    studies: Annotated[int, typer.Option(min=1, help="Simulated.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Simulate people who are all the same: the spread of r that a short test alone makes."""
    from valact_eval.stats import identical_people as simulation
    from valact_eval.stats.estimate import to_json

    found = simulation.identical_people(people, questions, strength, studies, seed)
    if as_json:
        print(to_json(found).rstrip())
        return
    print(f"{people} identical people, {questions} questions each (means of {studies} studies)")
    print(
        f"  r between two people's enacted profiles: {found.between_low:.2f} to "
        f"{found.between_high:.2f}, mean {found.between_mean:.2f} (all are the same: truly 1)"
    )
    true = "not defined" if found.declared_true is None else f"{found.declared_true:.2f}"
    print(
        f"  declared-enacted r of a person: {found.declared_low:.2f} to "
        f"{found.declared_high:.2f}, mean {found.declared_mean:.2f} (truly {true})"
    )
