"""The numbers behind eight figures, each computed by the functions of the file it explains.

Shapes    a NamedTuple for each figure; its fields say what they hold
Cost      simcse: half a minute, to train a masked LM and SimCSE; compress: two seconds per seed;
          the others under a second
Read next cli/figures.py (draws them: `scratch-embed figures -o FOLDER`)

Nothing here needs matplotlib.  Where a figure makes a comparison, it holds the baseline: padding,
a fixed window, an untrained model, random vectors.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import cosine_logits
from scratch_embed.nn.norms import layer_norm
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.random import stream
from scratch_embed.space.hamming import hamming, sign_bits
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.why.compression import by_codes, forms, stored_bytes
from scratch_embed.why.contexts import packed, whole_words
from scratch_embed.why.effects import Interval, interval
from scratch_embed.why.retrieval import untrained as untrained_words
from scratch_embed.why.retrieval_tour import random_ranking
from scratch_embed.why.searches import (
    WORD2VEC,
    dense,
    lexical,
    ndcg_percent,
    rank_all,
    search_facts,
)
from scratch_embed.why.sentences import encode_by, pretrain, train_simcse, untrained
from scratch_embed.words.cooccurrence import harmonic
from scratch_embed.words.negative_sampling import alias_table, noise_distribution
from scratch_embed.words.plan import make_plan
from scratch_embed.words.word2vec import draw_window
from scratch_embed.worlds.facts import REPORTS, facts

# ---- text/packed.py ------------------------------------------------------------------------------

BATCH = ["good morning", "the king rules the country", "why", "a puppy sleeps in a warm basket",
         "the tenor sang", "rain fell on the old town all through the night and the next day",
         "call me", "the train to the coast leaves at noon"]


class Batch(NamedTuple):
    """A batch of N sequences, packed and padded."""

    offsets: np.ndarray            # (N+1,): sequence n is tokens offsets[n]..offsets[n+1]−1
    real: np.ndarray               # (N, longest) bool: False where the padded batch has [PAD]
    packed_pairs: int              # query-key products of attention: Σ length²
    padded_pairs: int              # N · longest²


def packed_batch(texts: list[str] = BATCH) -> Batch:
    """[CLS] words [SEP] of each text, in both layouts."""
    sentences = [text.split() for text in texts]
    offsets = packed(whole_words(sentences), sentences).offsets
    lengths = np.diff(offsets)
    real = np.arange(lengths.max()) < lengths[:, None]
    return Batch(offsets, real, int((lengths**2).sum()), len(lengths) * int(lengths.max())**2)


# ---- words/negative_sampling.py ------------------------------------------------------------------

COUNTS = {"the": 81, "of": 16, "king": 16, "rules": 1, "heron": 1, "quartz": 1}


class AliasColumns(NamedTuple):
    """The alias table as V columns of height 1, in units of 1/V, divided among words."""

    words: list[str]
    probability: np.ndarray        # (V,) count^¾ / Σ
    mass: np.ndarray               # (V, V): word w in column c; columns sum to 1, rows to V p_w


def alias_columns(counts: dict[str, int] = COUNTS) -> AliasColumns:
    """The alias table of these counts.  In the default, count^¾ is 27, 8, 8, 1, 1, 1."""
    p = noise_distribution(np.array([*counts.values()]))
    accept, alias = alias_table(p)
    V = len(p)
    mass = np.diag(accept.astype(np.float64))
    np.add.at(mass, (alias, np.arange(V)), 1 - accept.astype(np.float64))
    return AliasColumns([*counts], p, mass)


# ---- words/word2vec.py ---------------------------------------------------------------------------

class Distances(NamedTuple):
    """The weight of a pair of words at distance 1, 2, ..., window."""

    distance: np.ndarray           # (window,)
    random_window: np.ndarray      # (window − d + 1)/window
    drawn: np.ndarray              # the share of drawn windows that contain the pair
    harmonic: np.ndarray           # 1/d, GloVe's
    fixed_window: np.ndarray       # 1: the baseline


def distance_weights(window: int = 10, draws: int = 2000) -> Distances:
    """Compare the formulas with `draws` calls of the function that draws word2vec's window."""
    plan, state, d = make_plan(np.ones(2), window), stream(1), np.arange(1, window + 1)
    counts, sizes = harmonic(window), np.empty(draws, int)
    for n in range(draws):                             # a word with `window` others on each side
        first, _, state = draw_window(plan, window, 2 * window + 1, state)
        state = np.uint64(state)
        sizes[n] = window - first
    return Distances(d, (window - d + 1) / window, (sizes[:, None] >= d).mean(axis=0),
                     counts.numerators / counts.denominator, np.ones(window))


