"""Plain figures of the predictions tables: shares, preferences, accuracy, declared means."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from valact_eval.data import LETTERS
from valact_eval.key import KEY, VALUE_OF, VALUES
from valact_eval.predictions import OUTCOMES, Predictions

CHANCE = 1 / len(LETTERS)


@dataclass(frozen=True)
class ValueFigure:
    """Figures of one value; None where they would divide by nothing.

    ``n`` is the number of answers behind them. In the task ``default``, ``share`` is chosen /
    valid choices and ``preference`` chosen / offered among valid. In ``selection`` and
    ``adoption``, ``share`` is right / valid answers with this target. In the questionnaire,
    ``mean`` is the mean rating and ``centred`` that less the mean of all ratings. All but
    ``n`` are computed per prompt variant and then averaged over the variants.
    """

    value: str
    n: int
    share: float | None = None
    preference: float | None = None
    mean: float | None = None
    centred: float | None = None


@dataclass(frozen=True)
class Figures:
    """What one respondent's rows of one task come to.

    ``rates`` are of the outcomes over all n rows, ``letters`` over the valid ones.
    ``accuracy`` is over the valid ones, ``accuracy_all`` over all; both per variant and then
    averaged, None in the task ``default`` and the questionnaire. ``mrat`` is the mean of all
    ratings.
    """

    n: int
    rates: dict[str, float]
    values: tuple[ValueFigure, ...]
    accuracy: float | None = None
    accuracy_all: float | None = None
    mrat: float | None = None
    letters: dict[str, float] | None = None


def summarise(frame: pl.DataFrame, kind: str) -> Figures:
    """The figures of a non-empty table of ``kind`` "choice" (one task) or "answer"."""
    counts = dict(frame["outcome"].value_counts().iter_rows())
    rates = {outcome: counts.get(outcome, 0) / frame.height for outcome in OUTCOMES}
    valid = frame.filter(pl.col("outcome") == "ok")
    if kind == "answer":
        return _declared(frame.height, rates, valid)
    default = frame["task"][0] == "default"
    values = _shares(valid) if default else _accuracies(valid)
    accuracy = (None, None) if default else _overall(frame)
    letters = dict(valid["letter"].value_counts().iter_rows())
    return Figures(
        n=frame.height,
        rates=rates,
        values=values,
        accuracy=accuracy[0],
        accuracy_all=accuracy[1],
        letters={
            letter: letters.get(place, 0) / valid.height for place, letter in enumerate(LETTERS)
        }
        if valid.height
        else None,
    )


def named_figures(frame: pl.DataFrame, kind: str) -> dict[str, float]:
    """The figures of ``summarise`` by name, without those that are 0/0."""
    found = summarise(frame, kind)
    named: dict[str, float | None] = {"n": found.n}
    named |= {f"rate_{outcome}": rate for outcome, rate in found.rates.items()}
    named |= {"accuracy": found.accuracy, "accuracy_all": found.accuracy_all, "mrat": found.mrat}
    share = "accuracy" if found.accuracy_all is not None else "enacted"
    for row in found.values:
        named[f"{share}_{row.value}"] = row.share
        named[f"preference_{row.value}"] = row.preference
        named[f"declared_{row.value}"] = row.mean
    named |= {f"letter_{letter}": rate for letter, rate in (found.letters or {}).items()}
    return {name: figure for name, figure in named.items() if figure is not None}


def report(predictions: Predictions) -> str:
    """A text block for each respondent and task, in their order; no final newline."""
    return "\n\n".join(_blocks(predictions))


def _blocks(predictions: Predictions) -> Iterator[str]:
    choices, answers = predictions.choices, predictions.answers
    for (respondent, task), part in choices.sort("respondent", "task").group_by(
        "respondent", "task", maintain_order=True
    ):
        found = summarise(part, "choice")
        head = [f"{respondent}, task {task}: {_size(part, 'question_id')}", _rates(found)]
        if task == "default":
            head.append(f"  {'enacted value':<18}{'share':>8}{'preference':>12}{'n':>8}")
            head += [
                f"  {row.value:<18}{_show(row.share):>8}{_show(row.preference):>12}{row.n:>8}"
                for row in found.values
            ]
        else:
            head += [
                f"  accuracy {_show(found.accuracy)} of valid answers, "
                f"{_show(found.accuracy_all)} of all (chance {_show(CHANCE)})",
                f"  {'target value':<18}{'right':>8}{'n':>8}",
                *(f"  {row.value:<18}{_show(row.share):>8}{row.n:>8}" for row in found.values),
            ]
        letters = found.letters or dict.fromkeys(LETTERS)
        head.append("  letters  " + "  ".join(f"{k} {_show(v)}" for k, v in letters.items()))
        yield "\n".join(head)
    for (respondent, instrument), part in answers.sort("respondent", "instrument").group_by(
        "respondent", "instrument", maintain_order=True
    ):
        found = summarise(part, "answer")
        yield "\n".join(
            [
                f"{respondent}, {instrument}: {_size(part, 'run')}",
                _rates(found),
                f"  {'declared value':<18}{'mean':>8}{'centred':>12}{'n':>8}",
                *(
                    f"  {row.value:<18}{_show(row.mean):>8}{_show(row.centred):>12}{row.n:>8}"
                    for row in found.values
                ),
                f"  mean of all ratings {_show(found.mrat)}",
            ]
        )


def _shares(valid: pl.DataFrame) -> tuple[ValueFigure, ...]:
    chosen = valid.select("variant", value=pl.col("option_values").list.get(pl.col("choice")))
    offered = valid.select("variant", value="option_values").explode("value")
    hits, offers = _table(chosen), _table(offered)
    totals = dict(valid.group_by("variant").len().iter_rows())
    return tuple(
        ValueFigure(
            value=value,
            n=sum(hits.get((variant, value), 0) for variant in totals),
            share=_mean([hits.get((v, value), 0) / n for v, n in totals.items()]),
            preference=_mean(
                [
                    hits.get((v, value), 0) / offers[v, value]
                    for v in totals
                    if offers.get((v, value))
                ]
            ),
        )
        for value in VALUES
    )


def _accuracies(valid: pl.DataFrame) -> tuple[ValueFigure, ...]:
    target = pl.col("option_values").list.get(pl.col("target_index"))
    asked = valid.with_columns(value=target)
    right = asked.filter(pl.col("choice") == pl.col("target_index"))
    hits, totals = _table(right), _table(asked)
    return tuple(
        ValueFigure(
            value=value,
            n=sum(n for (_, of), n in totals.items() if of == value),
            share=_mean([hits.get(k, 0) / n for k, n in sorted(totals.items()) if k[1] == value]),
        )
        for value in VALUES
    )


def _overall(frame: pl.DataFrame) -> tuple[float | None, float | None]:
    right = (pl.col("choice") == pl.col("target_index")).fill_null(False)
    valid = pl.col("outcome") == "ok"
    per = frame.group_by("variant").agg(
        of_valid=right.sum() / valid.sum(), of_all=right.mean(), valid=valid.sum()
    )
    return (
        _mean(per.filter(pl.col("valid") > 0).sort("variant")["of_valid"].to_list()),
        _mean(per.sort("variant")["of_all"].to_list()),
    )


def _declared(n: int, rates: dict[str, float], valid: pl.DataFrame) -> Figures:
    value = pl.col("item").replace_strict(VALUE_OF, return_dtype=pl.String)
    rated = valid.with_columns(value=value)
    mrats = rated.group_by("variant").agg(pl.col("score").mean())
    mrat = _mean(mrats.sort("variant")["score"].to_list())
    rows = []
    for name in KEY:
        of = rated.filter(pl.col("value") == name)
        per = of.group_by("variant").agg(pl.col("score").mean()).sort("variant")
        centred = per.join(mrats, on="variant").sort("variant")
        rows.append(
            ValueFigure(
                value=name,
                n=of.height,
                mean=_mean(per["score"].to_list()),
                centred=_mean((centred["score"] - centred["score_right"]).to_list()),
            )
        )
    return Figures(n=n, rates=rates, values=tuple(rows), mrat=mrat)


def _table(frame: pl.DataFrame) -> dict[tuple[int, str], int]:
    """Rows by variant and value."""
    return {(v, name): n for v, name, n in frame.group_by("variant", "value").len().iter_rows()}


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _size(part: pl.DataFrame, unit: str) -> str:
    name = {"question_id": "questions", "run": "runs"}[unit]
    return f"{part[unit].n_unique()} {name} x {part['variant'].n_unique()} prompts"


def _rates(found: Figures) -> str:
    return "  " + "  ".join(f"{name} {_show(rate)}" for name, rate in found.rates.items())


def _show(figure: float | None) -> str:
    return "n/a" if figure is None else f"{figure:.3f}"
