"""tour: train word vectors and transformers on toy texts, and measure what they have learned.

Every table shows the baselines (untrained, random, chance) of its scores.  Every difference of two
methods is printed with its 95% interval; "not significant" means that the interval contains 0, so
these seeds do not show a difference.  Part 11 has two seeds only, and prints the scores of both.
"""
import sys
import textwrap

from scratch_embed.cli.parsing import add_command, require_writable
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals
from scratch_embed.cli.tour_gpt import run_gpt
from scratch_embed.cli.tour_learned import run_languages, run_learned, run_reranked
from scratch_embed.cli.tour_models import run_senses, run_simcse
from scratch_embed.cli.tour_scenes import run_scenes

SEEDS = (1, 2, 3, 4, 5)
FEWER_SEEDS = (1, 2, 3)
SETTINGS = dict(dim=50, window=5, negatives=5, sample=0, lr=0.025, epochs=5)
SHOWN = ("king", "paris", "mice", "sang", "bigger")
MAPPED = ("man woman boy girl king queen prince princess father mother son daughter paris france "
          "rome italy tokyo japan cat cats mouse mice wolf wolves sings sang writes wrote").split()


def add_commands(commands):
    """Add `tour`."""
    tour = add_command(commands, "tour", "see the whole project in two minutes, with baselines",
                       "scratch-embed tour", run=run_tour,
                       details="It trains word vectors and transformers on toy texts, and shows "
                               "neighbours, analogies, search, word senses and sentence vectors "
                               "beside their baselines.")
    tour.add_argument("-o", "--output", default="tour.vec", metavar="FILE",
                      help="where to write the word vectors (default: %(default)s)")
    tour.add_argument("--parts", nargs="+", choices=PARTS, default=DEFAULT, metavar="PART",
                      help="run these parts, of: %(choices)s; each takes less than a minute, "
                           f"scenes about three (default: {' '.join(DEFAULT)})")


def run_tour(arguments):
    """Run the chosen parts, in the order of PARTS."""
    for name, run in PARTS.items():
        if name in arguments.parts:
            run(arguments)


def run_words(arguments):
    """Train word2vec; show neighbours, analogies and a map; compare methods; test unknown words."""
    from scratch_embed.text.corpus import read_sentences
    from scratch_embed.training.session import RunOptions
    from scratch_embed.why.tour import easy_text
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import train
    from scratch_embed.worlds.corpora import corpus_path

    require_writable(arguments.output)
    path = corpus_path("words-easy.txt")
    text = easy_text()
    vocab, corpus = text.vocab, text.corpus
    heading("1  The text")
    print(f"{path}: {len(corpus.offsets) - 1:,} sentences, {len(corpus.ids):,} words, "
          f"{len(vocab)} distinct, generated from a toy world whose truth is known.  It begins:")
    for sentence, _ in zip(read_sentences(path), range(3)):
        print("   ", *sentence)

    heading("2  Training: word2vec, skip-gram with negative sampling")
    print(", ".join(f"{name} {value}" for name, value in SETTINGS.items()))
    print("(the first run also compiles, for some seconds)", file=sys.stderr)
    runs = [train(corpus, vocab, options=RunOptions(seed=seed, progress=True), **SETTINGS)
            for seed in SEEDS]
    for seed, run in zip(SEEDS, runs):
        print(f"    seed {seed}: mean loss of a pair, epoch by epoch:",
              *(f"{loss:.3f}" for loss in run.losses))
    vectors = WordVectors(vocab.words, runs[0].W)

    show_neighbours(vectors)
    show_analogies(text, runs)
    show_map(vectors)
    vectors.save(arguments.output)
    show_methods(text)
    show_unknown_words(text)
    print(f"\nThe vectors of seed 1 are in {arguments.output}.  Try:\n"
          f"    scratch-embed similar {arguments.output} queen paris\n"
          f"    scratch-embed analogy {arguments.output} france paris italy\n"
          "    scratch-embed train word2vec YOUR-TEXT -o yours.vec\n"
          "    scratch-embed train fasttext YOUR-TEXT -o yours.bin --buckets 100000")


def run_retrieval(arguments):
    """Search by words and by vectors; search for rare codes."""
    learned = learn_worlds()
    show_searches(learned)
    show_codes(learned)


def show_neighbours(vectors):
    """Print the nearest neighbours of a few words, and king − man + woman."""
    heading("3  Nearest neighbours (cosine), and vector arithmetic")
    for word in SHOWN:
        near = vectors.most_similar(word, topn=5)
        print(f"    {word:8}", "  ".join(f"{other} {cosine:.2f}" for other, cosine in near))
    nearest = vectors.most_similar(positive=["king", "woman"], negative=["man"], topn=3)
    print("    king - man + woman =", ",  then ".join(f"{w} {cos:.2f}" for w, cos in nearest))
    paragraph("The table shows that words are near each other if they occur in the same contexts.",
              "    ")


