"""PPMI and SVD: word vectors from pair counts by a matrix factorisation, without training.

PPMI is positive pointwise mutual information; SVD, the singular value decomposition.

Paper     Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", eq. 7
          and 11; Levy, Goldberg & Dagan 2015, "Improving Distributional Similarity with Lessons
          Learned from Word Embeddings", section 3 (the power, the shift, Σ^p)
Equation  PPMI(w,c) = max(0, log P(w,c) / (P(w) Pneg(c)) − log shift),   Pneg(c) ∝ P(c)^power
          PPMI ≈ W Uᵀ,   W = L_D Σ_D^p,   U = R_D Σ_D^(1−p),   from its SVD  L Σ Rᵀ,
          of which only the D largest singular values are kept
Shapes    counts, joint, PPMI (V, V): rows are words w, columns contexts c; W, U (V, D)
Cost      a dense matrix of 8 V² bytes and its SVD, O(V³), by LAPACK: for toy vocabularies
Differs   from the papers: the matrix is dense, not sparse.  From word2vec.c: the size of the window
          is not drawn but averaged, so a pair at distance d counts (window − d + 1)/window.
Read next words/cooccurrence.py, which counts; words/word2vec.py, which has the same optimum;
          worlds/grammar.py, the exact P(w,c)

Why does word2vec factorise this matrix?  Take an output word m and an input word n, its neighbour.
Per training pair, (m, n) is observed with probability a = P(m,n), and m is drawn as a negative of n
b = K·P(n)·Pneg(m) times on average.  The expected loss of the score s = u_m · v_n is
    −a log σ(s) − b log σ(−s),   whose derivative   −a σ(−s) + b σ(s)   is 0 at   s = log(a/b):
the logarithm in the equation above, with K as the shift, if D is large enough for any score.
Negative sampling never forms this matrix; `shifted_pmi` computes it.

word2vec.py, like word2vec.c, skips a negative that equals m and does not draw another.  So m is a
negative only of the pairs (m', n) with m' ≠ m, and b = K Pneg(m) (P(n) − P(m,n)): `sgns_optimum`.
The two optima differ by −log(1 − P(m|n)): almost 0 in a large vocabulary, but not in a toy one.
"""
import numpy as np

from scratch_embed.text.vocab import Corpus
from scratch_embed.words.cooccurrence import count_cells, dense_counts, linear, require_dense
from scratch_embed.words.negative_sampling import noise_distribution


def window_counts(corpus: Corpus, V: int, window: int) -> np.ndarray:
    """The expected count of word c (column) in the random windows of w (row).  -> (V, V) float64

    corpus: a Corpus of numbers below V.  A pair d words apart in a sentence, d ≤ window, counts
    (window − d + 1)/window, the probability that a window drawn from 1..window contains it.
    Raises ValueError for word numbers not below V, or a matrix of more than DENSE_BUDGET bytes.
    """
    require_dense(V)
    return dense_counts(count_cells(corpus, V, window, weights=linear), V)


# ---- the matrix -----------------------------------------------------------------------------

def shifted_pmi(joint: np.ndarray, noise: np.ndarray, K: float = 1) -> np.ndarray:
    """log P(w,c) / (P(w) Pneg(c)) − log K; −∞ for pairs that do not occur.  -> (V, V) float64

    joint: (V, V) probabilities or counts of pairs; P(w) is a row sum.  noise: (V,) Pneg(c)
    """
    P = _probabilities(joint)
    return _log_ratio(P, K * P.sum(1, keepdims=True) * noise)


def sgns_optimum(joint: np.ndarray, noise: np.ndarray, K: float) -> np.ndarray:
    """The optimum of W Uᵀ in word2vec.py, which skips negatives equal to the output word.

    log P(n,m) / (K Pneg(m) (P(n) − P(n,m))); arguments as for shifted_pmi.  Rows are the neighbours
    n, with vectors v; columns are the output words m, with vectors u.  +∞ where n has no neighbour
    except m: then m is never a negative of n.  -> (V, V) float64
    """
    P = _probabilities(joint)
    return _log_ratio(P, K * (P.sum(1, keepdims=True) - P) * noise)


def ppmi(counts: np.ndarray, power: float = 0.75, shift: float = 1) -> np.ndarray:
    """max(0, log P(w,c) / (P(w) Pneg(c)) − log shift), 0 for pairs that do not occur.

    counts: (V, V) of pairs; shift: word2vec's K.  -> (V, V) float64
    power < 1 lowers the PMI of rare contexts, which is often large by chance.
    """
    if not shift > 0:
        raise ValueError(f"shift={shift}: expected a positive number; 1 means no shift")
    noise = noise_distribution(np.asarray(counts, np.float64).sum(0), power)
    return np.maximum(shifted_pmi(counts, noise, shift), 0)


def _probabilities(joint):
    """joint / its sum.  ValueError unless the entries are finite and ≥ 0, and not all 0."""
    joint = np.asarray(joint, np.float64)
    total = joint.sum()
    if joint.ndim != 2 or not (joint >= 0).all() or not 0 < total < np.inf:
        raise ValueError("expected a matrix of finite counts or probabilities ≥ 0, not all 0")
    return joint / total


def _log_ratio(a, b):
    """log(a/b); −∞ where a = 0, for any b."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(a > 0, np.log(a / b), -np.inf)


# ---- vectors --------------------------------------------------------------------------------

def svd_vectors(matrix: np.ndarray, dim: int, eigenvalue_power: float = 0.5
                ) -> tuple[np.ndarray, np.ndarray]:
    """W, U, both (V, dim) float64: W Uᵀ is the best approximation of `matrix` of rank dim.

    eigenvalue_power: p, the exponent of the singular values in W; in U it is 1 − p.  p = ½ treats
    both alike, as word2vec does; with 1 the distances between rows of W are those
    between rows of the approximation; with 0 all axes have equal weight.
    """
    matrix = np.asarray(matrix, np.float64)
    if not 1 <= dim <= min(matrix.shape):
        raise ValueError(f"dim={dim}: expected 1 to {min(matrix.shape)}, for a matrix of shape "
                         f"{matrix.shape}")
    left, sigma, right = np.linalg.svd(matrix, full_matrices=False)
    left, sigma, right = left[:, :dim], sigma[:dim], right[:dim].T
    return left * sigma**eigenvalue_power, right * sigma**(1 - eigenvalue_power)
