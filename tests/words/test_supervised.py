"""Text classification: gradients, kernels against their equations, and accuracy after training."""
from collections import Counter
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus, rank_words
from scratch_embed.training.batches import chunks
from scratch_embed.training.session import RunOptions
from scratch_embed.words.bags import Features, fill_bag, max_bag_size
from scratch_embed.words.classifier import label_tree
from scratch_embed.words.fasttext import initial_tables
from scratch_embed.words.labelled import read_labelled
from scratch_embed.words.softmax import softmax_loss_and_grad
from scratch_embed.words.subwords import NGrams
from scratch_embed.words.supervised import (
    LOSS,
    bag_loss_and_grad,
    draw_label,
    hierarchical_softmax_chunk,
    make_label_plan,
    negative_sampling_chunk,
    one_vs_all_chunk,
    one_vs_all_loss_and_grad,
    softmax_chunk,
    train,
)
from scratch_embed.words.word2vec import draw_targets, loss_and_grad
from scratch_embed.worlds.labelled import reviews, upper_bound
from tests.processes import in_plain_python
from tests.rounding import seeds

METHODS = sorted(LOSS, key=LOSS.get)
NAMES = [LOSS[method] for method in METHODS]


# ---- the equation -------------------------------------------------------------------------------

def test_one_vs_all_worked_by_hand():
    """Two labels with σ = 1/2 and σ = 3/4; the line has the first label."""
    loss, dh, dU = one_vs_all_loss_and_grad(np.array([1.0]), np.log([[1.0], [3.0]]), [0])
    assert loss == pytest.approx(np.log(2) + np.log(4))
    np.testing.assert_allclose(dU, [[-1 / 2], [3 / 4]])
    assert dh[0] == pytest.approx(3 / 4 * np.log(3))


def test_the_gradients_of_a_line_worked_by_hand():
    """h = (1 + 3)/2 = 2.  With U = 0: p = ½, dU = ∓h/2, dW = 0.  With U = dU: dW = dh/2."""
    W, U = np.array([[1.0], [3.0]]), np.zeros((2, 1))
    loss, dW, dU = bag_loss_and_grad(W, np.array([0, 1]), lambda h: softmax_loss_and_grad(h, U, 0))
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(dU, [[-1], [1]])
    np.testing.assert_allclose(dW, 0)
    dW = bag_loss_and_grad(W, np.array([0, 1]), lambda h: softmax_loss_and_grad(h, dU, 0))[1]
    p = 1 / (1 + np.exp(4))                             # label 0 has score −2, label 1 has 2
    np.testing.assert_allclose(dW, [[((p - 1) * -1 + (1 - p) * 1) / 2]] * 2)


def losses_of_a_line(U, rng):
    """The losses of one random line as functions of (h, U); ns and hs share one function."""
    L = len(U)
    rows, y = rng.integers(0, L, 4), rng.choice([-1.0, 1.0], 4)

    def logistic(h, U):                          # rows: negatives or a path; may repeat
        loss, dh, dU = loss_and_grad(h, U, rows, y)
        full_dU = np.zeros_like(U)
        np.add.at(full_dU, rows, dU)
        return loss, dh, full_dU
    return [lambda h, U: softmax_loss_and_grad(h, U, 1),
            lambda h, U: one_vs_all_loss_and_grad(h, U, [0, 2]), logistic]


@given(seeds)
def test_the_gradient_of_each_loss_is_the_derivative_in_random_directions(seed):
    rng = np.random.default_rng(seed)
    W, U, bag = rng.standard_normal((9, 5)), rng.standard_normal((4, 5)), rng.integers(0, 9, 7)
    A, B, t = rng.standard_normal(W.shape), rng.standard_normal(U.shape), 1e-5
    for head in losses_of_a_line(U, rng):
        def loss(t, head=head):
            return bag_loss_and_grad(W + t * A, bag, lambda h: head(h, U + t * B))[0]
        _, dW, dU = bag_loss_and_grad(W, bag, lambda h, head=head: head(h, U))
        terms = np.concatenate([(dW * A[bag]).ravel(), (dU * B).ravel()])
        numeric = (loss(t) - loss(-t)) / (2 * t)
        assert abs(terms.sum() - numeric) <= 1e-6 * (np.abs(terms).sum() + 1)


