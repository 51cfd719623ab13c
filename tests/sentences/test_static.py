"""StaticEncoder: values by hand and by brute force, independence of the batch, SIF's effect."""
import math
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.correlation import ranks
from scratch_embed.sentences import static
from scratch_embed.sentences.static import (
    StaticEncoder,
    first_singular_vector,
    frequencies,
    sif_weights,
    similarity,
    similarity_pairwise,
    without,
    zipf_frequencies,
)
from scratch_embed.sentences.weighted_means import Table, weighted_means, weighted_means_kernel
from scratch_embed.space.similarity import cosine
from scratch_embed.testing import check_encoder
from scratch_embed.text.corpus import read_sentences
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.text.word_tokenizer import SPACES
from scratch_embed.training.session import RunOptions
from scratch_embed.words.vectors import WordVectors
from scratch_embed.words.word2vec import train
from scratch_embed.worlds.words import TABLES, attributes_of, easy
from tests.rounding import gamma, seeds, u32, u64

V, D = 12, 7
sentences = st.lists(st.sampled_from([f"w{i}" for i in range(V + 4)]), max_size=12).map(" ".join)
texts = st.lists(sentences, max_size=9)          # w12 ... w15 are unknown words


def random_words(seed):
    rng = np.random.default_rng(seed)
    return WordVectors([f"w{i}" for i in range(V)], rng.standard_normal((V, D)))


def random_encoder(seed, common=True):
    """Half of the words have random weights; if `common`, a random direction is removed."""
    rng = np.random.default_rng([seed, 1])
    weights = {f"w{i}": rng.uniform(0.01, 1) for i in range(0, V, 2)}
    u = rng.standard_normal(D) if common else None
    return StaticEncoder(random_words(seed), weights, u, prompts={"query": "w1 w2 "})


def mean_by_hand(encoder, text):
    """x_s and Σ |terms|/|s|, each (D,), without the removal of a common direction."""
    known = [word for word in text.split() if word in encoder.words]
    terms = [encoder.weights.get(word, 1.0) * encoder.words[word].astype(float) for word in known]
    if not known:
        return np.zeros(D), np.zeros(D)
    return (np.array([math.fsum(column) for column in zip(*terms)]) / len(known),
            np.abs(terms).sum(0) / len(known))


@pytest.fixture
def pair():
    return WordVectors(["a", "b"], [[1, 0], [0, 2]])


# ---- values worked by hand ------------------------------------------------------------------

def test_a_mean_worked_by_hand(pair):
    x = StaticEncoder(pair).encode(["a b b", "b", "a ? ! a", ""])
    np.testing.assert_array_equal(x, np.float32([[1 / 3, 4 / 3], [0, 2], [1, 0], [0, 0]]))
    assert x.dtype == np.float32


def test_sif_worked_by_hand(pair):
    """p = 1/1000 and 3/1000 give weights 1/2 and 1/4: (1/2 · (1, 0) + 2 · 1/4 · (0, 2)) / 3."""
    weights = sif_weights({"a": 0.001, "b": 0.003})
    assert weights == {"a": 0.5, "b": 0.25}
    np.testing.assert_array_equal(StaticEncoder(pair, weights).encode("a b b"),
                                  np.float32([1 / 6, 1 / 3]))


def test_the_common_direction_worked_by_hand():
    """For (3, 1) and (3, −1) it is the first axis, because Σ x xᵀ = [[18, 0], [0, 2]]."""
    words = WordVectors(["up", "down"], [[3, 1], [3, -1]])
    encoder = StaticEncoder(words).without_common(["up", "down"])
    np.testing.assert_allclose(np.abs(encoder.common), [1, 0], rtol=0, atol=4 * u64)
    np.testing.assert_allclose(encoder.encode(["up", "down", "up down"]),
                               [[0, 1], [0, -1], [0, 0]], rtol=0, atol=32 * u64)


