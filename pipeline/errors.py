"""Errors that are meant for the user: one line that names the place and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PipelineError(Exception):
    """Base of every error that ends a command with one line and no traceback.

    Attributes:
        exit_code: The process exit status that the command line uses.
    """

    exit_code = 1


class BadInputError(PipelineError):
    """The user's input (a file, a key, an argument) is wrong; nothing was changed."""

    exit_code = 2


class StageError(PipelineError):
    """A stage could not finish; what earlier stages and calls produced is kept."""


class BudgetError(PipelineError):
    """The next model call could cost more than the cap leaves; it was not sent."""


class WaitingError(PipelineError):
    """Something outside has to finish first, such as a batch; the same command goes on later."""

    exit_code = 3


class BusyError(PipelineError):
    """Another build holds the folder."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ' (did you mean X?)' for the valid name nearest to `name`, else the whole list."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(names)}"
