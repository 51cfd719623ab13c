"""Instructions: one query, five instructions, five rankings, by a bi-encoder of E5's two stages.

Paper     Wang et al. 2024, "Improving Text Embeddings with Large Language Models", section 3.1 (the
          form of an instruction); Su et al. 2023, "One Embedder, Any Task: Instruction-Finetuned
          Text Embeddings".
Equation  nDCG@10 of cos(x_"Instruct: i, Query: q", x_document), for queries not in the training
          data
Shapes    a score is in %, one per seed
Cost      training takes about two minutes on one core
Read next worlds/instructions.py (the world and the ceiling), sentences/e5.py, sentences/sbert.py

Stage 1 trains on paraphrases, without instructions.  Its best ranking is by the number of slots in
which query and document agree: the ceiling of a model that is blind to instructions.  Stage 2
trains on (instruction and query, document), where the document agrees in the slot that the
instruction names, and in no other.

What could explain a score?  The same trained model is also given the queries without instructions,
and with the instruction of another slot.
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.evaluate.ranking import ndcg, rank_table
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.sentences import sbert
from scratch_embed.sentences.e5 import instruct
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.why.contexts import whole_words
from scratch_embed.worlds.facts import NAMES, gain_table
from scratch_embed.worlds.instructions import Instructed, instructions
from scratch_embed.worlds.instructions import upper_bound_without_instruction as ceiling
from scratch_embed.worlds.training_pairs import instruction_triplets, paraphrases

SIZES = dict(dim=64, layers=2, heads=2, ff=128, positions=48, types=1)
STAGES = dict(steps=300, batch_size=128, lr=3e-3), dict(steps=1200, batch_size=128, lr=1.5e-3)
TAU, TRIPLETS = 0.1, 20_000        # one in eight negatives of a batch is false; at τ = 0.01 these
                                   # would have nearly all the weight
SEEDS = 3                          # at most: `why e5` measures so many
K = 10
CEILING = "ceiling without instruction"


def train(world: Instructed, seed: int, tau: float = TAU, triplets: int = TRIPLETS,
          stages: Sequence[dict] = STAGES) -> list[SentenceEncoder]:
    """The encoder before training, after stage 1 and after stage 2."""
    given, labelled = instruction_triplets(triplets, seed, world.queries.values())
    weak = paraphrases(seed=seed)
    asked = with_instructions(labelled.queries, given)
    tokenizer = whole_words(text.split() for texts in (asked, *labelled, *weak, queries(world),
                                                       world.corpus.values()) for text in texts)
    config = Config(len(tokenizer), **SIZES)
    encoders = [SentenceEncoder(tokenizer, Bert(config, init_params(tensors(config), seed)),
                                Recipe(max_seq_length=config.positions))]
    for stage, texts in zip(stages, (weak, (asked, labelled.positives))):
        start = encoders[-1]
        encoders.append(sbert.train(
            [sbert.tokenize(start, side) for side in texts], start, ranking(tau),
            steps=stage["steps"], batch_size=stage["batch_size"], dropout=0.0,
            optim=Optim(stage["lr"], weight_decay=0.0), options=RunOptions(seed=seed)).encoder)
    return encoders


# ---- queries ------------------------------------------------------------------------------------

def with_instructions(texts: Sequence[str], given: Sequence[str]) -> list[str]:
    """Each text after its instruction."""
    return [instruct(what) + text for what, text in zip(given, texts)]


def queries(world: Instructed) -> list[str]:
    """The queries with their instructions."""
    return with_instructions(list(world.queries.values()), list(world.instructions.values()))


def with_wrong_instructions(world: Instructed) -> list[str]:
    """The queries, each with the instruction of the next slot."""
    given = np.array([*world.instructions.values()]).reshape(-1, len(NAMES))
    return with_instructions(list(world.queries.values()),
                             np.roll(given, 1, axis=1).ravel().tolist())


# ---- scores -------------------------------------------------------------------------------------

def measure(seed: int, **settings) -> tuple[dict[str, float], dict[str, list[str]]]:
    """{model, and what it is given: nDCG@10 in %} for the world of a seed, and its example().

    settings: of train
    """
    world = instructions(seed)
    before, first, second = train(world, seed, **settings)
    plain, documents = list(world.queries.values()), list(world.corpus.values())
    bm25 = BM25([text.split() for text in documents])
    ways = {"BM25, without instruction": np.stack([bm25.scores(text.split()) for text in plain])}
    for name, encoder, texts in [
            ("untrained", before, queries(world)), ("stage 1, without instruction", first, plain),
            ("stage 1", first, queries(world)), ("stage 2, without instruction", second, plain),
            ("stage 2, another instruction", second, with_wrong_instructions(world)),
            ("stage 2", second, queries(world))]:
        ways[name] = encoder.encode(texts) @ encoder.encode(documents).T
    return {CEILING: 100 * ceiling(world, K),
            **{name: score(world, scores) for name, scores in ways.items()}}, example(world, second)


def measure_all(seeds: Sequence[int]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """{model, and what it is given: nDCG@10 in % (seeds,)}, and the first seed's example()."""
    scores, examples = zip(*map(measure, seeds))
    return {name: np.array([row[name] for row in scores]) for name in scores[0]}, examples[0]


def score(world: Instructed, scores: np.ndarray) -> float:
    """nDCG@10 in %.  scores: (queries, documents)"""
    names = list(world.corpus)
    return 100 * float(ndcg(rank_table(scores, gain_table(world.qrels, names), names), K).mean())


def example(world: Instructed, encoder: SentenceEncoder, slots: Sequence[str] = ("act", "place"),
            k: int = 3) -> dict[str, list[str]]:
    """{"instruction: query": the k best documents} for the first query and these slots."""
    documents = list(world.corpus.values())
    X, ids = encoder.encode(documents), [f"{next(iter(world.queries)).split('-')[0]}-{slot}"
                                         for slot in slots]
    found = {}
    for id in ids:
        what, text = world.instructions[id], world.queries[id]
        best = np.argsort(-X @ encoder.encode(text, prompt=instruct(what)), kind="stable")[:k]
        found[f"{what}: {text}"] = [documents[i] for i in best]
    return found
