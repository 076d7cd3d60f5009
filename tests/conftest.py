"""Two ways to run the laws: a fixed profile (the default), and ``--hypothesis-profile fresh`` for new examples."""

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fixed", derandomize=True, max_examples=25, database=None, **COMMON)
settings.register_profile("fresh", max_examples=300, print_blob=True, **COMMON)
settings.load_profile("fixed")