def test_frequencies_worked_by_hand():
    assert frequencies(Vocab(["the", "cat"], [3, 1])) == {"the": 0.75, "cat": 0.25}


def test_zipf_frequencies_worked_by_hand():
    p = zipf_frequencies(["the", "of"])
    assert p == pytest.approx({"the": 4.7 / 8.4, "of": 3.7 / 8.4}, rel=8 * u64)    # 1/3.7 : 1/4.7
    assert zipf_frequencies(iter(["the", "of"])) == p


# ---- the weights ----------------------------------------------------------------------------

@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_the_weight_is_1_for_p_0_and_a_half_for_p_equal_to_a(p, a):
    weights = sif_weights({"never": 0.0, "a": a, "p": p, "2p": 2 * p}, a)
    assert weights["never"] == 1 and weights["a"] == 0.5
    assert 0 < weights["2p"] < weights["p"] < 1


@given(seeds, st.floats(0.05, 0.95), st.floats(1e-5, 0.1), st.floats(1, 100))
def test_the_weight_is_the_gradient_of_the_log_likelihood(seed, alpha, p, Z):
    """The gradient of log P(w | c) = log(α p + (1 − α) exp(v·c)/Z) at c = 0, by differences."""
    rng, h = np.random.default_rng(seed), 1e-5
    v, direction = rng.standard_normal((2, 5))

    def log_P(c):
        return np.log(alpha * p + (1 - alpha) * np.exp(v @ c) / Z)
    numeric = (log_P(h * direction) - log_P(-h * direction)) / (2 * h)
    weight = sif_weights({"w": p}, (1 - alpha) / (alpha * Z))["w"]
    # the third derivative is at most |v·d|³, times h²; and the rounding of log P, over 2h
    tolerance = h**2 * abs(v @ direction)**3 + 100 * u64 / h
    assert weight * (v @ direction) == pytest.approx(numeric, rel=1e-6, abs=tolerance)


@pytest.mark.parametrize("a", [0, -1, math.nan, math.inf])
def test_a_must_be_positive(a):
    with pytest.raises(ValueError, match="expected a positive number"):
        sif_weights({}, a)


# ---- the mean -------------------------------------------------------------------------------

@given(seeds, texts)
def test_a_vector_is_the_weighted_mean_of_the_known_words(seed, texts):
    """n − 1 sums, a product, a division: γ(n + 2) Σ |terms| in float64; then float32 rounds."""
    encoder = random_encoder(seed, common=False)
    for text, x in zip(texts, encoder.encode(texts), strict=True):
        want, terms = mean_by_hand(encoder, text)
        n = len(text.split())
        bound = gamma(n + 2, u64) * terms + u32 * (1 + u32) * np.abs(want)
        assert (np.abs(x - want) <= bound).all()


@given(seeds, st.lists(st.lists(st.integers(0, 4), max_size=9), max_size=5))
def test_the_kernel_equals_its_numpy_form(seed, sentences):
    """Both sum n products in float64, each with an error of γ(n + 2) Σ |terms|."""
    rng = np.random.default_rng(seed)
    table = Table(rng.standard_normal((5, D)).astype(np.float32), rng.uniform(0, 1, 5))
    offsets = np.cumsum([0] + [len(s) for s in sentences])
    corpus = Corpus(np.array([i for s in sentences for i in s], np.int32), offsets)
    terms = weighted_means(corpus, Table(np.abs(table.rows), table.weights))
    error = np.abs(weighted_means_kernel(corpus, table) - weighted_means(corpus, table))
    assert error.shape == (len(sentences), D) and (error <= 2 * gamma(9 + 2, u64) * terms).all()


