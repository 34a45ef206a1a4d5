"""Benchmarks; see ``python -m benchmarks`` and README.md beside this file."""
