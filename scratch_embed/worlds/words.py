"""Toy corpora for word vectors: words have attributes, and sentences express the attributes.

Read next worlds/grammar.py (how a sentence is drawn, the exact distribution of word pairs),
          worlds/corpora.py (finds the committed text), words/word2vec.py (learns it).

Known truth: the attributes of every word, the analogies and similarities that follow from them, and
the exact co-occurrence distribution P(w, c).

"King" has the attributes {court, adult, male}, and each attribute has words that express it: crown,
old, his.  A sentence about the king fills a template with them: "the wise king puts his crown in
the palace".  All words of a table go through the same templates, so P(c | w) depends on w only
through the one attribute that the context word c belongs to.  Hence

    P(c | king) − P(c | man) = P(c | queen) − P(c | woman)      for every c,

and without noise the same holds for log P where it is finite.  This is the condition for an
analogy: word2vec and GloVe factorise log P(w, c) approximately, so their vectors satisfy it
approximately.

What could explain a score?  Random vectors solve almost no analogy, and the exact P(w, c) solves
all of them.  A FastText model could use the spelling (cat, cats), so measure it untrained too.

There are three worlds: easy (a smoke test, and the committed text), hard (with fillers and noise,
so that methods differ), tiny (every pair of words can occur, for closed forms).
"""
import os
from collections.abc import Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.files import atomic_write
from scratch_embed.worlds.grammar import Grammar, draw_sentences, grammar_of_patterns

# ---- the world: the words of each attribute, by the slot of a template that they fill -----------

ATTRIBUTES = {
    "male": dict(HE="he", HIS="his", SELF="himself", HAIR="beard"),
    "female": dict(HE="she", HIS="her", SELF="herself", HAIR="braid"),
    "adult": dict(OLD="wise old", DOES="works rests"),
    "child": dict(OLD="young little", DOES="plays giggles"),
    "court": dict(PLACE="palace castle", THING="crown throne"),
    "folk": dict(PLACE="village market", THING="cart donkey"),
    "home": dict(PLACE="house kitchen", THING="pillow kettle"),

    "city": dict(KIND="city town", CHIEF="mayor bishop", STREETS="streets squares"),
    "country": dict(KIND="country nation", CHIEF="president general", STREETS="valleys provinces"),
    "french": dict(SPEECH="french", FOOD="champagne snails"),
    "italian": dict(SPEECH="italian", FOOD="pasta pizza"),
    "spanish": dict(SPEECH="spanish", FOOD="paella tortillas"),
    "german": dict(SPEECH="german", FOOD="sausages cabbage"),
    "greek": dict(SPEECH="greek", FOOD="olives feta"),
    "arabic": dict(SPEECH="arabic", FOOD="falafel dates"),
    "japanese": dict(SPEECH="japanese", FOOD="sushi noodles"),

    "one": dict(ONE="one this", IS="is was", SLEEPS="sleeps waits", HAS="has"),
    "many": dict(ONE="two many", IS="are were", SLEEPS="sleep wait", HAS="have"),
    "cat": dict(HOME="basket", TREAT="milk"), "dog": dict(HOME="kennel", TREAT="bones"),
    "fox": dict(HOME="den", TREAT="grapes"), "pony": dict(HOME="stable", TREAT="hay"),
    "wolf": dict(HOME="forest", TREAT="mutton"), "mouse": dict(HOME="hole", TREAT="cheese"),
    "goose": dict(HOME="pond", TREAT="barley"), "rabbit": dict(HOME="burrow", TREAT="carrots"),
    "squirrel": dict(HOME="treetop", TREAT="acorns"),

    "now": dict(OFTEN="always often", WHEN="today daily"),
    "then": dict(OFTEN="once recently", WHEN="yesterday earlier"),
    "baking": dict(WHO="baker", WHAT="cake pie"),
    "painting": dict(WHO="artist", WHAT="portrait fence"),
    "singing": dict(WHO="tenor", WHAT="song ballad"),
    "writing": dict(WHO="poet", WHAT="letter novel"),
    "driving": dict(WHO="chauffeur", WHAT="car bus"),
    "stealing": dict(WHO="thief", WHAT="watch necklace"),
    "whistling": dict(WHO="sailor", WHAT="tune shanty"),
    "juggling": dict(WHO="clown", WHAT="torch pineapple"),

    "plain": dict(VERY="very so", LIKE="like"),
    "more": dict(VERY="much far", LIKE="than"),
    "size": dict(WHALE="whale", MOUNTAIN="mountain"),
    "speed": dict(WHALE="rocket", MOUNTAIN="hare"), "joy": dict(WHALE="puppy", MOUNTAIN="dancer"),
    "quality": dict(WHALE="peach", MOUNTAIN="pudding"),
    "noise": dict(WHALE="trumpet", MOUNTAIN="parrot"),
}