@given(seeds, st.lists(st.sampled_from([f"w{i}" for i in range(V)]), max_size=40), st.randoms())
def test_the_order_of_the_words_matters_only_for_rounding(seed, words, random):
    """Both vectors have an error of γ(n + 2) Σ |terms| in float64, and the rounding of float32."""
    encoder = random_encoder(seed, common=False)
    shuffled = random.sample(words, len(words))
    x, y = encoder.encode([" ".join(words), " ".join(shuffled)]).astype(float)
    want, terms = mean_by_hand(encoder, " ".join(words))
    bound = 2 * gamma(len(words) + 2, u64) * terms + 2 * u32 * (1 + u32) * np.abs(want)
    assert (np.abs(x - y) <= bound).all()


@given(seeds, texts)
def test_unknown_words_are_ignored(seed, texts):
    encoder = random_encoder(seed)
    known = [" ".join(word for word in text.split() if word in encoder.words) for text in texts]
    np.testing.assert_array_equal(encoder.encode(texts), encoder.encode(known))


@given(seeds, texts, st.integers(-40, 40))
def test_a_power_of_two_scales_the_result_exactly_unless_it_is_normalised(seed, texts, k):
    """A power of two causes no rounding, so the results are equal to the bit."""
    plain = random_encoder(seed)
    words = WordVectors(list(plain.words), np.ldexp(plain.words.vectors, k))
    scaled = StaticEncoder(words, plain.weights, plain.common)
    np.testing.assert_array_equal(scaled.encode(texts), np.ldexp(plain.encode(texts), k))
    np.testing.assert_array_equal(scaled.encode(texts, normalize_embeddings=True),
                                  plain.encode(texts, normalize_embeddings=True))


@pytest.mark.parametrize("options", [{}, {"normalize_embeddings": True}, {"truncate_dim": 1}])
@pytest.mark.parametrize("text", ["", "  \n", "xyz", "w13 w14"])
def test_a_sentence_without_a_known_word_is_zero_with_cosine_zero(text, options):
    encoder = random_encoder(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, other = encoder.encode([text, "w1 w3"], **options)
    assert not x.any() and other.any()
    assert similarity(x, other) == 0 == similarity_pairwise(x, x)


def test_words_without_a_weight_have_weight_1():
    """FastText, for example, has vectors for unseen words; these words are as rare as possible."""
    class WithUnseenWords(WordVectors):
        def __getitem__(self, word):
            if word.isdigit():
                raise KeyError(word)
            return super().__getitem__(word) if word in self else np.float32([len(word), 0])
    words = WithUnseenWords(["a", "b"], [[1, 0], [0, 2]])
    encoder = StaticEncoder(words, {"a": 0.5, "b": 0.25})
    np.testing.assert_array_equal(encoder.encode(["xyz 7 b", "7"]), [[1.5, 0.25], [0, 0]])


def test_vectors_that_are_not_finite_or_have_another_dimension_are_errors():
    def encode(vector, weights=None):
        class Words(dict):
            vectors = np.zeros((1, 2))
        return StaticEncoder(Words(a=[1, 2], b=vector), weights).encode("a b")
    with pytest.raises(ValueError, match="expected finite vectors and weights, got others for 'b'"):
        encode([1, np.nan])
    with pytest.raises(ValueError, match="finite vectors and weights, got others for 'a'"):
        encode([1, 2], {"a": np.inf})
    with pytest.raises(ValueError, match="broadcast"):
        encode([1, 2, 3, 4])


# ---- no bit depends on the batch ------------------------------------------------------------

@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("options", [
    {"batch_size": 3}, {"normalize_embeddings": True, "truncate_dim": D - 1}])
def test_no_bit_of_a_vector_depends_on_the_other_texts_or_their_order(common, options):
    encoder = random_encoder(0, common)
    check_encoder(partial(encoder.encode, **options), tolerance=0.0, texts=sentences)


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 100, 301])
def test_no_bit_of_a_vector_depends_on_the_batch_size(dim):
    rng = np.random.default_rng(dim)
    words = WordVectors([f"w{i}" for i in range(500)], rng.standard_normal((500, dim)))
    encoder = StaticEncoder(words, common=rng.standard_normal(dim))
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 500, n)) for n in rng.integers(0, 40, 700)]
    for normalize in (False, True):
        single, batches, whole = (
            encoder.encode(texts, batch_size=size, normalize_embeddings=normalize)
            for size in (1, 33, 700))
        np.testing.assert_array_equal(single, batches)
        np.testing.assert_array_equal(single, whole)


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 100, 301])
def test_without_gives_the_same_bits_in_any_batch(dim):
    """In float64: rounding to float32 could hide that sums have another order."""
    rng = np.random.default_rng(dim)
    x, u = rng.standard_normal((700, dim)), rng.standard_normal(dim) / dim**0.5
    together = without(x, u)
    for size in (1, 33):
        parts = np.concatenate([without(x[i:i + size], u) for i in range(0, 700, size)])
        np.testing.assert_array_equal(parts, together)


