"""Word2vec: learn a word's vector by guessing which words stand near it.

Paper     Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their
          Compositionality", eq. 4: skip-gram with negative sampling (SGNS).
Equation  L = −log σ(u_m · v_n) − Σ_{k=1..K} log σ(−u_k · v_n)   for every pair of neighbours:
          m the word in the middle of a window, n a word near it, k noise words, drawn anew
Shapes    W (V, D) the word vectors v; U (V, D) the output vectors u, which only training needs
Cost      O(K·D) a pair; a word has about `window` neighbours.
Differs   from the paper, as word2vec.c does: sub-sampling by another formula (text/vocab.py); the
          window's reach is drawn for each position, 1..window; noise that equals m is skipped; it
          is the neighbour's v that meets the u of the middle word, not the reverse.  From
          word2vec.c: σ is computed, not looked up in a table that ends at ±6; the K + 1 terms of
          a pair are stepped together, not one by one (seen only where noise was drawn twice);
          sentences are read in random order; there is no word </s> at the end of a line.
Read next words/negative_sampling.py (the noise), words/vectors.py (what to do with the result);
          then the other forms: words/cbow.py, words/huffman.py, words/shared_negatives.py.

Each term is a yes/no question, "does this word stand here?": yes (y = +1) for the word itself, no
(y = −1) for noise.  It is answered by logistic regression, and has its gradient.  With s = u · v,
    L = −log σ(y s),   ∂L/∂s = −y σ(−y s),   hence   ∂L/∂u = ∂L/∂s · v,   ∂L/∂v = Σ ∂L/∂s · u.
A pair that was seen pulls u and v together by as much as it surprises; noise pushes them apart.

Where both balance, for each pair, u · v = log P(m,n) / (P(n) Pⁿ(m)) − log K, with P taken as the
pairs are (after sub-sampling, in the random window): word2vec factorises the words' pointwise
mutual information (Levy & Goldberg 2014), and words in like company get like vectors.  Exactly so
if D is large enough for every product to be free, and but for the noise that was skipped.
"""
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.functions import exp32, sigmoid, softplus
from scratch_embed.numerics.interrupt import held_interrupt
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.random import GAMMA, below, mix, stream, uniform32
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.vocab import Corpus, Vocab, keep_probability
from scratch_embed.words.checkpoint import (
    Checkpoint,
    Progress,
    fingerprint,
    finite,
    saved_at_ctrl_c,
)
from scratch_embed.words.huffman import NO_TREE, Tree, huffman_tree
from scratch_embed.words.negative_sampling import Noise, alias_table, draw, noise_distribution

ZERO, ONE = np.float32(0), np.float32(1)
CHUNK = 10_000                     # words that one call trains on, with the usual settings: 20 ms
BLOCK = 1 << 16                    # sentences that are shuffled at a time
LAST_LR = 1e-4                     # the learning rate ends at this share of its start


# ---- the equation ---------------------------------------------------------------------------

def loss_and_grad(v: np.ndarray, U: np.ndarray, rows: np.ndarray, y: np.ndarray
                  ) -> tuple[float, np.ndarray, np.ndarray]:
    """The equation, in NumPy.  v: (D,), U: (V, D), rows: (M,) numbers of rows of U, y: (M,) ±1.

    Returns L = −Σ log σ(y u·v), ∂L/∂v (D,), ∂L/∂U[rows] (M, D).
    """
    s = U[rows] @ v
    error = -y * sigmoid(-y * s)                 # σ(s) − 1 for yes, σ(s) for no
    return softplus(-y * s).sum(), error @ U[rows], np.outer(error, v)


@kernel(inline=True)
def answer(v, U, rows, y, M, lr, steps, dv):
    """A step down the gradient of M questions: U[rows] −= lr · ∂U in place, dv = −lr · ∂v.

    float32; the caller adds dv.  steps (≥ M,) and dv (D,) are scratch.  Returns L.
    All scores come first, then all steps: the rows are fetched side by side.
    """
    for k in range(M):
        u, s = U[rows[k]], ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        steps[k] = s
    loss = grade(steps, y, M, lr)
    dv[:] = ZERO
    for k in range(M):
        u, step = U[rows[k]], steps[k]
        for d in range(len(v)):
            dv[d] += step * u[d]                 # u as it was before its own step
            u[d] += step * v[d]
    return loss