# ---- the kernels --------------------------------------------------------------------------------

LINES = ["__label__a the red house", "__label__b a red red car __label__c", "__label__a",
         "__label__c unknown words here", "__label__b __label__a the car"] * 6


def example(method, seed=0, negatives=1):
    """Bags, plan, W (35, 6) and U (3, 6) of LINES, with word bigrams and character n-grams.

    By default one negative per step, because the kernel and replay() differ if one is drawn twice.
    """
    lines = read_labelled(LINES)
    words = ["the", "red", "</s>", "car", "a"]
    bags = Features(words, 2, 2, 3, 30).bags(lines.words, lines.tokens)
    order = np.argsort(-lines.label_counts, kind="stable")
    targets = Corpus(np.argsort(order)[lines.targets.ids].astype(np.int32), lines.targets.offsets)
    plan = make_label_plan(targets, lines.label_counts[order], LOSS[method], negatives)
    rng = np.random.default_rng(seed)
    return (bags, plan, rng.standard_normal((35, 6)).astype(np.float32),
            rng.standard_normal((3, 6)).astype(np.float32))


def replay(method, bags, lines, plan, W, U, lr, state):
    """The same steps in float64 NumPy, with the random draws of the kernel.  -> Σ L, W, U"""
    W, U, total = W.astype(float), U.astype(float), 0.0
    M = plan.max_targets
    for line in lines:
        bag = np.empty(max_bag_size(bags, np.array([line])), np.int64)
        bag = bag[:fill_bag(bags, line, bag)]
        labels = plan.targets.ids[plan.targets.offsets[line]:plan.targets.offsets[line + 1]]
        if method is one_vs_all_chunk:
            head = partial(one_vs_all_loss_and_grad, U=U, labels=labels)
            rows = np.arange(len(U))
        else:
            label, state = draw_label(plan, line, np.uint64(state))
            head, rows = partial(softmax_loss_and_grad, U=U, label=label), np.arange(len(U))
            if method is not softmax_chunk:
                rows, y = np.empty(M, np.int64), np.empty(M, np.float32)
                n, state = draw_targets(plan, label, rows, y, np.uint64(state))
                rows = rows[:n]
                head = partial(loss_and_grad, U=U, rows=rows, y=y[:n].astype(float))
        loss, dW, dU = bag_loss_and_grad(W, bag, head)
        np.add.at(W, bag, -lr * dW)
        np.add.at(U, rows, -lr * dU)
        total += loss
    return total, W, U


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_the_kernel_takes_the_sgd_steps_of_its_equation(method):
    """30 float32 steps on numbers of size 1; the tolerance 1e-5 is 170 roundings."""
    bags, plan, W, U = example(method)
    lines, lr, state = np.arange(len(LINES))[::-1], 0.1, stream(4)
    want = replay(method, bags, lines, plan, W, U, np.float32(lr), state)
    loss, n = method(bags, lines, plan, W, U, np.float32(lr), state)
    assert n == len(LINES) and loss == pytest.approx(want[0], rel=1e-5)
    np.testing.assert_allclose(W, want[1], atol=1e-5)
    np.testing.assert_allclose(U, want[2], atol=1e-5)
    assert not np.allclose(U, example(method)[3], atol=0.1)       # the steps are not 0


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_a_learning_rate_of_0_changes_nothing(method):
    bags, plan, W, U = example(method)
    before = W.copy(), U.copy()
    method(bags, np.arange(len(LINES)), plan, W, U, np.float32(0), stream(1))
    np.testing.assert_array_equal(W, before[0])
    np.testing.assert_array_equal(U, before[1])


def test_the_labels_of_a_line_are_drawn_uniformly():
    plan = make_label_plan(Corpus(np.array([2, 0, 1, 1], np.int32), np.array([0, 3, 4])),
                           np.array([3, 2, 1]), "softmax", 5)
    drawn, state = Counter(), stream(7)
    for _ in range(3000):
        label, state = draw_label(plan, 0, np.uint64(state))
        drawn[int(label)] += 1
    assert all(abs(drawn[label] - 1000) < 6 * np.sqrt(3000 * 2 / 9) for label in range(3))
    assert draw_label(plan, 1, np.uint64(state)) == (1, state)              # one label: no draw


