"""Builds VALACT-15K: posts in, a release folder that `datasets.load_dataset` opens out."""

__version__ = "0.1.0"
