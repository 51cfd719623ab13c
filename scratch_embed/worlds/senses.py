"""A toy world of ambiguous words: which of two senses is meant, only the sentence tells.

Equation  P(word of rank r | topic) ∝ r^−1.4;  every topic has one word that another has too
          best = P(n_A > n_B) + ½ P(n_A = n_B),  n_A, n_B the other words of either sense's topic
Shapes    12 topics × 24 words, sentences of 9 words about one topic
Read next transformer/masked_lm.py (learns it from the text alone), evaluate/probe.py

    money    loan cash cash money interest bank cash money money
    river    water boat water bank water bank river delta bank

"Bank" is the same word in both, and has one vector in word2vec: a mean of two meanings.  A model
that reads the sentence can give it two.  Which it is, the other words tell: in this world they
depend on the topic alone, and each on its own.

The best guess.  Let A and B be the topics of the two senses.  A word of A is x times as likely in a
sentence about A as in one about B, with one x > 1 for all words of A but the ambiguous one (x = ∞
where `noise` is 0); that one, fillers and words of a third topic are as likely in either.  So the
likelihood ratio of the others is x^(n_A − n_B), and the majority is right as often as anyone can
be.  n_A and n_B are counts of independent draws: `accuracy_upper_bound` sums their trinomial
distribution, nothing is simulated.

Before or after.  A causal model knows at the word only what stands before it.  `cue_before` and
`cue_after` put all that tells on one side, and fillers on the other and at both ends: the word's
own state can know everything or, exactly, nothing; the last state, a filler's, has read it all.
"""
from collections import Counter
from collections.abc import Callable
from itertools import product
from math import comb
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole

# ---- the world: the words of each topic, most frequent first ------------------------------------

TOPICS = {
    "money": "money cash loan bank coin debt credit interest savings account payment cheque "
             "mortgage budget profit wallet dollar tax salary invoice banker fee deposit price",
    "river": "water river boat bank fish stream bridge current flood ferry mud reed canoe raft "
             "shallow delta ford rapids paddle fisherman waterfall angler trout wade",
    "music": "song music tune pitch guitar drum melody rhythm choir violin concert chord singer "
             "piano trumpet lyric harmony album band flute chorus cello opera tempo",
    "football": "goal ball team pitch striker match referee keeper penalty coach league defender "
                "tackle offside whistle corner fans stadium kick midfield jersey header "
                "substitute trophy",
    "birds": "bird nest wing crane feather egg beak flock sparrow owl heron eagle hatch perch "
             "robin swallow stork plumage talon migrate gull chick hawk songbird",
    "building": "brick wall roof crane scaffold cement concrete builder mortar girder foundation "
                "plaster ladder hammer timber tile mason trowel architect beam digger gravel "
                "plumber helmet",
    "space": "planet moon sky star orbit galaxy rocket comet telescope astronaut sun asteroid "
             "nebula gravity satellite eclipse mars meteor universe lander saturn constellation "
             "cosmos crater",
    "film": "film actor scene star camera director movie script studio screen cinema actress "
            "premiere sequel trailer stunt audition comedy drama producer editor hollywood extra "
            "subtitle",
    "garden": "flower garden soil plant seed rose root leaf bloom petal gardener weed spade tulip "
              "shrub compost hedge lawn bulb daisy pruning greenhouse fern watering",
    "factory": "machine factory worker plant steel engine assembly boiler smoke shift conveyor "
               "furnace chimney foreman turbine welding lathe output warehouse crate union "
               "overtime gear valve",
    "computer": "computer keyboard file mouse software program cursor printer laptop network "
                "browser password disk email server pixel click desktop download folder icon code "
                "monitor byte",
    "barn": "cat barn grain mouse cheese straw rat tail whisker trap hole squeak kitten paw fur "
            "burrow hay granary dormouse stable rodent pantry nibble crumb",
}
NAMES = list(TOPICS)
TABLE = np.array([words.split() for words in TOPICS.values()], dtype=object)       # (12, 24)
FILLERS = "the a of and to in it with for on at by".split()
LENGTH, SHARED = 9, 3              # words in a sentence; the rank, from 0, of the ambiguous word
SENSES = {word: [name for name, other in zip(NAMES, TABLE[:, SHARED]) if other == word]
          for word in TABLE[:, SHARED]}                       # {ambiguous word: its two topics}
ZIPF = np.arange(1.0, 1 + TABLE.shape[1]) ** -1.4
ZIPF /= ZIPF.sum()
PLAIN = np.where(np.arange(len(ZIPF)) == SHARED, 0, ZIPF) / (1 - ZIPF[SHARED])


Context = Callable[[list[str], int], list[str]]   # (sentence, position) -> the words that are read


class Occurrence(NamedTuple):
    """An ambiguous word where it stands."""

    sentence: int                  # the number of its sentence
    position: int                     # its position in it, from 0
    word: str
    sense: str                     # the topic that it belongs to here


class Senses(NamedTuple):
    """A text, and the truth that made it."""

    sentences: list[list[str]]
    topics: list[str]              # of each sentence
    train: list[Occurrence]        # all in sentences of even number
    test: list[Occurrence]         # all in those of odd number, so no sentence is on both sides


# ---- texts --------------------------------------------------------------------------------------

