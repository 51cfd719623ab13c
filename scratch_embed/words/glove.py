"""GloVe: word vectors whose dot products are the logarithms of how often words stand together.

Paper     Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation",
          eq. 8 and 9; Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods", for AdaGrad.
Equation  L = ½ f(X_ij) (w_i · u_j + b_i + c_j − log X_ij)²   for every cell X_ij > 0
          f(x) = min(1, (x/x_max)^alpha)
Shapes    W, U (V, D): the vectors w of words and u of contexts (w̃ in the paper); b, c (V,) their
          biases (b and b̃); in training, a row of (2, D+1) a word: vector and bias, then their G
Cost      O(D) a cell and epoch, however long the text was.
Differs   from the paper: a factor ½, as in glove.c; and glove.c's AdaGrad unless you choose
          `paper_adagrad` (see below).  From glove.c: float32, not float64; pieces of the shuffled
          cells change places in every epoch; a gradient is not clipped at ±100, and a loss that
          is no number stops the training.  glove.c skips such a cell and goes on; its clipping is
          far above any gradient of a training that converges, and of one that does not it hides
          the fact: vectors of no use, but finite.
Read next words/cooccurrence.py (X), words/ppmi.py (another way to factorise it), words/word2vec.py

Why logarithms.  What tells ice from steam is not how often a word stands near ice, but how much
more often than near steam: X_ik / X_jk.  If vectors are to say that by differences, then
(w_i − w_j) · u_k = log X_ik − log X_jk: the exponential turns sums into products.  What depends on
one word alone, like its frequency, is no relation, and is left to the biases.
Why the weight f.  A cell seen once is mostly chance; one seen 10,000 times is no 10,000 times more
telling than one seen once.  Without a limit "of the" would be all there is to learn.

The gradient.  With the score's error s = w·u + b + c − log x and e = f(x) s:
    L = ½ f s²,   ∂L/∂w = e u,   ∂L/∂u = e w,   ∂L/∂b = ∂L/∂c = e.

AdaGrad gives each number its own learning rate, which falls with what it has been through: with g
its gradient and G the sum of all g² before this one, x −= rate · g/√G (Duchi et al. count this g²
too; glove.c does not, and so needs a G to begin with).  Rare words go on learning when
frequent ones have settled.  All that the forms differ in is the rate and where G begins:
    paper     rate lr, G from 1 (where it begins the paper does not say; this is glove.c's number)
    glove.c   multiplies g by lr before it is squared, in weights: h = lr g, H from 1, x −= h/√H.
              With H = lr² G that is x −= g/√G, G from 1/lr²: rate 1, and lr only holds back the
              first steps, until G outgrows 400 (lr 0.05).  Its biases have no lr at all: rate 1,
              G from 1.

Which vectors?  Where X is symmetric, so is W Uᵀ, nearly: on each of its axes (eigenvectors) w and u
are equal if its eigenvalue is positive, and opposite if that is negative.  So W + U, meant as a
mean of two alike, keeps the axes of the first kind and cancels the second; W has them all.  On the
second kind, words with like coordinates stand together less often than by chance: alternatives.
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
FIRST, SHUFFLE, ORDER = 1, 2, 3    # streams of random numbers: weights, cells, pieces


# ---- the equation ---------------------------------------------------------------------------

def weight(x: np.ndarray, x_max: float = 100, alpha: float = 0.75) -> np.ndarray:
    """f(x) = min(1, (x/x_max)^alpha): how much a cell counts.  Eq. 9."""
    return np.minimum(1, np.asarray(x) / x_max) ** alpha


def loss_and_grad(w: np.ndarray, u: np.ndarray, b: float, c: float, log_x: float, f: float
                  ) -> tuple[float, np.ndarray, np.ndarray, float]:
    """The equation for one cell, in NumPy.  w, u: (D,).

    Returns L, ∂L/∂w (D,), ∂L/∂u (D,), and ∂L/∂b, which is ∂L/∂c.
    """
    s = w @ u + b + c - log_x
    e = f * s
    return e * s / 2, e * u, e * w, e


def adagrad_step(x: np.ndarray, G: np.ndarray, g: np.ndarray, rate: float
                 ) -> tuple[np.ndarray, np.ndarray]:
    """x − rate · g/√G and G + g²: the new numbers, and their sums.  All of one shape."""
    return x - rate * g / np.sqrt(G), G + g**2


class Deck(NamedTuple):
    """The cells as they are stepped: shuffled, with what the equation needs of X."""

    rows: np.ndarray               # (N,) int32
    cols: np.ndarray               # (N,) int32
    log_x: np.ndarray              # (N,) float32
    f: np.ndarray                  # (N,) float32


@kernel
def glove_chunk(deck, first, end, W, U, rate):
    """One AdaGrad step for each of the cells first..end−1 of the deck.  Return Σ L.

    W, U: (V, 2, D+1) float32, stepped in place: [i, 0] is a word's vector and its bias, [i, 1]
    their G.
    """
    D = W.shape[2] - 1
    loss = np.float64(0)
    for n in range(first, end):
        w, Gw = W[deck.rows[n], 0], W[deck.rows[n], 1]
        u, Gu = U[deck.cols[n], 0], U[deck.cols[n], 1]
        s = w[D] + u[D] - deck.log_x[n]
        for d in range(D):
            s += w[d] * u[d]
        e = deck.f[n] * s                              # ∂L/∂s
        loss += HALF * e * s
        for d in range(D):
            dw, du = e * u[d], e * w[d]
            w[d] -= rate * dw / np.sqrt(Gw[d])
            u[d] -= rate * du / np.sqrt(Gu[d])
            Gw[d] += dw * dw
            Gu[d] += du * du
        w[D] -= rate * e / np.sqrt(Gw[D])              # the biases
        u[D] -= rate * e / np.sqrt(Gu[D])
        Gw[D] += e * e
        Gu[D] += e * e
    return loss


# ---- the two AdaGrads -------------------------------------------------------------------------

class AdaGrad(NamedTuple):
    """x −= rate · g/√G; G of a weight and of a bias begin at these."""

    rate: float
    weights: float
    biases: float


@saved_as("glove.c")
def c_adagrad(lr: float) -> AdaGrad:
    """glove.c's: lr is the first step's rate for weights, and then falls out."""
    return AdaGrad(1.0, 1 / lr**2, 1.0)


@saved_as("paper")
def paper_adagrad(lr: float) -> AdaGrad:
    """The paper's: every step has the rate lr."""
    return AdaGrad(lr, 1.0, 1.0)


