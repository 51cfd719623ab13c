"""tour: from a text to word vectors, and what they know, in under a minute."""
import sys
import textwrap

from scratch_embed.cli.parsing import add_command, check_output

SEEDS = (1, 2, 3, 4, 5)
SETTINGS = dict(dim=50, window=5, negatives=5, sample=0, lr=0.025, epochs=5)
SHOWN = ("king", "paris", "mice", "sang", "bigger")
MAPPED = ("man woman boy girl king queen prince princess father mother son daughter paris france "
          "rome italy tokyo japan cat cats mouse mice wolf wolves sings sang writes wrote").split()


def add_commands(commands):
    """Add `tour`."""
    tour = add_command(commands, "tour", "train word vectors on a toy text and show what they know",
                       "scratch-embed tour", run=run_tour)
    tour.add_argument("-o", "--output", default="tour.vec", metavar="FILE",
                      help="where the vectors go (%(default)s)")


def run_tour(arguments):
    """Read, train, show neighbours, arithmetic, analogies beside baselines, and a map."""
    from scratch_embed.text.corpus import read_sentences
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import train
    from scratch_embed.worlds.corpora import corpus_path

    check_output(arguments.output)
    path = corpus_path("words-easy.txt")
    vocab, corpus = index_sentences(read_sentences(path), min_count=1)
    heading("1  The text")
    print(f"{path}: {len(corpus.off) - 1:,} sentences, {len(corpus.ids):,} words, "
          f"{len(vocab)} different, made from a small world whose truth is known.  It begins:")
    for sentence, _ in zip(read_sentences(path), range(3)):
        print("   ", *sentence)

    heading("2  Training: word2vec, skip-gram with negative sampling")
    print(", ".join(f"{name} {value}" for name, value in SETTINGS.items()))
    print("(a first run waits a few seconds for the compiler)", file=sys.stderr)
    runs = [train(corpus, vocab, seed=seed, progress=True, **SETTINGS) for seed in SEEDS]
    for seed, run in zip(SEEDS, runs):
        print(f"    seed {seed}: mean loss of a pair, epoch by epoch:",
              *(f"{loss:.3f}" for loss in run.losses))
    vectors = WordVectors(vocab.words, runs[0].W)

    show_neighbours(vectors)
    show_analogies(vocab, runs)
    show_map(vectors)
    vectors.save(arguments.output)
    heading("6  Yours")
    print(f"The vectors of seed 1 are in {arguments.output}.  Try:\n"
          f"    scratch-embed similar {arguments.output} queen paris\n"
          f"    scratch-embed analogy {arguments.output} france paris italy\n"
          "    scratch-embed train word2vec YOUR-TEXT -o yours.vec")


def heading(text):
    """A line that begins a part."""
    print(f"\n{text}\n{'-' * len(text)}")


def show_neighbours(vectors):
    """The nearest words of a few, and king − man + woman."""
    heading("3  Neighbours (cosine), and arithmetic")
    for word in SHOWN:
        near = vectors.most_similar(word, topn=5)
        print(f"    {word:8}", "  ".join(f"{other} {cosine:.2f}" for other, cosine in near))
    answers = vectors.most_similar(positive=["king", "woman"], negative=["man"], topn=3)
    print("    king - man + woman =", ",  then ".join(f"{w} {cos:.2f}" for w, cos in answers))


def show_analogies(vocab, runs):
    """A table of sections: every seed, and beside them what knows nothing."""
    import numpy as np

    from scratch_embed.evaluate.words import read_analogies, score_analogies
    from scratch_embed.words.word2vec import initial_weights
    from scratch_embed.worlds.corpora import corpus_path
    heading("4  Analogies: a is to b as c is to ...? (3CosAdd over all words, % right)")
    sections = read_analogies(corpus_path("words-easy.analogies.txt"))
    V, D = runs[0].W.shape
    tables = {f"seed {seed}": run.W for seed, run in zip(SEEDS, runs)}
    tables["untrained"] = initial_weights(V, D, seed=1)[0]
    tables["random"] = np.random.default_rng(0).standard_normal((V, D))
    reports = [score_analogies(vocab.index, W, sections) for W in tables.values()]
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
