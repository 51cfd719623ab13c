"""SentenceEncoder: values by hand and by a plain loop, independence of the batch, arguments."""
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.params import Params, init_params
from scratch_embed.numerics.blas import blas_threads, one_blas_thread
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences import length_batches
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.hamming import sign_bits
from scratch_embed.space.quantise import calibrate, quantise, shift
from scratch_embed.text.packed import Packed, pack
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import (
    cls,
    last_token,
    max_,
    mean,
    mean_sqrt_len,
    weighted_mean,
)
from tests.processes import terminal
from tests.rounding import gamma, seeds, u32

SMALL = Config(vocab=40, dim=8, layers=2, heads=2, ff=16, positions=24)
WIDE = Config(vocab=40, dim=32, layers=2, heads=2, ff=128, positions=24)     # BLAS splits sums
POOLINGS = [cls, last_token, max_, mean, mean_sqrt_len, weighted_mean]
PROMPTS = {"query": "find: ", "passage": "read: "}
texts = st.lists(st.text("abcdefgh ", max_size=30), max_size=12)


class Letters:
    """A tokenizer: one token per letter, none per space, between the special tokens 1 and 2."""

    special = (1, 2)

    def encode(self, text, max_length=None):
        ids = [3 + ord(letter) % 37 for letter in text if letter != " "]
        kept = None if max_length is None else max_length - len(self.special)
        return SimpleNamespace(ids=np.array([*self.special[:1], *ids[:kept], *self.special[1:]]))

    def encode_batch(self, texts, max_length=None):
        rows = [self.encode(text, max_length).ids for text in texts]
        ids = np.concatenate(rows).astype(np.int32)
        return Packed(ids, np.cumsum([0, *map(len, rows)]), np.zeros_like(ids))


def model(seed=0, config=SMALL, dtype=np.float32):
    p = init_params(tensors(config), seed, dtype)
    rng = np.random.default_rng(seed)                    # norms and biases that are not 1 and 0
    p.flat[:] += (0.3 * rng.standard_normal(p.flat.size)).astype(dtype)
    return Bert(config, p)


def encoder_of(seed=0, pooling=mean, dtype=np.float32, config=SMALL, **fields):
    recipe = Recipe(**{"poolings": (pooling,), "normalize": False, "prompts": PROMPTS,
                       "max_seq_length": 24, **fields})
    return SentenceEncoder(Letters(), model(seed, config, dtype), recipe)


def one_by_one(encoder, texts, skip=0):
    """The vectors of texts, computed one after the other: (N, D), in the model's type."""
    out = []
    for text in texts:
        batch = encoder.tokenizer.encode_batch([text], encoder.recipe.max_seq_length)
        x = encoder.model.infer(batch)
        out.append(encoder.recipe.poolings[0](x, batch.offsets, skip)[0][0])
    return np.array(out).reshape(len(texts), encoder.dim)


@pytest.fixture(autouse=True, scope="module")
def single_blas_thread():                        # for one_by_one, as in encode()
    with one_blas_thread():
        yield


@pytest.fixture
def small_batches(monkeypatch):
    """Two threads, batches of about 16 tokens, blocks of 5 texts."""
    monkeypatch.setattr(length_batches, "TOKENS", 16)
    monkeypatch.setattr(length_batches, "ONE_BATCH", 0)
    monkeypatch.setattr(length_batches, "BLOCK", 5)
    monkeypatch.setattr(length_batches, "blas_threads", lambda: 2)


def some_texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefgh"), length)) for length in rng.integers(0, 30, n)]


# ---- values worked by hand ----------------------------------------------------------------------

