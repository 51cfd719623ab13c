"""Load an encoder from a path: every format of word vectors; SIF by counts or by rank; folders."""
import numpy as np
import pytest

from scratch_embed.cli.loading import column_names, digest_of, load_encoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.vocab import index_sentences
from scratch_embed.text.wordpiece_files import load as read_tokenizer
from scratch_embed.transformer.bert import Bert
from scratch_embed.words.fasttext_files import Settings, word_model, write_bin
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vectors import WordVectors

THREE = WordVectors(["the", "cat", "Dog"], np.float32([[1, 0], [0, 1], [2, 2]]))


@pytest.mark.parametrize("name", ["w.vec", "w.txt", "w.bin", "w.safetensors"])
def test_word_vectors_of_any_format_become_their_mean(tmp_path, name):
    THREE.save(tmp_path / name)
    found = load_encoder(tmp_path / name).encode(["the cat", "Dog dog", ""])
    assert found.tolist() == [[0.5, 0.5], [2, 2], [0, 0]]


def test_sif_weights_words_by_rank_if_the_file_has_no_counts(tmp_path):
    """Zipf's law: p ∝ 1/(rank + 2.7)."""
    THREE.save(tmp_path / "w.vec")
    found = load_encoder(tmp_path / "w.vec", sif=0.5).encode(["the cat"])
    p = 1 / np.array([3.7, 4.7, 5.7])
    np.testing.assert_allclose(found[0], 0.5 * 0.5 / (0.5 + p[:2] / p.sum()), rtol=1e-6)


def test_sif_weights_words_by_the_counts_of_a_fasttext_bin(tmp_path):
    vocab, _ = index_sentences([["the", "cat", "the", "cats"]], min_count=1)
    W, U = (np.random.default_rng(0).standard_normal((n, 4), np.float32) for n in (3 + 20, 3))
    settings = Settings(window=5, epochs=1, min_count=1, negatives=5, loss="ns", model="skipgram",
                        min_n=2, max_n=3, sample=1e-4)
    write_bin(tmp_path / "m.bin", word_model(vocab, W, U, settings))
    words = FastTextVectors.load(tmp_path / "m.bin")
    plain, sif = (load_encoder(tmp_path / "m.bin", sif=a).encode(["the", "cats", "catses"])
                  for a in (None, 0.25))
    np.testing.assert_allclose(plain, [words["the"], words["cats"], words["catses"]], rtol=1e-6)
    np.testing.assert_allclose(sif / plain, np.array([[1 / 3], [1 / 2], [1]]) * np.ones(4),
                               rtol=1e-5)                          # a/(a + p) for p = ½, ¼, 0


# ---- folders ------------------------------------------------------------------------------------

def test_a_sentence_encoders_folder_is_loaded_as_sentence_encoder(models):
    found, expected = load_encoder(models.encoder), SentenceEncoder.load(models.encoder)
    np.testing.assert_array_equal(found.encode(["a cat", ""]), expected.encode(["a cat", ""]))


def test_a_bert_is_given_mean_pooling_with_a_message(models, capsys):
    found = load_encoder(models.bert).encode(["a cat has milk"])
    batch = read_tokenizer(models.bert).encode_batch(["a cat has milk"])
    np.testing.assert_allclose(found[0], Bert.load(models.bert).infer(batch).mean(0), atol=1e-6)
    err = capsys.readouterr().err
    assert "bert has no modules.json: a text's vector is the mean of its tokens'" in err


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(OSError, match="is not a model's folder: it has no config.json"):
        load_encoder(tmp_path)


def test_sif_is_refused_for_a_folder(models):
    with pytest.raises(ValueError, match="--sif weights word vectors, and .* leave it out"):
        load_encoder(models.encoder, sif=0.001)


# ---- digests and names ---------------------------------------------------------------------------

def test_a_digest_depends_on_bytes_and_file_names_but_not_on_the_models_path(tmp_path):
    for name in "one", "two":
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "a").write_bytes(b"xy")
        (tmp_path / name / "inner" / "b").write_bytes(b"z" * 3_000_000)
    one, two = tmp_path / "one", tmp_path / "two"
    assert digest_of(one) == digest_of(two) and digest_of(one / "a") == digest_of(two / "a")
    assert len({digest_of(one), digest_of(one / "a"), digest_of(one / "inner" / "b")}) == 3
    before = digest_of(two)
    (two / "inner" / "b").write_bytes(b"z" * 2_999_999 + b"y")
    changed = digest_of(two)
    (two / "a").rename(two / "c")
    assert len({before, changed, digest_of(two)}) == 3


def test_columns_have_short_names_unless_two_would_have_the_same():
    assert column_names(["x/a.vec", "b.vec"]) == {"x/a.vec": "a.vec", "b.vec": "b.vec"}
    assert column_names(["x/a", "y/a", "y/b/"]) == {"x/a": "x/a", "y/a": "y/a", "y/b/": "b"}
    assert column_names(["x/bm25"], taken=["bm25"]) == {"x/bm25": "x/bm25"}
    with pytest.raises(ValueError, match="a is given twice"):
        column_names(["a", "b", "a"])
