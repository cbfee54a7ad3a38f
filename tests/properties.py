"""How Hypothesis looks for examples here: the same in every run, and as slowly as the machine is."""

from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    """Try so many examples, always the same ones. How long that takes decides nothing: other work may be going on."""
    return settings(derandomize=True, max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