@kernel(inline=True)
def grade(steps, y, M, lr):
    """Turn M scores s into steps −lr · ∂L/∂s, in place.  Returns L.

    The σ are multiplied: one logarithm in all instead of M.
    """
    loss, probability = np.float64(0), np.float64(1)
    for k in range(M):
        e = exp32(-y[k] * steps[k])
        right = ONE / (ONE + e)                  # σ(y s), the probability of the right answer
        steps[k] = lr * y[k] * e * right         # since 1 − σ = e σ
        probability *= right
        if probability < 1e-200:                 # far from underflow: many and very wrong rows
            loss -= np.log(probability)
            probability = np.float64(1)
    return loss - np.log(probability)


@kernel(inline=True)
def pose(plan, word, rows, y, state):
    """The questions to which `word` is the answer.  Fill rows and y; return how many, and state.

    Negative sampling: is it `word` (yes), is it this noise word (no, K times)?  Hierarchical
    softmax: which way does the path to `word` turn at each node of the Huffman tree?
    """
    if plan.negatives == 0:
        first = plan.tree.off[word]
        M = plan.tree.off[word + 1] - first
        for k in range(M):
            rows[k] = plan.tree.nodes[first + k]
            y[k] = plan.tree.turns[first + k]
        return M, state
    rows[0], y[0] = word, ONE
    M = 1
    for _ in range(plan.negatives):
        state += GAMMA
        noise = draw(plan.noise, mix(state))
        if noise != word:                        # the word itself is no noise
            rows[M], y[M] = noise, -ONE
            M += 1
    return M, state


# ---- from a text to pairs -------------------------------------------------------------------

class Plan(NamedTuple):
    """What a pass over the text needs to know besides the text and the weights."""

    keep: np.ndarray               # (V,) float32: sub-sampling
    noise: Noise                   # the alias table of negative sampling
    tree: Tree                     # the Huffman tree of hierarchical softmax, or no tree
    window: int
    fixed_window: bool             # every position reaches as far as it may
    negatives: int                 # K; 0 for hierarchical softmax
    questions: int                 # the most that one word poses


@kernel
def thin_out(corpus, s, keep, state, kept):
    """Copy the words of sentence s that sub-sampling keeps to `kept`; return how many, state."""
    n = 0
    for word in corpus.ids[corpus.off[s]:corpus.off[s + 1]]:
        state += GAMMA
        if uniform32(mix(state)) < keep[word]:
            kept[n] = word
            n += 1
    return n, state


@kernel
def longest(corpus, sentences):
    """The length of the longest of these sentences, in words."""
    length = 0
    for s in sentences:
        length = max(length, corpus.off[s + 1] - corpus.off[s])
    return length


@kernel
def draw_reach(plan, state):
    """How many words to each side are neighbours: 1..window, all alike.  Return it, and state."""
    if plan.fixed_window:
        return plan.window, state
    state += GAMMA
    return 1 + below(mix(state), plan.window), state


@kernel
def skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step for every pair of words in `sentences` (numbers of sentences).  Return Σ L, pairs.

    Each sentence is thinned out first; the window then spans what is left of it.
    """
    kept = np.empty(longest(corpus, sentences), np.int32)
    rows, y = np.empty(plan.questions, np.int64), np.empty(plan.questions, np.float32)
    steps, dv = np.empty(plan.questions, np.float32), np.empty(W.shape[1], np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = thin_out(corpus, s, plan.keep, state, kept)
        for i in range(n):
            reach, state = draw_reach(plan, state)
            for j in range(max(0, i - reach), min(n, i + reach + 1)):
                if j != i:
                    v = W[kept[j]]
                    M, state = pose(plan, kept[i], rows, y, state)
                    loss += answer(v, U, rows, y, M, lr, steps, dv)
                    for d in range(len(v)):
                        v[d] += dv[d]
                    pairs += 1
    return loss, pairs


# ---- training -------------------------------------------------------------------------------

class Trained(NamedTuple):
    """What training leaves: W (V, D) the word vectors, U (V, D) the output vectors, losses."""

    W: np.ndarray
    U: np.ndarray
    losses: list[float]            # the mean loss of a pair, one number an epoch


def initial_weights(V: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W ~ U(−½, ½)/dim and U = 0, as in word2vec.c.  (V, dim) float32 each."""
    require_memory(8 * V * dim, f"two tables of {V} words x {dim} dimensions")
    W = np.random.default_rng([seed, 0]).random((V, dim), np.float32)
    W -= np.float32(0.5)
    W /= np.float32(dim)
    return W, np.zeros((V, dim), np.float32)


