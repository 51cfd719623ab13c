"""Huffman trees: optimal code lengths, prefix codes, and hierarchical softmax on them."""
import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.functions import sigmoid
from scratch_embed.words.huffman import huffman_tree
from scratch_embed.words.word2vec import loss_and_grad
from tests.rounding import seeds

counts = st.lists(st.integers(1, 10**6), min_size=2, max_size=60).map(
    lambda c: sorted(c, reverse=True))


def path(tree, word):
    """-> nodes and turns of a word's path"""
    part = slice(tree.offsets[word], tree.offsets[word + 1])
    return tree.nodes[part].tolist(), tree.turns[part].tolist()


def total_length_with_a_heap(counts):
    """Σ count · code length = Σ of the weights of all nodes, with a priority queue."""
    heap, total = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        total += joined
        heapq.heappush(heap, joined)
    return total


def test_four_words_worked_by_hand():
    """Counts 4, 2, 1, 1: node 0 is 1 + 1, node 1 is node 0 + 2, node 2 (the root) is node 1 + 4."""
    tree = huffman_tree([4, 2, 1, 1])
    assert [len(path(tree, word)[0]) for word in range(4)] == [1, 2, 3, 3]
    assert path(tree, 0)[0] == [2] and path(tree, 1)[0] == [2, 1] and path(tree, 2)[0] == [2, 1, 0]
    assert path(tree, 2)[1][:2] == path(tree, 3)[1][:2]
    assert path(tree, 2)[1][2] == -path(tree, 3)[1][2]


@given(counts)
def test_the_mean_code_length_is_optimal(counts):
    lengths = np.diff(huffman_tree(counts).offsets)
    assert int(lengths @ np.array(counts)) == total_length_with_a_heap(counts)
    p = np.array(counts) / sum(counts)
    entropy = -(p * np.log2(p)).sum()
    assert entropy - 1e-9 <= lengths @ p < entropy + 1


@given(counts)
def test_the_codes_are_a_complete_prefix_code(counts):
    tree = huffman_tree(counts)
    lengths = np.diff(tree.offsets)
    assert (0.5 ** lengths).sum() == 1                   # Kraft's inequality is an equality
    assert len({tuple(zip(*path(tree, word))) for word in range(len(counts))}) == len(counts)
    assert sorted(set(tree.nodes.tolist())) == list(range(len(counts) - 1))
    roots = {path(tree, word)[0][0] for word in range(len(counts))}
    assert roots == {len(counts) - 2}


@given(counts, seeds)
def test_the_probabilities_of_all_words_sum_to_one_for_any_vectors(counts, seed):
    rng = np.random.default_rng(seed)
    v, U = rng.standard_normal(5), rng.standard_normal((len(counts) - 1, 5))
    tree = huffman_tree(counts)
    total = sum(np.prod(sigmoid(np.array(turns) * (U[nodes] @ v)))
                for nodes, turns in (path(tree, word) for word in range(len(counts))))
    assert total == pytest.approx(1, abs=1e-12)


def test_the_loss_is_minus_the_logarithm_of_the_words_probability():
    rng = np.random.default_rng(0)
    v, U, tree = rng.standard_normal(3), rng.standard_normal((4, 3)), huffman_tree([5, 4, 3, 2, 1])
    nodes, turns = path(tree, 3)
    loss, _, _ = loss_and_grad(v, U, np.array(nodes), np.array(turns))
    assert loss == pytest.approx(-np.log(np.prod(sigmoid(np.array(turns) * (U[nodes] @ v)))))


def test_the_mean_code_length_equals_gensims():
    word2vec = pytest.importorskip("gensim.models").Word2Vec
    counts = [50, 31, 17, 9, 8, 5, 3, 2]        # ties may be joined in any order, so
    words = [str(i) for i in range(len(counts))]        # only the mean length is compared
    model = word2vec([[w] for w, n in zip(words, counts) for _ in range(n)], min_count=1, hs=1,
                     negative=0, vector_size=2, sample=0)
    theirs = np.array([len(model.wv.get_vecattr(w, "code")) for w in words])
    assert np.diff(huffman_tree(counts).offsets) @ counts == theirs @ counts


def test_a_single_word_and_counts_that_are_not_sorted_are_rejected():
    with pytest.raises(ValueError, match="at least 2 words, got 1"):
        huffman_tree([7])
    with pytest.raises(ValueError, match="most frequent word first"):
        huffman_tree([1, 2])