# ---- nn/norms.py ---------------------------------------------------------------------------------

class NormGradient(NamedTuple):
    """What layer norm's backward leaves of a gradient d along three directions."""

    eps: np.ndarray                # (n,) eps/var x
    ones: np.ndarray               # (n,) |dx| / (r |d|) for d along (1, ..., 1)
    xhat: np.ndarray               # (n,) for d along x̂
    others: np.ndarray             # (n,) for d orthogonal to both
    x: np.ndarray                  # (2,) x − μ of three numbers, in the plane orthogonal to ones
    d: np.ndarray                  # (2,) a gradient in this plane
    dx: np.ndarray                 # (2,) what is left of it at eps = 0, divided by r


def norm_gradient(D: int = 64, seed: int = 1) -> NormGradient:
    """|J d| / (r |d|), with J the Jacobian of layer norm with weights of 1, and a picture at D = 3.

    By the derivation in nn/norms.py, with r = 1/√(var x + eps), it is 0 for d along ones,
    t/(1 + t) along x̂, where t = eps/var x, and 1 orthogonal to both.
    """
    rng, t = np.random.default_rng(seed), np.logspace(-4, 2, 61)
    x, random = rng.standard_normal((2, D))
    ones, centred = np.ones(D), x - x.mean()
    basis, _ = np.linalg.qr(np.stack([ones, centred, random], axis=1))
    left = np.array([[np.linalg.norm(_norm_backward(x, d, ratio * x.var())) for d in basis.T]
                     for ratio in t]) * np.sqrt(x.var() * (1 + t))[:, None]       # 1/r
    across = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])   # orthogonal to ones
    x, d = across.T @ [1.6, 0.5], across.T @ [0.4, 1.5] + 0.7               # 0.7: along ones
    dx = _norm_backward(x, d, 0.0) * np.sqrt(x.var())
    return NormGradient(t, *left.T, across @ x, across @ d, across @ dx)


def _norm_backward(x, d, eps):
    """dx of layer norm at one row x, (D,), for dy = d, with weights of 1."""
    p = Params({"f.weight": x.shape, "f.bias": x.shape}, np.float64)
    p["f.weight"][:] = 1
    _, backward = layer_norm(x[None], p, "f", eps)
    return backward(d[None], p.like())[0]


# ---- losses/infonce.py ---------------------------------------------------------------------------

class Push(NamedTuple):
    """A negative's softmax probability p_ij and its share of the gradient, by cosine and tau."""

    cosine: np.ndarray             # (n,) of the query and this negative
    partner: float                 # the cosine of the positive; the other negatives have 0
    keys: int                      # M
    p: dict[float, np.ndarray]     # {tau: (n,) p_ij}
    share: dict[float, np.ndarray]     # {tau: (n,) p_ij/(1 − p_ii)}


def infonce_push(taus: tuple[float, ...] = (1.0, 0.2, 0.05), partner: float = 0.8, keys: int = 64
                 ) -> Push:
    """One query, its positive, one negative with a cosine from −1 to 1, and M − 2 with cosine 0."""
    cosine = np.linspace(-1, 1, 201)
    p, share = {}, {}
    for tau in taus:
        rows = []
        for c in cosine:
            cosines = np.array([partner, c, *[0.0] * (keys - 2)])
            k = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
            s, _ = cosine_logits(np.array([[1.0, 0.0]]), k, tau)
            rows.append([softmax(s)[0][0, 1], softmax(s[:, 1:])[0][0, 0]])
        p[tau], share[tau] = np.array(rows).T
    return Push(cosine, partner, keys, p, share)


# ---- space/hamming.py ----------------------------------------------------------------------------

class Hyperplanes(NamedTuple):
    """How often a random hyperplane separates two vectors, by their angle."""

    angle: np.ndarray              # (n,) in degrees
    D: int                         # bits per vector
    differ: np.ndarray             # (n, pairs) the share of bits that differ
    normals: np.ndarray            # (m, 2) random normals r in the plane of x and y
    x: np.ndarray                  # (2,)
    y: np.ndarray                  # (2,) 50 degrees from x
    separated: np.ndarray          # (m,) bool: r·x and r·y differ in sign