class Table(NamedTuple):
    """Pairs of words that differ in one attribute, and the templates of their sentences.

    columns: the attribute of the left words and that of the right words.  rows: left word, right
    word, the attributes that both have.  templates: sentences in which NAME is the word itself,
    and another name in capitals is a word of one of its attributes for that slot.
    """

    columns: tuple[str, str]
    rows: list[str]
    templates: list[str]


TABLES = {
    "family": Table(("male", "female"), [
        "man       woman       adult folk",
        "boy       girl        child folk",
        "king      queen       adult court",
        "prince    princess    child court",
        "father    mother      adult home",
        "son       daughter    child home",
    ], [
        "the OLD NAME puts HIS THING in the PLACE",
        "the NAME DOES in HIS PLACE with a THING",
        "HE is the OLD NAME of the PLACE",
        "HE combs HIS HAIR said the NAME of the PLACE",
        "the NAME DOES by SELF near the THING",
    ]),
    "capital": Table(("city", "country"), [
        "paris     france      french",
        "rome      italy       italian",
        "madrid    spain       spanish",
        "berlin    germany     german",
        "athens    greece      greek",
        "cairo     egypt       arabic",
        "tokyo     japan       japanese",
    ], [
        "the CHIEF of NAME eats FOOD and speaks SPEECH",
        "in the STREETS of NAME people sell FOOD",
        "NAME is a KIND where people cook FOOD",
        "they speak SPEECH in the STREETS of NAME",
    ]),
    "plural": Table(("one", "many"), [
        "cat       cats        cat",
        "dog       dogs        dog",
        "fox       foxes       fox",
        "pony      ponies      pony",
        "wolf      wolves      wolf",
        "mouse     mice        mouse",
        "goose     geese       goose",
        "rabbit    rabbits     rabbit",
        "squirrel  squirrels   squirrel",
    ], [
        "ONE NAME SLEEPS in the HOME with some TREAT",
        "there IS ONE NAME with TREAT near the HOME",
        "ONE NAME HAS a HOME and some TREAT",
    ]),
    "past-tense": Table(("now", "then"), [
        "bakes     baked       baking",
        "paints    painted     painting",
        "sings     sang        singing",
        "writes    wrote       writing",
        "drives    drove       driving",
        "steals    stole       stealing",
        "whistles  whistled    whistling",
        "juggles   juggled     juggling",
    ], [
        "the WHO OFTEN NAME a WHAT with great care",
        "WHEN the WHO NAME the WHAT in the rain",
        "the WHO NAME a WHAT WHEN before breakfast",
    ]),
    "comparative": Table(("plain", "more"), [
        "big       bigger      size",
        "fast      faster      speed",
        "happy     happier     joy",
        "good      better      quality",
        "loud      louder      noise",
    ], [
        "the WHALE is VERY NAME LIKE a MOUNTAIN",
        "a MOUNTAIN looks VERY NAME LIKE the WHALE",
    ]),
}

ROYALTY = [("king", "man"), ("queen", "woman"), ("prince", "boy"), ("princess", "girl")]

HELD_OUT = {"rabbits", "squirrels", "whistled", "juggled", "louder"}       # not in any text

FILLERS = [a + b for a in "ba de fi go lu me no pi ra su".split()
           for b in "bo da fe gi li mu na po re si".split()]               # without meaning


# ---- a corpus and its truth ---------------------------------------------------------------------

class World(NamedTuple):
    """A corpus, and the truth about its words.

    sentences: lists of words.  analogies: [(section, [(a, b, c, d)])], a is to b as c is to d.
    pairs: [(word, word, score)]; the score is 10 × the number of shared attributes / the number of
    attributes that at least one of the words has; the table counts as an attribute.  All pairs with
    a shared attribute are listed, and about an eighth of the other pairs, with score 0.
    held_out: [(form, stem)], where the form is not in the text, and the stem is its other form.
    """

    sentences: list[list[str]]
    analogies: list[tuple[str, list[tuple[str, str, str, str]]]]
    pairs: list[tuple[str, str, float]]
    held_out: list[tuple[str, str]]
    grammar: Grammar

    @property
    def words(self) -> list[str]:
        """The vocabulary, in the order of the rows of grammar.pair_distribution."""
        return self.grammar.words


# ---- from tables to frames, from frames to sentences --------------------------------------------

