"""A toy world for retrieval: short reports, and queries that describe them in other words.

Equation  gain(q, d) = max(0, matches(q, d) − 1), where a query names 3 slots: a report has gain 2
          if the values of all 3 match, 1 if 2 of them match, else 0 (not relevant)
Shapes    5 slots × 8 values × 4 synonyms; a fact is 5 values, a report states one fact
Read next worlds/bounds.py (upper bounds and chance), worlds/codes.py, worlds/instructions.py,
          worlds/bindings.py, worlds/long_documents.py (other tasks with these facts)

    the weary seaman mended the lantern near the shore          a report
    find the drowsy mariner who repaired something              a query for it

Known truth: the fact of each report and the slots of each query, and so the gain of every document
for every query.  A perfect ranking has nDCG 1.

Reports use the first three synonyms of a value, queries the last three.  If a report and a query
name the same value, they use the same word in only 2 of 9 cases.  So exact term matching misses
most matches, and a model that knows which words are synonyms finds all of them.

Synonyms can be learned from the text alone, because the slots of a fact are correlated: facts are
copies of 20 prototypes, in which each slot is drawn again with probability 0.25.  "Sailor" and
"seaman" occur in the same contexts, "sailor" and "farmer" do not.  If the slots were independent
(noise = 1), all words of a slot would occur in the same contexts, and a model could not learn which
of them are synonyms.

What could explain a score?  nDCG@10 of seeds 0 to 4 (searches of tests/worlds/test_facts.py):

                          correlated slots    independent slots (noise = 1)
    word2vec, weighted    0.93 to 0.95        0.10 to 0.12
    term matching         0.54 to 0.57        0.42 to 0.44
    chance                0.04
"""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole

# ---- the world: 5 slots, 8 values each, 4 words for each value ----------------------------------

SLOTS = {
    "mood": ["happy glad cheerful joyful", "angry furious irate enraged",
             "weary tired drowsy exhausted", "rich wealthy affluent moneyed",
             "brave fearless bold valiant", "clever smart bright brainy",
             "hungry starving famished ravenous", "scared afraid frightened fearful"],
    "who": ["doctor physician medic healer", "teacher tutor instructor professor",
            "thief robber burglar crook", "child kid youngster toddler",
            "soldier warrior trooper fighter", "sailor seaman mariner deckhand",
            "farmer grower peasant planter", "singer vocalist crooner chorister"],
    "act": ["bought purchased acquired procured", "found discovered located spotted",
            "mended repaired fixed restored", "smashed shattered wrecked demolished",
            "buried concealed stashed masked", "tossed hurled flung chucked",
            "carried hauled lugged toted", "praised lauded extolled hailed"],
    "thing": ["boat ship vessel dinghy", "stone rock boulder pebble",
              "gift present donation offering", "picture painting portrait drawing",
              "coat jacket cloak anorak", "lamp lantern torch candle",
              "book volume tome novel", "sword blade sabre dagger"],
    "place": ["forest woods woodland grove", "mountain peak summit hilltop",
              "shore beach coast seaside", "city town metropolis borough",
              "swamp marsh bog fen", "prison jail dungeon gaol",
              "inn tavern pub alehouse", "church chapel cathedral abbey"],
}
NAMES = list(SLOTS)
WORDS = [[value.split() for value in values] for values in SLOTS.values()]   # [slot][value][word]
VALUE_OF = {word: (slot, value) for slot, values in enumerate(WORDS)
            for value, words in enumerate(values) for word in words}
VALUES = 8
NOT_NAMED = -1                     # in place of a value, where a text names none
IN_REPORTS, IN_QUESTIONS, IN_EITHER = (0, 1, 2), (1, 2, 3), (0, 1, 2, 3)
GAIN = (0, 0, 1, 2)                # GAIN[m] is the gain of m matches

REPORTS = ["the MOOD WHO ACT the THING near the PLACE",
           "near the PLACE the MOOD WHO ACT the THING",
           "the THING was ACT by the MOOD WHO near the PLACE",
           "they say that near the PLACE the WHO was MOOD and ACT the THING"]

