"""CrossEncoder: scores worked by hand, frozen and live scores of sentence-transformers, rank()."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.retrieve.rerank import rerank
from scratch_embed.sentences import length_batches
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_settings import Settings, identity
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.classification import head_tensors, infer_scores
from scratch_embed.transformer.pooling import mean

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = "the a cat dog sat ran on mat ##s . , query : where is".split()
both = pytest.mark.parametrize("layout", ["old", "new"])


def golden(layout):
    """(the CrossEncoder of a golden folder, what sentence-transformers returned)."""
    return (CrossEncoder.load(GOLDEN / f"cross_encoder_{layout}"),
            json.loads((GOLDEN / f"cross_encoder_{layout}.json").read_text()))


def some_pairs(n, seed=0):
    """n pairs of texts of 0 to 12 words each."""
    rng = np.random.default_rng(seed)
    words = ["cat", "dogs", "mats", "the", "ran", "Where", "is", "x-ray", ","]
    return [tuple(" ".join(rng.choice(words, length)) for length in rng.integers(0, 13, 2))
            for _ in range(n)]


def some_encoder(labels=1, dtype=np.float32, **settings):
    """A cross-encoder of random weights of order 1, with norms that are not 1 and 0."""
    pieces = [*SPECIAL, *WORDS]
    config = Config(len(pieces), dim=8, layers=2, heads=2, ff=12, positions=20)
    p, rng = Params(tensors(config) | head_tensors(8, labels), dtype), np.random.default_rng(5)
    for name, view in p.items():
        view[...] = rng.standard_normal(view.shape) * (
            1 if "embed" in name else 0.3 if view.ndim == 1 else 2 * 8 ** -0.5)
        if "norm.weight" in name:
            view += 1
    settings = Settings(**{"max_seq_length": 20, "labels": tuple("abc"[:labels]), **settings})
    return CrossEncoder(WordPiece(pieces), Bert(config, p), settings)


# ---- worked by hand -----------------------------------------------------------------------------

def test_a_score_worked_by_hand():
    """Without layers x_[CLS] is the norm of its three embeddings, (1, −1) for (5, 1).

    P swaps the two, so tanh gives (−t, t) with t = tanh 1, and A = (1, 3) gives s = 2t, + a₀ = 1.
    """
    config = Config(vocab=6, dim=2, layers=0, heads=1, ff=1, positions=8)
    p = Params(tensors(config) | head_tensors(2, 1))
    p["embed.norm.weight"][:] = 1
    p["embed.tokens.weight"][2] = 5, 1                           # [CLS]
    p["pooler.weight"][:] = [[0, 1], [1, 0]]
    p["classifier.weight"][:], p["classifier.bias"][:] = [[1, 3]], 1
    encoder = CrossEncoder(WordPiece([*SPECIAL, "a"]), Bert(config, p), Settings(
        identity, max_seq_length=8))
    s = 2 * np.tanh(1) + 1
    np.testing.assert_allclose(encoder.predict([("a", "a a")]), [s], rtol=1e-6)
    np.testing.assert_allclose(encoder.predict(("a", "a a")), s, rtol=1e-6)
    np.testing.assert_allclose(encoder.predict(("a", "a"), activation_fn=sigmoid),
                               1 / (1 + np.exp(-s)), rtol=1e-6)


def test_the_second_text_and_its_sep_have_type_1():
    encoder = some_encoder()
    ids = encoder.tokenizer.index
    batch = encoder.tokenize([("a cat", "the dogs")])
    assert batch.ids.tolist() == [ids[t] for t in
                                  ("[CLS]", "a", "cat", "[SEP]", "the", "dog", "##s", "[SEP]")]
    assert batch.types.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_long_pairs_are_truncated_and_counted():
    encoder = some_encoder(max_seq_length=9)                     # 6 tokens of text
    batch = encoder.tokenize([("a", "cat " * 9), ("a " * 9, "cat " * 9), ("a", "cat")])
    assert np.diff(batch.offsets).tolist() == [9, 9, 5] and encoder.truncated == 2
    index = encoder.tokenizer.index
    first, second = (batch.ids[batch.offsets[n]:batch.offsets[n + 1]].tolist() for n in (0, 1))
    assert (first.count(index["a"]), first.count(index["cat"])) == (1, 5)
    assert (second.count(index["a"]), second.count(index["cat"])) == (3, 3)


def test_the_order_of_the_two_texts_matters():
    encoder = some_encoder()
    a, b = encoder.predict([("the cat", "a dog"), ("a dog", "the cat")])
    assert abs(a - b) > 1e-3


# ---- frozen scores ------------------------------------------------------------------------------

def test_scores_equal_those_of_sentence_transformers_6():
    """One label, sigmoid, a default prompt, pairs truncated to 20 tokens."""
    encoder, theirs = golden("new")
    pairs = theirs["pairs"]
    np.testing.assert_allclose(encoder.predict(pairs), theirs["scores"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(encoder.predict(pairs, prompt=""), theirs["without prompt"],
                               rtol=0, atol=2e-6)
    for pair, score in zip(pairs[:3], theirs["scores"]):
        np.testing.assert_allclose(encoder.predict(pair), score, rtol=0, atol=2e-6)
    assert np.ptp(theirs["scores"]) > 0.1 and encoder.truncated


def test_rank_equals_that_of_sentence_transformers():
    encoder, theirs = golden("new")
    documents = [row["text"] for row in sorted(theirs["ranked"], key=lambda r: r["corpus_id"])]
    ranked = encoder.rank(theirs["query"], documents, return_documents=True)
    for ours, want in zip(ranked, theirs["ranked"], strict=True):
        assert [*ours] == [*want] and ours["corpus_id"] == want["corpus_id"]
        assert ours["text"] == want["text"] and abs(ours["score"] - want["score"]) < 2e-6
    best = encoder.rank(theirs["query"], documents, top_k=2)
    assert best == [{"corpus_id": row["corpus_id"], "score": row["score"]} for row in ranked[:2]]


def test_three_labels_of_an_older_release():
    """sbert_ce_default_activation_function is Sigmoid; the default would be Identity."""
    encoder, theirs = golden("old")
    assert len(encoder.settings.labels) == 3 and encoder.settings.activation is sigmoid
    pairs = theirs["pairs"]
    np.testing.assert_allclose(encoder.predict(pairs), theirs["scores"], rtol=0, atol=4e-6)
    np.testing.assert_allclose(encoder.predict(pairs, apply_softmax=True),
                               theirs["probabilities"], rtol=0, atol=2e-6)
    assert encoder.predict(pairs[0]).shape == (3,)
    with pytest.raises(ValueError, match="expected a model with one label.*got 3"):
        encoder.rank("a cat", ["a dog"])


@both
def test_a_float64_model_computes_in_float64(layout):
    encoder = CrossEncoder.load(GOLDEN / f"cross_encoder_{layout}", np.float64)
    theirs = golden(layout)[1]
    batch = encoder.tokenize([("a cat", "a dog")])
    assert infer_scores(batch, encoder.model).dtype == np.float64
    np.testing.assert_allclose(encoder.predict(theirs["pairs"]), theirs["scores"], rtol=0,
                               atol=2e-6)


# ---- the installed sentence-transformers --------------------------------------------------------

@pytest.mark.parametrize("labels, activation", [(1, sigmoid), (1, identity), (2, identity)])
def test_sentence_transformers_gives_the_same_scores_for_our_folder(tmp_path, labels, activation):
    library = pytest.importorskip("sentence_transformers")
    encoder = some_encoder(labels, activation=activation, max_seq_length=16,
                           prompts={"query": "query : "})
    encoder.save(tmp_path)
    theirs, pairs = library.CrossEncoder(str(tmp_path), device="cpu"), some_pairs(60)
    for options in ({}, {"prompt_name": "query"}, {"batch_size": 7}, {"apply_softmax": True}):
        want = theirs.predict(pairs, **options)
        np.testing.assert_allclose(encoder.predict(pairs, **options), want, rtol=0, atol=1e-5)
    assert np.ptp(want) > 0.1 and theirs.max_seq_length == 16
    if labels == 1:
        a, documents = pairs[0][0], [b for _, b in pairs[:9]]
        assert [row["corpus_id"] for row in encoder.rank(a, documents)] == [
            row["corpus_id"] for row in theirs.rank(a, documents)]


def test_transformers_loads_our_folder_and_we_load_its_own(tmp_path):
    transformers = pytest.importorskip("transformers")
    encoder = some_encoder(labels=3)
    encoder.save(tmp_path / "ours")
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "ours")
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    model.save_pretrained(tmp_path / "theirs")
    transformers.BertTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(
        tmp_path / "theirs")
    again = CrossEncoder.load(tmp_path / "theirs")
    pairs = some_pairs(20)
    np.testing.assert_array_equal(again.predict(pairs, activation_fn=identity),
                                  encoder.predict(pairs, activation_fn=identity))


# ---- batches, order, arguments ------------------------------------------------------------------

@given(st.lists(st.tuples(st.text("ab cd", max_size=12), st.text("ab cd", max_size=12)),
                max_size=9), st.integers(1, 5), st.randoms())
def test_a_pair_has_the_same_score_alone_and_in_any_batch(pairs, batch_size, random):
    """In float64, up to 1e-13 for scores of order 1, before they are stored as float32."""
    encoder = some_encoder(dtype=np.float64)
    order = random.sample(range(len(pairs)), len(pairs))
    scores = encoder.predict(pairs)
    assert scores.dtype == np.float32 and scores.shape == (len(pairs),)
    shuffled = encoder.predict([pairs[n] for n in order], batch_size=batch_size)
    np.testing.assert_allclose(shuffled, scores[order], rtol=0, atol=1e-7)
    for pair, score in zip(pairs[:2], scores):
        np.testing.assert_allclose(encoder.predict(pair), score, rtol=0, atol=1e-7)


def test_scores_are_in_the_order_of_the_pairs_with_several_threads(monkeypatch):
    monkeypatch.setattr(length_batches, "TOKENS", 16)
    monkeypatch.setattr(length_batches, "ONE_BATCH", 0)
    monkeypatch.setattr(length_batches, "BLOCK", 5)
    monkeypatch.setattr(length_batches, "blas_threads", lambda: 2)
    encoder, pairs = some_encoder(), some_pairs(23)
    with one_blas_thread():
        want = [infer_scores(encoder.tokenize([pair]), encoder.model)[0, 0] for pair in pairs]
    for given_pairs in (pairs, iter(pairs), [list(pair) for pair in pairs], np.array(pairs)):
        np.testing.assert_allclose(encoder.predict(given_pairs), sigmoid(np.array(want)),
                                   atol=1e-6)


def test_ties_of_rank_keep_the_order_of_the_documents():
    """The rounding of a score depends on the place in the batch, so scores are rounded here."""
    ranked = some_encoder().rank("a cat", ["a dog", "the mat", "a dog", "a dog"],
                                 activation_fn=lambda s: s.round(4))
    order = [row["corpus_id"] for row in ranked]
    assert [n for n in order if n != 1] == [0, 2, 3] and some_encoder().rank("a", []) == []


def test_softmax_is_applied_after_the_activation():
    encoder = some_encoder(labels=3, activation=sigmoid)
    p = encoder.predict([("a", "cat")], apply_softmax=True)
    np.testing.assert_allclose(p, softmax(encoder.predict([("a", "cat")]))[0])
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("pairs, error, message", [
    ("a cat", TypeError, r"pairs: expected a list .* 'a cat'; use predict\(\[\(a, b\)\]\)"),
    (["a cat", "a dog", "a mat"], TypeError, "expected two texts"),
    ([("a", "b"), ("a",)], TypeError, "pair 1: expected two texts"),
    ([("a", "b"), ("a", None)], TypeError, "input 1: expected a text, a str, got None"),
    ([3], TypeError, "pair 0: expected two texts"),
    ([("a", "\ud800")], ValueError, "input 0.*surrogate")])
def test_what_is_not_a_pair_is_an_error(pairs, error, message):
    with pytest.raises(error, match=message):
        some_encoder().predict(pairs)


@pytest.mark.parametrize("options, message", [
    ({"batch_size": 0}, "batch_size"), ({"prompt_name": "x"}, "prompt_name='x'"),
    ({"prompt": "a ", "prompt_name": "x"}, "got both")])
def test_invalid_arguments_of_predict(options, message):
    with pytest.raises(ValueError, match=message):
        some_encoder().predict([("a", "b")], **options)


def test_two_texts_or_a_folder_are_not_what_is_expected():
    with pytest.raises(TypeError, match=r"use predict\(\[\(a, b\)\]\)"):
        some_encoder().predict("a", "b")
    for kind in CrossEncoder, SentenceEncoder:
        with pytest.raises(TypeError, match=rf"got 'folder'; .*use {kind.__name__}.load\(folder"):
            kind("folder")


def test_invalid_arguments_of_rank_and_of_the_constructor():
    encoder = some_encoder()
    with pytest.raises(ValueError, match="top_k"):
        encoder.rank("a", ["b"], top_k=0)
    with pytest.raises(TypeError, match="documents: expected a list of texts, got one text"):
        encoder.rank("a", "one text")
    for settings, message in ((Settings(max_seq_length=21), "expected 1 to 20"),
                              (Settings(max_seq_length=8, labels=("x", "y")), "expected 1 names"),
                              (Settings(max_seq_length=8, default_prompt_name="q"), "'q'")):
        with pytest.raises(ValueError, match=message):
            CrossEncoder(encoder.tokenizer, encoder.model, settings)
    config, p = encoder.model.config, encoder.model.p
    bare = Bert(config, p.only(tensors(config)))
    with pytest.raises(ValueError, match="without classifier.weight; with_new_classifier"):
        CrossEncoder(encoder.tokenizer, bare)


# ---- warm start, reranking ----------------------------------------------------------------------

def test_a_warm_start_copies_the_transformer_and_adds_a_head():
    first = some_encoder()
    bi_encoder = SentenceEncoder(first.tokenizer, first.model, Recipe(
        (mean,), max_seq_length=20, lower_case=True))
    encoder = CrossEncoder.warm_start(bi_encoder, labels=("no", "yes"), seed=3)
    assert encoder.settings == Settings(identity, 20, True, ("no", "yes"))
    assert encoder.model.p["classifier.weight"].shape == (2, 8)
    for name in tensors(first.model.config):
        np.testing.assert_array_equal(encoder.model.p[name], first.model.p[name])
    before = first.model.p.flat.copy()
    encoder.model.p.flat[:] = 0
    assert (first.model.p.flat == before).all()


def test_rerank_takes_predict():
    encoder, queries = some_encoder(), ["a cat", "the dogs"]
    documents = [b for _, b in some_pairs(12)]
    candidates = np.array([[0, 3, 5, -1], [2, 8, 11, 7]])
    ids, scores = rerank(queries, documents, candidates, encoder.predict, k=3)
    for query, row, found, values in zip(queries, candidates, ids, scores):
        row = [n for n in row if n >= 0]
        ranked = encoder.rank(query, [documents[n] for n in row], top_k=3)
        assert found.tolist() == [row[r["corpus_id"]] for r in ranked]
        np.testing.assert_allclose(values, [r["score"] for r in ranked], atol=1e-6)