def hyperplanes(D: int = 256, pairs: int = 40, seed: int = 1) -> Hyperplanes:
    """sign_bits of random pairs at known angles; and 60 hyperplanes in the plane of one pair."""
    rng, degrees = np.random.default_rng(seed), np.arange(0, 181, 15)
    u, v = rng.standard_normal((2, pairs, D))
    u = l2_normalize(u)[0]
    v = l2_normalize(v - (v * u).sum(-1, keepdims=True) * u)[0]            # orthogonal to u
    angle = np.deg2rad(degrees)[:, None, None]
    differ = hamming(sign_bits(u), sign_bits(np.cos(angle) * u + np.sin(angle) * v)) / D
    x, y = (np.array([np.cos(a), np.sin(a)]) for a in np.deg2rad([65, 115]))
    normals = l2_normalize(rng.standard_normal((60, 2)))[0]
    bits = sign_bits(np.stack([normals @ x, normals @ y], axis=1))         # two bits per normal
    separated = hamming(bits & 0b10000000, (bits << 1) & 0b10000000) == 1
    return Hyperplanes(degrees, D, differ, normals, x, y, separated)


# ---- sentences/simcse.py -------------------------------------------------------------------------

FRAME_WORDS = {word for frame in REPORTS for word in frame.split() if word.islower()}


class Cone(NamedTuple):
    """The cosines of all pairs of reports, and the nDCG@10 of a search by cosine."""

    cosines: dict[str, np.ndarray]     # {vectors: (pairs,)}
    same_frame: np.ndarray             # (pairs,) bool: whether both reports have one frame
    ndcg: dict[str, float]             # {vectors: nDCG@10 of the queries, in %}


def cone(documents: int = 2000, sentences: int = 12_000, steps: int = 1500, seed: int = 1,
         reports: int = 500) -> Cone:
    """Compare random vectors and those of a masked LM: untrained, trained, and after SimCSE.

    steps: of the masked LM; SimCSE has a fifth as many.  reports: how many are compared in pairs.
    """
    encoder = pretrain(seed, documents, sentences, steps=steps)
    search = encoder.search
    contrasted = train_simcse(encoder, steps=max(1, steps // 5)).model
    rng = np.random.default_rng(seed)
    queries, texts = list(search.queries.values()), list(search.corpus.values())
    vectors = {"random vectors": [rng.standard_normal((len(side), encoder.model.dim))
                                  for side in (queries, texts)]}
    models = {"untrained": untrained(encoder), "masked LM": encoder.model, "SimCSE": contrasted}
    vectors |= {name: [encode_by(encoder, model)(side) for side in (queries, texts)]
                for name, model in models.items()}
    frames = np.array([frame_of(text) for text in texts[:reports]])
    i, j = np.triu_indices(len(frames), 1)
    return Cone({name: cosine_matrix(X[:reports], X[:reports])[i, j]
                 for name, (_, X) in vectors.items()}, frames[i] == frames[j],
                {name: ndcg_percent(search, rank_all(search, cosine_matrix(Q, X)))
                 for name, (Q, X) in vectors.items()})


def frame_of(report: str) -> str:
    """The words of a report that do not state its fact; each frame of REPORTS has its own."""
    return " ".join(word for word in report.split() if word in FRAME_WORDS)


# ---- space/compress.py ---------------------------------------------------------------------------

class Smaller(NamedTuple):
    """The bytes that each form of a table stores, and the nDCG@10 of a search in it."""

    forms: dict[str, tuple[int, Interval]]         # {form: (bytes per vector, nDCG@10 in %)}
    baselines: dict[str, Interval]                 # {a search without these vectors: nDCG@10 in %}


def smaller_vectors(seeds: int = 5, documents: int = 2000, sentences: int = 12_000) -> Smaller:
    """Search with each form of why/compression.py on SIF means of word2vec, over `seeds` worlds.

    Raises ValueError for fewer than two seeds.
    """
    D, scores = WORD2VEC["dim"], {}
    for seed in range(1, seeds + 1):
        search = search_facts(facts(seed, documents, documents * 3 // 20, sentences=sentences,
                                    pairs=0), seed)
        rankings = {name: by_codes(search, form) for name, form in forms(D).items()}
        rankings |= {"BM25": lexical(search),
                     "untrained vectors": dense(search, learn=untrained_words),
                     "random vectors": random_ranking(search)}
        for name, ranking in rankings.items():
            scores.setdefault(name, []).append(ndcg_percent(search, ranking))
    found = {name: interval(np.array(values)) for name, values in scores.items()}
    return Smaller({name: (stored_bytes(form, D), found[name]) for name, form in forms(D).items()},
                   {name: found[name] for name in found if name not in forms(D)})
