"""Analogies by vector arithmetic: king − man + woman ≈ queen (3CosAdd and 3CosMul).

Paper     Mikolov, Yih & Zweig 2013, "Linguistic Regularities in Continuous Space Word
          Representations" (3CosAdd); Levy & Goldberg 2014, "Linguistic Regularities in Sparse
          and Explicit Word Representations", eq. 4 (3CosMul).
Equation  a : b = c : ?     3CosAdd   argmax_x  cos(x, b − a + c)
                            3CosMul   argmax_x  cos'(x, b) cos'(x, c) / (cos'(x, a) + ε)
          with cos' = (1 + cos)/2 in [0, 1] and ε = 0.001, over all x except a, b and c
Shapes    vectors (V, D), rows of norm 1; ids are row numbers; questions (Q, 3) ids [a, b, c]
Cost      3CosAdd one matrix product, Q·V·D; 3CosMul three of them.  The scores are computed in
          blocks (neighbours.py), which bounds the memory.  BLAS does it, so there is no kernel.
Differs   as gensim does, the functions take lists of positive and negative ids: 3CosAdd compares
          with the normalised sum, 3CosMul multiplies over each list.  gensim's ε is 1e-6 and is
          added once, to the product over the negatives; here it is added to each factor, which is
          the same for one negative.
Read next evaluate/words.py (19,544 questions), space/geometry.py

Why is a relation a difference?  word2vec and GloVe fit v_w · u_c ≈ log P(c | w), plus terms of w
alone and of c alone.  So (v_king − v_man) · u_c ≈ log P(c | king)/P(c | man), up to a constant.  If
queen and woman have the same ratio for every context word c, then v_queen − v_woman has the same
products with all u_c, and is nearly the same vector.  (worlds/words.py draws texts in which the
ratios are exactly equal.)

Why are a, b and c excluded?  In most tables the row nearest to b − a + c is b or c itself, because
the offset b − a is short.  So a large part of an analogy score shows only that the correct answer
is a neighbour of b or c.

Why multiply?  Up to the norm of b − a + c, 3CosAdd's score is cos(x, b) − cos(x, a) + cos(x, c),
and one large term can decide a sum.  The logarithm of a product is a sum of logarithms, which
stretch differences between small similarities and compress differences between large ones.
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space import similarity
from scratch_embed.space.neighbours import nearest, top_k_in_blocks

EPSILON = 0.001


def three_cos_add(vectors: np.ndarray, positive: Sequence[int] | np.ndarray,
                  negative: Sequence[int] | np.ndarray = (), k: int = 10
                  ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows with the highest cosine with Σ positive − Σ negative, except these ids themselves.

    vectors: (V, D), rows of norm 1; positive, negative: lists of ids -> ids (k,), cosines (k,).
    Raises ValueError for an id that is not in the table, or if both lists are empty.

    >>> king, queen, man, woman = range(4)
    >>> rows = l2_normalize([[2, 2], [2, -2], [1, 9], [1, -9]])[0]
    >>> ids, cosines = three_cos_add(rows, positive=[king, woman], negative=[man], k=1)
    >>> ids.tolist()                                         # queen
    [1]
    """
    positive, negative = _one_question(vectors, positive, negative)
    ids, scores = _add(vectors, positive, negative, k)
    return ids[0], scores[0]