# ---- the common direction -------------------------------------------------------------------

@given(seeds, texts, st.floats(1e-3, 1e3))
def test_only_the_part_along_the_common_direction_is_removed(seed, texts, length):
    """x − u(u·x) has an error of γ(D + 4) ‖x‖; then each number is rounded to float32."""
    plain = random_encoder(seed, common=False)
    u = length * np.random.default_rng(seed).standard_normal(D)
    encoder = StaticEncoder(plain.words, plain.weights, u)
    assert np.linalg.norm(encoder.common) == pytest.approx(1, abs=gamma(D + 4, u64))
    for before, after in zip(plain.encode(texts).astype(float), encoder.encode(texts)):
        norm = np.linalg.norm(before)
        assert abs(after @ encoder.common) <= 4 * gamma(D + 4, u64) * norm + u32 * norm
        # `before` and `after` are rounded to float32 once each
        np.testing.assert_allclose(after, before - u * (u @ before) / (u @ u), rtol=0,
                                   atol=(2 * u32 + 8 * gamma(D + 4, u64)) * norm)


@given(seeds, st.integers(1, 30))
def test_removing_a_direction_twice_equals_removing_it_once(seed, S):
    rng = np.random.default_rng(seed)
    x, u = rng.standard_normal((S, D)), rng.standard_normal(D)
    u /= np.linalg.norm(u)
    once = without(x, u)
    bound = 4 * gamma(D + 4, u64) * np.linalg.norm(x, axis=1, keepdims=True)
    assert (np.abs(without(once, u) - once) <= bound).all()
    assert (np.abs(once @ u)[:, None] <= bound).all()


@given(seeds)
def test_the_common_direction_is_the_first_singular_vector_of_the_means(seed):
    """In several batches of FIT_BATCH = 7 texts, and without subtracting the mean."""
    encoder, rng = random_encoder(seed, common=False), np.random.default_rng(seed)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, V + 4, n)) for n in rng.integers(0, 9, 60)]
    X = np.array([mean_by_hand(encoder, text)[0] for text in texts])
    _, s, Vt = np.linalg.svd(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "FIT_BATCH", 7)
        u = encoder.without_common(texts).common
    # Davis and Kahan: an error E of XᵀX turns its first eigenvector by at most 2 ‖E‖ / (s₁² − s₂²)
    E = 10 * gamma(60 * D, u64) * s[0]**2
    assert 1 - abs(u @ Vt[0]) <= (2 * E / (s[0]**2 - s[1]**2))**2 + 4 * gamma(D, u64)


def test_the_first_singular_vector_is_better_than_random_directions():
    X = np.random.default_rng(0).standard_normal((40, 5)) + [3, 0, 0, 0, 0]
    u = first_singular_vector(iter([X[:1], X[1:17], X[17:]]))
    others = np.random.default_rng(1).standard_normal((2000, 5))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert np.linalg.norm(X @ u) >= np.linalg.norm(X @ others.T, axis=0).max()


