"""Faults: what delivery promises, tried; ``python -m benchmarks.faults --write`` for the docs."""