Fact = tuple[int, ...]             # a value for each slot, in the order of NAMES
Slots = dict[int, int]             # {slot: value} of the slots that a query names
Qrels = dict[str, dict[str, int]]  # {query id: {document id: gain}}, gains above 0 only


class Facts(NamedTuple):
    """A sample of the world in the form of a retrieval benchmark, and the facts behind it."""

    corpus: dict[str, str]                 # {document id: report}
    queries: dict[str, str]                # {query id: text}
    qrels: Qrels
    document_facts: dict[str, Fact]        # {document id: the fact that it states}
    query_slots: dict[str, Slots]          # {query id: the slots that it names}
    prototypes: np.ndarray                 # (P, 5), the facts that all facts are copies of
    text: list[list[str]]                  # to train word vectors: the reports, and other sentences
    pairs: list[tuple[str, str]]           # to train retrieval: (query, a relevant report)


# ---- facts --------------------------------------------------------------------------------------

def draw_prototypes(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n facts in which all values of a slot are equally frequent, ±1.  -> (n, 5)"""
    return np.stack([rng.permutation(np.arange(n) % VALUES) for _ in NAMES], axis=1)


def draw_facts(n: int, prototypes: np.ndarray, noise: float, rng: np.random.Generator
               ) -> list[Fact]:
    """Draw n copies of random prototypes; each slot is redrawn with probability `noise`."""
    copies = prototypes[rng.integers(len(prototypes), size=n)]
    redrawn = rng.integers(VALUES, size=copies.shape)
    return [tuple(fact) for fact in np.where(rng.random(copies.shape) < noise, redrawn, copies
                                             ).tolist()]


# ---- sentences ----------------------------------------------------------------------------------

def pick(options: Sequence, rng: np.random.Generator):
    """Draw one of the options uniformly."""
    return options[int(rng.integers(len(options)))]


def word_for(slot: int, value: int, synonyms: Sequence[int], rng: np.random.Generator) -> str:
    """Draw one of these synonyms of a value uniformly."""
    return WORDS[slot][value][pick(synonyms, rng)]


def report(fact: Fact, rng: np.random.Generator, synonyms: Sequence[int] = IN_REPORTS,
           frames: Sequence[str] = REPORTS) -> str:
    """A sentence that states the fact: one of the frames, with its slots filled."""
    words = {name.upper(): word_for(slot, fact[slot], synonyms, rng)
             for slot, name in enumerate(NAMES)}
    return " ".join(words.get(token, token) for token in pick(frames, rng).split())


def question(slots: Slots, rng: np.random.Generator, synonyms: Sequence[int] = IN_QUESTIONS
             ) -> str:
    """A query for a report with these values."""
    word = {NAMES[slot]: word_for(slot, value, synonyms, rng) for slot, value in slots.items()}
    parts = ["find the", word.get("mood"), word.get("who", "person")]
    if "act" in word or "thing" in word:
        parts += ["who", word.get("act", "had")]
        parts += ["the", word["thing"]] if "thing" in word else ["something"]
    parts += ["near the", word["place"]] if "place" in word else []
    return " ".join(part for part in parts if part)


def name_three(fact: Fact, rng: np.random.Generator) -> Slots:
    """Draw three slots of a fact; all ten choices are equally likely."""
    return {int(slot): fact[slot] for slot in np.sort(rng.permutation(len(NAMES))[:3])}


# ---- relevance ----------------------------------------------------------------------------------

def judge(query_slots: Mapping[str, Slots], document_facts: Mapping[str, Fact],
          gain: Sequence[int] = GAIN) -> Qrels:
    """The relevance judgments: every gain of a document for a query that is above 0.

    gain: gain[m] is the gain of a document that matches in m of the query's slots.
    """
    documents, table = list(document_facts), np.array(list(document_facts.values()))
    qrels = {}
    for query, slots in query_slots.items():
        matches = (table[:, list(slots)] == list(slots.values())).sum(axis=1)       # (documents,)
        gains = np.asarray(gain)[matches]
        qrels[query] = {documents[i]: int(gains[i]) for i in np.flatnonzero(gains)}
    return qrels


def gain_table(qrels: Qrels, documents: Sequence[str]) -> np.ndarray:
    """The qrels as a table (queries, documents), with gain 0 where they have no entry."""
    column = {document: i for i, document in enumerate(documents)}
    table = np.zeros((len(qrels), len(documents)), int)
    for row, gains in zip(table, qrels.values()):
        row[[column[document] for document in gains]] = list(gains.values())
    return table


def values_named(texts: Sequence[str]) -> np.ndarray:
    """The value of each slot that a text names, read from its words; NOT_NAMED if none.  -> (N, 5)

    >>> values_named(["find the happy person who mended something"]).tolist()
    [[0, -1, 2, -1, -1]]
    """
    values = np.full((len(texts), len(NAMES)), NOT_NAMED)
    for row, text in zip(values, texts):
        for word in text.split():
            if word in VALUE_OF:
                slot, value = VALUE_OF[word]
                row[slot] = value
    return values


def states_all(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Whether a document has every value that a query names: a right answer.  -> (Q, N) bool

    queries: (Q, 5), documents: (N, 5), both of values_named
    """
    return ((queries[:, None] == documents) | (queries[:, None] == NOT_NAMED)).all(axis=-1)


# ---- the sample ---------------------------------------------------------------------------------

def facts(seed: int = 0, documents: int = 2000, queries: int = 300, prototypes: int = 20,
          noise: float = 0.25, sentences: int = 12_000, pairs: int = 2000) -> Facts:
    """Draw a sample of the world.

    Each query names three slots of some document's fact, so at least one document has gain 2.

    prototypes  the number of facts that all others are copies of
    noise       the probability that a slot is redrawn instead of copied
    sentences   the number of sentences of `text` besides the documents, with all four synonyms and
                about newly drawn facts: two thirds are reports, one third queries
    pairs       the number of training pairs, also about newly drawn facts; pairs whose query is one
                of the world's queries are left out
    Raises ValueError for a number that is out of range.
    """
    for name, value in (("documents", documents), ("queries", queries), ("prototypes", prototypes)):
        require_whole(name, value, 1)
    require_whole("sentences", sentences)
    require_whole("pairs", pairs)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    protos = draw_prototypes(prototypes, rng)
    document_facts = dict(zip(make_ids("d", documents), draw_facts(documents, protos, noise, rng)))
    corpus = {document: report(fact, rng) for document, fact in document_facts.items()}
    query_facts = [document_facts[document]
                   for document in rng.choice(list(document_facts), queries)]
    query_slots = dict(zip(make_ids("q", queries), (name_three(fact, rng) for fact in query_facts)))
    texts = {query: question(slots, rng) for query, slots in query_slots.items()}
    text = [sentence.split() for sentence in corpus.values()]
    for i, fact in enumerate(draw_facts(sentences, protos, noise, rng)):
        sentence = (report(fact, rng, IN_EITHER) if i % 3 else
                    question(name_three(fact, rng), rng, IN_EITHER))
        text.append(sentence.split())
    return Facts(corpus, texts, judge(query_slots, document_facts), document_facts, query_slots,
                 protos, text,
                 _training_pairs(draw_facts(pairs, protos, noise, rng), set(texts.values()), rng))


def make_ids(letter: str, n: int) -> list[str]:
    """n ids of equal length, in alphabetical order: make_ids("d", 2000) -> d0000, d0001, ..."""
    return [f"{letter}{i:0{len(str(n - 1))}d}" for i in range(n)]


def _training_pairs(drawn, queries, rng):
    """For each drawn fact a query and a relevant report; without the queries of the world."""
    pairs = [(question(name_three(fact, rng), rng), report(fact, rng)) for fact in drawn]
    return [pair for pair in pairs if pair[0] not in queries]