def test_the_common_direction_is_fitted_once_and_the_first_encoder_is_not_changed():
    plain = random_encoder(3, common=False)
    before = plain.encode("w1 w2 w3")
    sif = plain.without_common(f"w{i} w{i + 1}" for i in range(V - 1))
    assert plain.common is None and sif.prompts == plain.prompts
    np.testing.assert_array_equal(plain.encode("w1 w2 w3"), before)
    single = sif.encode("w1 w2 w3")
    np.testing.assert_array_equal(sif.encode(["w4", "w1 w2 w3", "w5 w5"])[1], single)
    assert np.abs(single - before).max() > 0.01
    again = sif.without_common(["w1", "w2", "w1 w2"])             # fitted again, to plain means
    np.testing.assert_array_equal(again.common,
                                  plain.without_common(["w1", "w2", "w1 w2"]).common)


def test_a_direction_fitted_to_two_similar_sentences_leaves_opposite_vectors():
    """Two vectors span a plane, and without u only one direction of it is left.

    So u should be fitted to other and to many texts.
    """
    encoder = StaticEncoder(random_words(5))
    two = ["w1 w2 w3 w4", "w1 w2 w3 w5"]
    assert similarity_pairwise(*encoder.encode(two)) > 0.5
    opposites = encoder.without_common(two).encode(two)
    assert similarity_pairwise(*opposites) == pytest.approx(-1, abs=1e-6)


def test_without_common_needs_texts_with_known_words():
    encoder = random_encoder(0)
    with pytest.raises(ValueError, match="with known words, got 2 without any"):
        encoder.without_common(["xyz", ""])
    with pytest.raises(ValueError, match="known words, got 0 without any"):
        encoder.without_common([])
    with pytest.raises(TypeError, match="got one str, 'w1 w2'"):
        encoder.without_common("w1 w2")


@pytest.mark.parametrize("common", [np.zeros(D), np.full(D, np.nan), np.ones(D - 1), 1.0])
def test_the_common_direction_must_be_a_finite_nonzero_vector(common):
    with pytest.raises(ValueError, match=r"a finite vector \(7,\) other than zero"):
        StaticEncoder(random_words(0), common=common)


# ---- the interface --------------------------------------------------------------------------

def test_a_str_gives_one_vector_and_an_iterable_an_array():
    encoder = random_encoder(1)
    single = encoder.encode("w1 w2")
    assert single.shape == (D,) and single.dtype == np.float32
    for inputs in (["w1 w2", "w3"], ("w1 w2", "w3"), np.array(["w1 w2", "w3"]),
                   (text for text in ["w1 w2", "w3"])):
        x = encoder.encode(inputs)
        assert x.shape == (2, D) and x.dtype == np.float32 and x.flags.c_contiguous
        np.testing.assert_array_equal(x[0], single)
    for nothing in ([], iter([])):
        x = encoder.encode(nothing, truncate_dim=3, normalize_embeddings=True)
        assert x.shape == (0, 3) and x.dtype == np.float32


def test_a_prompt_is_put_before_every_text():
    encoder = random_encoder(1)
    want = encoder.encode(["w1 w2 w3", "w1 w2 w4"])
    np.testing.assert_array_equal(encoder.encode(["w3", "w4"], prompt_name="query"), want)
    np.testing.assert_array_equal(encoder.encode(["w3", "w4"], prompt="w1 w2 "), want)
    np.testing.assert_array_equal(encoder.encode("w3", "query"), want[0])
    assert (encoder.encode(["w3", "w4"]) != want).all()


@given(seeds, texts, st.integers(1, D))
def test_vectors_are_truncated_before_they_are_scaled(seed, texts, d):
    encoder = random_encoder(seed)
    whole, part = encoder.encode(texts), encoder.encode(texts, truncate_dim=d)
    np.testing.assert_array_equal(part, whole[:, :d])
    units = encoder.encode(texts, truncate_dim=d, normalize_embeddings=True)
    norms = np.linalg.norm(units.astype(float), axis=1)
    zero = ~whole.any(axis=1)
    assert (np.abs(norms[~zero] - 1) <= 2 * u32).all() and not norms[zero].any()
    assert (cosine(units, part)[~zero] >= 1 - 4 * u32).all()


