"""A toy world of scenes that can be seen, read, heard and felt: one thing with six attributes.

Equation  a scene is a draw of 6 independent, uniform attributes: shape × colour × size × position
          × heat × motion, 6 · 6 · 2 · 4 · 2 · 4 = 2,304 different scenes
Shapes    labels (n, 6) int64, the values of each scene in the order of ATTRIBUTES
Cost      O(n): about 4 µs a caption; captions are strings, so there is no kernel
Read next worlds/scene_senses.py (images, sounds and signals of these scenes),
          worlds/scene_bounds.py (what can be known by one sense about another),
          multimodal/clip.py (learns from images and captions)

    shape    circle     colour   red        image    a red circle at the top left
    size     small      position top left   caption  "there is a tiny crimson circle"
    heat     hot        motion   still      audio    a steady pure tone, high

Known truth: the attributes of each scene, and which of them each sense shows (KNOWN).  No sense
shows all of them.  A sound has a shape and a size but no colour, so no model can find the colour of
a thing that it only hears; it can find its shape, although sounds and captions are never paired in
training, if both were paired with images.

A caption names each attribute that it may name with probability 1 − dropout, by one of three words.
So one caption fits many scenes, and one scene has many captions, as on the web.

Unseen pairs.  HELD_OUT are 6 of the 36 combinations of shape and colour, each shape and each
colour once.  A model that is trained on SEEN pairs has met every shape and every colour, but not
these combinations.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole

# ---- the world ----------------------------------------------------------------------------------

# {attribute: {value: the words or phrases for it}}
WORDS = {
    "shape": {"circle": ("circle", "disc", "ball"), "square": ("square", "box", "block"),
              "triangle": ("triangle", "wedge", "pyramid"), "cross": ("cross", "plus", "x"),
              "ring": ("ring", "hoop", "loop"), "diamond": ("diamond", "rhombus", "lozenge")},
    "colour": {"red": ("red", "crimson", "scarlet"), "green": ("green", "lime", "jade"),
               "blue": ("blue", "navy", "cobalt"), "yellow": ("yellow", "golden", "lemon"),
               "purple": ("purple", "violet", "magenta"), "cyan": ("cyan", "turquoise", "teal")},
    "size": {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")},
    "position": {
        "top left": ("at the top left", "in the upper left corner", "up on the left"),
        "top right": ("at the top right", "in the upper right corner", "up on the right"),
        "bottom left": ("at the bottom left", "in the lower left corner", "down on the left"),
        "bottom right": ("at the bottom right", "in the lower right corner",
                         "down on the right")},
    "heat": {"cold": ("cold", "cool", "frozen"), "hot": ("hot", "warm", "burning")},
    "motion": {"still": ("still", "resting", "motionless"),
               "shaking": ("shaking", "trembling", "vibrating"),
               "rising": ("rising", "climbing", "lifting"),
               "swinging": ("swinging", "swaying", "rocking")},
}
ATTRIBUTES = {name: tuple(values) for name, values in WORDS.items()}
NAMES = tuple(ATTRIBUTES)
VALUES = tuple(len(values) for values in ATTRIBUTES.values())
SYNONYMS = 3
NOT_NAMED = -1                     # in place of a value, where a text names none

# the attributes that each sense shows; captions can be given others to name
KNOWN = {"image": ("shape", "colour", "size", "position"),
         "text": ("shape", "colour", "size", "position"),
         "depth": ("shape", "size"), "thermal": ("shape", "heat"),
         "audio": ("shape", "size", "motion"), "imu": ("size", "motion")}

Pair = tuple[int, int]             # a shape and a colour
PAIRS = tuple((shape, colour) for shape in range(6) for colour in range(6))
HELD_OUT = tuple((shape, (shape + 1) % 6) for shape in range(6))       # a green circle, ...
SEEN = tuple(pair for pair in PAIRS if pair not in HELD_OUT)


@dataclass(frozen=True, eq=False)
class Scenes:
    """n scenes."""

    labels: np.ndarray             # (n, 6)

    def __len__(self) -> int:
        """The number of scenes, n."""
        return len(self.labels)

    def of(self, attribute: str) -> np.ndarray:
        """The values of one attribute, indices into ATTRIBUTES[attribute].  -> (n,)"""
        return self.labels[:, NAMES.index(attribute)]

    def take(self, rows: np.ndarray | slice) -> "Scenes":
        """Return some of the scenes: by indices, a slice or a mask."""
        return Scenes(self.labels[rows])


def draw_scenes(n: int, seed: int = 0, pairs: Sequence[Pair] = PAIRS) -> Scenes:
    """Draw n scenes.

    pairs: the combinations of shape and colour that occur, all equally likely: PAIRS, SEEN or
    HELD_OUT.  Raises ValueError unless n is a whole number of at least 1.

    >>> scenes = draw_scenes(1000, seed=1)
    >>> scenes.of("colour")[:4].tolist()
    [5, 2, 5, 1]
    """
    require_whole("n", n, 1)
    rng = generator(seed, "scenes")
    labels = np.column_stack([rng.integers(values, size=n) for values in VALUES])
    labels[:, :2] = np.asarray(pairs)[rng.integers(len(pairs), size=n)]
    return Scenes(labels)


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one sense: PCG64, another stream for each seed and name."""
    return np.random.Generator(np.random.PCG64([seed, *name.encode()]))


