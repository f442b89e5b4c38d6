"""Property tests: a short profile for every day, a long one for `make soak`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("daily", deadline=None)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=2_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("daily")
