"""Runs Label Studio's command in its own environment for as long as standard input stays open.

A file to be run, not a module to import: the environment has nothing of the pipeline. The process
that started it holds the other end of standard input, so the server cannot outlive it.
"""

from __future__ import annotations

import os
import sys
import threading


def _watch() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # the database is a file of transactions; there is nothing to put away


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    from label_studio.server import main

    sys.argv[0] = "label-studio"
    main()