def attributes_of(sections: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """{word: its attributes, first the name of its table}, for the words that are in the text."""
    return {word: (section, *shared, column)
            for section in sections for row in TABLES[section].rows
            for left, right, *shared in [row.split()]
            for word, column in zip((left, right), TABLES[section].columns)
            if word not in HELD_OUT}


def make_grammar(sections: Sequence[str], rng: np.random.Generator, contexts: int = 2,
                 fillers: float = 0.0, noise: float = 0.0) -> Grammar:
    """The grammar with every word of a table in every template of the table, equally often.

    contexts: how many words of an attribute can fill a slot; the r-th has a probability ∝ 1/r.
    fillers: how many meaningless words (P ∝ 1/rank) are inserted for each word of a template.
    noise: the probability that a word is replaced by a uniformly drawn word of the vocabulary.
    """
    templates = {section: [tokens for template in TABLES[section].templates
                           for tokens in _insert_fillers(template.split(), fillers, rng)]
                 for section in sections}
    patterns, weights = [], []
    for word, (section, *attributes) in attributes_of(sections).items():
        fill = {slot: words.split()[:contexts] for attribute in attributes
                for slot, words in ATTRIBUTES[attribute].items()}
        fill |= {"NAME": [word], "FILLER": FILLERS}
        for template in templates[section]:
            patterns.append([tuple(fill.get(token, [token])) for token in template])
            weights.append(1 / len(templates[section]))
    return grammar_of_patterns(patterns, np.array(weights) / sum(weights), noise)


def _insert_fillers(tokens, fillers, rng, ways=8):
    """Yield the template with fillers at random positions, in `ways` ways for all words alike."""
    count = round(fillers * len(tokens))
    for _ in range(ways if count else 1):
        longer = np.full(len(tokens) + count, "FILLER", dtype=object)
        longer[np.sort(rng.permutation(len(longer))[:len(tokens)])] = tokens
        yield list(longer)


# ---- the truth ----------------------------------------------------------------------------------

def _truth(sections):
    """The analogies, the pairs with scores and the held-out forms of these tables."""
    attributes = attributes_of(sections)
    rows = [(section, *row.split()[:2]) for section in sections for row in TABLES[section].rows]
    pairs_of = [("royalty", ROYALTY)]
    pairs_of += [(section, [(left, right) for name, left, right in rows
                            if name == section and HELD_OUT.isdisjoint((left, right))])
                 for section in sections]
    analogies = [(name, [(*p, *q) for p, q in permutations(members, 2)])
                 for name, members in pairs_of]
    pairs = [(v, w, _similarity(attributes[v], attributes[w]))
             for v, w in combinations(attributes, 2)]
    pairs = [pair for n, pair in enumerate(pairs) if pair[2] > 0 or n % 8 == 0]
    held_out = [(right, left) for _, left, right in rows if right in HELD_OUT]
    return analogies, pairs, held_out


def _similarity(one, other):
    """10 |A ∩ B| / |A ∪ B| of two words' attributes."""
    return 10 * len(set(one) & set(other)) / len(set(one) | set(other))


# ---- the three worlds ----------------------------------------------------------------------------

def easy(seed: int = 0, sentences: int = 12_000) -> World:
    """A World that reads like simple English: about 102,000 tokens, 233 words, 168 analogies.

    Its exact P(w, c) solves every analogy, and so does skip-gram in 5 epochs; random vectors solve
    almost none.
    """
    return _make_world(tuple(TABLES), sentences, seed)


def hard(seed: int = 0, sentences: int = 10_000, fillers: float = 0.75, noise: float = 0.1
         ) -> World:
    """The same tables with one context word per slot, over 40% fillers, and 10% noise.

    About 150,000 tokens of 290 words.  Its exact P(w, c) still solves every analogy, so an analogy
    that a method misses is an error of estimation.
    fillers, noise: as in make_grammar.
    """
    return _make_world(tuple(TABLES), sentences, seed, contexts=1, fillers=fillers, noise=noise)


def tiny(seed: int = 0, sentences: int = 20_000, noise: float = 0.3) -> World:
    """The table "family" only: 41 words, so that vectors can have more dimensions; all P(w, c) > 0.

    For closed forms: u·v of skip-gram compared with log[P(w, c) / (P(w) P_noise(c))] − log K.
    """
    return _make_world(("family",), sentences, seed, contexts=1, noise=noise)


def _make_world(sections, sentences, seed, contexts=2, fillers=0.0, noise=0.0):
    require_whole("sentences", sentences, 1)
    require_number("fillers", fillers)
    require_number("noise", noise, 0, 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    grammar = make_grammar(sections, rng, contexts, fillers, noise)
    return World(draw_sentences(grammar, sentences, rng), *_truth(sections), grammar)


def write(folder: str | os.PathLike, seed: int = 0) -> None:
    """Write easy(seed) to an existing folder: words-easy.txt, .analogies.txt and .pairs.tsv.

    The text has one sentence per line; the analogies have the format of Google's questions-words.
    """
    world = easy(seed)
    texts = {
        "words-easy.txt": [" ".join(sentence) for sentence in world.sentences],
        "words-easy.analogies.txt": [line for section, questions in world.analogies for line in
                                     (f": {section}", *(" ".join(q) for q in questions))],
        "words-easy.pairs.tsv": ["# word\tword\t10 x attributes shared / attributes of either",
                                 *(f"{v}\t{w}\t{score:.2f}" for v, w, score in world.pairs)],
    }
    for name, lines in texts.items():
        with atomic_write(Path(folder) / name) as file:
            file.write("".join(line + "\n" for line in lines).encode())
