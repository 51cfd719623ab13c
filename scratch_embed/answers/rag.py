"""How would you evaluate embedding quality for a RAG system?  By what the reader gets to read.

Paper     Lewis et al. 2020, "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks".
Equation  evaluate/context.py (recall at a budget), evaluate/abstention.py (a threshold),
          evaluate/significance.py (an interval over questions, a paired test)
Shapes    an Answer; numbers are in %, one per seed
Cost      two trainings of a small transformer for each seed, and encoding 12,000 chunks
Read next why/chunked_search.py (what is measured), worlds/long_documents.py (the world)

A ranking measure says how good the order of documents is.  A reader, a language model with room for
some hundred tokens, needs more: the passage with the answer must fit into this room, and if no
passage has the answer, the search must say so.
"""
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import RAG
from scratch_embed.evaluate.abstention import at_threshold, choose_and_measure
from scratch_embed.evaluate.baselines import RandomVectors
from scratch_embed.evaluate.context import context_recall, tokens_needed
from scratch_embed.evaluate.significance import bootstrap_interval, permutation_test
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.why.chunked_search import (
    Chunks,
    Collection,
    Scorer,
    bm25,
    by_encoder,
    by_sif,
    cut,
    document_ndcg,
    draw_collection,
    evidence,
    facts_cut,
    train_on_passages,
    train_on_reports,
    untrained,
)
from scratch_embed.why.seeds import for_seeds, stack

CHUNKS = {"16 words": (16, 0), "32 words": (32, 0), "32 words, overlap 13": (32, 13),
          "64 words, overlap 13": (64, 13), "128 words, overlap 13": (128, 13),
          "whole documents": (None, 0)}
CUT, BEST, WHOLE = "32 words", "32 words, overlap 13", "whole documents"
BM25, SIF, BI, OTHER = "BM25", "word2vec, SIF", "bi-encoder", "bi-encoder, short texts"
UNTRAINED, RANDOM, MIXED = "untrained", "random vectors", "new questions, old index"
BUDGET = 256                       # tokens that the reader has for the context
BUDGETS = (32, 64, 128, 256, 512, 1024)
FEW = 20                           # questions of a small evaluation


class Needed(NamedTuple):
    """Tokens that a reader needs for each question: tokens_needed, (Q,)."""

    by_search: dict[str, np.ndarray]       # in the chunks of BEST
    by_chunks: dict[str, dict[str, np.ndarray]]      # {chunks: {search: (Q,)}}


class Found(NamedTuple):
    """What is measured for a seed."""

    needed: Needed
    rows: dict[str, dict[str, list[float]]]          # of the tables, by their names below
    chunks: Chunks                 # of BEST
    encoder: SentenceEncoder


class Curves(NamedTuple):
    """Recall in %, (seeds, budgets), of searches in the chunks of BEST, and of kinds of chunks."""

    budgets: Sequence[int]
    searches: dict[str, np.ndarray]
    chunks: dict[str, np.ndarray]  # searched by the bi-encoder


# ---- measure -------------------------------------------------------------------------------------

def measure(seed: int, documents: int, steps: int) -> Found:
    """Train two bi-encoders, search all kinds of chunks, choose thresholds."""
    collection = draw_collection(seed, documents)
    new = train_on_passages(collection, steps, seed)
    old = train_on_reports(collection, steps, seed + 1000)           # other initial weights
    three = {BM25: bm25, SIF: by_sif(collection), BI: by_encoder(new.encode)}
    searches = three | {
        OTHER: by_encoder(old.encode), MIXED: by_encoder(new.encode, old.encode),
        UNTRAINED: by_encoder(untrained(collection, seed).encode),
        RANDOM: by_encoder(RandomVectors(new.dim, seed).encode)}
    kinds = {name: cut(collection, *sizes) for name, sizes in CHUNKS.items()}
    by_chunks = {name: {search: needed(collection, chunks, scorer)
                        for search, scorer in three.items()} for name, chunks in kinds.items()}
    chunk_rows = {name: [len(chunks.texts), 100 * facts_cut(chunks, documents),
                         *(percent(x, BUDGET) for x in by_chunks[name].values())]
                  for name, chunks in kinds.items()}
    best = kinds[BEST]
    scores = {name: scorer(collection.questions, best.texts) for name, scorer in searches.items()}
    by_search = {name: tokens_needed(x, best.lengths, evidence(collection, best))
                 for name, x in scores.items()}
    search_rows = {name: [document_ndcg(collection, best, scores[name]),
                          *(percent(x, budget) for budget in (64, 128, 256))]
                   for name, x in by_search.items()}
    abstain = {name: thresholds(collection, best, scorer) for name, scorer in three.items()}
    abstain["answer everything"] = answer_all(len(collection.questions))
    return Found(Needed(by_search, by_chunks), {
        "chunks": chunk_rows, "searches": search_rows, "abstain": abstain}, best, new)


