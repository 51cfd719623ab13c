"""Load an encoder from a path: every format of word vectors; SIF by counts or by rank; folders."""
import hashlib
import shutil

import numpy as np
import pytest

from scratch_embed.cli.loading import column_names, digest_of, is_model, load_encoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.tokenizer_files import load as read_tokenizer
from scratch_embed.text.vocab import index_sentences
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

def test_a_digest_depends_on_the_models_files_but_not_on_its_path(models, tmp_path):
    one, two = (shutil.copytree(models.encoder, tmp_path / name) for name in ("one", "two"))
    assert digest_of(one) == digest_of(two)
    found = [digest_of(two)]
    for name in ("model.safetensors", "tokenizer.json", "1_Pooling/config.json", "modules.json"):
        found.append(digest_of(two / name))                # a file alone
        (two / name).write_bytes((two / name).read_bytes() + b" ")
        found += [digest_of(two / name), digest_of(two)]
    (two / "special_tokens_map.json").unlink()
    assert len({*found, digest_of(two)}) == 14


def test_a_digest_ignores_files_that_are_not_the_models(models, tmp_path):
    """A README, the leftovers of a killed save; before, they were part of the digest."""
    folder = shutil.copytree(models.encoder, tmp_path / "encoder")
    before = digest_of(folder)
    (folder / "README.md").write_text("a model")
    (folder / ".saving-x").mkdir()
    (folder / ".saving-x" / "model.safetensors").write_bytes(b"half")
    assert digest_of(folder) == before and is_model(folder, before)


def test_the_digest_of_an_earlier_version_is_known(models, tmp_path):
    """It was that of all files, in the order of their paths."""
    folder = shutil.copytree(models.encoder, tmp_path / "encoder")
    for more in False, True:
        if more:
            (folder / "README.md").write_text("a model")
        earlier = hashlib.blake2b(digest_size=8)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            earlier.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
        assert is_model(folder, earlier.hexdigest())
        assert (digest_of(folder) == earlier.hexdigest()) is not more
    assert not is_model(folder, "0" * 16)


def test_a_device_has_no_digest():
    with pytest.raises(ValueError, match="/dev/zero: expected a regular file of a model, found a"):
        digest_of("/dev/zero")


def test_columns_have_short_names_unless_two_would_have_the_same():
    assert column_names(["x/a.vec", "b.vec"]) == {"x/a.vec": "a.vec", "b.vec": "b.vec"}
    assert column_names(["x/a", "y/a", "y/b/"]) == {"x/a": "x/a", "y/a": "y/a", "y/b/": "b"}
    assert column_names(["x/bm25"], taken=["bm25"]) == {"x/bm25": "x/bm25"}
    with pytest.raises(ValueError, match="a is given twice"):
        column_names(["a", "b", "a"])
