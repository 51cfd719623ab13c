"""Hypothesis: 50 examples by default; `pytest --hypothesis-profile=deep` runs 5,000."""
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=50)     # compiling takes longer
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default")