def needed(collection: Collection, chunks: Chunks, scorer: Scorer) -> np.ndarray:
    """The tokens that a reader needs for each question.  -> (Q,)"""
    return tokens_needed(scorer(collection.questions, chunks.texts), chunks.lengths,
                         evidence(collection, chunks))


def percent(tokens: np.ndarray, budget: int) -> float:
    """The recall at a budget, in %."""
    return 100 * context_recall(tokens, budget)


def thresholds(collection: Collection, chunks: Chunks, scorer: Scorer) -> list[float]:
    """Precision, recall, F1 of a threshold on the best score, and F1 where it was chosen, in %."""
    best = [scorer(texts, chunks.texts).max(axis=1)
            for texts in (collection.questions, collection.unanswerable)]
    answerable = np.repeat([True, False], [len(scores) for scores in best])
    chosen, other = choose_and_measure(np.concatenate(best), answerable, collection.seed)
    return [100 * x for x in (other.precision, other.recall, other.f1, chosen.f1)]


def answer_all(questions: int) -> list[float]:
    """The same of a system that answers every question, half of which have an answer."""
    found = at_threshold(np.zeros(2 * questions), np.arange(2 * questions) < questions, 0.0)
    return [100 * x for x in (found.precision, found.recall, found.f1, found.f1)]


def time_to_encode(found: Found) -> float:
    """Seconds to encode all chunks anew."""
    start = perf_counter()
    found.encoder.encode(found.chunks.texts)
    return perf_counter() - start


# ---- the answer ----------------------------------------------------------------------------------

def answer(seeds: Sequence[int], documents: int = RAG.documents, steps: int = RAG.steps,
           progress: bool = False) -> Answer:
    """Evaluate BM25, SIF and bi-encoders on long documents.  At least two seeds."""
    found = for_seeds(lambda seed: measure(seed, documents, steps), seeds, progress)
    rows = {table: stack([one.rows[table] for one in found]) for table in found[0].rows}
    seconds = time_to_encode(found[0])                   # alone, so that nothing disturbs it
    return Answer(RAG.text, seeds, tables(rows, documents, steps),
                  paragraphs(rows, found, seconds), curves(found))


def tables(rows: dict[str, dict[str, np.ndarray]], documents: int, steps: int) -> list[Table]:
    """Recall by kind of chunks; searches; thresholds."""
    return [
        Table(f"{documents:,} documents of about 220 words, one sentence of which states a fact, "
              f"and {documents // 2} questions.  Recall at a budget of {BUDGET} words: the share "
              "of questions with the whole sentence of an answer among the first chunks that fit.  "
              "Facts cut: the share of facts that no chunk has as a whole.",
              ("chunks", "facts cut, %", *(f"{name}, %" for name in (BM25, "SIF", BI))),
              rows["chunks"], (0, 1, 1, 1, 1)),
        Table(f"Chunks of {BEST}.  The bi-encoder is trained for {steps} steps on passages, that "
              "is, reports among irrelevant sentences; 'short texts': on the reports alone.  The "
              "last three columns are the recall at budgets of 64, 128 and 256 words.",
              ("nDCG@10, %", "64 words, %", "128 words, %", "256 words, %"),
              rows["searches"], (1, 1, 1, 1)),
        Table("As many questions without an answer: near misses, with one value replaced.  A "
              "question is answered if its best score reaches a threshold, chosen by F1 on one "
              "half of the questions and measured on the other.",
              ("precision, %", "recall, %", "F1, %", "F1 where chosen"), rows["abstain"],
              (1, 1, 1, 1))]