def test_a_mean_worked_by_hand():
    """Without layers x is the norm of the token's row: (2, 0) -> (1, −1), (0, 2) -> (−1, 1)."""
    config = Config(vocab=6, dim=2, layers=0, heads=1, ff=1, positions=8, types=1)
    p = Params(tensors(config))
    p["embed.norm.weight"][:] = 1
    p["embed.tokens.weight"][1:6] = [2, 0], [2, 0], [2, 0], [0, 2], [0, 2]

    class Digits:                               # a digit is a token id, between the ids 1 and 2
        def encode_batch(self, texts, max_length):
            return pack([[1, *map(int, text), 2] for text in texts])
    plain = Recipe(normalize=False, max_seq_length=8)
    x = SentenceEncoder(Digits(), Bert(config, p), plain).encode(["3", "345", "", "44"])
    np.testing.assert_allclose(x[:, 0], [1, 1 / 5, 1, 0], atol=4 * u32)
    np.testing.assert_allclose(x[:, 1], [-1, -1 / 5, -1, 0], atol=4 * u32)
    scaled = SentenceEncoder(Digits(), Bert(config, p)).encode("345")         # scaled to norm 1
    np.testing.assert_allclose(scaled, [0.5**0.5, -(0.5**0.5)], rtol=4 * u32)


def test_truncated_texts_are_counted():
    """Of texts with 3, 8 and 9 tokens one exceeds max_seq_length = 8.  Each call adds its count."""
    tokenizer = WordPiece([*SPECIAL, "a"])
    encoder = SentenceEncoder(tokenizer, model(config=SMALL), Recipe(max_seq_length=8))
    texts = ["a", "a a a a a a", "a a a a a a a"]
    whole = encoder.encode(texts)
    assert encoder.truncated == 1
    encoder.encode(texts[2], prompt="a ")
    assert encoder.truncated == 2
    np.testing.assert_allclose(whole[2], whole[1], atol=1e-6)


# ---- independence of batch and order ------------------------------------------------------------

@pytest.mark.parametrize("pooling", POOLINGS)
@given(seeds, texts)
def test_a_text_has_the_same_vector_alone_and_in_any_batch(pooling, seed, texts):
    """In float64 up to 5e-14 for numbers of order 1; those of mean_sqrt_len are up to √24 < 5."""
    encoder = encoder_of(seed, pooling, np.float64, WIDE)
    if texts:
        together = encoder.vectors(encoder.tokenizer.encode_batch(texts, 24))
        assert together.dtype == np.float64
        np.testing.assert_allclose(together, one_by_one(encoder, texts), rtol=0,
                                   atol=5e-14 * (5 if pooling is mean_sqrt_len else 1))


@given(seeds, texts, st.integers(1, 5), st.randoms())
def test_encode_equals_a_plain_loop_up_to_rounding(seed, texts, batch_size, random):
    """The order of BLAS's sums depends on the shape: an error of γ(F) max |x| per layer."""
    encoder = encoder_of(seed, config=WIDE)
    order = random.sample(range(len(texts)), len(texts))
    want = one_by_one(encoder, texts)
    bound = WIDE.layers * gamma(WIDE.ff, u32) * abs(want).max(initial=1)
    for x, rows in ((encoder.encode(texts), slice(None)),
                    (encoder.encode([texts[i] for i in order], batch_size=batch_size), order)):
        assert x.dtype == np.float32 and x.shape == (len(texts), WIDE.dim)
        assert (abs(x - want[rows]) <= bound).all()
    for text, row in zip(texts[:2], want):
        assert encoder.encode(text).shape == (WIDE.dim,)
        assert (abs(encoder.encode(text) - row) <= bound).all()


@pytest.mark.parametrize("batch_size", [None, 1, 3, 1000])
@pytest.mark.parametrize("n", [0, 1, 4, 5, 23])
def test_vectors_are_in_the_order_of_the_texts(small_batches, n, batch_size):
    encoder = encoder_of()
    listed = some_texts(n)
    before = blas_threads()
    for texts in (listed, tuple(listed), iter(listed), np.array(listed, dtype=object)):
        x = encoder.encode(texts, batch_size=batch_size)
        np.testing.assert_allclose(x, one_by_one(encoder, listed), atol=1e-5)
    assert blas_threads() == before