# ---- training ---------------------------------------------------------------------------------

class Trained(NamedTuple):
    """What training leaves."""

    W: np.ndarray                  # (V, D) float32, the vectors of words
    U: np.ndarray                  # (V, D) float32, the vectors of contexts
    b: np.ndarray                  # (V,) float32, the biases of words
    c: np.ndarray                  # (V,) float32, the biases of contexts
    losses: list[float]            # the mean L of a cell, one number an epoch

    def __repr__(self) -> str:
        last = f"{self.losses[-1]:.4f}" if self.losses else "none"
        return f"Trained({len(self.W):,} x {self.W.shape[1]}, loss {last})"

    @property
    def vectors(self) -> np.ndarray:
        """W + U, (V, D): what the paper uses and glove.c writes; above, what that leaves out."""
        return self.W + self.U


def initial_tables(V: int, dim: int, start: AdaGrad, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W and U, (V, 2, dim+1) float32: vectors and biases from U(−½, ½)/dim, as in glove.c; G."""
    require_memory(16 * V * (dim + 1), f"two tables of {V} words x {dim} dimensions")
    rng = np.random.default_rng([seed, FIRST])
    tables = np.empty((2, V, 2, dim + 1), np.float32)
    tables[:, :, 0] = (rng.random((2, V, dim + 1), np.float32) - HALF) / np.float32(dim)
    tables[:, :, 1, :dim] = start.weights
    tables[:, :, 1, dim] = start.biases
    return tables[0], tables[1]


@saved_as("shuffled")
def shuffled(cells: Cells, x_max: float, alpha: float, seed: int) -> Deck:
    """The Deck of all cells in random order.

    Cells that lie side by side share a word: stepped one after the other they pull it the same
    way.  Even a cell and its mirror image must lie apart.
    """
    require_memory(32 * len(cells.rows), f"{len(cells.rows):,} cells in random order")
    order = np.random.default_rng([seed, SHUFFLE]).permutation(len(cells.rows))
    f = weight(cells.counts, x_max, alpha).astype(np.float32)
    return Deck(cells.rows[order], cells.cols[order],
                np.log(cells.counts).astype(np.float32)[order], f[order])


@saved_as("mirrored")
def mirrored(cells: Cells, x_max: float, alpha: float, seed: int) -> Deck:
    """`shuffled`, but for this: each cell (i, j) of symmetric X is followed by its mirror (j, i).

    To see what that costs (why/glove.py); a first implementation would store X that way.
    """
    deck = shuffled(cells, x_max, alpha, seed)
    low, high = np.minimum(deck.rows, deck.cols), np.maximum(deck.rows, deck.cols)
    _, first, pair = np.unique(np.int64(low) << 32 | high, return_index=True, return_inverse=True)
    order = np.argsort(first[pair], kind="stable")         # by the place of a pair's first cell
    return Deck(*(part[order] for part in deck))


def pieces(N: int, size: int, epoch: int, seed: int) -> Iterator[tuple[int, int]]:
    """(first, end) of all pieces of N cells, in an order that is another in every epoch."""
    rng = np.random.default_rng([seed, ORDER, epoch])
    for first in rng.permutation(np.arange(0, N, size)).tolist():
        yield first, min(first + size, N)


def train(cells: Cells, V: int, adagrad: Callable = c_adagrad, dim: int = 100, x_max: float = 100,
          alpha: float = 0.75, lr: float = 0.05, epochs: int = 25, order: Callable = shuffled,
          options: RunOptions = RunOptions()) -> Trained:
    """Train word vectors on the co-occurrence counts of V words.  -> Trained

    cells      from words/cooccurrence.py, rows and columns below V, counts above 0
    adagrad    c_adagrad or paper_adagrad
    x_max      the count from which a cell has its full weight: 100 in the paper, for billions of
               words; 10 for some millions
    alpha      how the weight falls below that; 0: all cells count alike
    epochs     times that every cell is stepped; the paper has 50 for less than 300 dimensions, 100
               for more
    order      shuffled, or another function from cells to the Deck in which they are stepped
    options    workers, seed, checkpoint, progress.  Several workers step the same tables at once.
               With one, the same seed gives the same bits; with more, only the quality is the same.
    Raises     ValueError for cells or settings that make no sense or differ from what is resumed;
               TrainingDiverged when the loss or the weights are no longer finite.
    """
    settings = dict(adagrad=require_function("adagrad", adagrad, "c_adagrad"), dim=dim,
                    x_max=x_max, alpha=alpha, lr=lr, epochs=epochs, seed=options.seed,
                    order=require_function("order", order, "shuffled"))
    check_settings(settings | {"V": V})
    check_cells(cells, V)
    start, N, size = adagrad(lr), len(cells.rows), max(1, CHUNK_WORK // dim)
    settings |= dict(chunk_cells=size, data=cells)
    W, U = initial_tables(V, dim, start, options.seed)
    deck = order(cells, x_max, alpha, options.seed)

    def step(piece):
        first, end = piece
        return glove_chunk(deck, first, end, W, U, np.float32(start.rate)), end - first, end - first

    with session({"W": W, "U": U}, settings, options, epochs * N, "cell") as run:
        for epoch in run.epochs(epochs):
            for result in run.chunks(step, pieces(N, size, epoch, options.seed)):
                run.record(*result)
    return Trained(W[:, 0, :dim].copy(), U[:, 0, :dim].copy(), W[:, 0, dim].copy(),
                   U[:, 0, dim].copy(), run.losses)


def check_settings(settings: dict) -> None:
    """Raise ValueError that names the first setting that is out of its range."""
    for name in ("V", "dim", "epochs"):
        require_whole(name, settings[name], 1)
    for name in ("lr", "x_max"):
        require_number(name, settings[name], 1e-9, 1e9)      # in float32, 1/lr² is finite
    require_number("alpha", settings["alpha"], 0, 1e9)


def check_cells(cells: Cells, V: int) -> None:
    """Raise ValueError unless there are cells, all of them of V words, with counts above 0."""
    if not len(cells.rows) == len(cells.cols) == len(cells.counts) > 0:
        raise ValueError(f"cells of {len(cells.rows)} rows, {len(cells.cols)} columns and "
                         f"{len(cells.counts)} counts: expected as many of each, and some: does "
                         "the text have sentences of two words?")
    for name, numbers in (("row", cells.rows), ("column", cells.cols)):
        if not 0 <= numbers.min() <= numbers.max() < V:
            raise ValueError(f"the cells have {name} numbers from {numbers.min()} to "
                             f"{numbers.max()}, the vocabulary has {V} words: they do not belong "
                             "together")
    if not (cells.counts.min() > 0 and cells.counts.max() < np.inf):
        raise ValueError(f"the cells have counts from {cells.counts.min()} to "
                         f"{cells.counts.max()}: expected finite numbers above 0")
