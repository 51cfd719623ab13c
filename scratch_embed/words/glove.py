"""GloVe: word vectors whose dot products, plus biases, fit the logarithms of co-occurrence counts.

Paper     Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation",
          eq. 8 and 9; Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods", for AdaGrad
Equation  L = ½ f(X_ij) (w_i · u_j + b_i + c_j − log X_ij)²   for every cell X_ij > 0
          f(x) = min(1, (x/x_max)^alpha)
Shapes    W, U (V, D): the word vectors w and the context vectors u (w̃ in the paper); b, c (V,):
          their biases (b and b̃).  During training each table is (V, 2, D+1): [i, 0] has the vector
          and bias of word i, [i, 1] their AdaGrad accumulators G.
Cost      O(D) per cell and epoch, for a text of any length
Differs   from the paper: a factor ½, as in glove.c; and by default glove.c's AdaGrad (`c_adagrad`;
          see below).  From glove.c: float32, not float64; the chunks of shuffled cells are read in
          another order in every epoch; gradients are not clipped at ±100, and training stops if
          the loss is not finite.  glove.c skips the update for a cell whose loss is nan or inf, and
          goes on.  Its clipping hides that a run diverges: the vectors are finite, but useless.
Read next words/cooccurrence.py (X), words/ppmi.py (another factorisation), words/word2vec.py

Gradient.  With the error s = w·u + b + c − log x and e = f(x) s:
    L = ½ f s²,   ∂L/∂w = e u,   ∂L/∂u = e w,   ∂L/∂b = ∂L/∂c = e.

Why logarithms?  Let P_ik = X_ik / Σ_l X_il be the probability of word k near word i.  Whether k
belongs to ice (i) or to steam (j) shows in the ratio P_ik / P_jk, not in either count alone.  If
differences of word vectors are to express such ratios, (w_i − w_j) · u_k = log P_ik − log P_jk,
then w_i · u_k is log X_ik up to terms of i alone and of k alone: the biases, which take up the
frequencies of the two words.

Why the weight f?  A count of 1 is mostly noise, so a cell with a small count gets a small weight.
Without the cap at 1, frequent pairs such as "of the" would dominate the loss.

Why two tables?  With one (u = w) the fitted matrix would be W Wᵀ, which has no negative eigenvalue
and no negative entry on its diagonal.  Log counts minus biases have both: a word rarely occurs near
itself.  W Uᵀ can be any matrix of rank D.

Why W + U?  The paper's reason: if X is symmetric, both tables estimate the same vectors and differ
only in their random initialisation, and the mean of two estimates has less noise.  But the sum has
a cost: it cancels the directions in which w = −u.  W Uᵀ is then nearly symmetric too, and so for an
eigenvector q with a positive eigenvalue qᵀW ≈ qᵀU, with a negative one qᵀW ≈ −qᵀU.  W + U keeps the
directions of positive eigenvalues only.  Words that agree in a direction of a negative eigenvalue
co-occur less often than by chance (such as two names of one thing); only W alone keeps this
information.  On the toy texts W + U solves 13.5 ± 5.9 percentage points fewer analogies than W
alone (`scratch-embed why glove`).

AdaGrad gives each parameter its own learning rate, which falls as its squared gradients accumulate:
x −= lr · g/√G, with G the sum of g² over all earlier steps, plus an initial value.  (Duchi et al.
and PyTorch's Adagrad include the current g²; glove.c does not, so its G must begin above 0.)  A
parameter of a rare word has a small G, so it still takes large steps when those of frequent words
hardly move.  The two versions differ in lr and in the initial G:
    paper     lr as given; initial G = 1 (glove.c's; the paper gives none)
    glove.c   weights: H = Σ (lr · g)² from 1, and x −= lr · g/√H.  Because H = lr² G, this is
              x −= g/√G with initial G = 1/lr²: the learning rate is 1, and lr only shortens the
              steps until Σ g² exceeds 1/lr² (400 for lr = 0.05).
              Biases: learning rate 1, initial G = 1; lr is not used.
"""
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_function, require_number, require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.settings import saved_as
from scratch_embed.training.session import RunOptions, session
from scratch_embed.words.cooccurrence import Cells