def three_cos_mul(vectors: np.ndarray, positive: Sequence[int] | np.ndarray,
                  negative: Sequence[int] | np.ndarray = (), k: int = 10, epsilon: float = EPSILON
                  ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows with the largest Π cos'(x, positive) / Π (cos'(x, negative) + ε).

    Shapes and errors as in three_cos_add.

    >>> king, queen, man, woman = range(4)
    >>> rows = l2_normalize([[2, 2], [2, -2], [1, 9], [1, -9]])[0]
    >>> ids, scores = three_cos_mul(rows, positive=[king, woman], negative=[man], k=1)
    >>> ids.tolist()
    [1]
    """
    positive, negative = _one_question(vectors, positive, negative)
    ids, scores = _multiply(vectors, positive, negative, k, epsilon)
    return ids[0], scores[0]


def solve_analogies(vectors: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """Solve Q analogies a : b = c : ? by 3CosAdd.

    vectors: (V, D), rows of norm 1; questions: (Q, 3) ids [a, b, c] -> (Q,) ids.

    >>> king, queen, man, woman = range(4)
    >>> rows = l2_normalize([[2, 2], [2, -2], [1, 9], [1, -9]])[0]
    >>> solve_analogies(rows, [[man, king, woman], [king, man, queen]]).tolist()
    [1, 3]
    """
    questions = _questions(vectors, questions)
    ids, _ = _add(vectors, questions[:, 1:], questions[:, :1], 1)
    return ids[:, 0]


def solve_analogies_mul(vectors: np.ndarray, questions: np.ndarray, epsilon: float = EPSILON
                        ) -> np.ndarray:
    """Solve Q analogies a : b = c : ? by 3CosMul.

    vectors: (V, D), rows of norm 1; questions: (Q, 3) ids [a, b, c] -> (Q,) ids.

    >>> king, queen, man, woman = range(4)
    >>> rows = l2_normalize([[2, 2], [2, -2], [1, 9], [1, -9]])[0]
    >>> solve_analogies_mul(rows, [[man, king, woman], [king, man, queen]]).tolist()
    [1, 3]
    """
    questions = _questions(vectors, questions)
    ids, _ = _multiply(vectors, questions[:, 1:], questions[:, :1], 1, epsilon)
    return ids[:, 0]


def odd_one_out(vectors: np.ndarray, ids: Sequence[int] | np.ndarray) -> int:
    """The id whose row has the lowest cosine with the mean of all rows in ids; on a tie, the first.

    vectors: (V, D), ids: a list -> one id.  Raises ValueError for an empty list.

    >>> odd_one_out(l2_normalize([[0, 1], [1, 9], [1, 0]])[0], [0, 1, 2])
    2
    """
    vectors = np.asarray(vectors)
    ids = _ids(vectors, ids)
    if len(ids) == 0:
        raise ValueError("ids: expected at least one, got none")
    rows = vectors[ids]
    return int(ids[similarity.cosine(rows, rows.mean(axis=0, dtype=np.float64)).argmin()])


# ---- Q analogies at once: positive (Q, P), negative (Q, N) ------------------

def _add(vectors, positive, negative, k):
    vectors = np.asarray(vectors)
    total = vectors[positive].sum(axis=1, dtype=np.float64)
    total -= vectors[negative].sum(axis=1, dtype=np.float64)
    target = l2_normalize(total)[0].astype(vectors.dtype)
    return nearest(target, vectors, k, exclude=np.concatenate([positive, negative], axis=1))


def _multiply(vectors, positive, negative, k, epsilon):
    vectors = np.asarray(vectors)

    def shifted(ids, columns):                               # cos' = (1 + cos)/2, in [0, 1]
        cos = similarity.dot_matrix(vectors[ids], vectors[columns])
        return (1 + np.clip(cos, -1, 1)) / 2

    def score(rows, columns):
        product = 1.0
        for ids in positive[rows].T:
            product = product * shifted(ids, columns)
        for ids in negative[rows].T:
            product = product / (shifted(ids, columns) + epsilon)
        return product

    V, D = vectors.shape
    return top_k_in_blocks(score, len(positive), V, D, k,
                          exclude=np.concatenate([positive, negative], axis=1))


def _ids(vectors, ids):
    """ids as an array; ValueError unless they are integers in 0..V − 1."""
    ids = np.asarray(ids)
    if ids.size == 0:
        return ids.astype(np.int64)
    if ids.dtype.kind not in "iu":
        raise ValueError(f"ids: expected integers, got {ids.dtype}")
    if ids.min() < 0 or ids.max() >= len(vectors):
        raise ValueError(f"ids: expected rows of the table, 0..{len(vectors) - 1}, "
                         f"got {ids.min()}..{ids.max()}")
    return ids


def _one_question(vectors, positive, negative):
    positive, negative = _ids(vectors, positive), _ids(vectors, negative)
    if positive.ndim != 1 or negative.ndim != 1 or len(positive) + len(negative) == 0:
        raise ValueError(f"positive, negative: expected two lists with at least one id, "
                         f"got shapes {positive.shape} and {negative.shape}")
    return positive[None], negative[None]


def _questions(vectors, questions):
    questions = np.asarray(questions)
    if questions.ndim != 2 or questions.shape[1] != 3:
        raise ValueError(f"questions: expected (Q, 3) ids [a, b, c], got {questions.shape}")
    if len(vectors) < 4:
        raise ValueError(f"vectors: expected 4 rows or more, got {len(vectors)}; a, b and c are "
                         f"excluded, so no row would be left")
    return _ids(vectors, questions)
