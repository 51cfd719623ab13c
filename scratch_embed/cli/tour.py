"""tour: from a text to word vectors, what they know, searching, words in context, sentences."""
import sys
import textwrap

from scratch_embed.cli.parsing import add_command, require_writable
from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals
from scratch_embed.cli.tour_models import run_senses, run_simcse

SEEDS = (1, 2, 3, 4, 5)
FEWER_SEEDS = (1, 2, 3)
SETTINGS = dict(dim=50, window=5, negatives=5, sample=0, lr=0.025, epochs=5)
SHOWN = ("king", "paris", "mice", "sang", "bigger")
MAPPED = ("man woman boy girl king queen prince princess father mother son daughter paris france "
          "rome italy tokyo japan cat cats mouse mice wolf wolves sings sang writes wrote").split()


def add_commands(commands):
    """Add `tour`."""
    tour = add_command(commands, "tour", "train word vectors on a toy text, show what they know, "
                       "search, and give a word a vector for each of its senses",
                       "scratch-embed tour", run=run_tour)
    tour.add_argument("-o", "--output", default="tour.vec", metavar="FILE",
                      help="where the vectors go (%(default)s)")
    tour.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
                      help="which parts, of: %(choices)s (all)")


def run_tour(arguments):
    """The parts that were asked for, in their order."""
    for name, run in PARTS.items():
        if name in arguments.parts:
            run(arguments)


def run_words(arguments):
    """Read, train, show what is known; then other methods, and words that the text never had."""
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
          f"{len(vocab)} different, made from a small world whose truth is known.  It begins:")
    for sentence, _ in zip(read_sentences(path), range(3)):
        print("   ", *sentence)

    heading("2  Training: word2vec, skip-gram with negative sampling")
    print(", ".join(f"{name} {value}" for name, value in SETTINGS.items()))
    print("(a first run waits a few seconds for the compiler)", file=sys.stderr)
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
    """Searching by words and by vectors, rare codes, a second language."""
    learned = learn_worlds()
    show_searches(learned)
    show_codes(learned)
    show_translations()


def show_neighbours(vectors):
    """The nearest words of a few, and king − man + woman."""
    heading("3  Neighbours (cosine), and arithmetic")
    for word in SHOWN:
        near = vectors.most_similar(word, topn=5)
        print(f"    {word:8}", "  ".join(f"{other} {cosine:.2f}" for other, cosine in near))
    answers = vectors.most_similar(positive=["king", "woman"], negative=["man"], topn=3)
    print("    king - man + woman =", ",  then ".join(f"{w} {cos:.2f}" for w, cos in answers))


def show_analogies(text, runs):
    """A table of sections: every seed, and beside them what knows nothing."""
    import numpy as np

    from scratch_embed.evaluate.words import score_analogies
    from scratch_embed.words.word2vec import initial_weights
    heading("4  Analogies: a is to b as c is to ...? (3CosAdd over all words, % right)")
    V, D = runs[0].W.shape
    tables = {f"seed {seed}": run.W for seed, run in zip(SEEDS, runs)}
    tables["untrained"] = initial_weights(V, D, seed=1)[0]
    tables["random"] = np.random.default_rng(0).standard_normal((V, D))
    reports = [score_analogies(text.vocab.index, W, text.sections) for W in tables.values()]
    print(f"    {'':22}" + "".join(f"{name:>10}" for name in tables))
    for rows in zip(*([*report.sections, report.overall] for report in reports)):
        cells = "".join(f"{100 * row.accuracy:10.1f}" for row in rows)
        print(f"    {rows[0].name:22}{cells}   of {rows[0].covered} ({rows[0].total} asked)")


def show_map(vectors):
    """Words on the plane that shows most of their spread."""
    from scratch_embed.cli.ascii_map import ascii_map
    from scratch_embed.space.geometry import pca, project
    heading("5  A map: the two principal components of these words")
    table = vectors[MAPPED]
    lines, left_out = ascii_map(MAPPED, project(table, pca(table, 2)))
    print(textwrap.indent("\n".join(lines), "    "))
    if left_out:
        print("    (no room for:", *left_out, end=")\n")


def show_methods(text):
    """A table of methods on two texts, the second of which is hard enough to tell them apart."""
    from scratch_embed.why.ablations import measure, toy_text
    from scratch_embed.why.tour import METHODS, cooccurring_pairs
    heading("6  The methods side by side")
    easy = [text._replace(seed=seed) for seed in FEWER_SEEDS]
    hard = [toy_text(seed) for seed in FEWER_SEEDS]
    meet = [100 * cooccurring_pairs(kind[0]) for kind in (easy, hard)]
    paragraph("% of the analogies solved: mean, least and most of "
              f"{len(FEWER_SEEDS)} seeds, on the text above (easy) and on three of the same world "
              "with meaningless words strewn in and a tenth of all words replaced (hard).  Of all "
              f"pairs of words {meet[0]:.0f}% ever stand near each other in the easy text, "
              f"{meet[1]:.0f}% in a hard one.  GloVe learns from those alone; that a pair never "
              "meets, which says most in the easy text, it is not told.  (The original writes its "
              "words + contexts.)  FastText's learning rate is twice word2vec's: the row without "
              "n-grams shows what that does.")
    scores = measure(list(METHODS.values()), easy + hard, progress=True)
    print(f"    {'':26}{'easy':>6}{'':16}{'hard':>6}")
    for name, row in zip(METHODS, scores):
        halves = row[:len(FEWER_SEEDS)], row[len(FEWER_SEEDS):]
        print(f"    {name:26}" + "".join(f"{x.mean():6.1f}  {x.min():5.1f} - {x.max():5.1f} "
                                         for x in halves).rstrip())