@pytest.mark.parametrize("options, message", [
    (dict(prompt_name="document"), "prompt_name='document': expected one of 'query'$"),
    (dict(prompt_name="query", prompt="w1"), "expected prompt_name or prompt, got both"),
    (dict(precision="int4"), "precision='int4': expected 'float32', 'int8', 'uint8'"),
    (dict(truncate_dim=0), "truncate_dim=0: expected a whole number, 1 to 7"),
    (dict(truncate_dim=8), "truncate_dim=8: expected a whole number, 1 to 7"),
    (dict(truncate_dim=2.0), "truncate_dim=2.0"),
    (dict(batch_size=0), "batch_size=0")])
def test_an_invalid_argument_is_an_error_that_lists_valid_values(options, message):
    with pytest.raises(ValueError, match=message):
        random_encoder(0).encode([], **options)


def test_without_prompts_any_prompt_name_is_an_error():
    with pytest.raises(ValueError, match="expected no name, because the model has no prompts"):
        StaticEncoder(random_words(0)).encode("w1", prompt_name="query")


def test_inputs_that_are_not_str_are_errors_with_their_index():
    with pytest.raises(TypeError, match=r"input 1: expected a text, a str, got \['w1', 'w2'\]"):
        random_encoder(0).encode(["w1", ["w1", "w2"]])
    with pytest.raises(TypeError, match="input 0: .* got 119"):
        random_encoder(0).encode(b"w1")
    with pytest.raises(TypeError, match="inputs: expected a text or a list of texts, got None"):
        random_encoder(0).encode(None)


def test_texts_are_split_as_in_a_corpus_or_by_tokenize(tmp_path):
    text = "w1\tw2\u00a0w3 \x1c \vw4  w5\u2028w6\r"
    (tmp_path / "text").write_bytes(text.encode())
    assert SPACES(text) == next(read_sentences(tmp_path / "text")) and len(SPACES(text)) == 5
    plain = StaticEncoder(random_words(0))
    lower = StaticEncoder(plain.words, tokenize=lambda text: text.lower().split(","))
    np.testing.assert_array_equal(lower.encode("W1,w2"), plain.encode("w1 w2"))
    fitted = lower.without_common(["w1", "w2,w3"])               # keeps tokenize
    assert fitted.encode("W1").any() and not plain.encode("W1").any()


def test_similarity_compares_all_pairs_and_similarity_pairwise_only_pairs_of_equal_rows():
    encoder = random_encoder(2)
    a, b = encoder.encode(["w1 w2", "w3", ""]), encoder.encode(["w4", "w5 w6", "w7"])
    cosines = encoder.similarity(a, b[:2])
    assert cosines.shape == (3, 2) and encoder.similarity(a[0], b).shape == (1, 3)
    for i, j in np.ndindex(3, 2):
        assert cosines[i, j] == pytest.approx(float(cosine(a[i], b[j])), abs=2 * gamma(D + 2, u32))
    np.testing.assert_array_equal(encoder.similarity_pairwise(a, b), cosine(a, b))


def test_arguments_are_not_changed_and_later_changes_have_no_effect():
    weights, inputs, prompts = {"w1": 0.5}, ["w1 w2"], {"query": "w3 "}
    encoder = StaticEncoder(random_words(0), weights, prompts=prompts)
    x = encoder.encode(inputs, "query")
    assert (weights, inputs, prompts) == ({"w1": 0.5}, ["w1 w2"], {"query": "w3 "})
    weights["w1"], prompts["query"] = 7, "w4 "
    np.testing.assert_array_equal(encoder.encode(inputs, "query"), x)


def test_a_result_larger_than_the_memory_is_an_error():
    class HugeDimension(dict):
        vectors = SimpleNamespace(shape=(1, 2**60))
    with pytest.raises(MemoryError, match="vectors of 1 texts"):
        StaticEncoder(HugeDimension()).encode("a")