def chunks(off: np.ndarray, epoch: int, seed: int, shuffle: bool = True, size: int = CHUNK
           ) -> Iterator[tuple[int, int, np.ndarray]]:
    """The sentences in random order, cut into pieces of about `size` words.

    Yield (number, words before it in this epoch, sentences).  off: (S+1,).  BLOCK sentences that
    follow each other are shuffled at a time, the blocks too: memory is bounded, and a text on
    disk is not read all over the place.
    """
    rng = np.random.default_rng([seed, 1, epoch])      # [seed, 0] are the first weights
    starts = np.arange(0, len(off) - 1, BLOCK)
    number = before = 0
    for start in rng.permutation(starts) if shuffle else starts:
        sentences = np.arange(start, min(start + BLOCK, len(off) - 1))
        if shuffle:
            rng.shuffle(sentences)
        lengths = off[sentences + 1] - off[sentences]
        ahead = np.cumsum(lengths) - lengths                     # words of this block before each
        firsts = np.flatnonzero(np.diff(ahead // size, prepend=-1))
        for first, end in zip(firsts, [*firsts[1:], len(sentences)]):
            yield number, before + int(ahead[first]), sentences[first:end]
            number += 1
        before += int(lengths.sum())


def make_plan(counts: np.ndarray, window: int = 5, negatives: int = 5, sample: float = 1e-3,
              power: float = 0.75, fixed_window: bool = False) -> Plan:
    """The Plan for a vocabulary of these counts (V,); negatives = 0 asks for a Huffman tree."""
    tree = NO_TREE if negatives else huffman_tree(counts)
    questions = negatives + 1 if negatives else int(np.diff(tree.off).max())
    return Plan(keep_probability(counts, sample), alias_table(noise_distribution(counts, power)),
                tree, window, fixed_window, negatives, questions)


def train(corpus: Corpus, vocab: Vocab, chunk: Callable = skipgram_chunk, dim: int = 100,
          window: int = 5, negatives: int = 5, sample: float = 1e-3, lr: float = 0.025,
          epochs: int = 5, workers: int = 1, seed: int = 1, power: float = 0.75,
          fixed_window: bool = False, shuffle: bool = True, last_lr: float = LAST_LR,
          progress: bool = False, checkpoint: Checkpoint | None = None) -> Trained:
    """Train word vectors on `corpus`, a Corpus numbered by `vocab`.  Return Trained.

    chunk      how: skipgram_chunk; shared_chunk of words/shared_negatives.py; cbow_chunk or
               corrected_cbow_chunk of words/cbow.py, whose usual lr is 0.05
    window     the farthest neighbour, in words; each position draws its own reach, 1..window,
               unless fixed_window
    negatives  K, noise words for each pair; 0 for hierarchical softmax (words/huffman.py)
    sample     t of the sub-sampling; 0 keeps every word
    lr         falls in a straight line, by words read, to last_lr of its start
    workers    threads that step the same weights at once (Niu et al. 2011, Hogwild).  With one,
               the same seed gives the same bits; with more, only the quality is the same.
    power      of the counts in the noise; shuffle: read the sentences in random order
    progress   show a bar on stderr, where that is a terminal
    checkpoint a Checkpoint: saved now and then, at Ctrl-C and at the end, and resumed if it says so
    Raises     ValueError for settings that make no sense or differ from what is resumed;
               TrainingDiverged when the loss or the weights are no longer finite.
    """
    settings = dict(chunk=name_of(chunk), dim=dim, window=window, negatives=negatives,
                    sample=sample, lr=lr, epochs=epochs, seed=seed, power=power,
                    fixed_window=fixed_window, shuffle=shuffle, last_lr=last_lr)
    check_settings(settings, workers)
    check_ids(corpus, vocab)
    plan = make_plan(vocab.counts, window, negatives, sample, power, fixed_window)
    (W, U), at = initial_weights(len(vocab), dim, seed), Progress()
    if checkpoint:
        settings |= fingerprint(vocab, corpus) | {"order": f"chunks {CHUNK}, blocks {BLOCK}"}
        W, U, at = checkpoint.restore(settings, W.shape) or (W, U, at)
    words = len(corpus.ids)
    size = max(100, CHUNK * 3000 // (dim * window * plan.questions))    # a call takes ≤ 100 ms

    def step(piece):
        number, before, sentences = piece
        rate = lr * max(1 - (at.epoch * words + before) / (epochs * words), last_lr)
        loss, pairs = chunk(corpus, sentences, plan, W, U, np.float32(rate),
                            stream(seed, at.epoch, number))
        if not np.isfinite(loss):
            raise TrainingDiverged(f"epoch {at.epoch + 1}, chunk {number + 1}", rate)
        return loss, pairs, int((corpus.off[sentences + 1] - corpus.off[sentences]).sum()), rate

    bar = tqdm(total=epochs * words, initial=at.epoch * words, unit="word", unit_scale=True,
               disable=None if progress else True)
    with bar, held_interrupt() as stop_if_asked, saved_at_ctrl_c(checkpoint, W, U, at, settings):
        while at.epoch < epochs:
            pieces = chunks(corpus.off, at.epoch, seed, shuffle, size)
            with closing(imap_unordered(step, islice(pieces, at.chunk, None), workers)) as done:
                for loss, pairs, read, rate in done:
                    at.count(loss, pairs)
                    bar.update(read)
                    bar.set_postfix_str(f"loss {at.mean():.4f}, lr {rate:.5f}", False)
                    if checkpoint:
                        checkpoint.save_now_and_then(W, U, at, settings)
                    stop_if_asked()
            at.end_epoch()
    check_result(W, U, at.losses, settings)
    if checkpoint:
        checkpoint.save(W, U, at, settings)
    return Trained(W, U, at.losses)


def check_result(W: np.ndarray, U: np.ndarray, losses: list[float], settings: dict) -> None:
    """Raise TrainingDiverged for weights that are no numbers, ValueError if there was no pair."""
    if not finite(W, U):
        raise TrainingDiverged(f"epoch {len(losses)}", settings["lr"], "a weight")
    if np.isnan(losses).all():
        raise ValueError("no word has a neighbour to learn from: the text is too short for "
                         f"sample={settings['sample']}; give more text, or sample=0")


def check_settings(settings: dict, workers: int) -> None:
    """Raise ValueError that names the first setting that makes no sense."""
    for name, value in dict(settings, workers=workers).items():
        if name in ("dim", "window", "epochs", "workers", "negatives", "seed"):
            least = 0 if name in ("negatives", "seed") else 1
            if not (isinstance(value, (int, np.integer)) and least <= value < 2**31):
                raise ValueError(f"{name}={value!r}: expected a whole number, {least} to 2³¹ − 1")
        elif name in ("lr", "sample", "last_lr", "power"):
            most = 1 if name == "last_lr" else 1e38
            if not (isinstance(value, (int, float, np.number)) and 0 <= value <= most):
                raise ValueError(f"{name}={value!r}: expected a number of at least 0"
                                 + (", at most 1" if most == 1 else ""))


def name_of(form: Callable) -> str:
    """The name of a form of training.  ValueError for what is no function: "cbow" is none."""
    if not callable(form):
        raise ValueError(f"{form!r} is no form of training: give the function itself, such as "
                         "skipgram_chunk of words/word2vec.py")
    return form.__name__


def check_ids(corpus: Corpus, vocab: Vocab) -> None:
    """Raise ValueError unless `corpus` has words, all of them numbers of `vocab`."""
    if not isinstance(corpus, Corpus) or not isinstance(vocab, Vocab):
        raise ValueError(f"expected a Corpus and its Vocab, in this order; found "
                         f"{type(corpus).__name__} and {type(vocab).__name__}")
    if len(corpus.ids) == 0:
        raise ValueError("the corpus has no words")
    least, most = corpus.ids.min(), corpus.ids.max()
    if least < 0 or most >= len(vocab):
        raise ValueError(f"the corpus has word numbers from {least} to {most}, the vocabulary has "
                         f"{len(vocab)} words: they do not belong together")