# ---- captions -----------------------------------------------------------------------------------

FRAMES = ("a THING PLACE", "there is a THING PLACE", "PLACE a THING", "here is a THING PLACE")
THINGS = ("thing", "item", "object")                               # if the shape is not named
BEFORE_SHAPE = ("motion", "heat", "size", "colour")                # adjectives, in this order


def caption(scenes: Scenes, seed: int = 0, dropout: float = 0.5,
            attributes: Sequence[str] = KNOWN["text"]) -> list[str]:
    """A caption of each scene.

    dropout     the probability that an attribute is not named; at least one is named
    attributes  those that captions may name: KNOWN["audio"] gives captions of sounds

    >>> caption(draw_scenes(1, seed=1), dropout=0)
    ['here is a big teal wedge up on the left']
    """
    require_number("dropout", dropout, 0, 1)
    rng, n = generator(seed, "text"), len(scenes)
    may, last = np.isin(NAMES, attributes), [NAMES.index(name) for name in attributes]
    named = (rng.random((n, len(NAMES))) >= dropout) & may
    always = np.array(last)[rng.integers(len(last), size=n)]
    none = ~named.any(axis=1)
    named[none, always[none]] = True
    words = rng.integers(SYNONYMS, size=(n, len(NAMES)))
    frames, things = rng.integers(len(FRAMES), size=n), rng.integers(len(THINGS), size=n)
    rows = zip(scenes.labels.tolist(), named.tolist(), words.tolist(), frames.tolist(),
               things.tolist())
    return [_sentence({name: PHRASES[name][value][word]
                       for name, value, is_named, word in zip(NAMES, values, which, synonyms)
                       if is_named}, FRAMES[frame], THINGS[thing])
            for values, which, synonyms, frame, thing in rows]


def _sentence(phrase, frame, thing):
    """A frame with these phrases filled in.  phrase: {attribute: its words}"""
    noun = [phrase[name] for name in BEFORE_SHAPE if name in phrase] + [phrase.get("shape", thing)]
    return frame.replace("THING", " ".join(noun)).replace("PLACE", phrase.get("position", "")
                                                          ).strip()


PHRASES = {name: tuple(values.values()) for name, values in WORDS.items()}
TEMPLATES = ("a THING PLACE", "there is a THING PLACE", "here is a THING PLACE")


def prompts(attribute: str, value: int, synonyms: int = 1) -> list[str]:
    """Texts that name one value and nothing else, for zero-shot classification.

    synonyms: how many words of the value to use, 1 to 3

    >>> prompts("colour", 0)
    ['a red thing', 'there is a red thing', 'here is a red thing']
    """
    return [_sentence({attribute: phrase}, template, THINGS[0])
            for phrase in PHRASES[attribute][value][:synonyms] for template in TEMPLATES]


def values_named(texts: Sequence[str]) -> np.ndarray:
    """The value of each attribute that a caption names, read from its words.  -> (n, 6)

    NOT_NAMED where it names none.

    >>> values_named(["there is a tiny crimson circle"]).tolist()
    [[0, 0, 0, -1, -1, -1]]
    """
    labels = np.full((len(texts), len(NAMES)), NOT_NAMED)
    for row, text in zip(labels, texts):
        words = set(text.split())
        for column, name in enumerate(NAMES):
            for value, phrases in enumerate(PHRASES[name]):
                if any(words.issuperset(phrase.split()) for phrase in phrases):
                    row[column] = value
    return labels
