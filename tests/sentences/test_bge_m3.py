"""BGE-M3: its three heads worked by hand, what encode() returns, invariances, the folder."""
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.params import Params, init_params, join
from scratch_embed.numerics import memory
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.sentences import bge_m3_training, sbert
from scratch_embed.sentences.bge_m3 import (
    BgeM3,
    head_tensors,
    heads,
    strongest,
    unweighted_tokens,
)
from scratch_embed.sentences.bge_m3_scores import hybrid_scores
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.max_sim import max_sim_matrix
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.packed import Packed, pack
from scratch_embed.text.tokenizer import roberta_template
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer import roberta
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.pooling import mean
from tests.rounding import seeds

WORDS = ["a", "red", "cat", "dog", "sat", "on", "mat", "##s"]
TEXTS = ["a red cat", "cats", "", "the dog sat on a mat", "a dog a dog on a red dog"]
CONFIG = Config(vocab=len(SPECIAL) + len(WORDS), dim=8, layers=2, heads=2, ff=12, positions=16)
ALL = dict(return_dense=True, return_sparse=True, return_multi_vector=True)


def model(seed=1, token_dim=None, dtype=np.float32):
    p = init_params(tensors(CONFIG), seed, dtype)
    p.flat[:] += 0.2 * np.random.default_rng(seed).standard_normal(p.flat.size)
    return BgeM3.new(SentenceEncoder(WordPiece([*SPECIAL, *WORDS]), Bert(CONFIG, p)), seed,
                     token_dim)


@pytest.fixture(scope="module")
def m3():
    return model()


# ---- the heads ----------------------------------------------------------------------------------

def test_three_heads_worked_by_hand():
    p = Params({name: tensor.shape for name, tensor in head_tensors(2).items()}, np.float64)
    p["sparse.weight"][:], p["sparse.bias"][:] = [[1, 1]], 0.5
    p["multi.weight"][:] = [[0, 1], [1, 0]]
    x = np.array([[3.0, 4], [3, 4], [-1, 0]])                # one text: [CLS] and two tokens
    (y, w, v), _ = heads(x, np.array([0, 3]), p)
    assert y.tolist() == [[3, 4]] and w.tolist() == [7.5, 7.5, 0]
    np.testing.assert_allclose(v, [[0.8, 0.6], [0, -1]])


def test_the_sparse_vector_has_the_largest_weight_of_each_token_and_none_of_special_tokens():
    batch = Packed(np.array([2, 9, 7, 9, 3, 2, 1, 7, 3]), np.array([0, 5, 9]), np.zeros(9, int))
    w = np.array([9, 0.25, 0, 0.5, 9, 9, 9, 0.125, 9])
    vectors, backward = strongest(w, batch, np.array([0, 1, 2, 3]))
    assert vectors.dicts() == [{9: 0.5}, {7: 0.125}]
    assert backward(np.array([5.0, 6.0])).tolist() == [0, 0, 0, 5, 0, 0, 0, 6, 0]
    vectors, backward = strongest(np.full(9, 0.5), batch, np.array([2]))      # all weights equal
    assert vectors.tokens.tolist() == [3, 7, 9, 1, 3, 7]
    assert backward(np.ones(6)).tolist() == [0, 1, 1, 0, 1, 0, 1, 1, 1]       # the first 9 of two


@settings(max_examples=10, deadline=None)
@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_backward_of_the_heads_is_the_derivative(seed, lengths):
    rng = np.random.default_rng(seed)
    offsets, E = np.concatenate([[0], np.cumsum(lengths)]), 3
    p = init_params(head_tensors(4, E), seed, np.float64)
    N, T = len(lengths), sum(lengths)

    def f(x, p):
        (y, w, v), back = heads(x, offsets, p)
        split = [N * 4, N * 4 + T]

        def backward(dz, g):
            dy, dw, dv = np.split(dz, split)
            return back(dy.reshape(N, 4), dw, dv.reshape(T - N, E), g)
        return np.concatenate([y.ravel(), w, v.ravel()]), backward
    check_parameters(f, rng.standard_normal((T, 4)), p)


