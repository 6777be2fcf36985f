"""How much is drawn: a few examples, the same ones each time; `FUZZ_EXAMPLES=200000 pytest …` draws many new ones."""

import os

from hypothesis import HealthCheck, settings

LONG = "FUZZ_EXAMPLES" in os.environ
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", 150)),
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
