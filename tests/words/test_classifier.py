"""The classifier: parity with fastText, probabilities, predictions, precision and recall."""
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.words.classifier import (
    Classifier,
    label_tree,
    leaf_probabilities,
    mean_rows,
)
from scratch_embed.words.fasttext_files import BinModel, Settings, read_bin
from scratch_embed.words.labelled import read_labelled
from scratch_embed.words.softmax import probabilities
from scratch_embed.words.subwords import NGrams
from scratch_embed.words.supervised import (
    hierarchical_softmax_chunk,
    negative_sampling_chunk,
    one_vs_all_chunk,
    softmax_chunk,
    train,
)
from scratch_embed.worlds.labelled import reviews
from tests.rounding import seeds, u64

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
SUPERVISED = [name for name in ANSWERS if name.startswith("supervised-")]
METHODS = {"softmax": softmax_chunk, "ns": negative_sampling_chunk,
           "hs": hierarchical_softmax_chunk, "ova": one_vs_all_chunk}
counts = st.lists(st.integers(1, 1000), min_size=1, max_size=40).map(
    lambda c: np.array(sorted(c, reverse=True)))


def golden(name):
    return Classifier.load(GOLDEN / f"fasttext-{name}.bin"), ANSWERS[name]


def numbers(hexes):
    return np.array([float.fromhex(x) for x in hexes])


def hand_made(labels=("x", "y", "z"), loss="softmax", label_counts=(5, 3, 2)):
    """Words a, b, c (no "</s>"): the text "a" has score 3 for label x, "b" for y, "c" for z."""
    settings = Settings(dim=3, word_ngrams=1, loss=loss, model="supervised", buckets=0, min_n=0,
                        max_n=0)
    table = np.eye(3, dtype=np.float32)
    return Classifier(BinModel(settings, ["a", "b", "c"], np.array([9, 9, 9]),
                               [f"__label__{label}" for label in labels], np.array(label_counts),
                               99, table, 3 * table[:len(labels)]))


# ---- the original's predictions -----------------------------------------------------------------

def as_the_original_rounds(model, text):
    """{label: probability} as the original computes it from the same scores.

    It adds 1e-5 to every probability; for hs, to that of each turn, and it omits labels whose
    product falls below 1e-5.  For ns and ova it reads σ from a table with cells of width 1/32,
    which is 0 or 1 beyond ±8.
    """
    s = model.encode(text) @ model.model.output.T
    if model.model.settings.loss == "softmax":
        return dict(zip(model.labels, probabilities(s.astype(float)) + 1e-5))
    if model.model.settings.loss == "hs":
        tree, found = label_tree(model.model.label_counts), {}
        for label, name in enumerate(model.labels):
            path = slice(tree.offsets[label], tree.offsets[label + 1])
            turns = np.cumprod(1 / (1 + np.exp(-tree.turns[path] * s[tree.nodes[path]])) + 1e-5)
            if (turns >= 1e-5).all():
                found[name] = turns[-1]
        return found
    cell = np.floor((s + 8) * 32) / 32 - 8
    table = np.where(s < -8, 0, np.where(s > 8, 1, 1 / (1 + np.exp(-cell))))
    return dict(zip(model.labels, table + 1e-5))


@pytest.mark.parametrize("name", SUPERVISED)
def test_probabilities_equal_the_originals_up_to_its_rounding(name):
    """To 1e-6 with the original's rounding; the same order, except where the original has ties."""
    model, answer = golden(name)
    bound = {"softmax": 1.1e-5, "hs": 4e-5, "ns": 8e-3, "ova": 8e-3}[model.model.settings.loss]
    for text, k, threshold, labels, theirs in answer["predict"]:
        theirs = dict(zip(labels, numbers(theirs)))
        rounded = as_the_original_rounds(model, text)
        for label, p in theirs.items():
            assert rounded[label] == pytest.approx(p, abs=1e-6)
        ours = model.predict(text, k, threshold)
        if k == 9 and threshold == 0:
            assert set(theirs) == set(rounded)
            rank = {label: i for i, (label, _) in enumerate(ours)}
            values = list(theirs.items())
            assert all(rank[a] < rank[b] for (a, p), (b, q) in zip(values, values[1:]) if p > q)
        else:
            assert [label for label, _ in ours] == labels
        for label, p in ours:
            assert abs(p - theirs.get(label, 1e-5)) <= bound


