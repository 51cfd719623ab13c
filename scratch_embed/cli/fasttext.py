"""train fasttext: train vectors of words and n-grams.  ngrams: print a word's n-grams."""
from scratch_embed.cli.parsing import add_command, add_json, positive, refuse_old_names, whole
from scratch_embed.cli.printing import print_results
from scratch_embed.cli.tokenizing import chosen_tokenizer
from scratch_embed.cli.training import (
    add_common_options,
    add_ngram_options,
    add_pair_options,
    add_text_options,
    check_files,
    check_ngrams,
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

MIN_N, MAX_N = 3, 6


def add_training(methods):
    """Add `train fasttext`."""
    command = add_command(
        methods, "fasttext", "train word vectors by FastText (Bojanowski et al. 2017)",
        "scratch-embed train fasttext corpus.txt.gz -o vectors.bin --buckets 100000",
        run=run_fasttext, check=check_usage,
        details="A word's vector is the mean of the vectors of its character n-grams, so that "
                "unknown words have vectors too.")
    add_text_options(command, "the file to write; its ending chooses the format: .bin: fastText's "
                              "whole model, which has vectors for unknown words too; else vectors "
                              "of the known words only: .vec, .txt or none: word2vec's text; "
                              ".safetensors or .npy: a table, and the words in a .vocab.txt beside "
                              "it")
    add_common_options(command)
    add_pair_options(command, sample=1e-4)
    add_held_out_option(command)
    command.add_argument("--lr", type=positive, default=0.05, metavar="RATE",
                         help="learning rate at the start; it falls linearly to 0 "
                              "(default: %(default)s)")
    add_ngram_options(command, MIN_N, MAX_N)
    command.add_argument("--buckets", type=whole(1), metavar="N",
                         help="number of rows that the n-grams share by hashing; each row takes "
                              "4 x dim bytes (default: twice the number of different n-grams, at "
                              "most 2,000,000)")
    command.add_argument("--subword-gradient", choices=["full", "mean"], default="full",
                         help="each of the n subwords of a word gets the full gradient, as in the "
                              "original's code, or 1/n of it, the gradient of the equation "
                              "(default: %(default)s)")
    refuse_old_names(command, "--piece-error")


def check_usage(arguments):
    """Exit with code 2 if options contradict each other."""
    check_resume(arguments)
    check_ngrams(arguments)


def run_fasttext(arguments):
    """Read, train, save, measure; messages go to stderr."""
    from scratch_embed.words.fasttext import DETAILS, train
    from scratch_embed.words.fasttext_files import word_model, write_bin
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.plan import check_settings
    from scratch_embed.words.verdict import of_pairs

    method = chosen_method(arguments)
    of_plan = dict(window=arguments.window, sample=arguments.sample,
                   negatives=0 if arguments.loss == "hs" else arguments.negatives)
    settings = dict(**of_plan, dim=arguments.dim, lr=arguments.lr, epochs=arguments.epochs)
    check_settings({**settings, **DETAILS._asdict()})
    of_ngrams = dict(min_n=arguments.min_n, max_n=arguments.max_n)
    checkpoint = check_files(arguments, method=method, **settings, **of_ngrams,
                             **{"buckets": arguments.buckets} if arguments.buckets else {})
    vocab, corpus = read_text(arguments)
    held_out = held_out_corpus(arguments, vocab)
    note_vocabulary(arguments, vocab)
    ngrams = chosen_ngrams(arguments, vocab)
    trained = train(corpus, vocab, method, **settings, ngrams=ngrams,
                    options=run_options(arguments, checkpoint))
    if arguments.output.lower().endswith(".bin"):
        write_bin(arguments.output, word_model(vocab, trained.W, trained.U,
                                               bin_settings(arguments)))
        what = "the whole model"
    else:
        FastTextVectors(vocab.words, trained.W, arguments.min_n, arguments.max_n,
                        chosen_tokenizer(arguments)).words.save(arguments.output)
        what = "vectors of the known words only (a name that ends in .bin keeps the n-grams)"
    say(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}, {what}")
    verdict = of_pairs(trained, held_out or corpus, vocab, method, **of_plan,
                       epochs=arguments.epochs, details=DETAILS, ngrams=ngrams,
                       seed=arguments.seed)
    report_pairs(arguments, verdict, vocab)


def chosen_ngrams(arguments, vocab):
    """The NGrams of --min-n, --max-n and --buckets.  Prints the size of the table."""
    from scratch_embed.words.subwords import NGrams, default_buckets
    lengths = arguments.min_n, arguments.max_n
    buckets = arguments.buckets or default_buckets(vocab.words, *lengths)
    rows = len(vocab) + (buckets if arguments.max_n else 0)
    say(f"{rows:,} rows of {arguments.dim} numbers are {4 * rows * arguments.dim / 2**20:,.0f} MiB"
        f" (--buckets {buckets:,}{'' if arguments.buckets else ', chosen by the vocabulary'})")
    return NGrams(*lengths, buckets)


def chosen_method(arguments):
    """The method for --mode and --subword-gradient."""
    from scratch_embed.words import fasttext
    return {("skipgram", "full"): fasttext.skipgram_chunk,
            ("skipgram", "mean"): fasttext.corrected_skipgram_chunk,
            ("cbow", "full"): fasttext.cbow_chunk,
            ("cbow", "mean"): fasttext.corrected_cbow_chunk}[
                arguments.mode, arguments.subword_gradient]


def bin_settings(arguments):
    """The training settings that a .bin stores."""
    from scratch_embed.words.fasttext_header import Settings
    return Settings(window=arguments.window, epochs=arguments.epochs,
                    min_count=arguments.min_count, negatives=arguments.negatives,
                    loss=arguments.loss, model=arguments.mode, min_n=arguments.min_n,
                    max_n=arguments.max_n, sample=arguments.sample)


# ---- ngrams -------------------------------------------------------------------------------------

def add_commands(commands):
    """Add `ngrams`."""
    command = add_command(
        commands, "ngrams", "print the character n-grams of a word",
        "scratch-embed ngrams where --model vectors.bin", run=run_ngrams,
        check=check_lengths,
        details="A line per n-gram: n-gram, hash.  With --model the most important first: n-gram, "
                "row, norm of its vector, cosine between the word's vectors with and without it.")
    command.add_argument("word", metavar="WORD", help="any word")
    model = command.add_argument("--model", metavar="MODEL", help="a .bin of fastText or of `train "
                                 "fasttext`, which stores the lengths of its n-grams (default: "
                                 "only hashes)")
    model.read_as = "fasttext"
    add_ngram_options(command, MIN_N, MAX_N, default=False)
    add_json(command, '{"query": word, "results": [{"rank", "ngram", "hash"}]}; with --model '
                      '{"rank", "ngram", "row", "norm", "cosine"}')


def check_lengths(arguments):
    """Set the default lengths of n-grams; exit with code 2 if the given ones are not possible."""
    if arguments.model:
        if not (arguments.min_n is None and arguments.max_n is None):
            arguments.usage_error("--min-n and --max-n are stored in --model: leave them out")
        return
    arguments.min_n = MIN_N if arguments.min_n is None else arguments.min_n
    arguments.max_n = MAX_N if arguments.max_n is None else arguments.max_n
    if arguments.max_n == 0:
        arguments.usage_error("--max-n: expected at least 1, got 0, with which a word has no "
                              "n-grams")
    check_ngrams(arguments)


def run_ngrams(arguments):
    """Print one line for each distinct n-gram."""
    if arguments.model:
        print_important(arguments.model, arguments.word, arguments.json)
    else:
        print_hashes(arguments)


def print_hashes(arguments):
    """Print the n-grams of a word and their hashes, in the order of their occurrence.

    The row of an n-gram is its hash modulo the number of buckets.
    """
    from scratch_embed.words.subwords import fnv1a, ngrams, to_bytes
    found = [(ngram, fnv1a(to_bytes(ngram))) for ngram in
             dict.fromkeys(ngrams(arguments.word, arguments.min_n, arguments.max_n))]
    if not found:
        raise ValueError(f"{arguments.word!r} has no n-gram of {arguments.min_n} to "
                         f"{arguments.max_n} characters; choose a smaller --min-n")
    if arguments.json:
        print_results(arguments.word, ("ngram", "hash"), found)
        return
    for ngram, number in found:
        print(f"{ngram}\t{number}")


def print_important(path, word, as_json):
    """Print the n-grams, first those whose removal changes the direction of the vector most.

    The word's own row, if any, is printed on stderr.
    """
    import numpy as np

    from scratch_embed.words.fasttext_vectors import FastTextVectors
    vectors = FastTextVectors.load(path)
    vectors[word]                                      # MissingWord if it has no n-gram
    subwords = vectors.ngrams(word)
    # a later entry replaces an earlier one: an n-gram that equals the word, the word's own row
    rows = {subword.ngram: subword for subword in subwords}
    if word in vectors:
        say(f"{word} is a known word: it also has row {subwords[0].row} of its own, of norm "
            f"{np.linalg.norm(subwords[0].vector):.4f}")
    found = [(ngram, rows[ngram].row, float(np.linalg.norm(rows[ngram].vector)), cosine)
             for ngram, cosine in vectors.important_ngrams(word, topn=len(rows))]
    if as_json:
        print_results(word, ("ngram", "row", "norm", "cosine"), found)
        return
    for ngram, row, norm, cosine in found:
        print(f"{ngram}\t{row}\t{norm:.4f}\t{cosine:.4f}")
