"""Clusters are those of Unicode's rules, which a slow form applies boundary by boundary."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text.graphemes import CLASSES, clusters

FAMILY = "👩\u200d👩\u200d👧"
# characters of all classes
SAMPLES = {"r": "\r", "n": "\n", "c": "\x01\u200b\u2028\u00ad", "p": "\u0600\u0890\U000110bd",
           "s": "\u0903\u0e33", "z": "\u200d", "l": "\u094d\u1039",
           "e": "\u0301\u20dd\u3099\U0001f3fb",
           "x": "\u200c", "L": "ᄀ", "V": "ᅡ", "T": "ᆨ", "A": "가", "B": "각", "F": "🇦🇿", "P": "©™👩",
           "K": "क\u0958က", ".": "aé日\u102b\U00011720"}


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("text, expected", [
    ("", []), ("abc", []), ("e\u0301a", ["e\u0301"]), ("a\r\nb\n\r", ["\r\n"]),
    ("\u0301a", []), ("a\u0301\u0323\u200d b", ["a\u0301\u0323\u200d"]),
    ("\n\u0301\u0302", ["\u0301\u0302"]),
    ("각\u11a8가", ["각\u11a8", "가"]), ("🇦🇿🇦", ["🇦🇿"]), ("🇦🇿🇦🇿", ["🇦🇿"] * 2),
    (f"x{FAMILY}y", [FAMILY]), ("a\u200d👩", ["a\u200d"]), ("👍\U0001f3fd", ["👍\U0001f3fd"]),
    ("का", ["का"]), ("क्क", ["क्क"]), ("क\u200cक", ["क\u200c"]),
    ("क\u094d\u0301क", ["क\u094d\u0301क"]), ("👩\u200c\u200d👩", ["👩\u200c\u200d👩"]),
    ("क्a", ["क्"]),
    ("\u0600a\u0301b", ["\u0600a\u0301"]), ("\u0600\n", []),
    ("\u0600\u0600👩", ["\u0600\u0600👩"])])
def test_clusters_worked_by_hand(text, expected):
    assert [text[begin:end] for begin, end in clusters(text) if end - begin > 1] == expected


@pytest.mark.parametrize("letter", SAMPLES)
def test_each_character_has_its_class(letter):
    assert SAMPLES[letter].translate(CLASSES) == letter * len(SAMPLES[letter])


# ---- the rules, one boundary at a time ----------------------------------------------------------

def breaks(before, after):
    """Whether there is a boundary between two strings of classes: GB3 to GB999."""
    a, b = before[-1], after[0]
    if a == "r" and b == "n":                                                    # GB3
        return False
    if a in "rnc" or b in "rnc":                                                 # GB4, GB5
        return True
    if (a == "L" and b in "LVAB") or (a in "AV" and b in "VT") or (a in "BT" and b == "T"):
        return False                                                             # GB6 to GB8
    if b in "elxzs" or a == "p":                                                 # GB9, GB9a, GB9b
        return False
    between = before.rstrip("elz")
    if b == "K" and between.endswith("K") and "l" in before[len(between):]:      # GB9c
        return False
    if b == "P" and a == "z" and before[:-1].rstrip("elx").endswith("P"):        # GB11
        return False
    flags = len(before) - len(before.rstrip("F"))                                # GB12, GB13
    return not (b == "F" and flags % 2)                                          # GB999


@settings(max_examples=60)
@given(st.text(st.sampled_from("".join(SAMPLES.values())), max_size=9))
def test_clusters_equal_the_rules_boundary_by_boundary(text):
    letters = text.translate(CLASSES)
    ends = [end for end in range(1, len(text)) if breaks(letters[:end], letters[end:])]
    expected = [(begin, end) for begin, end in zip([0, *ends], [*ends, len(text)])
                if end - begin > 1]
    assert [(begin, end) for begin, end in clusters(text) if end - begin > 1] == expected


@pytest.mark.parametrize("unit", ["\u0301", "ᄀ", "क\u094d", "P\u200d", "👩\u200d", "\u0600", "🇦"])
def test_a_long_run_takes_time_in_proportion_to_its_length(unit):
    """An O(n²) form would take minutes."""
    assert sum(1 for _ in clusters("a" + unit * 100_000)) <= 100_001
