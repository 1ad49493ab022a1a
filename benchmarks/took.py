"""What a whole command takes: python -m benchmarks.took FILE COMMAND...

Writes a Run (benchmarks.dedup_run) as JSON to FILE, and ends as the command does. Start of Python,
reading and writing are in it, and so are processes that the command waited for. A process of its
own, and a small one: the kernel counts what the parent held to the memory of the child.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the command once."""
    place, *command = sys.argv[1:]
    begun = time.perf_counter()
    ended = subprocess.run(command, check=False).returncode
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = {
        "seconds": seconds,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * 1024 / 1e6,  # of the largest of its processes
    }
    Path(place).write_text(json.dumps(taken), encoding="utf-8")
    raise SystemExit(ended)


if __name__ == "__main__":
    main()
