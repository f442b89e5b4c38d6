"""Measurements of the real daemon against floors of the same run. `python -m bench.run`."""