def show_unknown_words(text):
    """Forms that no text held: what spelling alone knows of them, and what training adds."""
    from scratch_embed.why.tour import MAX_N, MIN_N, TASKS, score_unknown_words
    from scratch_embed.worlds.words import HELD_OUT
    heading("7  Words that the text never had: " + " ".join(sorted(HELD_OUT)))
    paragraph(f"FastText makes a vector for any word from its n-grams of {MIN_N} to {MAX_N} "
              f"letters; word2vec and GloVe have none for these.  % right, mean of {len(SEEDS)} "
              "seeds, on the easy text.  Untrained, words are alike by their spelling alone: that "
              "finds the stem, and most analogies, but not what company a word keeps.  Trained, a "
              "form passes for its stem in everything, in number and tense too.")
    found = score_unknown_words([text._replace(seed=seed) for seed in SEEDS])
    print(f"    {'':42}" + "".join(f"{name:>12}" for name in found))
    for number, question in enumerate(TASKS.values()):
        cells = "".join(f"{rows[:, number].mean():12.1f}" for rows in found.values())
        print(f"    {question:42}{cells}")


# ---- searching ----------------------------------------------------------------------------------

def learn_worlds():
    """{seed: a world to search and the vectors of its words}."""
    from scratch_embed.why.retrieval_tour import learn, per_seed
    return per_seed(learn, SEEDS)


def show_searches(learned):
    """Word search, means of word vectors and both, beside what knows nothing and the best."""
    from scratch_embed.why.retrieval_tour import HYBRID, MEASURES, over_seeds, search_reports
    from scratch_embed.worlds.facts import GAIN, IN_QUESTIONS, IN_REPORTS, NAMES, WORDS
    world = learned[SEEDS[0]].world
    heading(f"8  Searching: which of {len(world.corpus):,} reports answers a question in other "
            "words?")
    query = next(iter(world.queries))
    common = len({*IN_REPORTS} & {*IN_QUESTIONS})
    gains = world.qrels[query]
    paragraph(f"Reports and questions have {common} of a value's {len(WORDS[0][0])} synonyms in "
              f"common.  A question names {len(world.asked[query])} of a report's {len(NAMES)} "
              f"facts; a report that has all of them is wanted most (gain {GAIN[-1]}), one that "
              f"lacks a single one too (gain {GAIN[-2]}).")
    print(f"    question  {world.queries[query]}\n"
          f"    wanted    {world.corpus[max(gains, key=gains.get)]}")
    paragraph(f"In %, mean of {len(SEEDS)} seeds and the 95% interval of that; a seed is a world "
              f"of its own, {len(world.queries)} questions, and starting weights.  BM25 counts "
              "words in common; a mean is of a text's word vectors, learned from the text of the "
              "world; SIF lets rare words weigh more and takes out what all have in common; RRF "
              "joins two lists by their places.")
    scores = over_seeds(lambda seed: search_reports(learned[seed]), SEEDS)
    show_intervals(scores, MEASURES)
    nDCG = {name: rows[:, -1] for name, rows in scores.items()}
    single = [name for name in nDCG if name.endswith("SIF") and "untrained" not in name]
    first = max(single, key=lambda name: nDCG[name].mean())
    say_difference("nDCG@10", first, "BM25", nDCG)
    say_difference("nDCG@10", HYBRID, "BM25", nDCG)
    say_difference("nDCG@10", HYBRID, "word2vec, SIF", nDCG)


def show_codes(learned):
    """Queries that only words answer, queries that vectors answer, and the mix."""
    from scratch_embed.why.retrieval_tour import HYBRID, PARTS, SCORES, over_seeds, search_coded
    heading("9  Rare codes: what a vector cannot hold")
    paragraph("Each report gets a code of its own, such as kx-417, that no text to learn from "
              "has.  Half of the queries ask for the report with a code; the others are the "
              "questions above.  nDCG@10 in %; both: all queries.  RRF sees places only: that the "
              "first of BM25's list has the code and all others have not is lost on it.  The first "
              "of the vectors' list has as much, and a report somewhere in both lists may have "
              "more.  To a vector codes are nearly all one query, so much the same happens to all "
              "of them: hence the spread over seeds.")
    scores = over_seeds(lambda seed: search_coded(learned[seed]), SEEDS)
    show_intervals(scores, PARTS)
    alone = [name for name in scores if name not in (HYBRID, SCORES)]
    means = {name: rows.mean(axis=0) for name, rows in scores.items()}
    first = [max(alone, key=lambda name: means[name][part]) for part in range(len(PARTS))]
    paragraph(f"Of single searches {first[0]} is first for codes, {first[1]} for questions, "
              f"{first[2]} for both.", "    ")
    both = {name: rows[:, -1] for name, rows in scores.items()}
    for name in HYBRID, SCORES:
        say_difference("both", name, first[2], both)


def show_translations():
    """Sentences and their translations before any pair of them was seen."""
    from scratch_embed.why.retrieval_tour import SENTENCES, match_translations, over_seeds
    heading(f"10  A second language: which of {SENTENCES} sentences is the translation?")
    paragraph("The language is a cipher of the first, its words in the opposite order.  Word "
              "vectors are learned from texts of either language, with not one sentence of a text "
              "translated in the other.  In %: a starting point for what learns from pairs.  The "
              "cipher undone shows that a mean of vectors would do, were the languages one.")
    show_intervals({name: 100 * rows[:, [0, 3]] for name, rows in
                    over_seeds(match_translations, SEEDS).items()}, ("F1", "accuracy"))
    print(f"    {'guessing (exact)':26}{'':18}{100 / SENTENCES:7.1f}")


PARTS = {"words": run_words, "retrieval": run_retrieval, "senses": run_senses,
         "simcse": run_simcse}