def curves(found: list[Found]) -> Curves:
    """The numbers of the figure."""
    def recalls(tokens):
        return np.array([[percent(x, budget) for budget in BUDGETS] for x in tokens])
    return Curves(BUDGETS,
                  {name: recalls([one.needed.by_search[name] for one in found])
                   for name in (BM25, SIF, BI, OTHER, UNTRAINED)},
                  {name: recalls([one.needed.by_chunks[name][BI] for one in found])
                   for name in CHUNKS})


def paragraphs(rows: dict[str, dict[str, np.ndarray]], found: list[Found], seconds: float
               ) -> list[Paragraph]:
    """The answer in words."""
    def chunked(clause, greater, less, column=4):
        return Claim(clause, rows["chunks"][greater][:, column], rows["chunks"][less][:, column])

    def searched(clause, greater, less, column=3):
        return Claim(clause, rows["searches"][greater][:, column],
                     rows["searches"][less][:, column])

    def abstained(clause, greater, less):
        return Claim(clause, rows["abstain"][greater][:, 2], rows["abstain"][less][:, 2])

    return [
        Paragraph(
            "Measure what the reader gets.  It pays by the token, so count questions whose answer "
            f"is within its budget, here {BUDGET} words, and compare kinds of chunks at the same "
            "budget.",
            (chunked("the bi-encoder has a higher recall with chunks of 32 words than with whole "
                     "documents, whose one vector is a mean over everything", BEST, WHOLE),
             chunked("BM25 too has a higher recall with these chunks", BEST, WHOLE, 2))),
        Paragraph(
            "A chunk must hold a whole statement.  A run of up to overlap + 1 words is never cut, "
            "and the longest sentence with a fact has 14 words: hence the overlap of 13.  Its "
            "price is more vectors to compute and to store.",
            (chunked("without an overlap chunks of 32 words cut more facts", CUT, BEST, 1),
             chunked("with it the bi-encoder's recall is higher", BEST, CUT))),
        Paragraph(
            "Compare with simple baselines on your own questions, and train on what you search.",
            (searched("the bi-encoder has a higher recall than BM25", BI, BM25),
             searched("it has a higher recall than the mean of word vectors", BI, SIF),
             searched("trained on passages it has a higher recall than trained on short texts", BI,
                      OTHER))),
        Paragraph(significance(found)),
        Paragraph(
            "Some questions have no answer, and the search returns something for these too.  "
            "Choose a threshold on one half of your questions and measure it on the other.",
            (abstained("the bi-encoder's best score separates the two kinds better than answering "
                       "everything, by F1", BI, "answer everything"),
             abstained("it separates them better than BM25's", BI, BM25))),
        Paragraph(
            "A new embedding model needs a new index: vectors of two models are not comparable, "
            "even if they have the same length and come from the same data.  "
            + cost(found[0], seconds),
            (searched("with questions encoded by the new model, the new index has a higher recall "
                      "than the old", BI, MIXED),
             searched("even the old model with its old index has a higher recall than the new one "
                      "with the old index", OTHER, MIXED)))]


def significance(found: list[Found]) -> str:
    """Two comparisons with an interval and a test over all questions, and with only a few."""
    def hits(name):
        return np.concatenate([one.needed.by_search[name] <= BUDGET for one in found]).astype(float)

    sentences = ["Give an interval and a paired test: questions differ more than systems do."]
    for one, other in (BI, OTHER), (SIF, BM25):
        x, y = hits(one), hits(other)
        sentences.append(f"{one} minus {other}: " + "; with ".join(
            compared(x[:n], y[:n]) for n in (len(x), min(FEW, len(x)))) + ".")
    return "  ".join(sentences)


def compared(x: np.ndarray, y: np.ndarray) -> str:
    """The difference of two systems on n questions, its interval, and p.  x, y: (n,) of 0 and 1"""
    mean, low, high = (100 * value for value in bootstrap_interval(x - y))
    p = permutation_test(x, y).p
    verdict = "significant" if p < 0.05 else "not significant"
    return f"{len(x)} questions {mean:+.1f} [{low:.1f}, {high:.1f}], p = {p:.2g}, {verdict}"


def cost(found: Found, seconds: float) -> str:
    """What a new index costs."""
    C, D = len(found.chunks.texts), found.encoder.dim
    return (f"Here that is {C:,} passes of the encoder, {seconds:.1f} s, and {4 * C * D / 1e3:,.0f}"
            " kB of vectors, for both indexes twice as much while you change over; the cost grows "
            "in proportion to the number of chunks.")
