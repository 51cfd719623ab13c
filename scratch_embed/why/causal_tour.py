"""GPT against BERT, for the tour: which of a text's tokens has read what, and sentence vectors.

Papers    Radford et al. 2018 (GPT); Devlin et al. 2019, section 1 (why both directions);
          Muennighoff 2022, "SGPT" (the weighted mean).
Shapes    a score is an accuracy in %, or two numbers: nDCG@10 and STS, both in %
Cost      a seed takes about twenty seconds on one core: BERT and two GPTs.
Read next why/contextual_tour.py (the world of senses, and BERT), why/sentences.py (the world of
          facts), why/gpt2.py (ablations), transformer/pooling.py

The state of a token in a causal model is a function of this token and of those before it.  If the
words that show the sense of "bank" come after it, no training can put the sense into its state; a
later state can have it.  Which later state has it after training?  The one from which the loss
predicts something that depends on it.  So the text has two sentences about one topic in each
sequence: the end of the first sentence predicts the beginning of the second, which depends on the
topic.  The last word of a sentence is always followed by the end token, so its state need not have
the topic.

Why not one sentence in each sequence?  Then the end token has no next token, and the loss asks for
nothing in its state: in a trial the sense was found from it in 99.6, 53.8 and 97.2 % of the cases,
in three seeds.

What could explain a score?  Attention with initial weights is nearly a mean over the tokens so far,
so an untrained state can have the sense, too: it is a row of the table.
"""
import numpy as np

from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import Packed, pack
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import causal_lm, gpt2
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.pooling import last_token, mean, weighted_mean
from scratch_embed.why import contexts
from scratch_embed.why.contexts import (
    most_frequent_sense,
    packed,
    sense_accuracy,
    states_of_words,
    with_optim,
)
from scratch_embed.why.contextual_tour import LEFT_ONLY, UPPER_BOUND, Trained, text_of
from scratch_embed.why.searches import equal_weights, lexical, ndcg_percent
from scratch_embed.why.sentences import Encode, Encoder, draw, score
from scratch_embed.why.simcse_tour import word2vec_encode
from scratch_embed.worlds.senses import LENGTH, before, majority

SIZES = dict(dim=64, layers=2, heads=2, ff=128, positions=2 * LENGTH + 3)
GPT = dict(steps=1000, batch_size=32, lr=5e-3, dropout=0.0)
SMALL = dict(dim=32, layers=2, heads=2, ff=64, positions=24)          # as BERT in why/sentences.py
TEXT = dict(steps=1500, batch_size=64, lr=1e-2, dropout=0.0)
POOLS = {"mean": mean, "weighted": weighted_mean, "last token": last_token}
BERT_WORD, GPT_WORD, GPT_END = "BERT, word", "GPT, word", "GPT, end token"
GPT_LAST, GPT_MEAN = "GPT, last word", "GPT, mean of words"
INITIAL = "untrained "


def new_gpt(vocab: int, sizes: dict, seed: int) -> Gpt2:
    """A GPT-2 of these sizes with initial weights."""
    config = gpt2.Config(vocab, **sizes)
    return Gpt2(config, init_params(gpt2.tensors(config), seed))


def train_gpt(corpus: Packed, start: Gpt2, settings: dict, seed: int) -> Gpt2:
    """Train a GPT-2.  settings: such as GPT"""
    return causal_lm.train(corpus, start, options=RunOptions(seed=seed),
                           **with_optim(settings)).model


# ---- senses -------------------------------------------------------------------------------------

def sense_accuracies(known: Trained, **changes) -> dict[str, np.ndarray]:
    """{model and state: accuracy in % on each part of the text (3,)}, with baselines.

    known: the text, and the BERT that was trained on it; changes: to the settings GPT
    """
    worlds, tokenizer, seed = known.parts.values(), known.tokenizer, known.seed
    start = new_gpt(len(tokenizer), SIZES, seed)
    gpt = train_gpt(pairs(known), start, GPT | changes, seed)
    scores: dict[str, list[float]] = {}
    for world in worlds:
        text = packed(tokenizer, world.sentences)
        initial = contexts.untrained(known.model.config, seed)
        tables = {BERT_WORD: states_of_words(text, known.model)[-1], **states(text, gpt),
                  INITIAL + BERT_WORD: states_of_words(text, initial)[-1],
                  **{INITIAL + name: x for name, x in states(text, start).items()}}
        for name, x in tables.items():
            scores.setdefault(name, []).append(sense_accuracy(world, x))
    return {name: 100 * np.array(row) for name, row in {
        **scores, "the more frequent sense": [most_frequent_sense(world) for world in worlds],
        UPPER_BOUND: [majority(world) for world in worlds],
        LEFT_ONLY: [majority(world, before) for world in worlds]}.items()}


def states(text: Packed, gpt: Gpt2) -> dict[str, np.ndarray]:
    """The last states of a text of begin token, LENGTH words, end token.  {name: (T, D)}

    T: the number of words; the state of a sentence is repeated for each of its words.
    """
    x = gpt.infer(text).reshape(-1, LENGTH + 2, gpt.dim)
    words, end = x[:, 1:-1], x[:, -1]
    of_sentence = {GPT_LAST: words[:, -1], GPT_END: end, GPT_MEAN: words.mean(axis=1)}
    return {GPT_WORD: words.reshape(-1, gpt.dim),
            **{name: np.repeat(row, LENGTH, axis=0) for name, row in of_sentence.items()}}


def pairs(known: Trained) -> Packed:
    """Sequences of two sentences about one topic: begin, words, end, words, end."""
    single = packed(known.tokenizer, text_of(known.parts)).ids.reshape(-1, LENGTH + 2)
    topics = np.array([topic for world in known.parts.values() for topic in world.topics])
    rng, found = np.random.default_rng([known.seed, 4]), []
    for topic in sorted(set(topics)):
        rows = rng.permutation(np.flatnonzero(topics == topic))
        half = len(rows) // 2
        found.append(np.hstack([single[rows[:half]], single[rows[half:2 * half], 1:]]))
    return pack(np.concatenate(found))


# ---- sentence vectors ----------------------------------------------------------------------------

def sentence_scores(seed: int, documents: int = 2000, sentences: int = 12_000, **changes
                    ) -> dict[str, np.ndarray]:
    """{vectors: nDCG@10 and STS in %} of a GPT by pooling, and baselines.

    changes: to the settings TEXT
    """
    encoder = draw(seed, documents, sentences)
    start = new_gpt(len(encoder.tokenizer), SMALL, seed)
    gpt = train_gpt(encoder.text, start, TEXT | changes, seed)
    rng = np.random.default_rng([seed, 6])
    ways = {f"GPT, {name}": vectors(encoder, gpt, pool) for name, pool in POOLS.items()}
    ways |= {f"untrained, {name}": vectors(encoder, start, pool) for name, pool in POOLS.items()}
    ways |= {"word2vec, mean": word2vec_encode(encoder, equal_weights),
             "random vectors": lambda texts: rng.standard_normal((len(texts), SMALL["dim"]))}
    rows = {name: np.array(score(encoder, encode)[:2]) for name, encode in ways.items()}
    bm25 = ndcg_percent(encoder.search, lexical(encoder.search))
    return {**rows, "BM25": np.array([bm25, np.nan])}


def vectors(encoder: Encoder, gpt: Gpt2, pool) -> Encode:
    """The function texts -> pooled states (N, D) of a GPT."""
    def encode(texts):
        batch = packed(encoder.tokenizer, (text.split() for text in texts))
        return pool(gpt.infer(batch), batch.offsets)[0]
    return encode