def test_negatives_are_drawn_by_the_square_root_of_the_counts():
    """Counts 16, 4, 1 give 4/7, 2/7, 1/7; each column of the alias table has probability 1/3."""
    noise = make_label_plan(None, np.array([16, 4, 1]), "ns", 5).noise
    mass = np.zeros(3)
    for label in range(3):
        mass[label] += noise.accept[label] / 3
        mass[noise.alias[label]] += (1 - noise.accept[label]) / 3
    np.testing.assert_allclose(mass, [4 / 7, 2 / 7, 1 / 7], atol=1e-6)


# ---- training -----------------------------------------------------------------------------------

@cache
def cached_reviews(seed, lines, **settings):
    return reviews(seed, lines, **settings)


SETTINGS = dict(dim=10, epochs=25, lr=0.5, ngrams=NGrams(0, 0, 2000))


def has_crossed_node(model):
    """Whether a node of the label tree separates the verdicts of two topics in opposite ways.

    Its decision is then an XOR of topic and verdict, which no linear classifier can learn.
    """
    tree, sides = label_tree(model.model.label_counts), {}
    for label, name in enumerate(model.labels):
        topic, verdict = name.removeprefix("__label__").split("-")
        for at in range(tree.offsets[label], tree.offsets[label + 1]):
            sides.setdefault((tree.nodes[at], topic), {})[verdict] = tree.turns[at]
    split = {(node, topic): turns["praise"] for (node, topic), turns in sides.items()
             if len(set(turns.values())) == 2}
    return any(len({turn for (at, _), turn in split.items() if at == node}) == 2
               for node, _ in split)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_each_loss_reaches_the_upper_bound_only_with_word_n_grams(method):
    """Six seeds, 2,000 test lines (σ = 0.005).  Upper bounds: 0.95 with order, 0.714 without."""
    crossed_trees = 0
    for seed in range(6):
        lines, test = cached_reviews(seed, 1500).lines, cached_reviews(100 + seed, 2000).lines
        options = RunOptions(seed=seed)
        bigrams = train(lines, method, word_ngrams=2, options=options, **SETTINGS).classifier
        words = train(lines, method, options=options, **SETTINGS).classifier
        majority = max(Counter(line.split()[0] for line in test).values()) / 2000
        with_order, without_order = bigrams.test(test).precision, words.test(test).precision
        assert majority < 0.3 and without_order < upper_bound(sees_order=False) + 0.05
        if method is hierarchical_softmax_chunk and has_crossed_node(bigrams):
            assert without_order + 0.05 < with_order < upper_bound() - 0.08
            crossed_trees += 1
        else:
            assert upper_bound() - 0.05 < with_order < upper_bound() + 0.03
            assert upper_bound(sees_order=False) - 0.06 < without_order
    assert crossed_trees == (method is hierarchical_softmax_chunk)         # one of the six seeds


def naive_bayes(lines, texts):
    """The baseline: naive Bayes on words, with 1 added to every count.  -> a label for each text"""
    examples = [(label, words) for label, *words in map(str.split, lines)]
    labels = sorted({label for label, _ in examples})
    index = {word: i for i, word in enumerate({word for _, words in examples for word in words})}
    counts, prior = np.ones((len(labels), len(index))), np.zeros(len(labels))
    for label, words in examples:
        prior[labels.index(label)] += 1
        np.add.at(counts[labels.index(label)], [index[word] for word in words], 1)
    log = np.log(counts / counts.sum(axis=1, keepdims=True))
    return [labels[(np.log(prior) + log[:, [index[w] for w in text.split()[1:] if w in index]
                                        ].sum(axis=1)).argmax()] for text in texts]


def test_words_reach_naive_bayes_and_word_bigrams_exceed_it():
    lines, test = cached_reviews(0, 1500).lines, cached_reviews(100, 2000).lines
    bayes = np.mean([guess == line.split()[0] for guess, line in zip(naive_bayes(lines, test),
                                                                     test)])
    words = train(lines, **SETTINGS).classifier.test(test).precision
    bigrams = train(lines, word_ngrams=2, **SETTINGS).classifier.test(test).precision
    assert abs(words - bayes) < 0.06 and bigrams > bayes + 0.15


