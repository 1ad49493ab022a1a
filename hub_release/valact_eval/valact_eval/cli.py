"""The command ``valact-eval``: ``run`` a model, ``score`` its predictions; see ``cli_stats``."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from valact_eval import cli_stats
from valact_eval.data import Release, load_release
from valact_eval.errors import ValactError
from valact_eval.figures import TASKS, Prediction, read_predictions, table, write_predictions

app = typer.Typer(add_completion=False, no_args_is_help=False, rich_markup_mode=None)
cli_stats.register(app)


@app.command()
def run(
    data: Annotated[str, typer.Argument(help="Release folder, or owner/name on the hub.")],
    task: Annotated[str, typer.Option(help="default, selection or adoption.")],
    model: Annotated[str, typer.Option(help="Inspect model, as openai-api/local/NAME.")],
    out: Annotated[Path, typer.Option(help="Folder for predictions.jsonl and Inspect's log.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first questions.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Limit of one reply.")] = 256,
    max_retries: Annotated[int, typer.Option(min=0, help="Per request, 3 s and doubling.")] = 3,
    overwrite: Annotated[bool, typer.Option(help="Replace predictions.jsonl.")] = False,
) -> None:
    """Ask MODEL the questions of DATA, write OUT/predictions.jsonl and print its figures."""
    path = out / "predictions.jsonl"
    if task not in TASKS:
        raise ValactError(f"--task {task}: no such task; give one of {', '.join(TASKS)}")
    if path.exists() and not overwrite:
        raise ValactError(f"{path}: exists already; give another --out or --overwrite")
    release = load_release(data)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValactError(f"{out}: {error.strerror}; give another --out") from error
    write_predictions(path, _ask(release, task, model, out, limit, max_tokens, max_retries))
    print(table(read_predictions(path, release), release))


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="A predictions.jsonl of `run`.")],
    data: Annotated[str, typer.Argument(help="The release it was made from.")],
) -> None:
    """Print the figures of a predictions file again; no model is asked."""
    release = load_release(data)
    print(table(read_predictions(predictions, release), release))


def main() -> None:
    """Runs the command line; bad input ends in one line on stderr and exit code 2."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        code = app(standalone_mode=False)
    except (ValactError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(f"valact-eval: error: {' '.join(message.split())}", file=sys.stderr)
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        print("valact-eval: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _ask(
    release: Release,
    task: str,
    model: str,
    out: Path,
    limit: int | None,
    max_tokens: int,
    max_retries: int,
) -> list[Prediction]:
    # Inspect takes seconds to import, and `score` needs none of it
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import get_model

    from valact_eval.tasks import build_task, prediction_of

    built = build_task(task, release, max_tokens)
    remedy = f"check --model {model} and that its server is up"
    try:
        (log,) = inspect_eval(
            built,
            model=get_model(model, memoize=False),
            limit=limit,
            log_dir=str(out / "logs"),
            display="rich" if sys.stdout.isatty() else "none",
            log_level="critical",
            ctl_server=False,
            score_display=False,
            max_retries=max_retries,
        )
    # what a provider's constructor raises is its own affair; all of it is about the model
    except Exception as error:
        text = re.sub(r"\[/?[a-z]+\]", "", str(getattr(error, "message", error)))  # rich's marks
        raise ValactError(f"{model}: {text or type(error).__name__}; {remedy}") from error
    if log.status == "cancelled":
        raise KeyboardInterrupt
    if log.status != "success":
        text = log.error.message if log.error else log.status
        if match := re.search(r"^RetryError.* raised (\w+)", text):
            text = f"{match[1]}, retries used up"
        raise ValactError(f"{model}: {text}; {remedy} (log: {log.location})")
    return [
        prediction_of(scored.metadata)
        for sample in log.samples or []
        for scored in (sample.scores or {}).values()
    ]


if __name__ == "__main__":
    main()
