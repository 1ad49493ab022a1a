"""The way back from a question, an option, a scenario or a post to the source and the calls."""

from __future__ import annotations

from pipeline.trace.find import trace
from pipeline.trace.parts import Trace

__all__ = ["Trace", "trace"]