def show_analogies(text, runs):
    """Print accuracy by section for every seed, beside untrained and random vectors."""
    import numpy as np

    from scratch_embed.evaluate.words import score_analogies
    from scratch_embed.words.word2vec import initial_weights
    heading("4  Analogies: a is to b as c is to ...? (3CosAdd over all words, % correct)")
    V, D = runs[0].W.shape
    tables = {f"seed {seed}": run.W for seed, run in zip(SEEDS, runs)}
    tables["untrained"] = initial_weights(V, D, seed=1)[0]
    tables["random"] = np.random.default_rng(0).standard_normal((V, D))
    reports = [score_analogies(text.vocab.index, W, text.sections) for W in tables.values()]
    print(f"    {'':22}" + "".join(f"{name:>10}" for name in tables))
    for rows in zip(*([*report.sections, report.overall] for report in reports)):
        cells = "".join(f"{100 * row.accuracy:10.1f}" for row in rows)
        print(f"    {rows[0].name:22}{cells}   of {rows[0].covered} ({rows[0].total} in the file)")
    paragraph("The table shows what training adds: untrained and random vectors solve almost none.",
              "    ")


def show_map(vectors):
    """Print words on their first two principal components."""
    from scratch_embed.cli.ascii_map import ascii_map
    from scratch_embed.space.geometry import pca, project
    heading("5  A map: the first two principal components of these words")
    paragraph("From left to right the first component, from top to bottom the second.")
    table = vectors[MAPPED]
    lines, left_out = ascii_map(MAPPED, project(table, pca(table, 2)))
    print(textwrap.indent("\n".join(lines), "    "))
    if left_out:
        print("    (no room for:", *left_out, end=")\n")
    paragraph("The map shows that people, places, animals and verbs lie apart, although nobody has "
              f"said which word is which.  Two of {table.shape[1]} dimensions show little more.",
              "    ")


def show_methods(text):
    """Print a table of methods on an easy text, and on hard texts where their scores differ."""
    from scratch_embed.why.ablations import measure, toy_text
    from scratch_embed.why.tour import METHODS, cooccurring_pairs
    heading("6  The methods compared")
    easy = [text._replace(seed=seed) for seed in FEWER_SEEDS]
    hard = [toy_text(seed) for seed in FEWER_SEEDS]
    cooccurring = [100 * cooccurring_pairs(kind[0]) for kind in (easy, hard)]
    paragraph("% of analogies correct: mean, minimum and maximum of "
              f"{len(FEWER_SEEDS)} seeds, on the text above (easy) and on three texts of the same "
              "world in which meaningless words are inserted and a tenth of all words is replaced "
              f"at random (hard).  {cooccurring[0]:.0f}% of all pairs of words co-occur in the "
              f"easy text, {cooccurring[1]:.0f}% in a hard one.  GloVe learns only from pairs that "
              "co-occur; the absence of a pair, which is most of the information in the easy text, "
              "is not part of its loss.  (GloVe's C code writes words + contexts.)  FastText's "
              "learning rate is twice word2vec's; the row without n-grams shows the effect of that "
              "alone.")
    scores = measure(list(METHODS.values()), easy + hard, progress=True)
    print(f"    {'':26}{'easy':>6}{'':16}{'hard':>6}\n"
          f"    {'':26}" + f"{'mean':>6}  {'min':>5} - {'max':>5} " * 2)
    for name, row in zip(METHODS, scores):
        halves = row[:len(FEWER_SEEDS)], row[len(FEWER_SEEDS):]
        print(f"    {name:26}" + "".join(f"{x.mean():6.1f}  {x.min():5.1f} - {x.max():5.1f} "
                                         for x in halves).rstrip())
    paragraph("The table shows why an easy text is not enough: nearly every method solves it, and "
              "only the hard one distinguishes them.", "    ")


def show_unknown_words(text):
    """Print the scores of FastText on unknown words, before and after training."""
    from scratch_embed.why.tour import MAX_N, MIN_N, TASKS, score_unknown_words
    from scratch_embed.worlds.words import HELD_OUT
    heading("7  Unknown words, which are not in the text: " + " ".join(sorted(HELD_OUT)))
    paragraph(f"FastText makes a vector for any word from its n-grams of {MIN_N} to {MAX_N} "
              f"characters; word2vec and GloVe have no vector for these words.  % correct, mean of "
              f"{len(SEEDS)} seeds, on the easy text.  Before training, similarity is shared "
              "spelling: that finds the stem and most analogies, but not the words of the same "
              "context.  After training, an unknown form is similar to the words to which its stem "
              "is similar, also in number and tense.  So the last row is a failure: rabbits, a "
              "plural, is as near to mouse as rabbit is, and always nearer than to mice.")
    found = score_unknown_words([text._replace(seed=seed) for seed in SEEDS])
    print(f"    {'':42}" + "".join(f"{name:>12}" for name in found))
    for number, task in enumerate(TASKS.values()):
        cells = "".join(f"{rows[:, number].mean():12.1f}" for rows in found.values())
        print(f"    {task:42}{cells}")
    paragraph("The table shows what a subword model knows before training, the spelling, and what "
              "it has learned, the contexts.", "    ")


