"""CLAP on the world of scenes: a recipe, and what it finds, beside baselines and upper bounds.

Equation  exact@1 = the share of queries whose first result agrees with them in all that a sound
          shows: shape, size and motion, 48 combinations
          recall@10 = the share of queries whose own partner is among the 10 most similar of N
Shapes    N test scenes: sounds (N, 2048), captions that name all three attributes
Cost      training: RECIPE on two cores, see multimodal/README.md; measuring: some 20 s
Read next worlds/scenes.py (the world), multimodal/clap.py (training)

What could explain a result?  Four other searches are measured on the same sounds and captions:
the model before training; and three that compare a caption's words with words that are predicted
from a sound: by a linear map of its spectrogram (ridge regression to the bag of words of the
training captions), by the same of the untrained audio tower's vectors, and by the caption of the
most similar training spectrogram.

Why is recall@10 not 1?  Some 21 of 1,000 sounds agree with a caption, and nothing tells which of
them is its own: scene_bounds.best_recall_of.  exact@1 has no such limit.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal import clap, htsat
from scratch_embed.multimodal.audio import ClapAudio
from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clip_verdict import K, recall
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.packed import Packed
from scratch_embed.text.tokenizer import Tokenizer, roberta_template
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import roberta
from scratch_embed.worlds.scene_bounds import best_recall_of, chance_recall, group_sizes
from scratch_embed.worlds.scene_senses import RATE, audio
from scratch_embed.worlds.scenes import KNOWN, Scenes, caption, draw_scenes

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")      # RoBERTa's, with its ids 0 .. 4
ROLES = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL),
             cls_token="<s>", sep_token="</s>")
# a sound of 0.26 s is repeated three times; 126 frames of 32 bins, stretched to 128
AUDIO = ClapAudio(rate=RATE, n_fft=256, hop=64, mels=32, seconds=1, low=50.0, high=3000.0)
TOWER = htsat.Config(mels=32, size=64, patch=8, stride=4, dim=32, depths=(2, 2), heads=(2, 4),
                     window=8)
HEARD = KNOWN["audio"]
TEST_SEED = 10_000                 # added to the seed of training
MOST = 1000                        # sounds from which the statistics of the mel bins are computed
RIDGES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)     # λ of the linear maps, for standardised features


class Recipe(NamedTuple):
    """The sizes and settings of a training run."""

    scenes: int = 4000             # pairs of a sound and a caption
    test: int = 1000               # other scenes, on which the result is measured
    dropout: float = 0.2           # the probability that a caption omits an attribute
    vocab: int = 600               # tokens at most
    tower: htsat.Config = TOWER
    audio: ClapAudio = AUDIO
    text: tuple[int, int] = (64, 2)        # dimension and layers of the text tower
    dim: int = 64                  # of the common space
    std: float = 0.1               # of initial weights: the towers are narrow
    steps: int = 1200
    batch_size: int = 32
    optim: Optim = Optim(lr=1.5e-3, warmup_ratio=0.1, weight_decay=0.01)


RECIPE = Recipe()


class Pairs(NamedTuple):
    """Scenes with a sound and a caption each."""

    scenes: Scenes
    sounds: np.ndarray             # (n, 2048) float32
    captions: list[str]


def draw_pairs(n: int, seed: int, dropout: float) -> Pairs:
    """Draw n scenes, their sounds, and captions that name what a sound shows."""
    scenes = draw_scenes(n, seed)
    return Pairs(scenes, audio(scenes, seed), caption(scenes, seed, dropout, HEARD))


# ---- training ------------------------------------------------------------------------------------

def roberta_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE that is learned from texts, with RoBERTa's special tokens."""
    bpe = train_bpe(texts, vocab_size, special=SPECIAL)
    return bpe.with_tokens(bpe.added, roberta_template(0, 2), "right", ROLES, has_types=False)


