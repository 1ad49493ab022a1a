"""One task's figures by name, without intervals: the metrics of an Inspect log."""

import polars as pl

from valact_eval.stats.bias import bias
from valact_eval.stats.declared import declared, run_bootstrap
from valact_eval.stats.enacted import enacted
from valact_eval.stats.outcomes import summary
from valact_eval.stats.resample import bootstrap
from valact_eval.stats.table import read_answers, read_choices

_DRAWS = 2  # only the figures themselves are wanted


def named_figures(frame: pl.DataFrame, kind: str) -> dict[str, float]:
    """Figures of one respondent's rows of one task; those that are 0/0 are left out.

    Args:
        frame: rows of a table of ``kind`` "choice" or "answer", one or more.
        kind: which table.
    """
    found = _answers(frame) if kind == "answer" else _choices(frame)
    return {name: figure for name, figure in found.items() if figure is not None}


def _choices(frame: pl.DataFrame) -> dict[str, float | None]:
    (table,) = read_choices(frame)
    boot = bootstrap(table.scenarios, _DRAWS, 0, "scenarios")
    task = summary(table, boot)
    named: dict[str, float | None] = {"n": task.n}
    named |= {f"rate_{name}": rate.estimate for name, rate in task.outcomes.items()}
    if task.accuracy is not None and task.accuracy_all is not None:
        named |= {
            "accuracy": task.accuracy.estimate,
            "accuracy_all": task.accuracy_all.estimate,
            **{f"accuracy_{value}": right.estimate for value, right in task.by_value.items()},
        }
    if not table.ok.any():
        return named
    if table.task == "default":
        for row in enacted(table, boot).values:
            named[f"enacted_{row.value}"] = row.enacted_share.estimate
            named[f"preference_{row.value}"] = row.preference.estimate
    return named | {f"letter_{row.letter}": row.share.estimate for row in bias(table, boot).letters}


def _answers(frame: pl.DataFrame) -> dict[str, float | None]:
    (answers,) = read_answers(frame)
    told = declared(answers, run_bootstrap(answers, _DRAWS, 0))
    named: dict[str, float | None] = {"n": frame.height}
    named |= {f"rate_{name}": count / frame.height for name, count in told.outcomes.items()}
    named["mrat"] = told.mrat.estimate
    return named | {f"declared_{row.value}": row.raw.estimate for row in told.values}
