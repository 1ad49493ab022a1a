"""Checks of a release folder, one respect a module; each raises StageError with one line."""
