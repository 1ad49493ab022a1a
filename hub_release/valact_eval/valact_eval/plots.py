"""The report's figures, drawn by matplotlib as SVG; letters are drawn as shapes, not as text."""

from collections.abc import Callable

from matplotlib.figure import Figure

from valact_eval.plot_contrasts import agreement, forest_of_r, heat, letters, people, role_play
from valact_eval.plot_profiles import circles, domains, gaps
from valact_eval.plot_style import styled, svg
from valact_eval.stats.analyse import Results
from valact_eval.stats.respondent import RespondentResult


def figures(results: Results) -> dict[str, tuple[str, str]]:
    """Every figure for which there is data: name to (description, SVG text).

    Persons are not drawn one by one.
    """
    models = [one for one in results.respondents if not one.person]
    kinds: tuple[tuple[str, Callable[[list[RespondentResult]], tuple[str, Figure] | None]], ...]
    kinds = (
        ("circle", circles),
        ("gap", gaps),
        ("r", forest_of_r),
        ("heat", lambda found: heat(found)),
        ("agreement", lambda found: agreement(found, results)),
        ("role_play", role_play),
        ("letters", letters),
        ("domains", domains),
        ("people", lambda _: people(results)),
    )
    drawn = {}
    with styled():
        for name, draw in kinds:
            if (found := draw(models)) is not None:
                drawn[name] = (found[0], svg(found[1]))
    return drawn
