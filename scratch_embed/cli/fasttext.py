"""train fasttext: vectors of words and of their n-grams; ngrams: what a word is made of."""
from scratch_embed.cli.parsing import add_command, non_negative, whole
from scratch_embed.cli.training import (
    add_common_options,
    add_ngram_options,
    add_pair_options,
    add_text_options,
    check_files,
    check_ngrams,
    read_text,
    run_options,
    say,
)

MIN_N, MAX_N = 3, 6


def add_training(methods):
    """Add `train fasttext`."""
    command = add_command(
        methods, "fasttext", "vectors of words and of their n-grams by FastText "
        "(Bojanowski et al. 2017)",
        "scratch-embed train fasttext corpus.txt.gz -o vectors.bin --buckets 100000",
        run=run_fasttext)
    add_text_options(command, "fastText's model if it ends in .bin: with it, words that the text "
                              "never had have vectors too.  Else the known words alone: safetensors"
                              " if it ends in .safetensors, or word2vec's text")
    add_common_options(command)
    add_pair_options(command, sample=1e-4)
    command.add_argument("--lr", type=non_negative, default=0.05, metavar="RATE",
                         help="learning rate at the start (%(default)s)")
    add_ngram_options(command, MIN_N, MAX_N)
    command.add_argument("--buckets", type=whole(1), default=2_000_000, metavar="N",
                         help="rows that the n-grams share, of 4 x dim bytes each (%(default)s)")
    command.add_argument("--piece-error", choices=["full", "mean"], default="full",
                         help="what each n-gram takes of its word's error: all, as the original "
                              "does, or its share, as the equation says (%(default)s)")


def run_fasttext(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.words.fasttext import train
    from scratch_embed.words.fasttext_files import word_model, write_bin
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.subwords import NGrams

    check_ngrams(arguments)
    checkpoint = check_files(arguments)
    vocab, corpus = read_text(arguments)
    rows = len(vocab) + (arguments.buckets if arguments.max_n else 0)
    say(f"{rows:,} rows of {arguments.dim} numbers are {4 * rows * arguments.dim / 2**20:,.0f} MiB"
        f" (--buckets {arguments.buckets:,})")
    trained = train(corpus, vocab, chosen_method(arguments), dim=arguments.dim,
                    window=arguments.window,
                    negatives=0 if arguments.loss == "hs" else arguments.negatives,
                    sample=arguments.sample, lr=arguments.lr, epochs=arguments.epochs,
                    ngrams=NGrams(arguments.min_n, arguments.max_n, arguments.buckets),
                    options=run_options(arguments, checkpoint))
    if arguments.output.lower().endswith(".bin"):
        write_bin(arguments.output, word_model(vocab, trained.W, trained.U, settings(arguments)))
        what = "the whole model"
    else:
        FastTextVectors(vocab.words, trained.W, arguments.min_n, arguments.max_n).words.save(
            arguments.output)
        what = "the known words alone (a name that ends in .bin keeps the n-grams)"
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}, {what}")


def chosen_method(arguments):
    """The method for --mode and --piece-error."""
    from scratch_embed.words import fasttext
    return {("skipgram", "full"): fasttext.skipgram_chunk,
            ("skipgram", "mean"): fasttext.corrected_skipgram_chunk,
            ("cbow", "full"): fasttext.cbow_chunk,
            ("cbow", "mean"): fasttext.corrected_cbow_chunk}[arguments.mode, arguments.piece_error]


def settings(arguments):
    """What a .bin says of the training."""
    from scratch_embed.words.fasttext_files import Settings
    return Settings(window=arguments.window, epochs=arguments.epochs,
                    min_count=arguments.min_count, negatives=arguments.negatives,
                    loss=arguments.loss, model=arguments.mode, min_n=arguments.min_n,
                    max_n=arguments.max_n, sample=arguments.sample)


# ---- ngrams -------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `ngrams`."""
    command = add_command(
        commands, "ngrams", "print the n-grams of a word, a line each: n-gram, hash; with a model, "
        "those that matter most first: n-gram, row, length of its vector, cosine of the word with "
        "and without it", "scratch-embed ngrams where --model vectors.bin", run=run_ngrams)
    command.add_argument("word", metavar="WORD")
    command.add_argument("--model", metavar="FILE", help="a .bin of fastText's or of `train "
                         "fasttext`; it knows how long its n-grams are")
    add_ngram_options(command, MIN_N, MAX_N, default=False)
    command.set_defaults(usage_error=command.error)


def run_ngrams(arguments):
    """One line for each different n-gram."""
    given = arguments.min_n is not None or arguments.max_n is not None
    if arguments.model:
        if given:
            arguments.usage_error("--min-n and --max-n are the model's, where there is one")
        print_weights(arguments.model, arguments.word)
    else:
        arguments.min_n = MIN_N if arguments.min_n is None else arguments.min_n
        arguments.max_n = MAX_N if arguments.max_n is None else arguments.max_n
        check_ngrams(arguments)
        print_hashes(arguments)


def print_hashes(arguments):
    """By their places in the word, each with the number that `hash mod buckets` makes a row of."""
    from scratch_embed.words.subwords import fnv1a, ngrams, to_bytes
    for ngram in dict.fromkeys(ngrams(arguments.word, arguments.min_n, arguments.max_n)):
        print(f"{ngram}\t{fnv1a(to_bytes(ngram))}")


def print_weights(path, word):
    """By how far the word's vector turns without them; the word's own row is told on stderr."""
    import numpy as np

    from scratch_embed.words.fasttext_vectors import FastTextVectors
    vectors = FastTextVectors.load(path)
    vectors[word]                                      # MissingWord, if it has nothing at all
    pieces = vectors.ngrams(word)
    rows = {piece.ngram: piece for piece in pieces}    # an n-gram comes after a namesake's own row
    if word in vectors:
        say(f"{word} is known: it has row {pieces[0].row} of its own besides, of length "
            f"{np.linalg.norm(pieces[0].vector):.4f}")
    for ngram, cosine in vectors.important_ngrams(word, topn=len(rows)):
        piece = rows[ngram]
        print(f"{ngram}\t{piece.row}\t{np.linalg.norm(piece.vector):.4f}\t{cosine:.4f}")
