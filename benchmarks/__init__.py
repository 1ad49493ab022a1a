"""Benchmarks of the call layer; README.md says what each measures."""
