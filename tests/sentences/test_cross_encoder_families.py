"""Cross-encoders of five families: the same scores as sentence-transformers, both ways; commands.

bge-reranker-base and -v2-m3 are XLM-Rs with one label, in folders of transformers alone.
"""
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_settings import Settings, identity
from scratch_embed.text.tokenizer_files import save as save_tokenizer
from scratch_embed.transformer.classification import HEADS, head_tensors

sys.path.append(str(Path(__file__).parents[1] / "transformer"))

from tiny_folders import model_of, tokenizer_of, write_folder

OTHERS = [name for name in HEADS if name != "bert"]
families = pytest.mark.parametrize("name", OTHERS)
PAIRS = [("the red cat", "a cat sat on the mat."), ("", "a cat"), ("é日", ""), ("a", "a"),
         ("the cat " * 9, "red"), ("cat", "the mat " * 20), ("red cats", "<mask> sat")]


def cross_encoder_of(name, labels=1, **settings):
    """A cross-encoder with weights of order 1."""
    model = model_of(name)
    p = init_params(model.architecture.tensors(model.config) | head_tensors(
        12, labels, 0.4, HEADS[name]), seed=3)
    p.flat[:model.p.flat.size] = model.p.flat
    p["pooler.bias"][:] = 0.1 * np.arange(12) - 0.5
    return CrossEncoder(tokenizer_of(name), model.with_params(p), Settings(**{
        "max_seq_length": 22, "labels": tuple("abc"[:labels]), **settings}))


@pytest.mark.parametrize("name, labels, activation", [
    *((name, 1, sigmoid) for name in OTHERS), ("xlm-roberta", 3, identity)])
def test_sentence_transformers_gives_the_same_scores_for_our_folder(tmp_path, name, labels,
                                                                    activation):
    library = pytest.importorskip("sentence_transformers")
    ours = cross_encoder_of(name, labels, activation=activation)
    ours.save(tmp_path)
    theirs = library.CrossEncoder(str(tmp_path), device="cpu")
    assert type(theirs.model).__name__ == HEADS[name].original
    expected = theirs.predict(PAIRS)
    np.testing.assert_allclose(ours.predict(PAIRS), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(se.load(tmp_path).predict(PAIRS), ours.predict(PAIRS))
    assert np.ptp(expected, axis=0).min() > 0.05
    if labels == 1:
        documents = [b for _, b in PAIRS]
        assert [row["corpus_id"] for row in ours.rank("a cat", documents)] == [
            row["corpus_id"] for row in theirs.rank("a cat", documents)]


def reranker(folder, name):
    """A folder of transformers alone, as bge-reranker's, with one label."""
    encoder = cross_encoder_of(name)
    encoder.save(folder)
    for file in "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json":
        (folder / file).unlink()
    config = json.loads((folder / "config.json").read_text())
    for field in "sentence_transformers", "sbert_ce_default_activation_function":
        del config[field]
    (folder / "config.json").write_text(json.dumps(config))
    return encoder


@families
def test_a_folder_of_transformers_alone_gives_the_same_scores(tmp_path, name):
    """One label: sigmoid, as in sentence-transformers."""
    library = pytest.importorskip("sentence_transformers")
    expected = reranker(tmp_path, name).predict(PAIRS)
    ours, theirs = se.load(tmp_path), library.CrossEncoder(str(tmp_path), device="cpu")
    assert isinstance(ours, CrossEncoder) and ours.settings.activation is sigmoid
    np.testing.assert_array_equal(ours.predict(PAIRS), expected)
    np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), rtol=0, atol=1e-5)
    theirs.save_pretrained(str(tmp_path / "again"))
    np.testing.assert_array_equal(se.load(tmp_path / "again").predict(PAIRS), expected)


def test_a_score_has_nothing_of_the_rest_of_its_batch():
    encoder = cross_encoder_of("xlm-roberta")
    alone = [encoder.predict(pair) for pair in PAIRS]
    np.testing.assert_allclose(encoder.predict(PAIRS[::-1])[::-1], alone, rtol=0, atol=1e-6)


@families
def test_a_warm_start_of_each_family_has_new_scores_and_is_saved(tmp_path, name):
    write_folder(tmp_path / "encoder", name)
    start = CrossEncoder.warm_start(se.load(tmp_path / "encoder"), seed=4)
    start.save(tmp_path / "cross")
    np.testing.assert_array_equal(se.load(tmp_path / "cross").predict(PAIRS), start.predict(PAIRS))
    assert np.ptp(start.predict(PAIRS)) > 1e-4


# ---- what is refused ----------------------------------------------------------------------------

def change(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize("name, found, expected", [
    ("xlm-roberta", "RobertaForSequenceClassification",
     r'expected \["XLMRobertaForSequenceClassification"\], found \["RobertaForSequenceClass'),
    ("distilbert", "DistilBertForTokenClassification",
     r'expected \["DistilBertForSequenceClassification"\]; .* another model, found'),
    ("gpt2", "GPT2ForSequenceClassification",
     r'expected \["BertForSequenceClassification"\] or .*\["MPNet.*found \["GPT2ForSequence'),
    ("mistral", "MistralForSequenceClassification",
     r'expected \["BertForSequenceClassification"\] or .* found \["MistralForSequence')])
def test_another_class_is_refused_by_name(tmp_path, name, found, expected):
    write_folder(tmp_path, name)
    change(tmp_path, architectures=[found])
    with pytest.raises(FormatError, match=f"config.json: field 'architectures': {expected}"):
        CrossEncoder.load(tmp_path)


@pytest.mark.parametrize("model_type", ["deberta-v2", "modernbert", "new"])
def test_a_family_that_is_not_read_is_refused_by_name(tmp_path, model_type):
    reranker(tmp_path, "roberta")
    change(tmp_path, model_type=model_type)
    with pytest.raises(FormatError, match=f"'model_type': '{model_type}' is not read: "):
        se.load(tmp_path)


def test_a_head_that_is_not_there_is_refused(tmp_path):
    """transformers would draw it at random."""
    model_of("xlm-roberta").save(tmp_path)
    save_tokenizer(tmp_path, tokenizer_of("xlm-roberta"))
    change(tmp_path, architectures=["XLMRobertaForSequenceClassification"], num_labels=1)
    with pytest.raises(FormatError, match="expected 4 more of the tensors that config.json requir"
                                          "es, found no classifier.dense.weight"):
        se.load(tmp_path)