def test_shuffling_helps_if_lines_are_sorted_by_label():
    lines, test = sorted(cached_reviews(0, 1500).lines), cached_reviews(100, 2000).lines
    settings = {**SETTINGS, "epochs": 5, "word_ngrams": 2}
    sorted_in_order = train(lines, shuffle=False, **settings).classifier.test(test).precision
    assert train(lines, **settings).classifier.test(test).precision > sorted_in_order + 0.1


def test_character_n_grams_help_with_unseen_words():
    """The stems of the test words are in the training lines, their ending is not."""
    stems = {"sun": "warm", "heat": "warm", "snow": "cold", "frost": "cold"}
    lines = [f"__label__{kind} {stem}{end}" for stem, kind in stems.items() for end in
             ("", "s", "y", "ing")] * 5
    test = [f"__label__{kind} {stem}less" for stem, kind in stems.items()]
    for (min_n, max_n), precision in ((3, 4), 1), ((0, 0), 0.5):
        trained = train(lines, dim=10, epochs=20, lr=0.5, ngrams=NGrams(min_n, max_n, 1000))
        assert trained.classifier.test(test).precision == precision


def test_one_vs_all_finds_both_labels_of_a_line():
    lines, test = (cached_reviews(seed, n, two_labels=True).lines
                   for seed, n in ((1, 1500), (101, 2000)))
    model = train(lines, one_vs_all_chunk, word_ngrams=2, **SETTINGS).classifier
    quality = model.test(test, k=2)
    assert quality.precision == quality.recall > 0.93
    above = model.test(test, k=-1, threshold=0.5)                # any number of labels per line
    assert above.precision > 0.9 and above.recall > 0.9


def test_a_single_label_is_certain():
    for method in METHODS:
        model = train(["__label__x a", "__label__x b"], method, dim=3).classifier
        (label, p), = model.predict("a")
        assert label == "__label__x"
        if LOSS[method] in ("softmax", "hs"):
            assert p == 1


def test_negative_sampling_ranks_labels_by_their_odds_over_the_noise_distribution():
    """All lines have the same text, so s_l = log P(l) / (K Pneg(l) (1 − P(l))): not ranked by P."""
    counts, K = np.array([600, 300, 100]), 2
    lines = [f"__label__{label} x" for label, n in zip("abc", counts) for _ in range(n)]
    P, noise = counts / counts.sum(), np.sqrt(counts) / np.sqrt(counts).sum()
    want = np.log(P / (K * noise * (1 - P)))
    model = train(lines, negative_sampling_chunk, dim=5, epochs=200, lr=0.3, negatives=K
                  ).classifier
    p = model.probabilities("x")
    np.testing.assert_allclose(np.log(p / (1 - p)), want, atol=0.15)


def test_the_settings_and_the_losses_of_a_trained_model():
    lines = cached_reviews(0, 1500).lines
    model, losses = train(lines, hierarchical_softmax_chunk, dim=4, epochs=3, min_count=2,
                          word_ngrams=3, ngrams=NGrams(0, 0, 50), negatives=2)
    s = model.model.settings
    assert (s.model, s.loss, s.dim, s.epochs, s.min_count, s.word_ngrams, s.buckets, s.negatives,
            s.min_n, s.max_n) == ("supervised", "hs", 4, 3, 2, 3, 50, 2, 0, 0)
    assert model.model.n_tokens == sum(len(line.split()) + 1 for line in lines)
    assert len(losses) == 3 and losses[0] > losses[-1]
    assert model.model.counts.min() >= 2 and model.model.words[:2] == ["the", "</s>"]
    assert train(lines, dim=4, epochs=1).classifier.model.settings.buckets == 0


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_one_worker_and_the_same_seed_give_the_same_bits(method):
    lines = cached_reviews(0, 1500, two_labels=True).lines
    one, same, other = (train(lines, method, dim=5, epochs=2, options=RunOptions(seed=seed)
                              ).classifier.model for seed in (1, 1, 2))
    assert one.input.tobytes() == same.input.tobytes() != other.input.tobytes()
    assert one.output.tobytes() == same.output.tobytes() != other.output.tobytes()


