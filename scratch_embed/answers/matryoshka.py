"""What are Matryoshka embeddings and why are they useful?  Short vectors of one model, measured.

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 3, and section 4.3
          (a short prefix finds candidates, all numbers rank them).
Shapes    an Answer (answers/answer.py); scores are why/prefixes.py's
Cost      five trainings of a small transformer for each seed, about three seconds each
Read next losses/matryoshka.py (the loss), why/matryoshka.py (ablations), space/quantise.py and
          space/hamming.py (fewer bits per number)

The world is the taxonomy: texts about 64 kinds of 16 families of 4 realms.  None of the texts that
are searched is in a training pair.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import MATRYOSHKA as QUESTION
from scratch_embed.why.prefixes import (
    LONGER,
    MATRYOSHKA,
    MEASURES,
    OWN,
    PROJECTED,
    TRUNCATED,
    UNTRAINED,
    WORDS,
    compare,
    few,
    precisions,
    train_models,
    tree,
)
from scratch_embed.why.seeds import for_seeds, stack
from scratch_embed.worlds.taxonomy import PATHS

DIMS = (64, 16, 8, 4)
SHOWN = ("float32", "int8", "bits, float x bits", LONGER)        # of the precisions
NDCG, REALM, FAMILY, KIND = range(len(MEASURES))
WHOLE, SHORT = DIMS[0], DIMS[-1]


class Found(NamedTuple):
    """What is measured for a seed."""

    ways: dict[str, np.ndarray]                # {way to fewer numbers: (sizes, MEASURES)}
    stored: dict[str, np.ndarray]              # {size and precision: bytes, nDCG@10, queries/s}


class Short(NamedTuple):
    """The numbers of the figure."""

    dims: tuple[int, ...]
    ways: dict[str, np.ndarray]                # {way: nDCG@10 (seeds, sizes)}
    stored: dict[str, np.ndarray]              # {precision: (seeds, sizes, 2) bytes and nDCG@10}


# ---- the answer ---------------------------------------------------------------------------------

def answer(seeds: Sequence[int], documents: int = QUESTION.documents, steps: int = QUESTION.steps,
           progress: bool = False) -> Answer:
    """Train Matryoshka and the alternatives, and shorten their vectors.  At least two seeds."""
    found = for_seeds(lambda seed: measure(seed, documents, steps), seeds, progress)
    ways = stack([one.ways for one in found])                    # {way: (seeds, sizes, measures)}
    stored = stack([one.stored for one in found])
    sizes = tuple(f"{m} numbers" for m in DIMS)
    return Answer(QUESTION.text, seeds, [
        Table("nDCG@10 in %, queries about a kind, 128 documents: the ten best are 2 of the "
              "kind, 6 of its family and 2 of its realm.  'Truncated' and 'PCA' shorten the "
              "vectors of an ordinary model, 'trained at that size' is another model for each "
              "size.", sizes, {way: rows[:, :, NDCG] for way, rows in ways.items()}, (1,) * 4),
        Table(f"The share of queries whose best document is right, in %, at {SHORT} numbers.",
              MEASURES[REALM:], {way: rows[:, -1, REALM:] for way, rows in ways.items()}, (1,) * 3),
        Table(f"The Matryoshka model: {per_kind(documents) * len(PATHS):,} documents, stored in "
              "fewer numbers and fewer bits.  Queries per second: one thread, all at once.",
              ("nDCG@10, %", "queries/s"),
              {f"{name}: {rows[0, 0]:.0f} B": rows[:, 1:] for name, rows in stored.items()},
              (1, 0))],
        paragraphs(ways, stored), figure(ways, stored))


def measure(seed: int, documents: int, steps: int) -> Found:
    """Train the models of a seed and measure them."""
    task = tree(seed, per_kind(documents), pairs=per_kind(documents) * len(PATHS))
    models = train_models(task, DIMS, steps=steps)
    stages = precisions(task, models.nested, DIMS)
    return Found(compare(few(task), models),
                 {row(m, name): np.array([stage.bytes, stage.score[NDCG], stage.rate])
                  for (m, name), stage in stages.items() if name in SHOWN})


def per_kind(documents: int) -> int:
    """The documents of each kind, at least 2, so that there are about `documents` in all."""
    return max(2, documents // len(PATHS))


def row(m: int, precision: str) -> str:
    """The name of a row of the third table."""
    return f"{m} x {precision}"


def figure(ways: dict[str, np.ndarray], stored: dict[str, np.ndarray]) -> Short:
    """The numbers of the figure from those of the tables."""
    return Short(DIMS, {way: rows[:, :, NDCG] for way, rows in ways.items()},
                 {name: np.stack([stored[row(m, name)][:, :2] for m in DIMS], axis=1)
                  for name in SHOWN if name != LONGER})


def paragraphs(ways: dict[str, np.ndarray], stored: dict[str, np.ndarray]) -> list[Paragraph]:
    """The answer in words.  ways: {way: (seeds, sizes, MEASURES)}, stored: {row: (seeds, 3)}"""
    def at(way, m=SHORT, measure=NDCG):
        return ways[way][:, DIMS.index(m), measure]

    def kept(m, precision):
        return stored[row(m, precision)][:, 1]

    return [
        Paragraph(
            "The first numbers of a Matryoshka embedding are an embedding themselves, like the "
            "smaller dolls inside a doll.  The loss of the training is added up over several "
            "prefixes, each scaled to norm 1: here the first 64, 16, 8 and 4 numbers.",
            (Claim(f"the first {SHORT} numbers of a Matryoshka vector find more than those of an "
                   "ordinary one", at(MATRYOSHKA), at(TRUNCATED)),
             Claim(f"they find more than {SHORT} principal components of an ordinary model (PCA)",
                   at(MATRYOSHKA), at(PROJECTED)),
             Claim(f"they find more than {WHOLE} principal components of a bag of words",
                   at(MATRYOSHKA), at(WORDS, WHOLE)),
             Claim("they find more than all numbers of the untrained model", at(MATRYOSHKA),
                   at(UNTRAINED, WHOLE)))),
        Paragraph(
            "Short prefixes keep the coarse distinctions, and the later numbers add the fine ones.",
            (Claim(f"at {SHORT} numbers the realm is right more often than the kind",
                   at(MATRYOSHKA, measure=REALM), at(MATRYOSHKA, measure=KIND)),
             Claim(f"the kind is right more often at 16 numbers than at {SHORT}",
                   at(MATRYOSHKA, 16, KIND), at(MATRYOSHKA, measure=KIND)))),
        Paragraph(
            "What does it cost?  One model serves all sizes, so each size could be worse than that "
            "of a model of its own.",
            (Claim(f"at all {WHOLE} numbers an ordinary model finds more than Matryoshka",
                   at(OWN, WHOLE), at(MATRYOSHKA, WHOLE)),
             Claim(f"at {SHORT} numbers a model trained for this size alone finds more",
                   at(OWN), at(MATRYOSHKA)))),
        Paragraph(
            "Why is it useful?  Memory and search time grow with the numbers of a vector.  The "
            "size is chosen after the training, by the user of the model: encode(texts, "
            "truncate_dim=16) here and in sentence-transformers, `dimensions` in OpenAI's "
            "text-embedding-3.  Fewer bits per number save memory too, and the two combine.",
            (Claim("of two ways to 8 bytes, 8 numbers of one byte find more than 64 of one bit",
                   kept(8, "int8"), kept(64, "bits, float x bits")),
             Claim("16 numbers of one bit are too few: 16 of one byte find more",
                   kept(16, "int8"), kept(16, "bits, float x bits"))),
            "So measure sizes and bits together on your own data."),
        Paragraph(
            "A search can also use two sizes of the same vectors: the first numbers find "
            "candidates, all numbers rank them.",
            (Claim(f"{SHORT} numbers and then all {WHOLE} find more than {SHORT} alone",
                   kept(SHORT, LONGER), kept(SHORT, "float32")),)),
        Paragraph(
            "When is it not needed?  PCA needs no training of the model, only a sample.  It is "
            "hard to beat at medium sizes, and on data without coarse and fine distinctions "
            "(`scratch-embed why matryoshka` measures both)."),
    ]