@pytest.mark.parametrize("name", SUPERVISED)
def test_sentence_vectors_equal_the_originals(name):
    """Both sum n float32 rows and multiply by 1/n: at most 2(n + 2) roundings of W's size."""
    model, answer = golden(name)
    for text, theirs in answer["sentences"].items():
        np.testing.assert_allclose(model.encode(text), numbers(theirs), atol=1e-6)
        np.testing.assert_array_equal(model.sentence_vector(text), model.encode(text))


HELD_OUT = ["__label__english the reine of the sea", "__label__français où est the king",
            "__label__日本語 __label__short 王 の reine", "__label__日本語 où dort",
            "__label__unheard where is the mer", "__label__short",
            "__label__short __label__english 🙂 where"]   # the original read one line more


@pytest.mark.parametrize("name", SUPERVISED)
def test_precision_and_recall_equal_the_originals(name):
    model, answer = golden(name)
    for k, (n, precision, recall) in answer["test"].items():
        got = model.test(HELD_OUT, int(k))
        assert (got.examples, got.unseen) == (n, 1)
        assert got.recall == float.fromhex(recall)
        if not (model.model.settings.loss == "hs" and k == "4"):  # hs omits labels
            assert got.precision == float.fromhex(precision)


def test_the_originals_model_is_saved_byte_for_byte(tmp_path):
    model, _ = golden("supervised-hs")
    model.save(tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (
        GOLDEN / "fasttext-supervised-hs.bin").read_bytes()


@pytest.mark.parametrize("loss", METHODS)
def test_the_original_reads_our_model_and_predicts_the_same(loss, tmp_path):
    fasttext = pytest.importorskip("fasttext")
    lines = reviews(0, 1500).lines
    model = train(lines, METHODS[loss], dim=8, epochs=5, lr=0.5, word_ngrams=2,
                  ngrams=NGrams(3, 4, 500)).classifier
    path = str(tmp_path / "model.bin")
    model.save(path)
    theirs = fasttext.load_model(path)
    for text in [*(line.split(" ", 1)[1] for line in lines[:50]), "never seen", ""]:
        np.testing.assert_allclose(theirs.get_sentence_vector(text), model.encode(text), atol=1e-6)
        rounded = as_the_original_rounds(model, text)
        pairs = theirs.f.predict(text + "\n", 8, 0.0, "strict")
        assert {label for _, label in pairs} <= set(rounded)
        for p, label in pairs:           # rounding may move a score into the next cell
            assert p == pytest.approx(rounded[label], abs=1e-6 if loss in ("softmax", "hs") else
                                      8e-3)


def test_we_read_a_model_of_the_installed_fasttext(tmp_path):
    fasttext = pytest.importorskip("fasttext")
    (tmp_path / "lines").write_text("\n".join(reviews(0, 1500).lines) + "\n")
    theirs = fasttext.train_supervised(str(tmp_path / "lines"), dim=8, epoch=25, lr=0.5,
                                       wordNgrams=2, bucket=2000, thread=12, verbose=0)
    theirs.save_model(str(tmp_path / "model.bin"))
    test = reviews(100, 1000).lines
    (tmp_path / "test").write_text("\n".join(test) + "\n")
    n, precision, recall = theirs.test(str(tmp_path / "test"))
    assert Classifier.load(tmp_path / "model.bin").test(test) == (n, precision, recall, 0)


# ---- probabilities ------------------------------------------------------------------------------

def test_the_probabilities_of_a_tree_worked_by_hand():
    """Counts 3, 1, 1: node 0 joins labels 2 and 1; node 1, the root, joins node 0 and label 0."""
    tree = label_tree(np.array([3, 1, 1]))
    paths = [slice(first, end) for first, end in zip(tree.offsets, tree.offsets[1:])]
    assert [tree.nodes[path].tolist() for path in paths] == [[1], [1, 0], [1, 0]]
    assert [tree.turns[path].tolist() for path in paths] == [[1], [-1, 1], [-1, -1]]
    S = np.log([[3.0, 4.0, 7]])                    # σ: 3/4 at node 0, 4/5 at the root
    np.testing.assert_allclose(leaf_probabilities(tree, S), [[4 / 5, 3 / 20, 1 / 20]])


def test_the_direction_of_a_turn_is_the_originals():
    """The rarer of two labels is joined first, so it is on the left; P(label 0) = σ(s)."""
    tree = label_tree(np.array([2, 1]))
    np.testing.assert_allclose(leaf_probabilities(tree, np.log([[3.0, 9]])), [[3 / 4, 1 / 4]])


@given(counts, seeds, st.floats(0, 30))
def test_the_probabilities_of_the_leaves_sum_to_1(counts, seed, scale):
    """A leaf is a product of at most L values of σ, each with a few roundings of its logarithm."""
    L = len(counts)
    S = np.random.default_rng(seed).normal(0, scale, (3, L))
    P = leaf_probabilities(label_tree(counts), S)
    logs = 40 + L * np.abs(S).max(initial=1)                     # a bound of |log P|
    assert P.shape == (3, L) and (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=8 * (L + 4) * logs * u64)


@pytest.mark.parametrize("loss", METHODS)
def test_only_softmax_and_hs_probabilities_sum_to_1(loss):
    P = train(reviews(0, 300).lines, METHODS[loss], dim=5, epochs=1).classifier.probabilities(
        ["the soup", "the soup was superb", ""])
    assert P.shape == (3, 8) and (P >= 0).all() and (P <= 1).all()
    assert np.allclose(P.sum(axis=1), 1, atol=1e-12) == (loss in ("softmax", "hs"))


# ---- predictions --------------------------------------------------------------------------------

def test_a_prediction_worked_by_hand():
    """"a" has scores 3, 0, 0; "b a" has h = (½, ½, 0) and scores 1.5, 1.5, 0, a tie."""
    model, e = hand_made(), math.exp
    z = e(3) + 2
    assert model.predict("a", k=3) == [
        ("__label__x", pytest.approx(e(3) / z)), ("__label__y", pytest.approx(1 / z)),
        ("__label__z", pytest.approx(1 / z))]
    z = 2 * e(1.5) + 1
    assert model.predict("b a", k=2) == [("__label__x", pytest.approx(e(1.5) / z)),
                                         ("__label__y", pytest.approx(e(1.5) / z))]
    np.testing.assert_array_equal(model.encode("b a a b c"), np.float32([2, 2, 1]) / np.float32(5))


@pytest.mark.parametrize("name", SUPERVISED)
def test_the_first_k_labels_equal_those_of_a_full_sort(name):
    model, answer = golden(name)
    for text in answer["sentences"]:
        P = model.probabilities(text)
        ranked = [(model.labels[i], float(P[i])) for i in np.argsort(-P, kind="stable")]
        for k in (1, 2, 3, 4):
            assert model.predict(text, k) == ranked[:k]
        assert model.predict(text, -1) == model.predict(text, 99) == ranked
        above = [pair for pair in ranked if pair[1] >= 0.2]
        assert model.predict(text, -1, threshold=0.2) == above


def test_a_text_without_known_words_has_no_prediction():
    model = hand_made()
    assert model.predict(["x y", "a", ""]) == [[], model.predict("a"), []]
    np.testing.assert_array_equal(model.encode("x y"), [0, 0, 0])
    assert model.test(["__label__x unknown", "__label__x a"]).precision == 1
    assert model.test(["__label__x unknown", "__label__x a"]).recall == 0.5


def test_one_text_gives_the_same_as_many_or_an_empty_list():
    model, answer = golden("supervised-ova")
    texts = list(answer["sentences"])
    for many, text in zip(model.predict(texts, k=2), texts, strict=True):
        labels, p = zip(*model.predict(text, k=2))
        assert many == [(label, pytest.approx(p, rel=1e-5)) for label, p in zip(labels, p)]
    assert model.predict(iter(texts)) == model.predict(texts) and model.predict([]) == []
    np.testing.assert_array_equal(model.encode(texts), [model.encode(text) for text in texts])
    assert model.encode([]).shape == (0, 5) and model.probabilities([]).shape == (0, 4)
    assert model.encode("the").dtype == np.float32


def test_all_lines_of_several_blocks_are_predicted():
    """The model has so many dimensions that a block has four lines."""
    D = 2**18
    table = np.zeros((10, D), np.float32)
    table[np.arange(10), np.arange(10)] = 1
    settings = Settings(dim=D, loss="softmax", model="supervised", buckets=0, min_n=0, max_n=0)
    words = [f"w{i}" for i in range(10)]
    model = Classifier(BinModel(settings, words, np.ones(10, int), [f"__label__{w}" for w in words],
                                np.ones(10, int), 20, table, table))
    assert [label for (label, _), in model.predict(words[:9])] == [
        f"__label__{word}" for word in words[:9]]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=9))
