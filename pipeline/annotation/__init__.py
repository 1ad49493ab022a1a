"""Expert annotation: which actions experts see, what they said, and what follows from it.

Pure functions on tables. `docs/annotate-statistics.md` tells the scheme and the formulas.
"""
