"""Personal data in posts; see finder.py for what is found and how."""

from pipeline.personal.finder import KINDS, Span, find, generalise, mask

__all__ = ["KINDS", "Span", "find", "generalise", "mask"]