def test_a_row_that_occurs_twice_counts_twice_in_the_mean(bag):
    W = np.arange(18.0).reshape(9, 2) ** 2
    np.testing.assert_allclose(mean_rows(W, np.array(bag)),
                               np.bincount(bag, minlength=9) @ W / len(bag))


# ---- precision and recall -----------------------------------------------------------------------

def test_precision_and_recall_worked_by_hand():
    """Predictions a → x, b → y, c → z.  3 lines, 4 true labels; with k = 1, 2 of 3 are correct."""
    lines = ["__label__x a", "__label__x __label__y b", "__label__x c"]
    assert hand_made().test(lines) == (3, 2 / 3, 2 / 4, 0)
    # with k = 2 the predictions are x y, y x, z x: 1, 2 and 1 of 6 are correct
    assert hand_made().test(lines, k=2) == (3, 4 / 6, 4 / 4, 0)
    # no prediction reaches this threshold: precision is 0/0, recall 0/4
    quality = hand_made().test(lines, threshold=0.99)
    assert math.isnan(quality.precision) and quality.recall == 0


def test_labels_never_seen_are_counted_separately_as_in_the_original():
    lines = ["__label__new a", "__label__new __label__x a", "__label__y a"]
    assert hand_made().test(lines) == (2, 1 / 2, 1 / 2, 2)
    nothing = hand_made().test(lines[:1])
    assert nothing.examples == 0 and math.isnan(nothing.precision) and math.isnan(nothing.recall)