def test_batches_have_about_16_tokens_and_at_most_batch_size_texts(small_batches):
    encoder, texts = encoder_of(), some_texts(40)
    for batch_size in (None, 2):
        encoded = []
        for indices, batch in length_batches.batches_by_length(
                texts, encoder.tokenize, batch_size, workers=2):
            lengths = np.diff(batch.offsets)
            assert (np.diff(lengths) <= 0).all() and len(indices) == len(lengths)
            assert len(lengths) <= (batch_size or 99)
            assert lengths.sum() <= 16 + lengths[0]              # no text is split
            encoded += list(indices)
        assert sorted(encoded) == list(range(40))


def test_one_batch_runs_in_the_callers_thread_and_several_in_other_threads(small_batches):
    encoder, vectors, seen = encoder_of(), SentenceEncoder.vectors, set()

    def watched(batch, skip):
        seen.add((threading.current_thread(), blas_threads()))
        return vectors(encoder, batch, skip)
    encoder.vectors = watched
    encoder.encode("a" * 22)
    assert seen == {(threading.current_thread(), blas_threads() and 1)}      # None without OpenBLAS
    seen.clear()
    encoder.encode(some_texts(30))
    assert threading.current_thread() not in {thread for thread, _ in seen}


def test_the_same_call_gives_the_same_bits_and_does_not_change_its_arguments(small_batches):
    encoder, texts = encoder_of(), some_texts(30)
    copy, before = list(texts), encoder.model.p.flat.copy()
    np.testing.assert_array_equal(encoder.encode(texts), encoder.encode(texts))
    assert texts == copy and (encoder.model.p.flat == before).all()


def test_each_call_uses_the_current_parameters():
    encoder = encoder_of()
    before = encoder.encode("abc")
    encoder.model.p["embed.norm.bias"] += 1
    assert abs(encoder.encode("abc") - before).max() > 0.01


# ---- no texts, empty texts, long texts ----------------------------------------------------------

@pytest.mark.parametrize("precision,d,dtype", [("float32", 8, np.float32), ("int8", 8, np.int8),
                                               ("uint8", 8, np.uint8), ("binary", 1, np.int8),
                                               ("ubinary", 1, np.uint8)])
def test_no_texts_give_zero_rows(precision, d, dtype):
    x = encoder_of().encode([], precision=precision)
    assert x.shape == (0, d) and x.dtype == dtype
    assert encoder_of().encode(iter(()), truncate_dim=3).shape == (0, 3)


def test_an_empty_text_is_encoded_by_its_special_tokens():
    encoder = encoder_of()
    np.testing.assert_allclose(encoder.encode(["", "   "]), one_by_one(encoder, ["", ""]),
                               atol=1e-6)


def test_a_text_without_tokens_is_an_error_with_its_index():
    encoder = encoder_of()
    encoder.tokenizer.special = ()
    with pytest.raises(ValueError, match="input 2: expected a text with a token, got '  '"):
        encoder.encode(["a", "bc", "  ", "d"])


@given(seeds, st.integers(3, 24), st.text("abcdefgh", min_size=25, max_size=40))
def test_tokens_beyond_max_seq_length_are_ignored(seed, max_length, text):
    encoder = encoder_of(seed, max_seq_length=max_length)
    np.testing.assert_array_equal(encoder.encode(text), encoder.encode(text[:max_length - 2]))


# ---- prompts ------------------------------------------------------------------------------------

def test_a_prompt_is_put_before_every_text():
    encoder = encoder_of()
    want = encoder.encode(["find: abc", "find: d"])
    np.testing.assert_array_equal(encoder.encode(["abc", "d"], prompt_name="query"), want)
    np.testing.assert_array_equal(encoder.encode(["abc", "d"], prompt="find: "), want)
    assert abs(encoder.encode(["abc", "d"]) - want).max() > 1e-3


