"""train word2vec: train word vectors on a text by word2vec."""
from scratch_embed.cli.parsing import add_command, positive, refuse_old_names
from scratch_embed.cli.tokenizing import chosen_tokenizer
from scratch_embed.cli.training import (
    add_common_options,
    add_pair_options,
    add_text_options,
    check_files,
    check_resume,
    read_text,
    run_options,
    say,
)
from scratch_embed.cli.verdicts import (
    add_held_out_option,
    held_out_corpus,
    note_vocabulary,
    report_pairs,
)


def add_training(methods):
    """Add `train word2vec`."""
    command = add_command(
        methods, "word2vec", "train word vectors by word2vec (Mikolov et al. 2013)",
        "scratch-embed train word2vec corpus.txt.gz -o vectors.vec --dim 200 --workers 2",
        run=run_word2vec, check=check_usage)
    add_text_options(command, "the file to write; its ending chooses the format: .vec, .txt or "
                              "none: word2vec's text; .bin: word2vec's binary; .safetensors or "
                              ".npy: a table, and the words in a .vocab.txt beside it")
    add_common_options(command)
    add_pair_options(command, sample=1e-3)
    add_held_out_option(command)
    command.add_argument("--lr", type=positive, metavar="RATE",
                         help="learning rate at the start; it falls linearly to 0 "
                              "(default: 0.025, cbow 0.05)")
    command.add_argument("--shared-negatives", action="store_true",
                         help="draw negatives once per position instead of once per pair, which "
                              "is faster; only for skip-gram with --loss ns")
    command.add_argument("--cbow-gradient", choices=["full", "mean"], default="full",
                         help="cbow: each of the n context words gets the full gradient, as in "
                              "the original's code, or 1/n of it, the gradient of the equation "
                              "(default: %(default)s)")
    refuse_old_names(command, "--form", "--cbow-error")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    check_resume(arguments)
    chosen_method(arguments)


def run_word2vec(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.words.plan import Details, check_settings
    from scratch_embed.words.vectors import WordVectors
    from scratch_embed.words.verdict import of_pairs
    from scratch_embed.words.word2vec import train

    method, lr, negatives = chosen_method(arguments)
    of_plan = dict(window=arguments.window, negatives=negatives, sample=arguments.sample)
    settings = dict(**of_plan, dim=arguments.dim, lr=lr, epochs=arguments.epochs)
    check_settings({**settings, **Details()._asdict()})
    checkpoint = check_files(arguments, method=method, **settings)
    vocab, corpus = read_text(arguments)
    held_out = held_out_corpus(arguments, vocab)
    note_vocabulary(arguments, vocab)
    trained = train(corpus, vocab, method, **settings, options=run_options(arguments, checkpoint))
    WordVectors(vocab.words, trained.W, chosen_tokenizer(arguments)).save(arguments.output)
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}")
    verdict = of_pairs(trained, held_out or corpus, vocab, method, **of_plan,
                       epochs=arguments.epochs, seed=arguments.seed)
    report_pairs(arguments, verdict, vocab)


def chosen_method(arguments):
    """(method, learning rate, negatives) for --mode, --loss and their options."""
    from scratch_embed.words import cbow, shared_negatives, word2vec
    if arguments.cbow_gradient == "mean" and arguments.mode != "cbow":
        arguments.usage_error("--cbow-gradient mean needs --mode cbow")
    if arguments.shared_negatives and (arguments.mode, arguments.loss) != ("skipgram", "ns"):
        arguments.usage_error("--shared-negatives needs --mode skipgram and --loss ns")
    if arguments.mode == "cbow":
        method = {"full": cbow.cbow_chunk,
                  "mean": cbow.corrected_cbow_chunk}[arguments.cbow_gradient]
    else:
        method = (shared_negatives.shared_chunk if arguments.shared_negatives
                  else word2vec.skipgram_chunk)
    default = 0.05 if arguments.mode == "cbow" else 0.025
    lr = default if arguments.lr is None else arguments.lr
    return method, lr, 0 if arguments.loss == "hs" else arguments.negatives
