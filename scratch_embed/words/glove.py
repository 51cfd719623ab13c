"""GloVe: word vectors whose dot products are the logarithms of co-occurrence counts.

Paper     Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation",
          eq. 8 and 9; Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods", for AdaGrad
Equation  L = ½ f(X_ij) (w_i · u_j + b_i + c_j − log X_ij)²   for every cell X_ij > 0
          f(x) = min(1, (x/x_max)^alpha)
Shapes    W, U (V, D): the word vectors w and the context vectors u (w̃ in the paper); b, c (V,):
          their biases (b and b̃).  In training each word has (2, D+1) numbers: vector and bias,
          then AdaGrad's G of each.
Cost      O(D) per cell and epoch, however long the text is
Differs   from the paper: a factor ½, as in glove.c; and by default glove.c's AdaGrad (`c_adagrad`;
          see below).  From glove.c: float32, not float64; the chunks of shuffled cells are read in
          another order in every epoch; gradients are not clipped at ±100, and training stops when
          the loss is not finite.  glove.c skips such a cell and continues.  Its clip is far above
          any gradient of a training that converges; if one diverges, the clip hides it: the
          vectors are finite, but useless.
Read next words/cooccurrence.py (X), words/ppmi.py (another factorisation), words/word2vec.py

Gradient.  With the error s = w·u + b + c − log x and e = f(x) s:
    L = ½ f s²,   ∂L/∂w = e u,   ∂L/∂u = e w,   ∂L/∂b = ∂L/∂c = e.

Why logarithms?  What distinguishes ice from steam is not how often a word k occurs near ice, but
how much more often it does than near steam: X_ik / X_jk.  For this ratio to be a function of the
difference of two vectors, (w_i − w_j) · u_k = log X_ik − log X_jk: the exponential turns sums into
products.  What depends on one word only, such as its frequency, is left to the biases.
Why the weight f?  A count of 1 is mostly chance, so rare cells count less.  Without the maximum 1,
pairs such as "of the" would dominate the loss.

Why two tables?  With one table (u = w) the fitted matrix W Wᵀ could have no negative eigenvalue,
and no number below 0 on its diagonal, although a word rarely occurs near itself.  Log counts minus
biases have negative eigenvalues as well; W Uᵀ can have any.
Why W + U?  W + U cancels the axes where w = −u.  The paper adds the tables: if X is symmetric both
are estimates of the same, which differ only in their random start, and the mean of two estimates
has less noise.  That is only half true.  W Uᵀ is then nearly symmetric too, and along each of its
eigenvectors w and u are equal if the eigenvalue is positive, but opposite if it is negative.  So
W + U keeps the first kind and cancels the second.  Words that agree on an axis of the second kind
occur together less often than by chance (alternatives, such as two names of one thing); W has both
kinds.  On the toy texts W + U solves 13.5 ± 5.9 points of analogies less than W alone
(`scratch-embed why glove`).

AdaGrad gives each parameter its own learning rate, which falls as its gradients add up: with the
gradient g and G, the sum of all earlier g²,  x −= lr · g/√G.  (Duchi et al. include the current g²;
glove.c does not, and so needs a G > 0 to begin with.)  Parameters of rare words still take long
steps when those of frequent words have settled.  The two forms differ in lr and the initial G:
    paper     lr as given, G from 1 (the paper does not say; 1 is glove.c's value)
    glove.c   multiplies g by lr before squaring it, for weights: h = lr g, H from 1, x −= h/√H.
              With H = lr² G that is x −= g/√G, G from 1/lr²: the learning rate is 1, and lr only
              shortens the first steps, until G exceeds 1/lr² (400 for lr 0.05).  Its biases do not
              use lr at all: learning rate 1, G from 1.
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
CHUNK_WORK = 5_000_000             # cells times dimensions of one call: 10 to 20 ms
FIRST, SHUFFLE, ORDER = 1, 2, 3    # random streams: weights, cells, chunks


# ---- the equation ---------------------------------------------------------------------------

def weight(x: np.ndarray, x_max: float = 100, alpha: float = 0.75) -> np.ndarray:
    """f(x) = min(1, (x/x_max)^alpha), the weight of a cell with count x.  Eq. 9."""
    return np.minimum(1, np.asarray(x) / x_max) ** alpha


def loss_and_grad(w: np.ndarray, u: np.ndarray, b: float, c: float, log_x: float, f: float
                  ) -> tuple[float, np.ndarray, np.ndarray, float]:
    """The loss of one cell, and its gradients.  w, u: (D,); b, c: biases; f = f(x)

    -> L, ∂L/∂w (D,), ∂L/∂u (D,), and ∂L/∂b, which equals ∂L/∂c
    """
    s = w @ u + b + c - log_x
    e = f * s
    return e * s / 2, e * u, e * w, e


def adagrad_step(x: np.ndarray, G: np.ndarray, g: np.ndarray, lr: float
                 ) -> tuple[np.ndarray, np.ndarray]:
    """One step: x − lr · g/√G, G + g².  Parameters x, sums G, gradients g: all of one shape."""
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


# ---- the two AdaGrads -------------------------------------------------------------------------

class AdaGrad(NamedTuple):
    """The settings of x −= lr · g/√G: the learning rate, and the initial G of both kinds."""

    lr: float
    weight_G: float
    bias_G: float


@saved_as("glove.c")
def c_adagrad(lr: float) -> AdaGrad:
    """glove.c's AdaGrad: lr only affects the first steps of the weights."""
    return AdaGrad(1.0, 1 / lr**2, 1.0)


