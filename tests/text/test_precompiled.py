"""Replacements are found cluster by cluster, then character by character, as in the library."""
import copy
import io
import pickle
import random
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text.graphemes import CLASSES, clusters
from scratch_embed.text.precompiled import Precompiled

KEYS = {"ﬁ": "fi", "e\u0301": "é", "\t": " ", "¨": " \u0308", "\x01": "", "A": "a", "©": "(c)"}


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("text, normalised", [
    ("", ""), ("ﬁne\te\u0301", "fine é"), ("xAy", "xay"), ("\x01a\x01", "a"),
    ("e\u0301\u0323", "é"),                        # 5 bytes: the key é is a prefix of the cluster
    ("e\u0301\u0323\u0323", "e\u0301\u0323\u0323"),                # 7 bytes: letter by letter
    ("¨\u0301", " \u0308"),                        # the accent is lost, as in the library
    ("¨\u0301\u0301", " \u0308\u0301\u0301"), ("A\u0301", "a"), ("e", "e"),
    ("©\u200d©", "(c)\u200d(c)"), ("©\u200da", "(c)a"), ("\u0600A", "\u0600a")])
def test_normalising_worked_by_hand(text, normalised):
    assert Precompiled.from_keys(KEYS)(text) == normalised


def test_the_shortest_key_that_begins_a_text_is_taken():
    table = Precompiled.from_keys({"ab": "1", "abc": "2"})
    assert [table.shortest(text) for text in ("abcd", "ab", "a", "", "b", "a\0b")] == [
        "1", "1", None, None, None, None]


def test_the_bytes_of_a_table_worked_by_hand():
    """The key "A" (byte 0x41) in a trie of two blocks of 256 units."""
    units = np.zeros(512 + 256, "<u4")
    units[0] = 256 << 10                           # the children of the root begin at 256
    units[256 + 0x41] = 0x41 | 1 << 8 | ((256 + 0x41) ^ 512) << 10      # a key ends; value at 512
    units[512] = 1 << 31 | 2                       # its replacement begins at byte 2 of the texts
    data = np.uint32(units.nbytes).tobytes() + units.tobytes() + b"x\0xyz\0"
    assert Precompiled(data)("ABA") == "xyzBxyz"
    units[0] = 1 << 10 | 1 << 9                    # the same offset, in units of 256
    data = np.uint32(units.nbytes).tobytes() + units.tobytes() + b"x\0xyz\0"
    assert Precompiled(data)("ABA") == "xyzBxyz"


def test_a_table_is_copied_and_sent_to_other_processes():
    table = Precompiled.from_keys(KEYS)
    for other in (copy.deepcopy(table), pickle.loads(pickle.dumps(table)),
                  Precompiled.from_base64(table.to_base64())):
        assert other == table and hash(other) == hash(table) and other("ﬁ") == "fi"
    assert table != Precompiled.from_keys({"a": "b"}) and table != "a"


@pytest.mark.parametrize("keys", [{"": "a"}, {"a\0": "b"}, {"a": "\0"}, {"a" * 9000: "b"}])
def test_keys_that_a_table_cannot_have_are_refused(keys):
    with pytest.raises(ValueError, match="replacements: expected keys"):
        Precompiled.from_keys(keys)


def test_the_largest_table_of_keys():
    key = "a" * 8189
    assert Precompiled.from_keys({key: "b"}).shortest(key + "c") == "b"


# ---- the definition -----------------------------------------------------------------------------

letters = st.sampled_from("ae\u0301\u0323¨A©ﬁ\t\r\n\u0600\u200dक\u094d")
keys = st.dictionaries(st.text(letters, min_size=1, max_size=3), st.text("xyz¨", max_size=2),
                       max_size=6)


def by_definition(text, replacements):
    def shortest(part):
        found = [key for key in replacements if part.startswith(key)]
        return replacements[min(found, key=len)] if found else None
    spans = [(i, i + 1) for i in range(len(text))]
    for begin, end in clusters(text):
        spans = [span for span in spans if not begin <= span[0] < end] + [(begin, end)]
    result = ""
    for begin, end in sorted(spans):
        part = text[begin:end]
        whole = shortest(part) if len(part.encode()) < 6 else None
        result += "".join(c if shortest(c) is None else shortest(c) for c in part
                          ) if whole is None else whole
    return result