def senses(seed: int = 0, sentences: int = 8000, fillers: float = 0.0, noise: float = 0.0
           ) -> Senses:
    """Sentences whose words tell the topic, wherever they stand.

    fillers: the chance that a word is replaced by one that says nothing; noise: the chance, before
    that, that it is of any topic, all alike, and not ambiguous.
    """
    require_whole("sentences", sentences, 1)
    require_number("fillers", fillers, 0, 1)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    about = rng.integers(len(NAMES), size=sentences)
    topic = np.repeat(about[:, None], LENGTH, axis=1)                     # of each word
    rank = rng.choice(len(ZIPF), topic.shape, p=ZIPF)
    stray = rng.random(topic.shape) < noise
    topic[stray] = rng.integers(len(NAMES), size=stray.sum())
    rank[stray] = rng.choice(len(ZIPF), stray.sum(), p=PLAIN)
    words = TABLE[topic, rank]
    silent = rng.random(topic.shape) < fillers
    words[silent] = rng.choice(FILLERS, silent.sum())
    return _with_truth(words.tolist(), about)


def cue_before(seed: int = 0, sentences: int = 8000) -> Senses:
    """One ambiguous word a sentence: a filler, 2 to 4 words of the topic, it, only fillers."""
    require_whole("sentences", sentences, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    about = rng.integers(len(NAMES), size=sentences)
    words = rng.choice(np.array(FILLERS, dtype=object), (sentences, LENGTH))
    place = rng.integers(3, 6, size=(sentences, 1))
    at = np.arange(LENGTH)
    cues = TABLE[about[:, None], rng.choice(len(ZIPF), words.shape, p=PLAIN)]
    words = np.where((1 <= at) & (at < place), cues, words)
    words = np.where(at == place, TABLE[about, SHARED][:, None], words)
    return _with_truth(words.tolist(), about)


def cue_after(seed: int = 0, sentences: int = 8000) -> Senses:
    """The sentences of cue_before, each read from its end."""
    mirror = cue_before(seed, sentences)
    return _with_truth([sentence[::-1] for sentence in mirror.sentences],
                       [NAMES.index(topic) for topic in mirror.topics])


def _with_truth(sentences, about):
    topics = [NAMES[topic] for topic in about]
    found = [Occurrence(number, place, word, topics[number])
             for number, sentence in enumerate(sentences)
             for place, word in enumerate(sentence) if word in SENSES]
    return Senses(sentences, topics, [one for one in found if one.sentence % 2 == 0],
                  [one for one in found if one.sentence % 2])


# ---- what can be known --------------------------------------------------------------------------

def others(sentence: list[str], place: int) -> list[str]:
    """What a bidirectional model reads beside the word itself."""
    return sentence[:place] + sentence[place + 1:]


def before(sentence: list[str], place: int) -> list[str]:
    """What a causal model has read when it comes to the word."""
    return sentence[:place]


def accuracy_upper_bound(n: int, fillers: float = 0.0, noise: float = 0.0) -> float:
    """How often the sense can be told from n other words of senses(fillers=, noise=), at best.

    A bidirectional model has n = 8.  A causal one has 0 to 8, all alike: the mean over them.
    """
    stray = noise / len(NAMES)
    of_a = (1 - fillers) * ((1 - noise) * (1 - ZIPF[SHARED]) + stray)     # A: what is meant
    of_b = (1 - fillers) * stray
    total = 0.0
    for a, b in product(range(n + 1), repeat=2):
        if a + b <= n and a >= b:
            ways = comb(n, a) * comb(n - a, b)
            chance = ways * of_a**a * of_b**b * (1 - of_a - of_b)**(n - a - b)
            total += chance if a > b else chance / 2
    return float(total)


def majority(world: Senses, read: Context = others) -> float:
    """The best guess, on this very sample: the sense with more words among those read; ties ½.

    It knows the topics' words.  -> the share of `world.test` that is right.
    """
    topic_of = {word: name for name, row in zip(NAMES, TABLE) for word in row
                if word not in SENSES}
    right = 0.0
    for number, place, word, sense in world.test:
        count = Counter(map(topic_of.get, read(world.sentences[number], place)))
        this, that = (count[topic] for topic in sorted(SENSES[word], key=sense.__ne__))
        right += (this > that) + 0.5 * (this == that)
    return right / len(world.test)


def naive_bayes(world: Senses, read: Context = others) -> float:
    """The same guess by who must learn the words from `world.train`: naive Bayes, counts + 1.

    log P(sense | words) = log n_sense + Σ_w log (n_{w, sense} + 1)/(N_sense + V) + const
    """
    words = len({word for sentence in world.sentences for word in sentence})
    seen, senses_seen = {}, Counter()
    for number, place, word, sense in world.train:
        senses_seen[word, sense] += 1
        seen.setdefault((word, sense), Counter()).update(read(world.sentences[number], place))
    size = {key: count.total() for key, count in seen.items()}

    def score(word, sense, context):
        key = word, sense
        found = np.array([seen.get(key, {}).get(w, 0) for w in context])
        return (np.log(senses_seen[key] + 1)
                + np.log((found + 1) / (size.get(key, 0) + words)).sum())
    right = 0.0
    for number, place, word, sense in world.test:
        context = read(world.sentences[number], place)
        this, that = (score(word, topic, context)
                      for topic in sorted(SENSES[word], key=sense.__ne__))
        right += float(this > that) + 0.5 * (this == that)
    return right / len(world.test)