# ---- encode -------------------------------------------------------------------------------------

def test_encode_returns_what_was_asked_for(m3):
    only_dense = m3.encode(TEXTS)
    assert only_dense.sparse is None and only_dense.multi is None
    whole = m3.encode(TEXTS, **ALL)
    np.testing.assert_array_equal(whole.dense, only_dense.dense)
    others = m3.encode(TEXTS, return_dense=False, return_sparse=True, return_multi_vector=True)
    assert others.dense is None and others.sparse.dicts() == whole.sparse.dicts()
    np.testing.assert_array_equal(others.multi.vectors, whole.multi.vectors)
    with pytest.raises(ValueError, match="expected return_dense, return_sparse or"):
        m3.encode(TEXTS, return_dense=False)


def test_what_is_not_asked_for_is_neither_computed_nor_kept():
    """The token vectors of these texts need 15 MB; without them, encode() needs less than 4."""
    m3, texts = model(token_dim=2000), TEXTS * 80
    size = 4 * 2000 * np.diff(m3.encode(texts[:5], **ALL).multi.offsets).sum() * 80
    assert size > 15e6
    for asked, fits in ((dict(return_sparse=True), True), (ALL, False)):
        tracemalloc.start()
        m3.encode(texts, **asked)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (peak < 4e6) == fits, peak


def test_token_vectors_that_do_not_fit_are_refused_before_the_work(m3, monkeypatch):
    class NeverUsed(Bert):
        def infer(self, batch):
            raise AssertionError
    encoder = m3.encoder
    never = BgeM3(SentenceEncoder(m3.tokenizer, NeverUsed(CONFIG, encoder.model.p),
                                  encoder.recipe), m3.heads)
    monkeypatch.setattr(memory, "physical_memory", lambda: 4 * 8 * (5 + 20))
    with pytest.raises(MemoryError, match="the vectors of 5 texts"):
        never.encode(TEXTS, **ALL)
    assert m3.encode(TEXTS).dense.shape == (5, 8)


def test_a_text_without_tokens_is_named():
    class Letters:
        def encode(self, text):
            return pack([[*map(ord, text)]]) if text else pack([])

        def encode_batch(self, texts, max_length):
            ids = [ord(letter) % 16 for text in texts for letter in text]
            lengths = [0, *map(len, texts)]
            return Packed(np.array(ids), np.cumsum(lengths), np.zeros(len(ids), int))
    with pytest.raises(ValueError, match="input 1: expected a text with a token, got ''"):
        BgeM3.new(SentenceEncoder(Letters(), model().encoder.model)).encode(["a", ""], **ALL)


def test_the_dense_part_is_that_of_the_sentence_encoder(m3):
    np.testing.assert_allclose(m3.encode(TEXTS).dense, m3.encoder.encode(TEXTS), atol=2e-7)


def test_special_and_unknown_tokens_have_no_weight(m3):
    ids = m3.tokenizer.token_to_id
    assert m3.unweighted.tolist() == sorted(ids(token) for token in SPECIAL)
    found = m3.encode(["the unknown words [MASK]", *TEXTS], return_sparse=True).sparse.dicts()
    assert found[0] == {} and all(min(each, default=9) >= len(SPECIAL) for each in found)
    assert set(found[5]) <= {ids(word) for word in ("a", "dog", "on", "red")}


def test_a_text_has_a_vector_for_each_token_but_the_first(m3):
    found = m3.encode(TEXTS, return_multi_vector=True).multi
    lengths = [len(m3.tokenizer.encode(text).ids) - 1 for text in TEXTS]
    assert np.diff(found.offsets).tolist() == lengths
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-6)
    assert model(token_dim=3).encode("a", return_multi_vector=True).multi.vectors.shape == (2, 3)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(len(TEXTS))), st.integers(1, 5))
