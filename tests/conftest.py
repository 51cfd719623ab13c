"""Hypothesis: 50 examples by default; `pytest --hypothesis-profile=deep` runs 5,000."""
import io
import sys

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=50)     # compiling takes longer
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default")


@pytest.fixture
def stdin(monkeypatch):
    """stdin(text, bytes or a stream of bytes): what is there to be read from standard input."""
    def given(data):
        data = data.encode() if isinstance(data, str) else data
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    return given
