"""train glove: count co-occurrences in a text and train word vectors on the counts by GloVe."""
from functools import partial

from scratch_embed.cli.parsing import add_command, non_negative, positive, refuse_old_names, whole
from scratch_embed.cli.tokenizing import chosen_tokenizer
from scratch_embed.cli.training import (
    add_common_options,
    add_text_options,
    check_files,
    check_resume,
    read_text,
    run_options,
    say,
)
from scratch_embed.cli.verdicts import (
    FEW_FOR_GLOVE,
    add_held_out_option,
    advice_for_text,
    held_out_corpus,
    note_vocabulary,
    report,
)
from scratch_embed.numerics.wording import counted


def add_training(methods):
    """Add `train glove`."""
    command = add_command(
        methods, "glove", "train word vectors by GloVe (Pennington et al. 2014)",
        "scratch-embed train glove corpus.txt.gz -o vectors.txt --x-max 10 --epochs 50",
        run=run_glove, check=check_resume)
    add_text_options(command, "the file to write; its ending chooses the format: .txt: GloVe's "
                              "text, which has no header; .vec or none: word2vec's text; .bin: "
                              "word2vec's binary format; .safetensors or .npy: a table, and the "
                              "words in a .vocab.txt beside it")
    add_common_options(command, epochs=25)
    add_held_out_option(command)
    option = command.add_argument
    option("--window", type=whole(1), default=10, metavar="N",
           help="largest distance of a context word (default: %(default)s)")
    option("--asymmetric", action="store_true",
           help="count only context words to the left of a word")
    option("--no-distance-weighting", action="store_true",
           help="count every co-occurrence as 1, not as 1/distance")
    refuse_old_names(command, "--unsymmetric", "--unweighted")
    option("--x-max", type=positive, metavar="X",
           help="pairs of words with this count or more have weight 1 (default: 10, for a text of "
                "more than 100 million words 100)")
    option("--alpha", type=non_negative, default=0.75, metavar="A",
           help="exponent of the weight (count/x-max)^alpha of pairs with a smaller count "
                "(default: %(default)s)")
    option("--lr", type=positive, default=0.05, metavar="RATE",
           help="learning rate of AdaGrad, which divides it by the size of past gradients "
                "(default: %(default)s)")
    option("--adagrad", choices=["c", "paper"], default="c",
           help="how AdaGrad uses the learning rate: c: as in the original's C code, where it "
                "affects only the first steps; paper: as in the paper (default: %(default)s)")
    option("--vectors", choices=["sum", "words", "contexts"], default="sum",
           help="what to write: the sum of word and context vectors, as the original does, only "
                "the word vectors or only the context vectors (default: %(default)s)")


def run_glove(arguments):
    """Read, count, train, save, measure; messages go to stderr."""
    from scratch_embed.numerics.checks import require_whole
    from scratch_embed.words.cooccurrence import LONGEST_WINDOW, count_cells, flat, harmonic
    from scratch_embed.words.glove import (
        c_adagrad,
        check_settings,
        default_x_max,
        paper_adagrad,
        train,
    )
    from scratch_embed.words.vector_files import write_glove_text
    from scratch_embed.words.vectors import WRITERS, WordVectors, writer_for
    from scratch_embed.words.verdict import of_cells

    write = writer_for(arguments.output, {**WRITERS, ".txt": write_glove_text})
    if write is write_glove_text and arguments.dim < 2:
        arguments.usage_error("--dim: expected at least 2 for GloVe's text format (.txt), got 1; "
                              "choose another ending, such as .vec")
    settings = dict(dim=arguments.dim, alpha=arguments.alpha, lr=arguments.lr,
                    epochs=arguments.epochs)
    given = {"x_max": arguments.x_max} if arguments.x_max else {}
    adagrad = {"c": c_adagrad, "paper": paper_adagrad}[arguments.adagrad]
    check_settings({"V": 1, "x_max": 1, **settings, **given})
    require_whole("window", arguments.window, 1, LONGEST_WINDOW)
    checkpoint = check_files(arguments, adagrad=adagrad, **settings, **given)
    vocab, corpus = read_text(arguments)
    held_out = held_out_corpus(arguments, vocab)
    if held_out and 3 * len(held_out.ids) < len(corpus.ids):
        raise ValueError(f"--held-out {arguments.held_out}: expected at least a third of the "
                         f"{len(corpus.ids):,} words of the training text, got "
                         f"{len(held_out.ids):,}: in a short text most counts are 1 and say little")
    note_vocabulary(arguments, vocab)
    x_max = arguments.x_max or default_x_max(len(corpus.ids))
    if not given:
        say(f"--x-max {x_max:g}, chosen by the number of words")
    count = partial(count_cells, V=len(vocab), window=arguments.window,
                    weights=flat if arguments.no_distance_weighting else harmonic,
                    symmetric=not arguments.asymmetric)
    say_size(arguments, corpus, len(vocab))
    cells = count(corpus, progress=True)
    say(f"counted {counted(len(cells.rows), 'pair')}")
    trained = train(cells, len(vocab), adagrad, x_max=x_max, **settings,
                    options=run_options(arguments, checkpoint))
    vectors = {"sum": trained.vectors, "words": trained.W,
               "contexts": trained.U}[arguments.vectors]
    if write is write_glove_text:
        write_glove_text(arguments.output, vocab.words, vectors)
    else:
        WordVectors(vocab.words, vectors, chosen_tokenizer(arguments)).save(arguments.output)
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")
    verdict = (of_cells(trained, count(held_out), x_max, arguments.alpha, arguments.seed, cells)
               if held_out else of_cells(trained, cells, x_max, arguments.alpha, arguments.seed))
    report(verdict, ("count", "that it was trained on"), arguments.held_out,
           "the frequencies of the two words", advice_for_text(arguments, vocab, FEW_FOR_GLOVE)
           or "train for more --epochs, or on more text")


def say_size(arguments, corpus, V):
    """Print how many pairs will be counted, and the memory that this takes."""
    from scratch_embed.words.cooccurrence import estimate_size
    size = estimate_size(corpus, V, arguments.window, not arguments.asymmetric)
    say(f"about {size.cells:,} pairs of words co-occur; counting them takes up to "
        f"{size.bytes / 2**20:,.0f} MiB")