def test_a_text_has_the_same_vectors_in_any_batch_and_order(order, batch_size):
    m3 = CACHED
    alone = [m3.encode(text, **ALL) for text in TEXTS]
    found = m3.encode([TEXTS[n] for n in order], **ALL, batch_size=batch_size)
    bounds = found.multi.offsets
    for at, n in enumerate(order):
        np.testing.assert_allclose(found.dense[at], alone[n].dense[0], atol=1e-6)
        np.testing.assert_allclose(found.multi.vectors[bounds[at]:bounds[at + 1]],
                                   alone[n].multi.vectors, atol=1e-6)
        weights, = alone[n].sparse.dicts()
        assert found.sparse.dicts()[at] == pytest.approx(weights, abs=1e-6)


CACHED = model(2)


def test_no_texts_have_empty_vectors(m3):
    found = m3.encode([], **ALL)
    assert found.dense.shape == (0, 8) and found.sparse.N == 0
    assert found.multi.vectors.shape == (0, 8) and found.multi.offsets.tolist() == [0]


def xlm_r():
    """A tiny XLM-R with a Unigram tokenizer, as bge-m3 is: <s> text </s>."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁red", "▁cat", "▁dog", "s", "▁"]
    special = [AddedToken(piece, n) for n, piece in enumerate(pieces[:4])]
    tokenizer = Unigram(pieces, [0.0] * 4 + [-2.0] * 6, added=special,
                        template=roberta_template(0, 2))
    config = roberta.Config(len(pieces), 8, 2, 2, 12, positions=16, model_type="xlm-roberta")
    p = init_params(roberta.tensors(config), 1)
    p.flat[:] += 0.2 * np.random.default_rng(1).standard_normal(p.flat.size)
    return BgeM3.new(SentenceEncoder(tokenizer, roberta.Roberta(config, p)), 1)


def test_xlm_r_with_its_own_tokenizer_is_the_models_original_form():
    m3 = xlm_r()
    assert m3.unweighted.tolist() == [0, 1, 2, 3]
    found = m3.encode(["a red cats", "§"], **ALL)
    assert np.diff(found.multi.offsets).tolist() == [5, 3]           # ▁a ▁red ▁cat s </s>
    weights = found.sparse.dicts()
    assert set(weights[0]) <= {4, 5, 6, 8} and set(weights[1]) <= {9}
    views = [sbert.tokenize(m3.encoder, texts) for texts in (["a cat", "red"], ["cats", "a dog"])]
    trained = bge_m3_training.train(views, m3, steps=2, batch_size=2)
    assert np.isfinite(trained.losses).all()
    assert (trained.model.encode("a red cat").dense != m3.encode("a red cat").dense).any()


# ---- scores -------------------------------------------------------------------------------------

def test_hybrid_scores_are_the_weighted_mean_of_the_three(m3):
    queries, documents = m3.encode(TEXTS[:2], **ALL), m3.encode(TEXTS, **ALL)
    scores = hybrid_scores(queries, documents, (1, 0.5, 2))
    np.testing.assert_allclose(scores.dense, queries.dense @ documents.dense.T, atol=1e-6)
    q, x = queries.sparse.dicts(), documents.sparse.dicts()
    np.testing.assert_allclose(scores.sparse, [[sum(a[t] * b[t] for t in a.keys() & b.keys())
                                                for b in x] for a in q], rtol=1e-6)
    sums = max_sim_matrix(*queries.multi, *documents.multi)
    np.testing.assert_allclose(scores.multi, sums / [[4], [3]])
    np.testing.assert_allclose(scores.hybrid, (scores.dense + 0.5 * scores.sparse
                                               + 2 * scores.multi) / 3.5)
    assert scores.multi[0, 0] == pytest.approx(1, abs=1e-6)            # a text with itself


@pytest.mark.parametrize("weights", [(1, 1), (0, 0, 0), (1, -1, 1), (1, np.inf, 1)])
def test_invalid_weights_are_refused(m3, weights):
    found = m3.encode(TEXTS, **ALL)
    with pytest.raises(ValueError, match="weights: expected three numbers of 0 or more"):
        hybrid_scores(found, found, weights)
    with pytest.raises(ValueError, match="documents: expected all three kinds .* got no sparse"):
        hybrid_scores(found, m3.encode(TEXTS))


# ---- the folder ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m3"
    model(token_dim=3).save(path)
    return path


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "m3"))


def test_a_saved_model_is_loaded_with_the_same_vectors(folder):
    before, after = (m3.encode(TEXTS, **ALL) for m3 in (model(token_dim=3), BgeM3.load(folder)))
    np.testing.assert_array_equal(after.dense, before.dense)
    np.testing.assert_array_equal(after.multi.vectors, before.multi.vectors)
    assert after.sparse.dicts() == before.sparse.dicts()
    assert BgeM3.load(folder, np.float64).heads.flat.dtype == np.float64


def test_a_folder_with_xlm_r_and_its_tokenizer_is_saved_and_loaded(tmp_path):
    m3, texts = xlm_r(), ["a red cats", "dogs", "§ a"]
    m3.save(tmp_path)
    again = BgeM3.load(tmp_path)
    assert str(again) == str(m3) and again.unweighted.tolist() == [0, 1, 2, 3]
    before, after = (each.encode(texts, **ALL) for each in (m3, again))
    np.testing.assert_array_equal(after.dense, before.dense)
    np.testing.assert_array_equal(after.multi.vectors, before.multi.vectors)
    assert after.sparse.dicts() == before.sparse.dicts()


def test_heads_do_not_stay_when_another_model_replaces_the_folder(folder):
    model(seed=9).encoder.save(folder)
    with pytest.raises(FormatError, match="sparse_linear.safetensors: .* found no such file"):
        BgeM3.load(folder)


def test_the_dense_part_loads_as_a_sentence_encoder(folder):
    np.testing.assert_allclose(SentenceEncoder.load(folder).encode(TEXTS),
                               BgeM3.load(folder).encode(TEXTS).dense, atol=2e-7)


@pytest.mark.campaign
def test_sentence_transformers_reads_the_dense_part(folder):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), BgeM3.load(folder).encode(TEXTS).dense,
                               atol=1e-5)


def test_heads_in_pickles_are_refused(folder):
    for name in ("sparse_linear", "colbert_linear"):
        os.rename(folder / f"{name}.safetensors", folder / f"{name}.pt")
    with pytest.raises(FormatError, match="sparse_linear.pt, a pickle: .*convert it with torch"):
        BgeM3.load(folder)


@pytest.mark.campaign
def test_the_command_of_the_message_converts_a_pickle(folder):
    torch = pytest.importorskip("torch")
    tensors, _ = read_safetensors(folder / "colbert_linear.safetensors")
    torch.save({name: torch.tensor(x) for name, x in tensors.items()}, folder / "colbert_linear.pt")
    os.remove(folder / "colbert_linear.safetensors")
    with pytest.raises(FormatError, match="colbert_linear.pt, a pickle.*convert it") as error:
        BgeM3.load(folder)
    command = str(error.value).split("in that folder: ")[1]
    code = command.split('"')[1]
    here = os.getcwd()
    try:
        os.chdir(folder)
        exec(code)                                           # what `python -c` would run
    finally:
        os.chdir(here)
    again, _ = read_safetensors(folder / "colbert_linear.safetensors")
    assert again.keys() == tensors.keys() and BgeM3.load(folder)
    np.testing.assert_array_equal(again["weight"], tensors["weight"])


def heads_file(folder, name, change):
    path = folder / f"{name}_linear.safetensors"
    tensors, _ = read_safetensors(path)
    write_safetensors(path, change(tensors), {})


@pytest.mark.parametrize(("name", "change", "message"), [
    ("sparse", lambda t: {"weight": t["weight"]}, "sparse_linear.safetensors: the header: expected "
     "floats"), ("colbert", lambda t: {"bias": t["bias"]}, "tensor 'weight': expected a matrix"),
    ("colbert", lambda t: {**t, "weight": t["weight"][:, 1:]}, "expected floats"),
    ("colbert", lambda t: {**t, "scale": t["bias"]}, "expected floats"),
    ("colbert", lambda t: {**t, "bias": t["bias"].astype(np.int64)}, "expected floats"),
    ("sparse", lambda t: {**t, "weight": t["weight"] * np.nan}, "expected finite numbers")])
def test_damaged_heads_are_refused(folder, name, change, message):
    heads_file(folder, name, change)
    with pytest.raises(FormatError, match=message):
        BgeM3.load(folder)


def test_heads_of_half_precision_are_read(folder):
    before = BgeM3.load(folder).heads.flat
    for name in ("sparse", "colbert"):
        heads_file(folder, name, lambda tensors: {part: x.astype(np.float16)
                                                  for part, x in tensors.items()})
    np.testing.assert_array_equal(BgeM3.load(folder).heads.flat, before.astype(np.float16))


def test_a_head_that_is_cut_off_is_refused_at_every_byte(folder):
    path = folder / "sparse_linear.safetensors"
    whole = path.read_bytes()
    for end in range(0, len(whole), 5):
        path.write_bytes(whole[:end])
        with pytest.raises(FormatError, match="sparse_linear.safetensors"):
            BgeM3.load(folder)


def test_a_missing_head_is_refused(folder):
    os.remove(folder / "sparse_linear.safetensors")
    with pytest.raises(FormatError, match="the weights of a head of BGE-M3, found no such file"):
        BgeM3.load(folder)


def test_a_folder_with_another_pooling_is_refused_and_one_without_modules_has_cls(tmp_path, folder):
    m3 = model(token_dim=3)
    SentenceEncoder(m3.tokenizer, m3.encoder.model, Recipe((mean,), max_seq_length=16)).save(
        tmp_path / "mean")
    with pytest.raises(FormatError, match="modules.json: its modules: expected the vector of .CLS"):
        BgeM3.load(tmp_path / "mean")
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        os.remove(folder / name)
    os.rmdir(folder / "1_Pooling")
    np.testing.assert_array_equal(BgeM3.load(folder).encode(TEXTS).dense, m3.encode(TEXTS).dense)
    np.testing.assert_allclose(SentenceEncoder.load(folder).encode(TEXTS), m3.encode(TEXTS).dense,
                               rtol=0, atol=1e-6)


def test_the_error_for_a_transformer_alone_names_the_heads(tmp_path, folder):
    for name in "config.json", "model.safetensors", "tokenizer.json":
        (folder / name).rename(tmp_path / name)
    with pytest.raises(FormatError, match="sparse_linear.safetensors: the file: expected the weig"):
        BgeM3.load(tmp_path)


def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(m3):
    with pytest.raises(ValueError, match="prompt: expected fewer than max_seq_length"):
        m3.encode(TEXTS, prompt=" ".join([TEXTS[0]] * 20))


# ---- what is refused ----------------------------------------------------------------------------

def test_another_pooling_or_heads_that_do_not_fit_are_refused(m3):
    other = SentenceEncoder(m3.tokenizer, m3.encoder.model)
    with pytest.raises(ValueError, match="expected an encoder whose vector is that of .CLS."):
        BgeM3(other, m3.heads)
    with pytest.raises(ValueError, match="heads: expected tensors"):
        BgeM3(m3.encoder, init_params(head_tensors(4), 1))
    with pytest.raises(ValueError, match="heads: expected tensors"):
        BgeM3(m3.encoder, join(m3.heads, Params({"more": (2,)})))
    with pytest.raises(TypeError, match="expected a text"):
        m3.encode([3])
    with pytest.raises(TypeError, match="inputs: expected a text or a list of texts, got None"):
        m3.encode(None)


def test_any_tokenizer_with_encode_has_its_special_tokens_unweighted():
    class Letters:
        def encode(self, text):
            return pack([[1, *map(ord, text)]])
    assert unweighted_tokens(Letters()).tolist() == [1]
