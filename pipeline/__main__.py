"""`python -m pipeline`: runs the command line and turns errors into one line and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys

from pipeline.errors import PipelineError, WaitingError

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; return the exit status."""
    from pipeline.cli import app

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = app(standalone_mode=False)
        if status == _INTERRUPTED:  # typer turns KeyboardInterrupt into this status
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except WaitingError as error:
        return _end(str(error), error.exit_code)
    except PipelineError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(
            "interrupted; what is finished is kept, the same command goes on", _INTERRUPTED
        )
    except BrokenPipeError:  # the reader of our output (`| head`) went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if _disk_full(error):
            return _fail(
                "no space left on the device; what is finished is kept: free some space and run "
                "the same command again",
                1,
            )
        usage = _usage_line(error)
        if usage:
            return _fail(usage, 2)
        raise


def _usage_line(error: Exception) -> str:
    """Return the message of a wrong command line, or ""."""
    # Typer carries its own copy of click, whose exceptions have no public name; all of them, and
    # nothing else, have this method.
    message = getattr(error, "format_message", None)
    return str(message()) if callable(message) else ""


def _disk_full(error: BaseException | None) -> bool:
    while error is not None:
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        sqlite_full = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
        if full or sqlite_full or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _interrupt(*_: object) -> None:
    # A shell without job control starts `command &` so that it ignores the one; not this one.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # which awaits the answers that are on their way


def _fail(message: str, status: int) -> int:
    return _end(f"error: {message}", status)


def _end(message: str, status: int) -> int:
    print(" ".join(message.split()), file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
