"""train word2vec: from a text file to a file of vectors."""
import sys

from scratch_embed.cli.parsing import add_command, check_output, positive, whole


def add_commands(commands):
    """Add `train` and the methods it knows."""
    train = add_command(commands, "train", "train vectors on a text",
                        "scratch-embed train word2vec corpus.txt -o vectors.vec")
    methods = train.add_subparsers(metavar="METHOD", required=True)
    add_word2vec(methods)


def add_word2vec(methods):
    """Add `train word2vec`."""
    command = add_command(
        methods, "word2vec", "word vectors by skip-gram with negative sampling (Mikolov 2013)",
        "scratch-embed train word2vec corpus.txt.gz -o vectors.vec --dim 100 --workers 2",
        run=run_word2vec)
    command.add_argument("corpus", help='text, plain or gzip, a sentence a line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="word2vec text format; word2vec's binary format if it ends in .bin")
    command.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                         help="what to do with bytes that are not UTF-8 (%(default)s)")
    number = command.add_argument
    number("--dim", type=whole(1), default=100, help="numbers in a vector (%(default)s)")
    number("--window", type=whole(1), default=5, help="the farthest neighbour (%(default)s)")
    number("--negatives", type=whole(1), default=5, help="noise words for each pair (%(default)s)")
    number("--sample", type=positive, default=1e-3,
           help="thin out words more frequent than this; 0 keeps all (%(default)s)")
    number("--min-count", type=whole(1), default=5, help="leave out rarer words (%(default)s)")
    number("--epochs", type=whole(1), default=5, help="passes over the text (%(default)s)")
    number("--lr", type=positive, default=0.025, help="learning rate at the start (%(default)s)")
    number("--workers", type=whole(1), default=1,
           help="threads; one gives the same result every time (%(default)s)")
    number("--seed", type=whole(0), default=1, help="of all random choices (%(default)s)")


def run_word2vec(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import train

    check_output(arguments.output, arguments.corpus)
    vocab, corpus = index_sentences(read_sentences(arguments.corpus, arguments.errors),
                                    arguments.min_count)
    print(f"kept {len(corpus.ids):,} words in {len(corpus.off) - 1:,} sentences, "
          f"{len(vocab):,} different", file=sys.stderr)
    trained = train(corpus, vocab, dim=arguments.dim, window=arguments.window,
                    negatives=arguments.negatives, sample=arguments.sample, lr=arguments.lr,
                    epochs=arguments.epochs, workers=arguments.workers, seed=arguments.seed,
                    progress=True)
    WordVectors(vocab.words, trained.W).save(arguments.output)
    print(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}", file=sys.stderr)
