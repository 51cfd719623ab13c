"""A toy world of ambiguous words: only the rest of the sentence shows a word's sense.

Equation  P(word of rank r | topic) ∝ r^−1.4;  one word of each topic is also in another topic
          upper bound = P(n_A > n_B) + ½ P(n_A = n_B), where n_A and n_B are the numbers of words in
          the rest of the sentence from the topic of the right sense and of the other sense
Shapes    12 topics × 24 words, sentences of 9 words about one topic
Read next transformer/masked_lm.py (learns from the text alone), evaluate/probe.py

    money    loan cash cash money interest bank cash money money
    river    water boat water bank water bank river delta bank

Known truth: the topic of each sentence, and so the sense of each ambiguous word.  In word2vec
"bank" has one vector, a mean of its two senses.  A model that reads the sentence can give it two.

What could explain an accuracy?  Chance is about ½.  In this world the other words are drawn
independently given the topic, so a bag of words is enough: naive_bayes() learns from the same text.
A Transformer's accuracy shows that it uses the context, not that the task needs attention.

Upper bound.  Let A and B be the topics of the two senses.  Every word of A except the ambiguous
word is x times as likely in a sentence about A as in a sentence about B, with the same x > 1 for
all (x = ∞ if `noise` is 0).  The ambiguous word, fillers and words of other topics are equally
likely in both.  So the likelihood ratio of the other words is x^(n_A − n_B), and the optimal choice
is the topic with more words.  The words are independent draws, so n_A and n_B have a trinomial
distribution, which accuracy_upper_bound() sums exactly.

Left and right context.  A causal model has only read the words before the ambiguous one.
cue_before() and cue_after() put all informative words on one side, and fillers on the other side
and at both ends.  So at the ambiguous word a causal model has either all the information or none;
at the last word, a filler, it has read everything.
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
LENGTH, SHARED = 9, 3              # words in a sentence; rank of the ambiguous word, from 0
SENSES = {word: [name for name, other in zip(NAMES, TABLE[:, SHARED]) if other == word]
          for word in TABLE[:, SHARED]}                       # {ambiguous word: its two topics}
ZIPF = np.arange(1.0, 1 + TABLE.shape[1]) ** -1.4
ZIPF /= ZIPF.sum()
PLAIN = np.where(np.arange(len(ZIPF)) == SHARED, 0, ZIPF) / (1 - ZIPF[SHARED])


Context = Callable[[list[str], int], list[str]]   # (sentence, position) -> words read


class Occurrence(NamedTuple):
    """An ambiguous word at one position of one sentence."""

    sentence: int                  # its index
    position: int                  # in the sentence, from 0
    word: str
    sense: str                     # the topic of the sentence


class Senses(NamedTuple):
    """A text, its topics, and the senses of its ambiguous words."""

    sentences: list[list[str]]
    topics: list[str]              # of each sentence
    train: list[Occurrence]        # of ambiguous words in sentences of even index
    test: list[Occurrence]         # of ambiguous words in sentences of odd index


# ---- texts --------------------------------------------------------------------------------------

def senses(seed: int = 0, sentences: int = 8000, fillers: float = 0.0, noise: float = 0.0
           ) -> Senses:
    """Draw sentences with informative words at all positions.

    noise: the probability that a word is instead drawn from the unambiguous words of a random
    topic.  fillers: the probability that a word is then replaced by a filler.
    Raises ValueError for a number out of range.
    """
    require_whole("sentences", sentences, 1)
    require_number("fillers", fillers, 0, 1)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    sentence_topics = rng.integers(len(NAMES), size=sentences)
    topic = np.repeat(sentence_topics[:, None], LENGTH, axis=1)           # of each word
    rank = rng.choice(len(ZIPF), topic.shape, p=ZIPF)
    stray = rng.random(topic.shape) < noise
    topic[stray] = rng.integers(len(NAMES), size=stray.sum())
    rank[stray] = rng.choice(len(ZIPF), stray.sum(), p=PLAIN)
    words = TABLE[topic, rank]
    filler = rng.random(topic.shape) < fillers
    words[filler] = rng.choice(FILLERS, filler.sum())
    return _label_senses(words.tolist(), sentence_topics)


def cue_before(seed: int = 0, sentences: int = 8000) -> Senses:
    """Draw sentences of a filler, 2 to 4 topic words, an ambiguous word, and then only fillers."""
    require_whole("sentences", sentences, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    sentence_topics = rng.integers(len(NAMES), size=sentences)
    words = rng.choice(np.array(FILLERS, dtype=object), (sentences, LENGTH))
    position = rng.integers(3, 6, size=(sentences, 1))
    positions = np.arange(LENGTH)
    cues = TABLE[sentence_topics[:, None], rng.choice(len(ZIPF), words.shape, p=PLAIN)]
    words = np.where((1 <= positions) & (positions < position), cues, words)
    words = np.where(positions == position, TABLE[sentence_topics, SHARED][:, None], words)
    return _label_senses(words.tolist(), sentence_topics)


def cue_after(seed: int = 0, sentences: int = 8000) -> Senses:
    """The sentences of cue_before with their words in reverse order."""
    mirror = cue_before(seed, sentences)
    return _label_senses([sentence[::-1] for sentence in mirror.sentences],
                         [NAMES.index(topic) for topic in mirror.topics])


def _label_senses(sentences, sentence_topics):
    """The Senses of sentences, given the topic index of each."""
    topics = [NAMES[topic] for topic in sentence_topics]
    found = [Occurrence(number, position, word, topics[number])
             for number, sentence in enumerate(sentences)
             for position, word in enumerate(sentence) if word in SENSES]
    return Senses(sentences, topics, [o for o in found if o.sentence % 2 == 0],
                  [o for o in found if o.sentence % 2])


# ---- upper bounds and baseline -------------------------------------------------------------------

def others(sentence: list[str], position: int) -> list[str]:
    """The other words, which a bidirectional model reads."""
    return sentence[:position] + sentence[position + 1:]


def before(sentence: list[str], position: int) -> list[str]:
    """The words before the position, which a causal model has read."""
    return sentence[:position]


def accuracy_upper_bound(n: int, fillers: float = 0.0, noise: float = 0.0) -> float:
    """The highest expected accuracy with n other words of senses(fillers=, noise=).

    For a bidirectional model n = 8.  For a causal model n = 0 to 8, equally often: take the mean.
    """
    stray = noise / len(NAMES)
    of_a = (1 - fillers) * ((1 - noise) * (1 - ZIPF[SHARED]) + stray)     # A: the right topic
    of_b = (1 - fillers) * stray
    total = 0.0
    for a, b in product(range(n + 1), repeat=2):
        if a + b <= n and a >= b:
            ways = comb(n, a) * comb(n - a, b)
            probability = ways * of_a**a * of_b**b * (1 - of_a - of_b)**(n - a - b)
            total += probability if a > b else probability / 2
    return float(total)


def majority(world: Senses, read: Context = others) -> float:
    """The accuracy on `world.test` of the optimal rule: the topic with more words in the context.

    The rule knows the words of all topics.  A tie counts ½.
    """
    topic_of = {word: name for name, row in zip(NAMES, TABLE) for word in row
                if word not in SENSES}
    correct = 0.0
    for number, position, word, sense in world.test:
        count = Counter(map(topic_of.get, read(world.sentences[number], position)))
        own, other = (count[topic] for topic in sorted(SENSES[word], key=sense.__ne__))
        correct += (own > other) + 0.5 * (own == other)
    return correct / len(world.test)


def naive_bayes(world: Senses, read: Context = others) -> float:
    """The accuracy on `world.test` of naive Bayes with add-one smoothing, from `world.train`.

    log P(sense | words) = log (n_sense + 1) + Σ_w log [(n_{w, sense} + 1)/(N_sense + V)] + const,
    where n_sense counts occurrences of the sense, n_{w, sense} the word w in their contexts,
    N_sense = Σ_w n_{w, sense}, and V is the number of different words.
    """
    words = len({word for sentence in world.sentences for word in sentence})
    seen, senses_seen = {}, Counter()
    for number, position, word, sense in world.train:
        senses_seen[word, sense] += 1
        seen.setdefault((word, sense), Counter()).update(read(world.sentences[number], position))
    size = {key: count.total() for key, count in seen.items()}

    def score(word, sense, context):
        key = word, sense
        found = np.array([seen.get(key, {}).get(w, 0) for w in context])
        return (np.log(senses_seen[key] + 1)
                + np.log((found + 1) / (size.get(key, 0) + words)).sum())
    correct = 0.0
    for number, position, word, sense in world.test:
        context = read(world.sentences[number], position)
        own, other = (score(word, topic, context)
                      for topic in sorted(SENSES[word], key=sense.__ne__))
        correct += float(own > other) + 0.5 * (own == other)
    return correct / len(world.test)