def test_two_workers_reach_the_upper_bound_too():
    test = cached_reviews(100, 2000).lines
    for seed in range(3):
        trained = train(cached_reviews(seed, 1500).lines, word_ngrams=2,
                        options=RunOptions(2, seed), **SETTINGS)
        assert trained.classifier.test(test).precision > upper_bound() - 0.05


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_training_is_the_kernel_on_chunk_after_chunk_to_the_bit(method):
    """With word_ngrams = 40,000 a chunk has 100 words.

    The random state of a chunk is stream(seed, epoch, number); the learning rate falls with the
    words read.
    """
    lines, K = read_labelled(cached_reviews(0, 150, two_labels=True).lines), 3
    trained = train(lines, method, dim=5, lr=0.5, epochs=2, word_ngrams=40_000, negatives=K,
                    ngrams=NGrams(0, 0, 50), options=RunOptions(seed=3))
    model, words, losses = trained.classifier.model, len(lines.tokens.ids), []
    bags = Features(model.words, 40_000, 0, 0, 50).bags(lines.words, lines.tokens)
    number = rank_words(lines.labels, lines.label_counts, 1, None)[1]
    targets = Corpus(number[lines.targets.ids], lines.targets.offsets)
    plan = make_label_plan(targets, model.label_counts, LOSS[method], K)
    W, U = initial_tables(len(model.words), 50, len(model.labels), 5, seed=3)
    for epoch in range(2):
        total = 0.0
        for chunk in chunks(lines.tokens.offsets, epoch, 3, 100):
            lr = 0.5 * (1 - (epoch * words + chunk.before) / (2 * words))
            total += method(bags, chunk.sentences, plan, W, U, np.float32(lr),
                            stream(3, epoch, chunk.number))[0]
        losses.append(total / 150)
    assert trained.losses == losses and chunk.number > 10
    np.testing.assert_array_equal(model.input, W)
    np.testing.assert_array_equal(model.output, U)


def small_training():
    lines = ["__label__a the red house", "__label__b __label__c a car", "__label__b the car"] * 5
    found = [train(lines, method, dim=4, epochs=2, word_ngrams=2, ngrams=NGrams(2, 3, 20)
                   ).classifier for method in LOSS]
    return np.array([[model.encode("a red"), model.model.output[1]] for model in found])


def test_training_without_jit_gives_the_same_vectors_up_to_rounding():
    np.testing.assert_allclose(in_plain_python(small_training), small_training(), atol=1e-5)


# ---- errors -------------------------------------------------------------------------------------

def test_tables_larger_than_the_memory_are_rejected_with_their_size():
    ngrams = NGrams(0, 0, 2_000_000_000)
    with pytest.raises(MemoryError, match=r"2 words \+ 2000000000 buckets and 1 .* x 1000000 "):
        train(["__label__x a"], dim=1_000_000, word_ngrams=2, ngrams=ngrams)


@pytest.mark.parametrize("wrong, message", [
    (dict(dim=0), "dim=0"), (dict(epochs=0), "epochs=0"), (dict(lr=-1.0), "lr=-1"),
    (dict(word_ngrams=0), "word_ngrams=0"), (dict(min_count=0), "min_count"),
    (dict(word_ngrams=2, ngrams=NGrams(0, 0, 0)), "expected buckets of at least 1"),
    (dict(ngrams=NGrams(4, 3)), "min_n=4: expected at most max_n=3"),
    (dict(min_count=9), "min_count=9"),
    (dict(method=negative_sampling_chunk, negatives=0), "negatives=0"),
    (dict(ngrams=NGrams(0, 3, 0)), "buckets=0: expected at least 1, for n-grams of 0 to 3"),
    (dict(method=len), "expected one of softmax_chunk"),
    (dict(source=["__label__x a", "a"]), "line 2 has no label"),
])
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        train(**{"source": ["__label__x a b", "__label__y b"], **wrong})