def test_the_kernel_runs_without_the_compiler():
    code = """
import numpy as np
from scratch_embed.sentences.weighted_means import Corpus, Table, weighted_means_kernel
rows = np.arange(6, dtype=np.float32).reshape(3, 2)
x = weighted_means_kernel(Corpus(np.array([0, 2, 1]), np.array([0, 2, 2, 3])),
                          Table(rows, np.array([1, 0.5, 2])))
print(x.tolist())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root)})
    assert done.stdout == "[[4.0, 5.5], [0.0, 0.0], [1.0, 1.5]]\n"


# ---- quality --------------------------------------------------------------------------------

def topic_auc(encoder, texts, topics):
    """AUC of cosines as a test of "same topic", over pairs of texts without a common word.

    It is the probability that a pair of one topic has a larger cosine than a pair of two topics.
    """
    sets = [set(text.split()) for text in texts]
    i, j = np.transpose([(i, j) for j in range(len(texts)) for i in range(j)
                         if sets[i].isdisjoint(sets[j])])
    same = topics[i] == topics[j]
    x = encoder.encode(texts)
    rank = ranks(cosine(x[i], x[j]))
    n, m = same.sum(), (~same).sum()
    assert n > 500 and m > 500
    return (rank[same].sum() - n * (n + 1) / 2) / (n * m)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_texts_of_one_topic_are_nearer_even_without_a_common_word(seed):
    """AUC over 10 seeds: 1.000 for mean, weights and SIF; random word vectors 0.29 to 0.69."""
    world = easy(seed, 4000)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    trained = train(corpus, vocab, dim=30, sample=0, epochs=3,
                    options=RunOptions(seed=seed)).W
    random = np.random.default_rng(seed).standard_normal(trained.shape)
    topic_of = {word: attributes[0] for word, attributes in attributes_of(tuple(TABLES)).items()}
    fresh = easy(seed + 100, 300).sentences
    topics = np.array([next(topic_of[word] for word in s if word in topic_of) for s in fresh])
    texts, sif = [" ".join(s) for s in fresh], sif_weights(frequencies(vocab))

    def score(vectors, weights, fit):
        encoder = StaticEncoder(WordVectors(vocab.words, vectors), weights)
        if fit:
            encoder = encoder.without_common(" ".join(s) for s in world.sentences)
        return topic_auc(encoder, texts, topics)
    for weights, fit in ((None, False), (sif, False), (sif, True)):
        assert score(trained, weights, fit) > 0.95
        assert score(random, weights, fit) < 0.8


def test_sif_removes_the_similarity_that_comes_from_a_frequent_word():
    """Texts that share "the" have large cosines as means; weights or without_common reduce them."""
    rng = np.random.default_rng(0)
    names = ["the"] + [f"w{i}" for i in range(50)]
    words = WordVectors(names, rng.standard_normal((51, 50)))
    p = {"the": 0.5} | dict.fromkeys(names[1:], 0.01)
    texts = [f"the the the w{i}" for i in range(50)]
    mean = StaticEncoder(words)
    for encoder, low, high in ((mean, 0.7, 1), (StaticEncoder(words, sif_weights(p)), -0.2, 0.2),
                               (mean.without_common(texts), -0.2, 0.2)):
        x = encoder.encode(texts)
        assert low < np.mean(similarity(x, x)[np.triu_indices(50, 1)]) < high


@pytest.mark.parametrize("bad", ["a\ud800b", "w1 \udce9"])
def test_a_text_with_a_lone_surrogate_is_refused_by_its_number_known_word_or_not(bad):
    encoder = random_encoder(0)
    with pytest.raises(ValueError, match="input 1: expected Unicode text, got the lone surrogate"):
        encoder.encode(["w1", bad])
    with pytest.raises(ValueError, match="input 0: expected Unicode text"):
        encoder.encode(bad)
