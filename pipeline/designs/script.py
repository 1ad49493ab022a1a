"""Running one of this package's scripts: errors become one line and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from pipeline.errors import BadInputError, PipelineError


def run(main: Callable[..., None]) -> None:
    """Run a script's function with the command line's arguments, and end the process."""
    try:
        typer.run(main)
    except PipelineError as error:
        sys.exit(_told(error, error.exit_code))
    except OSError as error:
        sys.exit(_told(error, BadInputError.exit_code))


def _told(error: Exception, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status
