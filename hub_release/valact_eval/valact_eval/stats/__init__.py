"""Statistics of enacted and declared values; see docs/method.md."""
