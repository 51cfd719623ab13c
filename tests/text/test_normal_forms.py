"""NFC is unicodedata's, in n log n; the steps of a TextNormalizer are those of the library."""
import runpy
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.normal_forms import AS_IT_IS, CLIP_NORMALIZER, TextNormalizer, nfc

ORIGINAL = runpy.run_path(str(Path(__file__).parents[1] / "golden/make_bpe.py"))
marks = st.sampled_from([c for c in map(chr, range(sys.maxunicode + 1))
                         if unicodedata.combining(c)])
# they decompose to marks, to a letter and marks, or compose with what follows
odd = st.sampled_from(["\u0344", "\u0f73", "\u0f81", "a", "é", "가", "\u1100", "\u1161", "\u11a8",
                       "ᾈ", "\U0001d165", "\U0001d15e", "\u0958", "x"])


def test_steps_worked_by_hand():
    text = "Cafe\u0301 \t\u3000 ΟΔΟΣ İ"
    assert AS_IT_IS(text) == text
    assert TextNormalizer(nfc=True)(text) == "Café \t\u3000 ΟΔΟΣ İ"
    assert TextNormalizer(join_spaces=True)("a \x1c\n\x85b") == "a \x1c b"
    assert CLIP_NORMALIZER(text) == "café οδοσ i\u0307"


@given(st.lists(marks | odd, max_size=9).map("".join) | st.text(max_size=20))
def test_nfc_is_that_of_unicodedata(text):
    assert nfc(text) == unicodedata.normalize("NFC", text)


def test_a_long_run_of_marks_takes_n_log_n():
    """unicodedata.normalize("NFC") sorts this run of 200,000 in minutes."""
    assert len(nfc("x" + "\u0301\u0316" * 100_000)) == 200_001


def test_the_library_lower_cases_each_character_alike():
    normalizers = pytest.importorskip("tokenizers").normalizers
    text = "|".join(ORIGINAL["assigned"]())
    assert TextNormalizer(lower_case=True)(text) == normalizers.Lowercase().normalize_str(text)
