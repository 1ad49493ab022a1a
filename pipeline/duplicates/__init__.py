"""Posts that tell one story: found by their words, by what they say of each other, by meaning."""

from pipeline.duplicates.find import NEAR, Duplicates, among, find
from pipeline.duplicates.semantic import Embedder

__all__ = ["NEAR", "Duplicates", "Embedder", "among", "find"]