# ---- searching ----------------------------------------------------------------------------------

def learn_worlds():
    """{seed: Learned}: toy worlds, and word vectors trained on their texts."""
    from scratch_embed.why.retrieval_tour import learn
    from scratch_embed.why.seeds import per_seed
    return per_seed(learn, SEEDS)


def show_searches(learned):
    """Compare BM25, means of word vectors and a hybrid, beside chance and the upper bound."""
    from scratch_embed.why.retrieval_tour import HYBRID, MEASURES, search_reports
    from scratch_embed.why.seeds import over_seeds
    from scratch_embed.worlds.facts import GAIN, IN_QUESTIONS, IN_REPORTS, NAMES, WORDS
    world = learned[SEEDS[0]].world
    heading(f"8  Search: which of {len(world.corpus):,} documents is relevant to a query in other "
            "words?")
    query = next(iter(world.queries))
    common = len({*IN_REPORTS} & {*IN_QUESTIONS})
    gains = world.qrels[query]
    paragraph(f"Each value has {len(WORDS[0][0])} synonyms, of which {common} occur in both "
              f"documents and queries.  A query names {len(world.query_slots[query])} of a "
              f"document's {len(NAMES)} facts; a document with all of them has gain {GAIN[-1]}, a "
              f"document that lacks exactly one has gain {GAIN[-2]}.")
    print(f"    query              {world.queries[query]}\n"
          f"    relevant document  {world.corpus[max(gains, key=gains.get)]}")
    paragraph(f"In %, mean of {len(SEEDS)} seeds with its 95% interval; a seed is a world with "
              f"{len(world.queries)} queries, and initial weights.  BM25 scores the words in "
              "common; 'mean' is the mean of a text's word vectors, trained on the text of the "
              "world; SIF weights rare words more and removes the first singular vector; RRF "
              "fuses two lists by their ranks.  The upper bound ranks by the gains themselves; its "
              "Recall@10 is low because a query has over 100 relevant documents, and a list of 10 "
              "can contain only 10 of them.")
    scores = over_seeds(lambda seed: search_reports(learned[seed]), SEEDS)
    show_intervals(scores, MEASURES)
    nDCG = {name: rows[:, -1] for name, rows in scores.items()}
    single = [name for name in nDCG if name.endswith("SIF") and "untrained" not in name]
    first = max(single, key=lambda name: nDCG[name].mean())
    say_difference("nDCG@10", first, "BM25", nDCG)
    say_difference("nDCG@10", HYBRID, "BM25", nDCG)
    say_difference("nDCG@10", HYBRID, "word2vec, SIF", nDCG)
    paragraph("The table shows that words in common find the first relevant document (MRR), but "
              "few of the ten best; vectors that know synonyms find these, too.", "    ")


def show_codes(learned):
    """Compare on queries that need exact words, on queries in other words, and on both."""
    from scratch_embed.why.retrieval_tour import HYBRID, PARTS, SCORES, search_coded
    from scratch_embed.why.seeds import over_seeds
    heading("9  Rare codes, which word vectors cannot represent")
    paragraph("Each document gets a unique code, such as kx-417, that is not in the training text. "
              " Half of the queries name a code; the others are the queries above.  nDCG@10 in %; "
              "'both' is over all queries.  RRF uses only ranks: the first document of "
              "each list gets the same score, although only BM25's has the code, and a document in "
              "both lists may get more.  The vectors of two codes are nearly equal, so all codes "
              "of a seed get similar scores, and the intervals are wide.")
    scores = over_seeds(lambda seed: search_coded(learned[seed]), SEEDS)
    show_intervals(scores, PARTS)
    alone = [name for name in scores if name not in (HYBRID, SCORES)]
    means = {name: rows.mean(axis=0) for name, rows in scores.items()}
    first = [max(alone, key=lambda name: means[name][part]) for part in range(len(PARTS))]
    print("    best single method: " + ", ".join(f"{name} ({part})"
                                                  for name, part in zip(first, PARTS)))
    both = {name: rows[:, -1] for name, rows in scores.items()}
    for name in HYBRID, SCORES:
        say_difference("both", name, first[2], both)
    paragraph("The table shows that neither search is enough where queries are mixed: BM25 misses "
              "other words, vectors miss codes.", "    ")


PARTS = {"words": run_words, "retrieval": run_retrieval, "learned": run_learned,
         "rerank": run_reranked, "languages": run_languages, "senses": run_senses,
         "simcse": run_simcse, "gpt": run_gpt, "scenes": run_scenes}
DEFAULT = ["words", "retrieval", "learned"]        # two minutes in all
