"""Verdicts on word vectors: right on runs that learned, and on runs that did not.

A sentence has words of one of eight topics only, so its words predict each other.  Shuffled, the
text has the same frequencies and nothing to learn.
"""
import numpy as np
import pytest

from scratch_embed.text.vocab import index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.words import cbow, fasttext, glove, supervised, verdict, word2vec
from scratch_embed.words.cooccurrence import count_cells
from scratch_embed.words.huffman import huffman_tree
from scratch_embed.words.labelled import read_labelled
from scratch_embed.words.shared_negatives import shared_chunk
from scratch_embed.words.subwords import NGrams
from scratch_embed.worlds.labelled import reviews

WORDS = [f"{letter}{n}" for letter in "abcdefgh" for n in range(25)]
FREQUENCY = 1 / np.arange(1, 26) / (1 / np.arange(1, 26)).sum()
NGRAMS = NGrams(2, 3, 500)


def sentences(seed, n=600, shuffled=False, mixed=0.0):
    """n sentences of 10 words of one of 8 topics, with Zipf's frequencies in each topic.

    mixed: the share of words that are of any topic
    """
    rng = np.random.default_rng(seed)
    topics = np.repeat(rng.integers(0, 8, n)[:, None], 10, axis=1)
    other = rng.random((n, 10)) < mixed
    topics[other] = rng.integers(0, 8, other.sum())
    numbers = 25 * topics + rng.choice(25, (n, 10), p=FREQUENCY)
    if shuffled:
        rng.shuffle(flat := numbers.ravel())
        numbers = flat.reshape(n, 10)
    return [[WORDS[n] for n in sentence] for sentence in numbers]


# ---- the baseline -------------------------------------------------------------------------------

def loss_without_input(scores, p, noise, K):
    """The expected SGNS loss of a pair if the score depends on the target only."""
    return (p * np.log1p(np.exp(-scores)) + K * noise * (1 - p) * np.log1p(np.exp(scores))).sum()


def test_frequency_scores_have_the_least_loss_of_all_scores_without_an_input():
    rng = np.random.default_rng(0)
    p, noise = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    best = verdict.frequency_scores(p, noise, 5, None).astype(float)
    least = loss_without_input(best, p, noise, 5)
    for _ in range(100):
        assert loss_without_input(best + 0.1 * rng.standard_normal(6), p, noise, 5) > least


def test_frequency_scores_of_a_tree_give_each_word_its_frequency():
    """Π σ(y s) on the path to a word is P(word)."""
    counts = np.array([8, 5, 2, 1])
    tree = huffman_tree(counts)
    scores = verdict.frequency_scores(counts / 16, counts / 16, 0, tree)
    for word, count in enumerate(counts):
        path = slice(*tree.offsets[word:word + 2])
        probability = 1 / (1 + np.exp(-tree.turns[path] * scores[tree.nodes[path]]))
        assert probability.prod() == pytest.approx(count / 16, rel=1e-5)


def test_biases_that_fit_exactly_leave_no_loss_and_others_have_a_larger_one():
    rng = np.random.default_rng(0)
    b, c = rng.normal(size=30), rng.normal(size=30)
    rows, cols = np.divmod(np.arange(900), 30)
    cells = count_cells(index_sentences([["a", "a"]], 1)[1], 1)._replace(
        rows=rows.astype(np.int32), cols=cols.astype(np.int32), counts=np.exp(b[rows] + c[cols]))
    fit_b, fit_c = verdict.best_biases(cells, 30, 1, 0.75, rounds=30)
    np.testing.assert_allclose(fit_b[rows] + fit_c[cols], b[rows] + c[cols], atol=1e-9)


# ---- word2vec and FastText ----------------------------------------------------------------------

METHODS = {
    "skip-gram": (word2vec.train, dict(method=word2vec.skipgram_chunk)),
    "hierarchical": (word2vec.train, dict(method=word2vec.skipgram_chunk, negatives=0)),
    "shared": (word2vec.train, dict(method=shared_chunk)),
    "CBOW": (word2vec.train, dict(method=cbow.cbow_chunk)),
    "FastText": (fasttext.train, dict(method=fasttext.skipgram_chunk, ngrams=NGRAMS)),
    "FastText CBOW": (fasttext.train, dict(method=fasttext.cbow_chunk, ngrams=NGRAMS))}