@settings(max_examples=60)
@given(keys, st.text(letters, max_size=12))
def test_every_text_is_normalised_as_the_definition_says(replacements, text):
    assert Precompiled.from_keys(replacements)(text) == by_definition(text, replacements)


# ---- damage -------------------------------------------------------------------------------------

def test_a_table_truncated_anywhere_is_refused_or_still_valid():
    """A cut in the texts at a NUL leaves a table whose last places lead outside."""
    data = Precompiled.from_keys({"a": "1", "bc": "é"}).charsmap
    for length in [*range(20), *range(len(data) - 20, len(data))]:
        with pytest.raises(ValueError, match="charsmap|utf-8"):
            Precompiled(data[:length])


@settings(max_examples=25)
@given(st.integers(0, 1300), st.integers(0, 255))
def test_a_table_with_one_changed_byte_is_refused_or_never_fails(place, byte):
    data = bytearray(Precompiled.from_keys({"a": "1", "b\u0301": "é"}).charsmap)
    data[place % len(data)] = byte
    try:
        table = Precompiled(data)
    except ValueError:
        return
    assert isinstance(table("ab\u0301c"), str)         # whatever the replacements are now


@pytest.mark.parametrize("text", ["AAA", "é", "", "////"])
def test_text_that_is_no_table_in_base64_is_refused(text):
    with pytest.raises(ValueError):
        Precompiled.from_base64(text)


# ---- cost ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("unit", ["a", "A", "\u0301", "e\u0301", "ᄀ", "\r\n"])
def test_a_long_run_takes_time_in_proportion_to_its_length(unit):
    assert len(Precompiled.from_keys(KEYS)(unit * 100_000)) >= 100_000


# ---- parity with the library --------------------------------------------------------------------

@pytest.fixture(scope="module")
def nfkc():
    """(ours, the library's) with SentencePiece's own table, nmt_nfkc."""
    spm = pytest.importorskip("sentencepiece")
    model_pb2 = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    normalizers = pytest.importorskip("tokenizers.normalizers")
    file = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(["a b c ab bc abc"] * 9), vocab_size=9,
                                   model_writer=file, minloglevel=2, num_threads=1)
    charsmap = model_pb2.ModelProto.FromString(
        file.getvalue()).normalizer_spec.precompiled_charsmap
    return Precompiled(charsmap), normalizers.Precompiled(charsmap).normalize_str


# all characters that Python's Unicode version assigns; of ideographs and syllables, one in 31
ASSIGNED = [c for c in map(chr, range(sys.maxunicode + 1))
            if unicodedata.category(c) not in ("Cn", "Cs", "Co")
            and (unicodedata.category(c) != "Lo" or ord(c) < 0x3400 or 0xF900 <= ord(c) < 0xFB00
                 or ord(c) % 31 == 0)]


def test_every_character_is_normalised_as_by_the_library(nfkc):
    ours, theirs = nfkc
    for begin in range(0, len(ASSIGNED), 500):
        text = " ".join(ASSIGNED[begin:begin + 500])
        assert ours(text) == theirs(text), [c for c in ASSIGNED[begin:begin + 500]
                                            if ours(c) != theirs(c)]


@pytest.mark.parametrize("texts", [
    500, pytest.param(20_000, marks=pytest.mark.campaign)])
def test_clusters_of_all_classes_are_normalised_as_by_the_library(nfkc, texts):
    ours, theirs = nfkc
    of_class, generator = {}, random.Random(1)
    for c in ASSIGNED:
        of_class.setdefault(CLASSES[ord(c)], []).append(c)
    changed = [c for c in ASSIGNED if ours(c) != c]
    few = list("ae\u0301\u0308©\u200d™क\u094d\u0958\r\n")
    pools = [*of_class.values(), *[changed] * 4, *[few] * 4]
    for _ in range(texts):
        text = "".join(generator.choice(generator.choice(pools))
                       for _ in range(generator.randint(1, 12)))
        assert ours(text) == theirs(text), ascii(text)
