"""The command ``valact-eval``: ``run``, ``score`` and ``import``; the rest is in ``cli_*``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from valact_eval import cli_first, cli_report, cli_stats
from valact_eval.asks import ALL_TASKS, RUNS, VARIANTS
from valact_eval.data import TEST
from valact_eval.errors import ValactError
from valact_eval.predictions import Predictions, write_predictions
from valact_eval.results import (
    DrawsOption,
    FamilyOption,
    Files,
    GroupOption,
    MatchOption,
    PeopleOption,
    SeedOption,
    Wanted,
    analysed,
    analysed_tables,
    said,
)
from valact_eval.session import Session, ask

INCOMPLETE = 3
app = typer.Typer(add_completion=False, no_args_is_help=False, rich_markup_mode=None)


@app.command()
def run(
    data: Annotated[
        str | None,
        typer.Argument(help="Release folder, or owner/name[@tag] on the hub; declared needs none."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Inspect model, as openai-api/local/NAME; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for predictions and logs.")] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="default, selection, adoption or declared; repeatable; else all four."),
    ] = None,
    respondent: Annotated[
        list[str] | None, typer.Option(help="Name in the predictions, one a --model; else its own.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first questions.")] = None,
    scenarios: Annotated[
        int | None, typer.Option(min=1, help="Only the questions of the first scenarios.")
    ] = None,
    split: Annotated[str, typer.Option(help="test, or dev for work on prompts.")] = TEST,
    domain: Annotated[list[str] | None, typer.Option(help="Only this domain; repeatable.")] = None,
    variants: Annotated[int, typer.Option(min=1, help="Prompt variants.")] = VARIANTS,
    order: Annotated[
        str, typer.Option(help="Options shifted by variant, or as published.")
    ] = "shifted",
    describe: Annotated[
        str, typer.Option(help="Values by definition, or by items of --pvq as published.")
    ] = "definition",
    pvq: Annotated[
        Path | None, typer.Option(help="Your copy of the PVQ-40: CSV with item and text.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Shuffled questionnaires a variant.")] = RUNS,
    form: Annotated[str, typer.Option(help="Items together in a prompt, or single.")] = "together",
    declared_prompts: Annotated[
        Path | None, typer.Option(help="Prompt file for the questionnaire, as in its language.")
    ] = None,
    constrained: Annotated[
        bool, typer.Option(help="Choose by the log-probabilities of letters or ratings.")
    ] = False,
    temperature: Annotated[float, typer.Option(min=0)] = 0.0,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Limit of a reply: 256, 1024 for forty items.")
    ] = None,
    reasoning_effort: Annotated[str | None, typer.Option(help="For models that reason.")] = None,
    extra_body: Annotated[str | None, typer.Option(help="JSON added to every request.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Of the model's server.")] = None,
    model_arg: Annotated[
        list[str] | None, typer.Option("--model-arg", "-M", help="NAME=VALUE for the provider.")
    ] = None,
    http: Annotated[str, typer.Option(help="aiohttp or httpx, for OpenAI-like servers.")] = (
        "aiohttp"
    ),
    max_connections: Annotated[int | None, typer.Option(min=1, help="Requests at once.")] = None,
    max_retries: Annotated[int, typer.Option(min=0, help="Per request, 3 s and doubling.")] = 3,
    cache: Annotated[bool, typer.Option(help="Keep replies in Inspect's cache.")] = False,
    price: Annotated[
        list[str] | None,
        typer.Option(help="IN/OUT or MODEL=IN/OUT, dollars a million tokens; repeatable."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Dollars, over all starts of this --out.")
    ] = None,
    estimate: Annotated[bool, typer.Option(help="Only say what it would cost.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Forget what --out holds.")] = False,
    log_samples: Annotated[
        bool, typer.Option(help="Every sample in Inspect's log too, for `inspect view`.")
    ] = False,
) -> None:
    """Ask every MODEL the tasks on DATA, keep the predictions in OUT and print their figures.

    Run again, it asks only what is not answered yet. Exit code 3: some is still missing.
    """
    found, missing = ask(
        Session(
            data=data,
            models=model or (),
            out=out,
            tasks=task or ALL_TASKS,
            respondents=respondent or (),
            limit=limit,
            scenarios=scenarios,
            split=split,
            domains=domain or (),
            variants=variants,
            order=order,
            describe=describe,
            pvq=pvq,
            runs=runs,
            form=form,
            declared_prompts=declared_prompts,
            constrained=constrained,
            temperature=temperature,
            max_tokens=max_tokens,
            reasoning_effort=reasoning_effort,
            extra_body=extra_body,
            base_url=base_url,
            model_args=model_arg or (),
            http=http,
            max_connections=max_connections,
            max_retries=max_retries,
            cache=cache,
            prices=price or (),
            max_cost=max_cost,
            estimate=estimate,
            overwrite=overwrite,
            log_samples=log_samples,
        )
    )
    if found is not None:
        print(_report(found))
    if missing:
        print(f"valact-eval: {missing}", file=sys.stderr, flush=True)
        raise typer.Exit(INCOMPLETE)


@app.command()
def score(
    files: Files,
    people: PeopleOption = None,
    match_length: MatchOption = None,
    group: GroupOption = None,
    family: FamilyOption = None,
    draws: DrawsOption = 2000,
    seed: SeedOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure, as JSON.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Folder for the figures as CSV files.")] = None,
) -> None:
    """Print the figures of predictions with their intervals; no model is asked."""
    from valact_eval.stats.analyse import to_plain
    from valact_eval.stats.estimate import to_json
    from valact_eval.tables import write_tables

    found = analysed(
        Wanted(files, people or (), match_length, group or (), family or (), draws, seed)
    )
    if csv is not None:
        write_tables(csv, found.results)
    if as_json:
        print(to_json(to_plain(found.results)).rstrip())
    else:
        print("\n".join(said(found)))


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Inspect logs, lm-eval samples, lighteval details, or folders of them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for predictions and answers.")],
    respondent: Annotated[str | None, typer.Option(help="Name of who answered.")] = None,
    format: Annotated[str, typer.Option(help="jsonl or parquet.")] = "jsonl",
) -> None:
    """Turn other harnesses' logs into predictions files, and print their figures."""
    from valact_eval.imports import import_predictions

    if format not in ("jsonl", "parquet"):
        raise ValactError(f"--format {format}: give jsonl or parquet")
    found = import_predictions(files, respondent)
    for name, frame in (("predictions", found.choices), ("answers", found.answers)):
        if frame.height:
            write_predictions(out / f"{name}.{format}", frame)
    print(_report(found))


cli_report.register(app)
cli_first.register(app)
cli_stats.register(app)


def main() -> None:
    """Runs the command line; bad input ends in one line on stderr and exit code 2."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        code: Any = app(standalone_mode=False)
    except (ValactError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(f"valact-eval: error: {' '.join(message.split())}", file=sys.stderr)
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        print("valact-eval: interrupted; the same command again goes on", file=sys.stderr)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _report(found: Predictions) -> str:
    return "\n".join(said(analysed_tables(found)))


if __name__ == "__main__":
    main()
