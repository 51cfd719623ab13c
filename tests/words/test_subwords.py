"""Subwords as in fastText: the hash, the n-grams, their order and their rows."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.subwords import (
    bucket_rows,
    fnv1a,
    index_subwords,
    ngram_row,
    ngrams,
    to_bytes,
)

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))

letters = st.characters(exclude_categories=["Cs"])              # all but surrogates: 1 to 4 bytes
surrogate_escapes = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
texts = st.text(letters, max_size=12) | st.text(letters | surrogate_escapes, max_size=12)
lengths = st.tuples(st.integers(0, 7), st.integers(0, 7))


# ---- the hash -------------------------------------------------------------------------------

@pytest.mark.parametrize("text, want", [
    ("", 2166136261), ("a", 3826002220), ("</s>", 3617362777), ("<wh", 1048167652),
    ("où>", 437745676), ("日本", 4164387409)])
def test_the_hash_equals_the_originals(text, want):
    assert fnv1a(text.encode()) == want


def test_a_byte_beyond_ascii_flips_the_upper_bits_too():
    """As a signed char, 0x80 is 0xFFFFFF80 in 32 bits; one step worked by hand."""
    assert fnv1a(b"\x80") == (2166136261 ^ 0xFFFFFF80) * 16777619 % 2**32
    assert fnv1a(b"\x7f") == (2166136261 ^ 0x0000007F) * 16777619 % 2**32


# ---- n-grams --------------------------------------------------------------------------------

@pytest.mark.parametrize("word, min_n, max_n, want", [
    ("where", 3, 3, "<wh whe her ere re>"),                     # the paper's example
    ("where", 3, 4, "<wh <whe whe wher her here ere ere> re>"),
    ("où", 3, 6, "<où <où> où>"),
    ("où", 1, 2, "<o o où ù ù>"),                               # a lone < or > is not an n-gram
    ("où", 0, 2, "<o o où ù ù>"),
    ("日本", 2, 3, "<日 <日本 日本 日本> 本>"),
    ("a", 3, 6, "<a>"), ("a", 4, 6, ""), ("a", 1, 1, "a"),
    ("ana", 2, 2, "<a an na a>"), ("nana", 2, 2, "<n na an na a>"),
    ("", 1, 6, "<>"), ("", 3, 6, ""),
    ("</s>", 1, 6, ""),                                         # the end of a line has none
    ("where", 3, 0, ""), ("where", 5, 3, ""), ("where", 0, 0, "")])
def test_n_grams_written_by_hand(word, min_n, max_n, want):
    assert ngrams(word, min_n, max_n) == want.split()


@given(texts, lengths)
def test_every_n_gram_of_an_allowed_length_occurs_once_per_position(word, min_max):
    """Compared with slices of the str, if it is valid Unicode; the order is not compared."""
    min_n, max_n = min_max
    if any("\ud800" <= letter <= "\udfff" for letter in word) or word == "</s>":
        return
    marked = f"<{word}>"
    want = [marked[i:j] for j in range(len(marked) + 1) for i in range(j)
            if max(min_n, 1) <= j - i <= max_n and (i, j) != (0, 1)
            and (i, j) != (len(marked) - 1, len(marked))]
    assert sorted(ngrams(word, min_n, max_n)) == sorted(want)


@given(st.lists(st.integers(1, 255), max_size=10), lengths)
def test_n_grams_of_invalid_utf8_equal_the_originals(data, min_max):
    """Compared with the algorithm of dictionary.cc, byte by byte."""
    min_n, max_n = min_max
    word, want = bytes(data).decode("utf-8", "surrogateescape"), []
    marked = b"<" + bytes(data) + b">"
    for i in range(len(marked)):
        if marked[i] & 0xC0 == 0x80:
            continue
        j, n = i, 1
        while j < len(marked) and n <= max_n:
            j += 1
            while j < len(marked) and marked[j] & 0xC0 == 0x80:
                j += 1
            if n >= min_n and not (n == 1 and (i == 0 or j == len(marked))):
                want.append(marked[i:j])
            n += 1
    if word != "</s>":
        assert [to_bytes(ngram) for ngram in ngrams(word, min_n, max_n)] == want


def test_a_lone_surrogate_is_rejected_by_name():
    for call in (lambda: ngrams("a\ud800", 3, 6), lambda: index_subwords(["a\ud800"], 3, 6, 10)):
        with pytest.raises(ValueError, match=r"'a\\ud800' cannot be written as UTF-8"):
            call()


# ---- rows -----------------------------------------------------------------------------------

def rows_of(subwords, w):
    return subwords.rows[subwords.offsets[w]:subwords.offsets[w + 1]].tolist()


@given(st.lists(texts, max_size=8, unique=True), lengths, st.integers(0, 2**31 - 10))
def test_the_kernel_equals_the_definition(words, min_max, buckets):
    subwords, V = index_subwords(words, *min_max, buckets), len(words)
    assert subwords.rows.dtype == np.int32 and len(subwords.offsets) == V + 1
    for w, word in enumerate(words):
        assert rows_of(subwords, w) == [w, *bucket_rows(word, V, *min_max, buckets)]


def test_the_end_of_a_line_has_only_its_own_row():
    subwords = index_subwords(["a", "</s>", "b"], 1, 3, 100)
    assert rows_of(subwords, 1) == [1]
    assert len(rows_of(subwords, 0)) == len(rows_of(subwords, 2)) == 1 + len("<a <a> a a>".split())


def test_a_row_is_v_plus_the_hash_modulo_the_buckets():
    assert ngram_row("<wh", 10, 1000) == 10 + 652
    assert bucket_rows("w", 7, 3, 3, 1) == [7]                  # one bucket for all n-grams


def test_max_n_may_exceed_the_length_of_every_word():
    assert rows_of(index_subwords(["ab"], 4, 2**31 - 1, 100), 0)[0] == 0
    assert len(index_subwords(["ab"], 4, 2**31 - 1, 100).rows) == 2


def test_without_buckets_or_lengths_words_have_only_their_own_row():
    for min_max in (3, 6, 0), (3, 0, 100), (0, 0, 100), (4, 3, 100):
        assert index_subwords(["ab", "c"], *min_max).rows.tolist() == [0, 1]
        assert index_subwords([], *min_max).offsets.tolist() == [0]
    assert bucket_rows("ab", 2, 3, 6, 0) == []


def test_invalid_settings_are_rejected_by_name():
    for name, wrong in (("min_n", (-1, 6, 10)), ("max_n", (3, 2.5, 10)), ("buckets", (3, 6, -1))):
        with pytest.raises(ValueError, match=f"^{name}="):
            index_subwords(["a"], *wrong)
    with pytest.raises(ValueError, match="got 2 words and 2147483647 buckets"):
        index_subwords(["a", "b"], 3, 6, 2**31 - 1)


# ---- the original ---------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["skipgram", "cbow", "hs", "words", "softmax"])
def test_n_grams_and_rows_equal_the_originals(name):
    """Results of fasttext 0.9.3 for known and unknown words; letters have 1 to 4 bytes in UTF-8."""
    model = read_bin(GOLDEN / f"fasttext-{name}.bin")
    s, V = model.settings, len(model.words)
    subwords = index_subwords(model.words, s.min_n, s.max_n, s.buckets)
    for word, (want_ngrams, want_rows) in ANSWERS[name]["subwords"].items():
        own = [model.words.index(word)] if word in model.words else []
        assert [word][:len(own)] + ngrams(word, s.min_n, s.max_n) == want_ngrams
        assert own + bucket_rows(word, V, s.min_n, s.max_n, s.buckets) == want_rows
        if own:
            assert rows_of(subwords, own[0]) == want_rows


def test_n_grams_and_rows_equal_those_of_the_installed_fasttext(tmp_path):
    fasttext = pytest.importorskip("fasttext")
    text = tmp_path / "text"
    text.write_text("où est the ananas 日本語 🙂\n" * 5, "utf-8")
    for min_n, max_n in (3, 6), (1, 2), (2, 5):
        model = fasttext.train_unsupervised(str(text), dim=2, minn=min_n, maxn=max_n, bucket=999,
                                            epoch=1, thread=1, verbose=0)
        V = len(model.get_words())
        for word in ("où", "where", "日本語", "日本", "banana", "🙂🙃", "x"):
            subwords, rows = model.get_subwords(word)
            own = int(word in model.get_words())
            assert subwords[own:] == ngrams(word, min_n, max_n)
            assert rows[own:].tolist() == bucket_rows(word, V, min_n, max_n, 999)