def test_the_default_prompt_is_used_if_no_prompt_is_given():
    plain, encoder = encoder_of(), encoder_of(default_prompt_name="passage")
    np.testing.assert_array_equal(encoder.encode("abc"), plain.encode("read: abc"))
    np.testing.assert_array_equal(encoder.encode("abc", prompt_name="query"),
                                  plain.encode("find: abc"))
    np.testing.assert_array_equal(encoder.encode("abc", prompt=""), plain.encode("abc"))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_without_include_prompt_the_prompts_tokens_are_not_pooled(pooling):
    """The prompt "find:" has five tokens, so six are skipped, with [CLS]."""
    encoder = encoder_of(pooling=pooling, include_prompt=False)
    texts = ["abc", "", "deadbeef"]
    want = one_by_one(encoder, ["find: " + text for text in texts], skip=6)
    np.testing.assert_allclose(encoder.encode(texts, prompt_name="query"), want, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(texts), encoder_of(pooling=pooling).encode(texts))


def test_lower_case_lower_cases_text_and_prompt_before_the_tokenizer():
    cased, uncased = encoder_of(), encoder_of(lower_case=True)
    np.testing.assert_array_equal(uncased.encode(["ABc"], prompt="Find: "),
                                  cased.encode(["abc"], prompt="find: "))
    assert abs(cased.encode("ABc") - cased.encode("abc")).max() > 1e-3


def test_a_prompt_that_fills_max_seq_length_is_an_error():
    for include_prompt in (True, False):
        encoder = encoder_of(max_seq_length=7, include_prompt=include_prompt)
        with pytest.raises(ValueError, match="fewer than max_seq_length=7 tokens.*got 7"):
            encoder.encode(["a"], prompt_name="query")
        encoder = encoder_of(max_seq_length=8, include_prompt=include_prompt)
        assert encoder.encode(["a"], prompt_name="query").shape == (1, 8)


# ---- truncated, scaled, quantised ---------------------------------------------------------------

@given(seeds, texts, st.integers(1, 8))
def test_vectors_are_truncated_before_they_are_scaled(seed, texts, d):
    plain, whole = encoder_of(seed), encoder_of(seed).encode(texts)
    np.testing.assert_array_equal(plain.encode(texts, truncate_dim=d), whole[:, :d])
    want = l2_normalize(whole[:, :d])[0]
    np.testing.assert_array_equal(
        plain.encode(texts, truncate_dim=d, normalize_embeddings=True), want)
    np.testing.assert_allclose(
        encoder_of(seed, normalize=True).encode(texts, truncate_dim=d), want, rtol=0, atol=16 * u32)


