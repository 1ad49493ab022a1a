"""Checks of a finished release folder, each of one respect; see pipeline/verify.py."""
