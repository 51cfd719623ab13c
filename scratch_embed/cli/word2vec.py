"""train word2vec: from a text file to a file of vectors."""
from scratch_embed.cli.parsing import add_command, non_negative
from scratch_embed.cli.training import (
    add_common_options,
    add_pair_options,
    add_text_options,
    check_files,
    read_text,
    run_options,
    say,
)


def add_training(methods):
    """Add `train word2vec`."""
    command = add_command(
        methods, "word2vec", "word vectors by word2vec (Mikolov et al. 2013)",
        "scratch-embed train word2vec corpus.txt.gz -o vectors.vec --dim 100 --workers 2",
        run=run_word2vec)
    add_text_options(command, "word2vec text format; binary if it ends in .bin; safetensors and a "
                              "vocabulary beside it if it ends in .safetensors")
    add_common_options(command)
    add_pair_options(command, sample=1e-3)
    command.add_argument("--lr", type=non_negative, metavar="RATE",
                         help="learning rate at the start (0.025, cbow 0.05)")
    command.add_argument("--form", choices=["exact", "shared"], default="exact",
                         help="fresh noise for every pair, or, faster, one draw for all pairs of a "
                              "position: skip-gram with ns only (%(default)s)")
    command.add_argument("--cbow-error", choices=["full", "mean"], default="full",
                         help="what each context word takes of cbow's error: all, as the original "
                              "does, or its share, as the equation says (%(default)s)")


def run_word2vec(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.word2vec import train

    method, lr, negatives = chosen_method(arguments)
    checkpoint = check_files(arguments)
    vocab, corpus = read_text(arguments)
    trained = train(corpus, vocab, method, dim=arguments.dim, window=arguments.window,
                    negatives=negatives, sample=arguments.sample, lr=lr, epochs=arguments.epochs,
                    options=run_options(arguments, checkpoint))
    WordVectors(vocab.words, trained.W).save(arguments.output)
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")


def chosen_method(arguments):
    """(method, learning rate, negatives) for --mode, --loss, --form and --cbow-error."""
    from scratch_embed.words import cbow, shared_negatives, word2vec
    if arguments.cbow_error == "mean" and arguments.mode != "cbow":
        arguments.usage_error("--cbow-error mean needs --mode cbow")
    if arguments.form == "shared" and (arguments.mode, arguments.loss) != ("skipgram", "ns"):
        arguments.usage_error("--form shared needs --mode skipgram and --loss ns")
    if arguments.mode == "cbow":
        method = {"full": cbow.cbow_chunk,
                  "mean": cbow.corrected_cbow_chunk}[arguments.cbow_error]
    else:
        method = {"exact": word2vec.skipgram_chunk,
                  "shared": shared_negatives.shared_chunk}[arguments.form]
    usual = 0.05 if arguments.mode == "cbow" else 0.025
    lr = usual if arguments.lr is None else arguments.lr
    return method, lr, 0 if arguments.loss == "hs" else arguments.negatives