@pytest.mark.parametrize("options", [{}, {"truncate_dim": 5}, {"normalize_embeddings": True}])
def test_codes_are_the_quantised_vectors(options):
    encoder, texts = encoder_of(), some_texts(120)
    x = encoder.encode(texts, **options)
    codes = quantise(x, calibrate(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for precision, want in {"float32": x, "uint8": codes, "int8": shift(codes),
                                "ubinary": sign_bits(x), "binary": shift(sign_bits(x))}.items():
            got = encoder.encode(texts, precision=precision, **options)
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(encoder.encode(texts[3], precision="ubinary"),
                                  sign_bits(encoder.encode(texts[3])))


def test_int8_of_few_texts_gives_a_warning_and_of_one_text_an_error():
    with pytest.warns(UserWarning, match="the ranges of only 99 texts"):
        encoder_of().encode(some_texts(99), precision="int8")
    for inputs in ("abc", ["abc"]):
        with pytest.raises(ValueError, match="at least 2 texts to compute ranges from, got 1"):
            encoder_of().encode(inputs, precision="uint8")


# ---- similarity ---------------------------------------------------------------------------------

@pytest.mark.parametrize("name,by_hand", [
    ("cosine", lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
    ("dot", lambda a, b: a @ b), ("euclidean", lambda a, b: -np.linalg.norm(a - b)),
    ("manhattan", lambda a, b: -abs(a - b).sum())])
def test_similarity_uses_the_recipes_function(name, by_hand):
    encoder = encoder_of(similarity_fn_name=name)
    x = encoder.encode(some_texts(4))
    want = np.array([[by_hand(a, b) for b in x.astype(float)] for a in x.astype(float)])
    np.testing.assert_allclose(encoder.similarity(x, x[:3]), want[:, :3], atol=1e-5)
    np.testing.assert_allclose(encoder.similarity(x[0], x), want[:1], atol=1e-5)
    np.testing.assert_allclose(encoder.similarity_pairwise(x, x[::-1]), np.diag(want[:, ::-1]),
                               atol=1e-5)
    assert encoder.similarity(x[:0], x).shape == (0, 4)


# ---- errors and progress ------------------------------------------------------------------------

@pytest.mark.parametrize("wrong,message", [
    (dict(prompt_name="document"), "prompt_name='document': expected one of 'query', 'passage'$"),
    (dict(prompt_name="query", prompt="w1"), "expected prompt_name or prompt, got both"),
    (dict(precision="int4"), "'int4': expected 'float32', 'int8', 'uint8', 'binary', 'ubinary'$"),
    (dict(truncate_dim=9), "truncate_dim=9: expected a whole number, 1 to 8"),
    (dict(truncate_dim=0), "truncate_dim=0"),
    (dict(batch_size=0), "batch_size=0"),
    (dict(batch_size=2.0), "batch_size=2.0")])
def test_an_invalid_argument_is_an_error_that_lists_valid_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        encoder_of().encode(["abc"], **wrong)


@pytest.mark.parametrize("bad", ["a\ud800b", "a \udce9"])
def test_a_text_with_a_lone_surrogate_is_refused_by_its_number(bad):
    with pytest.raises(ValueError, match="input 1: expected Unicode text, got the lone surrogate"):
        encoder_of().encode(["a", bad])


def test_inputs_that_are_not_str_are_errors_with_their_index():
    for inputs in (["a", 3], ["a", b"b"], ["a", None], ["a", ["b"]]):
        with pytest.raises(TypeError, match="input 1: expected a text, a str, got"):
            encoder_of().encode(inputs)
    with pytest.raises(TypeError, match="inputs: expected a text or a list of texts, got None"):
        encoder_of().encode(None)


@pytest.mark.parametrize("wrong,message", [
    (dict(max_seq_length=25), "max_seq_length=25: expected 1 to 24"),
    (dict(default_prompt_name="document"), r"one of \['query', 'passage'\]"),
    (dict(similarity_fn_name="cos"), "expected one of cosine, dot, euclidean, manhattan")])
def test_a_recipe_that_does_not_fit_is_an_error_in_the_constructor(wrong, message):
    with pytest.raises(ValueError, match=message):
        encoder_of(**wrong)


def test_an_error_in_a_thread_reaches_the_caller_and_blas_threads_are_restored(small_batches):
    encoder, before = encoder_of(), blas_threads()
    encoder.vectors = lambda batch, skip: 1 / 0
    with pytest.raises(ZeroDivisionError):
        encoder.encode(some_texts(30))
    assert blas_threads() == before


def test_progress_is_shown_on_a_terminal_only_and_never_on_stdout(capsys):
    encoder = encoder_of()
    for show in (None, False, True):
        encoder.encode(some_texts(9), show_progress_bar=show)
    with terminal() as screen:
        encoder.encode(some_texts(9), show_progress_bar=True)
    assert "9/9" in screen.text and capsys.readouterr() == ("", "")


def test_repr_names_the_model_the_pooling_and_normalisation():
    assert repr(encoder_of(normalize=True)) == (
        "SentenceEncoder(Bert(2 layers x 8, 40 tokens), mean, normalized)")
    assert repr(encoder_of(pooling=cls)) == "SentenceEncoder(Bert(2 layers x 8, 40 tokens), cls)"


class TableModel:
    """A model without layers: each token's vector is its row of a table."""

    def __init__(self, p):
        self.p = p

    dim, max_length = 3, 24

    def infer(self, batch):
        return self.p["table"][batch.ids]


def test_any_model_with_dim_max_length_and_infer_can_be_used():
    p = Params({"table": (40, 3)})
    p.flat[:] = np.random.default_rng(0).standard_normal(p.flat.size)
    encoder = SentenceEncoder(Letters(), TableModel(p),
                              Recipe((mean,), normalize=False, max_seq_length=24))
    ids = Letters().encode("abba").ids
    np.testing.assert_allclose(encoder.encode("abba"), p["table"][ids].mean(0), rtol=1e-5)