HALF = np.float32(0.5)
FEW_WORDS = 100_000_000            # the most words of a text for which default_x_max is 10
CHUNK_WORK = 5_000_000             # cells times dimensions in one kernel call: 10 to 20 ms
INITIAL, CELL_ORDER, CHUNK_ORDER = 1, 2, 3           # numbers in the seeds of these draws


# ---- the equation ---------------------------------------------------------------------------

def weight(x: np.ndarray, x_max: float = 100, alpha: float = 0.75) -> np.ndarray:
    """f(x) = min(1, (x/x_max)^alpha), the weight of a cell with count x.  Eq. 9."""
    return np.minimum(1, np.asarray(x) / x_max) ** alpha


def loss_and_grad(w: np.ndarray, u: np.ndarray, b: float, c: float, log_x: float, f: float
                  ) -> tuple[float, np.ndarray, np.ndarray, float]:
    """The loss of one cell, and its gradients.  w, u: (D,); b, c: biases; log_x = log x; f = f(x)

    -> L, ∂L/∂w (D,), ∂L/∂u (D,), ∂L/∂b (= ∂L/∂c)
    """
    s = w @ u + b + c - log_x
    e = f * s
    return e * s / 2, e * u, e * w, e


def adagrad_step(x: np.ndarray, G: np.ndarray, g: np.ndarray, lr: float
                 ) -> tuple[np.ndarray, np.ndarray]:
    """One AdaGrad step.  -> x − lr · g/√G, G + g²

    x: parameters, G: accumulated g², g: gradients, all of the same shape
    """
    return x - lr * g / np.sqrt(G), G + g**2


class ShuffledCells(NamedTuple):
    """The N cells in the order of training, with log X and f(X)."""

    rows: np.ndarray               # (N,) int32
    cols: np.ndarray               # (N,) int32
    log_x: np.ndarray              # (N,) float32
    f: np.ndarray                  # (N,) float32


@kernel
def glove_chunk(cells, first, end, W, U, lr):
    """One AdaGrad step for each of the shuffled cells first..end−1.  -> Σ L

    W, U: (V, 2, D+1) float32, updated in place: [i, 0] is vector and bias of word i, [i, 1] their G
    """
    D = W.shape[2] - 1
    loss = np.float64(0)
    for n in range(first, end):
        w, Gw = W[cells.rows[n], 0], W[cells.rows[n], 1]
        u, Gu = U[cells.cols[n], 0], U[cells.cols[n], 1]
        s = w[D] + u[D] - cells.log_x[n]
        for d in range(D):
            s += w[d] * u[d]
        e = cells.f[n] * s                             # ∂L/∂s
        loss += HALF * e * s
        for d in range(D):
            dw, du = e * u[d], e * w[d]
            w[d] -= lr * dw / np.sqrt(Gw[d])
            u[d] -= lr * du / np.sqrt(Gu[d])
            Gw[d] += dw * dw
            Gu[d] += du * du
        w[D] -= lr * e / np.sqrt(Gw[D])              # the biases
        u[D] -= lr * e / np.sqrt(Gu[D])
        Gw[D] += e * e
        Gu[D] += e * e
    return loss


# ---- two versions of AdaGrad ------------------------------------------------------------------

class AdaGrad(NamedTuple):
    """AdaGrad's learning rate, and the initial G of weights and of biases."""

    lr: float
    weight_G: float
    bias_G: float


@saved_as("glove.c")
def c_adagrad(lr: float) -> AdaGrad:
    """glove.c's AdaGrad: lr only shortens the first steps of the weights."""
    return AdaGrad(1.0, 1 / lr**2, 1.0)


