"""Hierarchical softmax: find a word by turning left or right, a few times, down a binary tree.

Paper     Mikolov et al. 2013a, section 2.2; 2013b, eq. 3; Morin & Bengio 2005 for the idea;
          Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes", for the tree.
Equation  P(o | v) = Π_n σ(y_n u_n · v)   over the inner nodes n on the path to o;
          y_n = +1 where the path turns left, −1 where it turns right;   L = −log P(o | v)
Shapes    V words are the leaves; the V − 1 inner nodes have output vectors, rows of U (V, D),
          whose last row is not used
Cost      O(D · code length) a pair; a frequent word's code is short, on average under
          entropy + 1 bits.  Against O(D·V) for a full softmax.  The tree is made once, in
          plain Python; the step along a path is word2vec's kernel.
Differs   word2vec.c and gensim skip a node where |u·v| > 6; here the gradient is full.
Read next words/word2vec.py: `draw_targets` lists them, `sgns_step` takes the step.

At every node the two turns have probabilities σ(s) and σ(−s) = 1 − σ(s), so the leaves' sum to 1
whatever the vectors are: a softmax without a normaliser.  Each turn is a yes/no question, the same
logistic regression as negative sampling's, and has the same gradient.

Huffman: join the two rarest into one node that is as frequent as both together, until one is left.
Words come sorted by count, and new nodes grow ever more frequent, so the two rarest are always at
the ends of two queues, the leaves' and the nodes'.
"""
from typing import NamedTuple

import numpy as np


class Tree(NamedTuple):
    """The path from the root to word w is nodes[offsets[w]:offsets[w+1]], its turns (±1) beside."""

    offsets: np.ndarray                # (V+1,) int64
    nodes: np.ndarray              # int32, numbers of inner nodes, 0..V−2; the root is V − 2
    turns: np.ndarray              # float32


NO_TREE = Tree(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def huffman_tree(counts: np.ndarray) -> Tree:
    """The tree of least mean path length.  counts: (V,), not increasing -> Tree."""
    counts = np.asarray(counts, np.int64)
    V = len(counts)
    if (np.diff(counts) > 0).any():
        raise ValueError("counts: the most frequent word comes first in a vocabulary")
    if V < 2:
        raise ValueError("a tree needs two words or more: choose a smaller min_count, or negative "
                         "sampling")
    parent, turn = _join(counts.tolist())
    offsets, nodes, turns = [0], [], []
    for word in range(V):
        path, at = [], word
        while at in parent:                            # up to the root
            path.append((parent[at] - V, turn[at]))
            at = parent[at]
        for node, which in reversed(path):
            nodes.append(node)
            turns.append(which)
        offsets.append(len(nodes))
    return Tree(np.array(offsets), np.array(nodes, np.int32), np.array(turns, np.float32))


def _join(counts):
    """{child: parent} and {child: turn}; leaves are 0..V−1, inner nodes V.. in order of making."""
    V, parent, turn = len(counts), {}, {}
    weight = list(counts)                              # of leaves, then of nodes as they are made
    leaf, node = V - 1, V                              # the rarest that has no parent yet
    for new in range(V, 2 * V - 1):
        weight.append(0)
        for which in (1, -1):
            if leaf >= 0 and (node >= new or weight[leaf] < weight[node]):
                child, leaf = leaf, leaf - 1
            else:
                child, node = node, node + 1
            parent[child], turn[child] = new, which
            weight[new] += weight[child]
    return parent, turn