def untrained(captions: Sequence[str], seed: int = 1, recipe: Recipe = RECIPE) -> Clap:
    """A Clap with a tokenizer that is learned from these captions, and random parameters.

    It accepts texts of twice the tokens of the longest caption.
    """
    tokenizer = roberta_tokenizer(captions, recipe.vocab)
    longest = int(np.diff(tokenizer.encode_batch(list(captions)).offsets).max())
    D, layers = recipe.text
    text = roberta.Config(len(tokenizer), D, layers, max(1, D // 32), 4 * D, 2 * longest + 2)
    config = clap.Config(recipe.tower, text, recipe.dim)
    p = init_params(clap.tensors(config, recipe.std), seed)
    return Clap(config, htsat.freeze_statistics(p), tokenizer, recipe.audio)


def with_statistics(model: Clap, sounds: np.ndarray | Sequence[np.ndarray], seed: int = 1) -> Clap:
    """The same model with the mean and variance of the mel bins of (at most MOST of) these sounds.
    """
    mels = clap.log_mels(sounds[:MOST], model.audio, np.random.default_rng(seed))
    return Clap(model.config, htsat.freeze_statistics(model.p, mels), model.tokenizer, model.audio)


def fit(start: Clap, sounds: np.ndarray | Sequence[np.ndarray], captions: Sequence[str],
        recipe: Recipe = RECIPE, options: RunOptions = RunOptions()) -> tuple[Clap, clap.Trained]:
    """Train a Clap, which is not changed.  -> the trained one, the run"""
    texts = start.tokenize(captions, truncate=True)
    run = clap.train(sounds, texts, start.p, start.config, start.audio,
                     recipe.steps, recipe.batch_size, recipe.optim, options=options)
    return Clap(start.config, run.p, start.tokenizer, start.audio), run


def train_on_scenes(recipe: Recipe = RECIPE, options: RunOptions = RunOptions()
                    ) -> tuple[Clap, Clap, clap.Trained]:
    """Draw scenes with the run's seed and train on them.  -> the Clap before, after, the run"""
    data = draw_pairs(recipe.scenes, options.seed, recipe.dropout)
    start = untrained(data.captions, options.seed, recipe)
    start = with_statistics(start, data.sounds, options.seed)
    return start, *fit(start, data.sounds, data.captions, recipe, options)


# ---- measuring -----------------------------------------------------------------------------------

class Scores(NamedTuple):
    """Retrieval both ways: captions by a sound, and sounds by a caption."""

    exact_text: float              # exact@1
    exact_sound: float
    recall_text: float             # recall@10
    recall_sound: float


def scores(similarity: np.ndarray, scenes: Scenes) -> Scores:
    """similarity (n, n): rows are sounds, columns captions, of the same scenes."""
    labels = np.stack([scenes.of(name) for name in HEARD], 1)                  # (n, 3)

    def exact(S):
        return float((labels == labels[S.argmax(1)]).all(1).mean())
    return Scores(exact(similarity), exact(similarity.T), recall(similarity), recall(similarity.T))


def bounds(seed: int, recipe: Recipe = RECIPE) -> tuple[Scores, Scores]:
    """Chance, and the highest expected scores, on the test scenes of this seed."""
    N = recipe.test
    scenes = draw_scenes(N, seed + TEST_SEED)
    agree, best = float(group_sizes(scenes, HEARD).mean()) / N, best_recall_of(scenes, HEARD, K)
    chance = chance_recall(N, K)
    return Scores(agree, agree, chance, chance), Scores(1.0, 1.0, best, best)


def similarities(model: Clap, data: Pairs) -> np.ndarray:
    """The cosine of each sound with each caption.  -> (n, n)"""
    a = model.encode_sounds([(x, RATE) for x in data.sounds], normalize=True)
    return a @ model.encode_texts(data.captions, normalize=True).T


def report(start: Clap, trained: Clap, seed: int, recipe: Recipe = RECIPE) -> dict[str, Scores]:
    """The scores of every search on the test scenes.  start: the Clap before training"""
    train = draw_pairs(recipe.scenes, seed, recipe.dropout)
    test = draw_pairs(recipe.test, seed + TEST_SEED, 0.0)
    known, asked = bags(start, train.captions), bags(start, test.captions)
    mels = [flat_mels(data.sounds, start) for data in (train, test)]
    towers = [tower_vectors(data.sounds, start) for data in (train, test)]
    found = {"CLAP": similarities(trained, test), "before training": similarities(start, test),
             "log-mel, linear map": ridge(mels[0], known, mels[1]) @ asked.T,
             "untrained tower, linear map": ridge(towers[0], known, towers[1]) @ asked.T,
             "log-mel, nearest neighbour": nearest(mels[0], known, mels[1]) @ asked.T}
    return {name: scores(S, test.scenes) for name, S in found.items()}


# ---- baselines -----------------------------------------------------------------------------------

def bags(model: Clap, captions: Sequence[str]) -> np.ndarray:
    """Which tokens of the vocabulary each caption has, scaled to norm 1.  -> (n, V)"""
    batch: Packed = model.tokenize(captions)
    counts = np.zeros((len(captions), model.config.text.vocab), np.float32)
    counts[np.repeat(np.arange(len(captions)), np.diff(batch.offsets)), batch.ids] = 1
    return l2_normalize(counts)[0]


def flat_mels(sounds: np.ndarray, model: Clap) -> np.ndarray:
    """The spectrograms of sounds, not repeated, as rows.  (n, samples) -> (n, frames · mels)"""
    once = model.audio._replace(pad=lambda x, n: x)
    mels = clap.log_mels(sounds, once, np.random.default_rng(0))
    return mels.reshape(len(mels), -1)


def tower_vectors(sounds: np.ndarray, model: Clap) -> np.ndarray:
    """The audio tower's vectors before the projection.  -> (n, width)"""
    rng, step = np.random.default_rng(0), 64
    return np.concatenate([htsat.infer(clap.log_mels(sounds[n:n + step], model.audio, rng),
                                       model.p, model.config.audio)
                           for n in range(0, len(sounds), step)])


def ridge(X: np.ndarray, Y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Predict Y less its mean by ridge regression on X, for the rows of Z, at norm 1.  -> (m, V)

    λ is the one of RIDGES that predicts the last fifth of the rows best from the others.
    """
    mean, spread = X.mean(0), X.std(0) + 1e-6
    X, Z = (X - mean) / spread, (Z - mean) / spread
    n = len(X) - len(X) // 5
    errors = [((X[n:] @ ridge_map(X[:n], Y[:n], penalty) + Y[:n].mean(0) - Y[n:]) ** 2).sum()
              for penalty in RIDGES]
    return l2_normalize(Z @ ridge_map(X, Y, RIDGES[int(np.argmin(errors))]))[0]


def ridge_map(X: np.ndarray, Y: np.ndarray, penalty: float) -> np.ndarray:
    """W = (XᵀX + λ I)⁻¹ Xᵀ (Y − mean Y).  X: (n, D), Y: (n, V) -> (D, V)"""
    identity = np.eye(X.shape[1], dtype=X.dtype)
    return np.linalg.solve(X.T @ X + X.dtype.type(penalty) * identity, X.T @ (Y - Y.mean(0)))


def nearest(X: np.ndarray, Y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """The row of Y of the nearest row of X, for each row of Z.  -> (m, V)"""
    squares = (X * X).sum(1) - 2 * Z @ X.T                                     # (m, n), + |z|²
    return Y[squares.argmin(1)]
