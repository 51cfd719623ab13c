"""Texts about a tree of categories: 4 realms, each with 4 families, each with 4 kinds.

Shapes    N texts, each about one of 64 kinds; labels (realm, family, kind)
Read next worlds/facts.py (independent factors instead of a tree), worlds/training_pairs.py (pairs
          of texts with scores), worlds/bounds.py

    the sparrow lays eggs and builds nests ; like all living creatures it eats food and has young

Known truth: the realm, family and kind of each text.  A text names its kind, two of the four traits
of its family and two of those of its realm.  So kinds of one family are more similar to each other
than to others, and so are families of one realm.  A vector that is truncated should lose the kind
first and the realm last.

What could explain a clustering?  All texts of a family use the words of its traits, so a bag of
words finds families and realms too.  Compare a model with a bag of words, and with chance
(worlds/bounds.py).
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.worlds.facts import pick

TREE = {
    "animal": {
        "bird": "sparrow eagle owl swan", "fish": "trout salmon shark eel",
        "insect": "beetle ant wasp moth", "mammal": "otter badger deer hare"},
    "plant": {
        "tree": "oak birch willow maple", "flower": "rose tulip daisy lily",
        "grain": "wheat barley oats rye", "vegetable": "carrot cabbage onion turnip"},
    "tool": {
        "instrument": "violin flute drum harp", "furniture": "table chair bench wardrobe",
        "vehicle": "cart tram barge lorry", "garment": "scarf glove boot cap"},
    "matter": {
        "metal": "iron copper tin zinc", "gem": "ruby topaz opal garnet",
        "cloth": "wool linen silk cotton", "drink": "milk cider cocoa lemonade"},
}
TRAITS = {
    "animal": ["eats food", "has young", "breathes air", "sleeps at times"],
    "plant": ["drinks rain", "turns to the sun", "has roots", "springs from seeds"],
    "tool": ["is made by hand", "is sold in shops", "wears out with use", "belongs to somebody"],
    "matter": ["is sold by weight", "has no parts", "can be poor or pure", "comes in any amount"],
    "bird": ["lays eggs", "builds nests", "spreads wings", "grows feathers"],
    "fish": ["swims in shoals", "wears scales", "moves its fins", "breathes through gills"],
    "insect": ["crawls on six legs", "has feelers", "hatches from a larva", "buzzes about"],
    "mammal": ["suckles its brood", "wears fur", "digs a burrow", "has warm blood"],
    "tree": ["sheds bark", "grows tall branches", "gives timber", "throws a wide shade"],
    "flower": ["opens its petals", "smells sweet", "fills a vase", "attracts bees"],
    "grain": ["is ground to flour", "is cut by the reaper", "waves in fields", "bears ears"],
    "vegetable": ["is boiled in soup", "grows in a kitchen bed", "is peeled and chopped",
                  "lies on a plate"],
    "instrument": ["sounds in a concert", "is tuned by ear", "plays a melody", "keeps the rhythm"],
    "furniture": ["stands in a room", "is made of planks", "is polished with wax",
                  "is moved by two men"],
    "vehicle": ["carries loads", "stops at a station", "follows a route", "needs a driver"],
    "garment": ["is worn in winter", "is sewn by a tailor", "hangs on a hook", "comes in sizes"],
    "metal": ["is melted in a furnace", "rings when struck", "conducts heat", "is dug as ore"],
    "gem": ["glitters in a ring", "is cut and set", "is kept in a casket", "catches the light"],
    "cloth": ["is woven on a loom", "is dyed and pressed", "is cut with scissors",
              "is folded in bales"],
    "drink": ["is poured in a glass", "is kept in bottles", "quenches thirst", "is sipped slowly"],
}
REALM = {"animal": "living creatures", "plant": "things that grow", "tool": "useful goods",
         "matter": "raw materials"}
TEMPLATES = [                      # F, G: traits of the family; R, S: traits of the realm
             "the KIND F and G ; like all ALIKE it R and S",
             "it R and S , as ALIKE do : the KIND F and G",
             "of ALIKE the KIND is one that F and G ; it R and S"]
PATHS = [(realm, family, kind) for realm, families in TREE.items()
         for family, kinds in families.items() for kind in kinds.split()]


class Taxonomy(NamedTuple):
    """Texts and their categories."""

    texts: list[str]
    labels: list[tuple[str, str, str]]     # (realm, family, kind)


def taxonomy(seed: int = 0, texts: int = 1024) -> Taxonomy:
    """Draw `texts` different texts in random order, equally many of each kind, ±1.

    Raises ValueError for less than 1 or more than 27,648: each of the 64 kinds has 3 templates × 12
    ordered pairs of family traits × 12 ordered pairs of realm traits.
    """
    most = len(PATHS) * len(TEMPLATES) * 12 * 12
    if not 1 <= texts <= most:
        raise ValueError(f"texts: expected 1 to {most} (different texts), got {texts}")
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn, taken = [], set()
    for i in rng.permutation(texts) % len(PATHS):
        text = describe(PATHS[i], rng)
        while text in taken:
            text = describe(PATHS[i], rng)
        taken.add(text)
        drawn.append((text, PATHS[i]))
    return Taxonomy(*map(list, zip(*drawn)))


def levels_shared(path: tuple[str, str, str], other: tuple[str, str, str]) -> int:
    """On how many levels two paths agree: 0; 1, the realm; 2, the family too; 3, the kind too.

    >>> levels_shared(("animal", "bird", "owl"), ("animal", "bird", "swan"))
    2
    """
    return sum(a == b for a, b in zip(path, other))      # every family is in one realm only


def describe(path: tuple[str, str, str], rng: np.random.Generator) -> str:
    """Draw a text about a kind: a template, two traits of its family and two of its realm."""
    realm, family, kind = path
    f, g = rng.permutation(len(TRAITS[family]))[:2]
    r, s = rng.permutation(len(TRAITS[realm]))[:2]
    words = {"KIND": kind, "ALIKE": REALM[realm], "F": TRAITS[family][f], "G": TRAITS[family][g],
             "R": TRAITS[realm][r], "S": TRAITS[realm][s]}
    return " ".join(words.get(token, token) for token in pick(TEMPLATES, rng).split())