@saved_as("paper")
def paper_adagrad(lr: float) -> AdaGrad:
    """The paper's AdaGrad: lr multiplies every step."""
    return AdaGrad(lr, 1.0, 1.0)


# ---- training ---------------------------------------------------------------------------------

class Trained(NamedTuple):
    """The result of train()."""

    W: np.ndarray                  # (V, D) float32, the word vectors
    U: np.ndarray                  # (V, D) float32, the context vectors
    b: np.ndarray                  # (V,) float32, the biases of words
    c: np.ndarray                  # (V,) float32, the biases of contexts
    losses: list[float]            # mean loss per cell, for each epoch

    def __repr__(self) -> str:
        last = f"{self.losses[-1]:.4f}" if self.losses else "none"
        return f"Trained({len(self.W):,} x {self.W.shape[1]}, loss {last})"

    @property
    def vectors(self) -> np.ndarray:
        """W + U, (V, D), as in the paper and glove.c; the docstring says when W is better."""
        return self.W + self.U


def initial_tables(V: int, dim: int, adagrad: AdaGrad, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W and U, (V, 2, dim+1) float32: vectors and biases, then the initial G.

    Vectors and biases are uniform in ±½/dim, as in glove.c.
    """
    require_memory(16 * V * (dim + 1), f"two tables of {V} words x {dim} dimensions")
    rng = np.random.default_rng([seed, INITIAL])
    tables = np.empty((2, V, 2, dim + 1), np.float32)
    tables[:, :, 0] = (rng.random((2, V, dim + 1), np.float32) - HALF) / np.float32(dim)
    tables[:, :, 1, :dim] = adagrad.weight_G
    tables[:, :, 1, dim] = adagrad.bias_G
    return tables[0], tables[1]


@saved_as("shuffled")
def shuffled(cells: Cells, x_max: float, alpha: float, seed: int) -> ShuffledCells:
    """All cells in random order.

    Adjacent cells of X share a word, and consecutive updates would move its vector in much the same
    direction.  A cell (i, j) and its mirror image (j, i) would move W + U of both words twice in a
    row.  A random order almost always separates them.
    """
    require_memory(32 * len(cells.rows), f"{len(cells.rows):,} cells in random order")
    order = np.random.default_rng([seed, CELL_ORDER]).permutation(len(cells.rows))
    f = weight(cells.counts, x_max, alpha).astype(np.float32)
    return ShuffledCells(cells.rows[order], cells.cols[order],
                         np.log(cells.counts).astype(np.float32)[order], f[order])


@saved_as("mirrored")
def mirrored(cells: Cells, x_max: float, alpha: float, seed: int) -> ShuffledCells:
    """As `shuffled`, but each cell (i, j) of a symmetric X is followed by its mirror image (j, i).

    A simple implementation stores X like this.  why/glove.py measures the difference, which is not
    significant.
    """
    mixed = shuffled(cells, x_max, alpha, seed)
    low, high = np.minimum(mixed.rows, mixed.cols), np.maximum(mixed.rows, mixed.cols)
    _, first, pair = np.unique(np.int64(low) << 32 | high, return_index=True, return_inverse=True)
    order = np.argsort(first[pair], kind="stable")         # in the order of each pair's first cell
    return ShuffledCells(*(part[order] for part in mixed))


def cell_chunks(N: int, size: int, epoch: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) for chunks of `size` of the N cells, in an order drawn for each epoch."""
    rng = np.random.default_rng([seed, CHUNK_ORDER, epoch])
    for first in rng.permutation(np.arange(0, N, size)).tolist():
        yield first, min(first + size, N)


def train(cells: Cells, V: int, adagrad: Callable = c_adagrad, dim: int = 100, x_max: float = 100,
          alpha: float = 0.75, lr: float = 0.05, epochs: int = 25, order: Callable = shuffled,
          options: RunOptions = RunOptions()) -> Trained:
    """Train word vectors on the co-occurrence counts of V words.  -> Trained

    cells      from words/cooccurrence.py, rows and columns below V, counts above 0
    adagrad    c_adagrad or paper_adagrad
    x_max      the count from which a cell has the full weight 1: 100 in the paper, for billions of
               words; use 10 for a few million words
    alpha      the exponent of the weight below x_max; 0: all cells have the same weight
    lr         see AdaGrad above
    epochs     passes over all cells; 25 is glove.c's default, the paper uses 50 if dim < 300, else
               100
    order      the function that orders the cells for training: shuffled or mirrored
    options    workers, seed, checkpoint, progress.  Several workers update the same tables at once.
               With one, the same seed gives the same bits; with more, only the quality is the same.
    Raises     ValueError for invalid cells or settings, or settings that differ from the
               resumed checkpoint's; FileExistsError for a checkpoint that exists, without resume;
               MemoryError if the tables do not fit; TrainingDiverged if the loss or a weight is
               not finite
    """
    settings = dict(adagrad=require_function("adagrad", adagrad, "c_adagrad"), dim=dim,
                    x_max=x_max, alpha=alpha, lr=lr, epochs=epochs, seed=options.seed,
                    order=require_function("order", order, "shuffled"))
    check_settings(settings | {"V": V})
    check_cells(cells, V)
    optimizer, N, size = adagrad(lr), len(cells.rows), max(1, CHUNK_WORK // dim)
    settings |= dict(chunk_cells=size, data=cells)
    W, U = initial_tables(V, dim, optimizer, options.seed)
    in_order = order(cells, x_max, alpha, options.seed)

    def step(chunk):
        first, end = chunk
        loss = glove_chunk(in_order, first, end, W, U, np.float32(optimizer.lr))
        return loss, end - first, end - first

    with session({"W": W, "U": U}, settings, options, epochs * N, "cell") as run:
        for epoch in run.epochs(epochs):
            for result in run.chunks(step, cell_chunks(N, size, epoch, options.seed)):
                run.record(*result)
    return Trained(W[:, 0, :dim].copy(), U[:, 0, :dim].copy(), W[:, 0, dim].copy(),
                   U[:, 0, dim].copy(), run.losses)


def default_x_max(words: int) -> float:
    """x_max for a text of `words` words: 10, as in GloVe's demo; 100 above FEW_WORDS.

    On a million words of English, the rank correlation with WordSim-353, times 100, is 24 with 10
    and 11 with 100 (25 epochs, one seed).  The paper's texts have 1 billion words or more.
    """
    return 10.0 if words <= FEW_WORDS else 100.0


def check_settings(settings: dict) -> None:
    """Raise a ValueError that names the first setting that is out of range."""
    for name in ("V", "dim", "epochs"):
        require_whole(name, settings[name], 1)
    for name in ("lr", "x_max"):
        require_number(name, settings[name], 1e-9, 1e9)      # in float32, 1/lr² is finite
    require_number("alpha", settings["alpha"], 0, 1e9)


def check_cells(cells: Cells, V: int) -> None:
    """Raise ValueError unless there is a cell, and all word numbers and counts are valid.

    Word numbers must be in 0..V−1, and counts finite and above 0.
    """
    if not len(cells.rows) == len(cells.cols) == len(cells.counts) > 0:
        raise ValueError(f"cells: expected as many rows as columns and counts, at least one, got "
                         f"{len(cells.rows)}, {len(cells.cols)} and {len(cells.counts)}; has the "
                         "text any sentence of two or more words?")
    for name, numbers in (("row", cells.rows), ("column", cells.cols)):
        if not 0 <= numbers.min() <= numbers.max() < V:
            raise ValueError(f"cells: expected {name} numbers in 0..{V - 1}, got {numbers.min()}.."
                             f"{numbers.max()}; the counts come from another vocabulary")
    if not (cells.counts.min() > 0 and cells.counts.max() < np.inf):
        raise ValueError(f"cells: expected finite counts above 0, got {cells.counts.min()}.."
                         f"{cells.counts.max()}")