@saved_as("paper")
def paper_adagrad(lr: float) -> AdaGrad:
    """The paper's AdaGrad: lr multiplies every step."""
    return AdaGrad(lr, 1.0, 1.0)


# ---- training ---------------------------------------------------------------------------------

class Trained(NamedTuple):
    """The result of a training."""

    W: np.ndarray                  # (V, D) float32, the word vectors
    U: np.ndarray                  # (V, D) float32, the context vectors
    b: np.ndarray                  # (V,) float32, the biases of words
    c: np.ndarray                  # (V,) float32, the biases of contexts
    losses: list[float]            # the mean L of a cell in each epoch

    def __repr__(self) -> str:
        last = f"{self.losses[-1]:.4f}" if self.losses else "none"
        return f"Trained({len(self.W):,} x {self.W.shape[1]}, loss {last})"

    @property
    def vectors(self) -> np.ndarray:
        """W + U, (V, D), which the paper uses and glove.c writes.  The docstring above says why."""
        return self.W + self.U


def initial_tables(V: int, dim: int, start: AdaGrad, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W and U, (V, 2, dim+1) float32: vectors and biases ~ U(−½, ½)/dim, as in glove.c, and G."""
    require_memory(16 * V * (dim + 1), f"two tables of {V} words x {dim} dimensions")
    rng = np.random.default_rng([seed, FIRST])
    tables = np.empty((2, V, 2, dim + 1), np.float32)
    tables[:, :, 0] = (rng.random((2, V, dim + 1), np.float32) - HALF) / np.float32(dim)
    tables[:, :, 1, :dim] = start.weight_G
    tables[:, :, 1, dim] = start.bias_G
    return tables[0], tables[1]


@saved_as("shuffled")
def shuffled(cells: Cells, x_max: float, alpha: float, seed: int) -> ShuffledCells:
    """All cells in random order.

    Adjacent cells of X share a word: one after the other they would move it in the same direction.
    Even a cell and its mirror image must not be adjacent.
    """
    require_memory(32 * len(cells.rows), f"{len(cells.rows):,} cells in random order")
    order = np.random.default_rng([seed, SHUFFLE]).permutation(len(cells.rows))
    f = weight(cells.counts, x_max, alpha).astype(np.float32)
    return ShuffledCells(cells.rows[order], cells.cols[order],
                         np.log(cells.counts).astype(np.float32)[order], f[order])


@saved_as("mirrored")
def mirrored(cells: Cells, x_max: float, alpha: float, seed: int) -> ShuffledCells:
    """As `shuffled`, but each cell (i, j) of a symmetric X is followed by its mirror image (j, i).

    A simple implementation would store X in this way; why/glove.py measures what it costs.
    """
    mixed = shuffled(cells, x_max, alpha, seed)
    low, high = np.minimum(mixed.rows, mixed.cols), np.maximum(mixed.rows, mixed.cols)
    _, first, pair = np.unique(np.int64(low) << 32 | high, return_index=True, return_inverse=True)
    order = np.argsort(first[pair], kind="stable")         # by the first cell of each pair
    return ShuffledCells(*(part[order] for part in mixed))


def cell_chunks(N: int, size: int, epoch: int, seed: int) -> Iterator[tuple[int, int]]:
    """(first, end) of each chunk of N cells, in random order, which differs between epochs."""
    rng = np.random.default_rng([seed, ORDER, epoch])
    for first in rng.permutation(np.arange(0, N, size)).tolist():
        yield first, min(first + size, N)


def train(cells: Cells, V: int, adagrad: Callable = c_adagrad, dim: int = 100, x_max: float = 100,
          alpha: float = 0.75, lr: float = 0.05, epochs: int = 25, order: Callable = shuffled,
          options: RunOptions = RunOptions()) -> Trained:
    """Train word vectors on the co-occurrence counts of V words.  -> Trained

    cells      from words/cooccurrence.py, rows and columns below V, counts above 0
    adagrad    c_adagrad or paper_adagrad
    x_max      the count from which a cell has the full weight 1: 100 in the paper, for billions of
               words; 10 for some millions
    alpha      the exponent of the weight below x_max; 0: all cells have the same weight
    lr         see AdaGrad above
    epochs     passes over all cells; the paper uses 50 for fewer than 300 dimensions, else 100
    order      shuffled, or another function that puts cells in the order of training
    options    workers, seed, checkpoint, progress.  Several workers update the same tables at once.
               With one, the same seed gives the same bits; with more, only the quality is the same.
    Raises     ValueError for cells or settings that are not valid or differ from those of the
               resumed checkpoint; TrainingDiverged when the loss or the weights are not finite
    """
    settings = dict(adagrad=require_function("adagrad", adagrad, "c_adagrad"), dim=dim,
                    x_max=x_max, alpha=alpha, lr=lr, epochs=epochs, seed=options.seed,
                    order=require_function("order", order, "shuffled"))
    check_settings(settings | {"V": V})
    check_cells(cells, V)
    start, N, size = adagrad(lr), len(cells.rows), max(1, CHUNK_WORK // dim)
    settings |= dict(chunk_cells=size, data=cells)
    W, U = initial_tables(V, dim, start, options.seed)
    in_order = order(cells, x_max, alpha, options.seed)

    def step(chunk):
        first, end = chunk
        loss = glove_chunk(in_order, first, end, W, U, np.float32(start.lr))
        return loss, end - first, end - first

    with session({"W": W, "U": U}, settings, options, epochs * N, "cell") as run:
        for epoch in run.epochs(epochs):
            for result in run.chunks(step, cell_chunks(N, size, epoch, options.seed)):
                run.record(*result)
    return Trained(W[:, 0, :dim].copy(), U[:, 0, :dim].copy(), W[:, 0, dim].copy(),
                   U[:, 0, dim].copy(), run.losses)


def check_settings(settings: dict) -> None:
    """Raise ValueError that names the first setting out of range."""
    for name in ("V", "dim", "epochs"):
        require_whole(name, settings[name], 1)
    for name in ("lr", "x_max"):
        require_number(name, settings[name], 1e-9, 1e9)      # in float32, 1/lr² is finite
    require_number("alpha", settings["alpha"], 0, 1e9)


def check_cells(cells: Cells, V: int) -> None:
    """Raise ValueError unless there are cells, with word numbers below V and counts above 0."""
    if not len(cells.rows) == len(cells.cols) == len(cells.counts) > 0:
        raise ValueError(f"cells: expected as many rows as columns and counts, at least one, got "
                         f"{len(cells.rows)}, {len(cells.cols)} and {len(cells.counts)}; does the "
                         "text have sentences of two words?")
    for name, numbers in (("row", cells.rows), ("column", cells.cols)):
        if not 0 <= numbers.min() <= numbers.max() < V:
            raise ValueError(f"cells: expected {name} numbers in 0..{V - 1}, got {numbers.min()}.."
                             f"{numbers.max()}; they are not of this vocabulary")
    if not (cells.counts.min() > 0 and cells.counts.max() < np.inf):
        raise ValueError(f"cells: expected finite counts above 0, got {cells.counts.min()}.."
                         f"{cells.counts.max()}")
