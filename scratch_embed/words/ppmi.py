"""PPMI and SVD: word vectors without learning, by counting pairs of neighbours and factorising.

Paper     Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", eq. 7
          and 11; Levy, Goldberg & Dagan 2015, "Improving Distributional Similarity with Lessons
          Learned from Word Embeddings", section 3 (the power, the shift, Σ^p).
Equation  PPMI(w,c) = max(0, log P(w,c) / (P(w) Pⁿ(c)) − log shift),   Pⁿ(c) ∝ P(c)^power
          PPMI ≈ W Uᵀ,   W = L_D Σ_D^p,   U = R_D Σ_D^(1−p),   from its SVD  L Σ Rᵀ
Shapes    counts, joint, PPMI (V, V): rows are words w, columns contexts c; W, U (V, D)
Cost      a dense matrix of 8 V² bytes, its SVD O(V³), which LAPACK owns: toy vocabularies.
Differs   from the papers: dense, not sparse.  From word2vec.c's window: its random reach is not
          drawn but averaged, so a pair at distance d counts (window − d + 1)/window.
Read next words/cooccurrence.py, which counts; words/word2vec.py, which has the same optimum;
          worlds/grammar.py, the exact P(w,c).

Why word2vec belongs here.  Skip-gram asks of a neighbour n whether m is its middle word: yes as
often as the pair is seen, P(m,n); no as often as m is drawn for a pair of n, K·P(n)·Pⁿ(m).  The
expected loss of the score s = u_m · v_n is, with these as a and b,
    −a log σ(s) − b log σ(−s),   and its derivative   −a σ(−s) + b σ(s)   is 0 at   s = log(a/b):
the logarithm in the equation above, with K for the shift, if D lets every score be free.  Negative
sampling factorises this matrix without ever writing it down; `shifted_pmi` writes it down.

The code, like word2vec.c, skips a noise word that equals m and draws no other.  So m is noise only
for the pairs (m', n) with m' ≠ m, and b = K Pⁿ(m) (P(n) − P(m,n)): `sgns_optimum`.  The two differ
by −log(1 − P(m|n)): nothing in a large vocabulary, a lot in a toy one.
"""
import numpy as np

from scratch_embed.text.vocab import Corpus
from scratch_embed.words.cooccurrence import count_cells, dense_counts, linear, require_dense
from scratch_embed.words.negative_sampling import noise_distribution


def window_counts(corpus: Corpus, V: int, window: int) -> np.ndarray:
    """How often c is expected to stand in the random window of w.  -> (V, V) float64, symmetric.

    corpus: a Corpus of numbers below V.  A pair d words apart in a sentence, d ≤ window, counts
    (window − d + 1)/window, the chance that a reach drawn from 1..window includes it.
    Raises ValueError for numbers that are not below V, or a matrix of more than DENSE_BUDGET bytes.
    """
    require_dense(V)
    return dense_counts(count_cells(corpus, V, window, weights=linear), V)


# ---- the matrix -----------------------------------------------------------------------------

def shifted_pmi(joint: np.ndarray, noise: np.ndarray, K: float = 1) -> np.ndarray:
    """log P(w,c) / (P(w) Pⁿ(c)) − log K; −∞ for what never occurs.  -> (V, V) float64.

    joint: (V, V) chances or counts of pairs, P(w) its row sums; noise: (V,) Pⁿ of the columns.
    """
    P = _chances(joint)
    return _log_ratio(P, K * P.sum(1, keepdims=True) * noise)


def sgns_optimum(joint: np.ndarray, noise: np.ndarray, K: float) -> np.ndarray:
    """What W Uᵀ tends to in word2vec.py, noise equal to the answer being skipped.  -> (V, V).

    log P(n,m) / (K Pⁿ(m) (P(n) − P(n,m))); arguments as for shifted_pmi: rows are the neighbours
    n, which have the v, columns the middle words m, which have the u.  +∞ where n has no other
    neighbour than m: then the answer is never no.
    """
    P = _chances(joint)
    return _log_ratio(P, K * (P.sum(1, keepdims=True) - P) * noise)


def ppmi(counts: np.ndarray, power: float = 0.75, shift: float = 1) -> np.ndarray:
    """max(0, log P(w,c) / (P(w) Pⁿ(c)) − log shift), 0 for what never occurs.  -> (V, V) float64.

    counts: (V, V) of pairs; Pⁿ(c) ∝ P(c)^power makes contexts that are rare look less telling;
    shift: word2vec's K.
    """
    if not shift > 0:
        raise ValueError(f"shift={shift}: expected a positive number, 1 for none")
    noise = noise_distribution(np.asarray(counts, np.float64).sum(0), power)
    return np.maximum(shifted_pmi(counts, noise, shift), 0)


def _chances(joint):
    """joint / Σ, checked."""
    joint = np.asarray(joint, np.float64)
    total = joint.sum()
    if joint.ndim != 2 or not (joint >= 0).all() or not 0 < total < np.inf:
        raise ValueError("expected a matrix of counts or chances, finite, none below 0, not all 0")
    return joint / total


def _log_ratio(a, b):
    """log(a/b); −∞ where a is 0, whatever b is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(a > 0, np.log(a / b), -np.inf)


# ---- vectors --------------------------------------------------------------------------------

def svd_vectors(matrix: np.ndarray, dim: int, eigenvalue_power: float = 0.5
                ) -> tuple[np.ndarray, np.ndarray]:
    """(W, U), both (V, dim) float64: W Uᵀ is the matrix of rank dim that is nearest to `matrix`.

    eigenvalue_power: p, the share of the singular values that W has; U has 1 − p.  One half treats
    both alike, as word2vec does; 1 keeps the distances between the rows; 0 weighs all axes alike.
    """
    matrix = np.asarray(matrix, np.float64)
    if not 1 <= dim <= min(matrix.shape):
        raise ValueError(f"dim={dim}: a matrix of shape {matrix.shape} has 1 to "
                         f"{min(matrix.shape)} axes")
    left, sigma, right = np.linalg.svd(matrix, full_matrices=False)
    left, sigma, right = left[:, :dim], sigma[:dim], right[:dim].T
    return left * sigma**eigenvalue_power, right * sigma**(1 - eigenvalue_power)