@given(st.lists(st.tuples(st.sets(st.sampled_from("xyzn"), min_size=1), st.sampled_from("abcd")),
                min_size=1, max_size=8), st.integers(1, 4))
def test_precision_and_recall_equal_those_of_sets(drawn, k):
    model = hand_made()
    lines = ["".join(f"__label__{label} " for label in sorted(labels)) + word
             for labels, word in drawn]
    got, correct, predicted, true = model.test(lines, k), 0, 0, 0
    for labels, word in drawn:
        if known := labels & set("xyz"):
            guessed = {label.removeprefix("__label__") for label, _ in model.predict(word, k)}
            correct += len(known & guessed)
            predicted += len(guessed)
            true += len(known)
    assert got.examples == sum(bool(labels & set("xyz")) for labels, _ in drawn)
    assert got.unseen == sum("n" in labels for labels, _ in drawn)
    for value, total in ((got.precision, predicted), (got.recall, true)):
        assert value == correct / total if total else math.isnan(value)


def test_a_file_gives_the_same_quality_as_its_lines():
    model, lines = hand_made(), ["__label__x a", "", "__label__y a"]
    assert model.test(io.BytesIO("\n".join(lines).encode())) == model.test(lines) == (
        2, 1 / 2, 1 / 2, 0)
    assert len(read_labelled(lines).tokens.offsets) == 3


# ---- errors -------------------------------------------------------------------------------------

def test_a_model_of_word_vectors_is_rejected():
    with pytest.raises(ValueError, match="expected a supervised model, got skipgram"):
        Classifier(read_bin(GOLDEN / "fasttext-skipgram.bin"))


@pytest.mark.parametrize("call, message", [
    (lambda model: model.predict("a", k=0), "k=0: expected a whole number, 1 to"),
    (lambda model: model.predict("a", k=-2), "k=-2: expected a whole number, 1 to"),
    (lambda model: model.predict(["a", "a\nb"]), "text 2: expected one line, got a line break"),
    (lambda model: model.test(["__label__x a", "a b"]), "line 2 has no label"),
    (lambda model: model.test([]), "found none: is the file empty"),
])
def test_invalid_arguments_are_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call(hand_made())
