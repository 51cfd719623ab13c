"""train glove: from a text file to co-occurrence counts, and from these to a file of vectors."""
from scratch_embed.cli.parsing import add_command, non_negative, positive, whole
from scratch_embed.cli.training import (
    add_common_options,
    add_text_options,
    check_files,
    read_text,
    run_options,
    say,
)


def add_training(methods):
    """Add `train glove`."""
    command = add_command(
        methods, "glove", "word vectors by GloVe (Pennington et al. 2014)",
        "scratch-embed train glove corpus.txt.gz -o vectors.txt --x-max 10 --epochs 50",
        run=run_glove)
    add_text_options(command, "GloVe's text, which has no header, if it ends in .txt; word2vec's "
                              "binary format if in .bin; safetensors and a vocabulary beside it if "
                              "in .safetensors; else word2vec's text")
    add_common_options(command, epochs=25)
    option = command.add_argument
    option("--window", type=whole(1), default=10, metavar="N",
           help="the farthest neighbour (%(default)s)")
    option("--unsymmetric", action="store_true",
           help="count only the neighbours that stand before a word")
    option("--unweighted", action="store_true",
           help="count a neighbour as 1 however far it is, not as 1/distance")
    option("--x-max", type=positive, default=100, metavar="X",
           help="the count from which a pair of words has its full weight: 10 for some million "
                "words of text (%(default)s)")
    option("--alpha", type=non_negative, default=0.75, metavar="A",
           help="how the weight falls below it; 0: all alike (%(default)s)")
    option("--lr", type=positive, default=0.05, metavar="RATE", help="learning rate (%(default)s)")
    option("--adagrad", choices=["c", "paper"], default="c",
           help="where the learning rate enters: as in the original's code, for the first steps "
                "only, or as in the paper (%(default)s)")
    option("--vectors", choices=["sum", "words", "contexts"], default="sum",
           help="which to write: words and contexts added, as the original does, or one of the two "
                "tables (%(default)s)")


def run_glove(arguments):
    """Read, count, train, save; say what was done, and before counting what it will take."""
    from scratch_embed.words.cooccurrence import count_cells, estimate_size, flat, harmonic
    from scratch_embed.words.glove import c_adagrad, paper_adagrad, train
    from scratch_embed.words.vector_files import write_glove_text
    from scratch_embed.words.vectors import writer_for

    checkpoint = check_files(arguments)
    vocab, corpus = read_text(arguments)
    V, window, symmetric = len(vocab), arguments.window, not arguments.unsymmetric
    size = estimate_size(corpus, V, window, symmetric)
    say(f"about {size.cells:,} pairs of words stand together; counting them takes up to "
        f"{size.bytes / 2**20:,.0f} MiB")
    cells = count_cells(corpus, V, window, flat if arguments.unweighted else harmonic, symmetric,
                        progress=True)
    say(f"counted {len(cells.rows):,}")
    adagrad = {"c": c_adagrad, "paper": paper_adagrad}[arguments.adagrad]
    trained = train(cells, V, adagrad, dim=arguments.dim, x_max=arguments.x_max,
                    alpha=arguments.alpha, lr=arguments.lr, epochs=arguments.epochs,
                    options=run_options(arguments, checkpoint))
    vectors = {"sum": trained.vectors, "words": trained.W,
               "contexts": trained.U}[arguments.vectors]
    own_format = arguments.output.lower().endswith(".txt")
    write = write_glove_text if own_format else writer_for(arguments.output)
    write(arguments.output, vocab.words, vectors)
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")