def verdict_of_run(name, text, seed=1, measured=None, **settings):
    """The Verdict on a run of METHODS[name]; measured: other sentences to measure on."""
    train, chosen = METHODS[name]
    vocab, corpus = index_sentences(text, 1)
    method = dict(chosen, sample=0, epochs=20) | settings
    trained = train(corpus, vocab, dim=10, lr=0.1, options=RunOptions(seed=seed),
                    **{name: value for name, value in method.items() if name != "read"})
    del method["lr" if "lr" in method else "epochs"]
    if measured is not None:
        corpus = verdict.number_sentences(measured, vocab)
    if train is fasttext.train:
        method["details"] = fasttext.DETAILS
    return verdict.of_pairs(trained, corpus, vocab, seed=seed, **method)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_learned_is_better_than_frequencies_on_other_text_too(name, seed):
    for measured in None, sentences(seed + 100, 200):
        found = verdict_of_run(name, sentences(seed), seed, measured)
        assert found.learned and not found.little
        assert found.baseline - found.trained > 10 * found.error


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_a_run_of_shuffled_words_is_no_better_on_other_text(name, seed):
    found = verdict_of_run(name, sentences(seed, shuffled=True), seed, sentences(seed + 100, 200))
    assert not found.learned and found.trained > found.baseline


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_is_too_short_is_no_better_and_the_untrained_loss_is_that_of_zeros(name, seed):
    found = verdict_of_run(name, sentences(seed, 20), seed, epochs=1)
    assert not found.learned and found.trained <= found.untrained * 1.001
    if name != "hierarchical":
        assert found.baseline < found.trained
        assert 5 * np.log(2) < found.untrained < 6 * np.log(2)       # 6 targets or fewer


def test_measuring_changes_nothing_and_gives_the_same_figures_again():
    vocab, corpus = index_sentences(sentences(1), 1)
    trained = word2vec.train(corpus, vocab, dim=10)
    before = trained.W.tobytes(), trained.U.tobytes()
    one, two = (verdict.of_pairs(trained, corpus, vocab, word2vec.skipgram_chunk)
                for _ in range(2))
    assert one == two and (trained.W.tobytes(), trained.U.tobytes()) == before


def test_held_out_sentences_are_numbered_by_the_vocabulary_of_the_training_text():
    vocab, _ = index_sentences([["a", "b"], ["a"]], 1)
    corpus = verdict.number_sentences([["b", "x", "a"], ["y"]], vocab)
    assert corpus.ids.tolist() == [1, 0] and corpus.offsets.tolist() == [0, 2, 2]
    with pytest.raises(ValueError, match="two or more words of the vocabulary, found none"):
        verdict.number_sentences([["a", "x"], ["b"]], vocab)


# ---- GloVe --------------------------------------------------------------------------------------

def verdict_of_glove(text, seed=1, measured=None, epochs=25):
    vocab, corpus = index_sentences(text, 1)
    cells = count_cells(corpus, len(vocab), 5)
    trained = glove.train(cells, len(vocab), dim=10, x_max=10, epochs=epochs,
                          options=RunOptions(seed=seed))
    if measured is None:
        return verdict.of_cells(trained, cells, 10)
    other = count_cells(verdict.number_sentences(measured, vocab), len(vocab), 5)
    return verdict.of_cells(trained, other, 10, fit=cells)


@pytest.mark.parametrize("seed", range(3))
def test_glove_is_better_than_biases_on_other_text_only_if_there_was_something_to_learn(seed):
    """On its own counts it is better in any case: it has learned the noise by heart.

    Pairs within a topic and pairs across topics must both occur, or the biases explain all counts.
    """
    other = sentences(seed + 100, 2000, mixed=0.3)
    assert verdict_of_glove(sentences(seed, 2000, mixed=0.3), seed, other).learned
    noise = sentences(seed, 2000, shuffled=True)
    assert not verdict_of_glove(noise, seed, other).learned
    assert verdict_of_glove(noise, seed).learned


@pytest.mark.parametrize("seed", range(3))
def test_glove_after_one_epoch_is_no_better_than_biases(seed):
    assert not verdict_of_glove(sentences(seed, 200), seed, epochs=1).learned


# ---- the classifier -----------------------------------------------------------------------------

def verdict_of_classifier(method, lines, measured, seed, **settings):
    trained = supervised.train(lines, method, dim=10, options=RunOptions(seed=seed), **settings)
    return verdict.of_classifier(trained.classifier, read_labelled(measured), seed=seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", supervised.LOSS)
def test_a_classifier_is_better_than_the_frequencies_of_labels_if_it_learned(method, seed):
    world = reviews(seed, 600)
    train, other = world.lines[:400], world.lines[400:]
    assert verdict_of_classifier(method, train, other, seed, lr=0.5, epochs=20).learned
    short = verdict_of_classifier(method, train[:40], other, seed, lr=0.01, epochs=1)
    assert not short.learned
    rng = np.random.default_rng(seed)
    labels = rng.permutation([line.split()[0] for line in train])
    random = [" ".join([label, *line.split()[1:]]) for label, line in zip(labels, train)]
    noise = verdict_of_classifier(method, random, other, seed, lr=0.5, epochs=20)
    assert not noise.learned


def test_a_classifier_of_several_labels_has_the_frequencies_of_each():
    """One-vs-all: a label of half of the lines costs log 2 a line, whatever the other labels."""
    lines = [f"__label__a {'__label__b ' * (n % 2)}x" for n in range(40)]
    found = verdict_of_classifier(supervised.one_vs_all_chunk, lines, lines, 1)
    assert found.baseline == pytest.approx(np.log(2), abs=1e-3)
    assert found.untrained == pytest.approx(2 * np.log(2))
