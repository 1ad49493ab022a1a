"""Evaluation of language models on VALACT-15K."""

from valact_eval.errors import ValactError

__all__ = ["ValactError", "__version__"]
__version__ = "0.2.0"
