"""How commands split a text into words: the options, and the share of the words that are known.

Commands that train on a text, `phrases`, and BM25 use "words" unless the options choose.  A file of
word vectors is used with the tokenizer that it stores, or else with one deduced from its vocabulary
(text/word_tokenizer.py).
"""
import os
import re

from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import refuse_old_names
from scratch_embed.cli.prompts import say_truncated

KINDS, APOSTROPHES = ("words", "spaces"), ("keep", "split")     # those of text/word_tokenizer.py
DEDUCED = "deduced from the vocabulary; --tokenizer chooses"
FEW_RAW = 0.1                      # a text with a larger share of raw words is not tokenized


# ---- options ------------------------------------------------------------------------------------

def add_tokenizer_options(command, kind="words", otherwise="words"):
    """Add --tokenizer, --keep-case and --apostrophes.

    kind: the default of --tokenizer; None if a model decides.  otherwise: the default, in words.
    """
    as_model = kind is None                                # then it decides all three
    option = command.add_argument
    option("--tokenizer", choices=KINDS, default=kind,
           help="split a text into lower-cased runs of letters, digits and _ (words), or at "
                "white space, for a text that is already tokenized (spaces) "
                f"(default: {otherwise})")
    option("--keep-case", action="store_true", help="with --tokenizer words: do not lower-case"
           + (" (default: as for --tokenizer; lower-case, if --tokenizer or --apostrophes is given)"
              if as_model else ""))
    option("--apostrophes", choices=APOSTROPHES,
           help="with --tokenizer words: keep: don't is one word; split: l'hiver is l and hiver "
                + ("(default: as for --tokenizer; keep, if --tokenizer or --keep-case is given)"
                   if as_model else "(default: keep)"))
    command.set_defaults(usage_error=command.error)


def add_encoder_tokenizer(command, bm25):
    """Add the options for a command with an encoder, and refuse their old name.

    bm25: whether the command also searches by BM25, with the same options.
    """
    add_tokenizer_options(command, None, "as the model's training text: the tokenizer that a "
                          ".safetensors stores, else deduced from the vocabulary"
                          + "; for BM25 words" * bm25)
    refuse_old_names(command, "--tokens")


def chosen_tokenizer(arguments):
    """The WordTokenizer of the options; None if no option is given and a model decides."""
    from scratch_embed.text.word_tokenizer import WordTokenizer
    kind, apostrophes = arguments.tokenizer, arguments.apostrophes
    if kind == "spaces" and (arguments.keep_case or apostrophes):
        arguments.usage_error("--tokenizer spaces only splits at white space: leave out "
                              "--keep-case and --apostrophes")
    if kind is None and not arguments.keep_case and apostrophes is None:
        return None
    return WordTokenizer(kind or "words", not arguments.keep_case, apostrophes or "keep")


def refuse_for_a_transformer(model, tokenizer):
    """Raise ValueError if the options choose a tokenizer for a folder, which has its own."""
    if tokenizer is not None and os.path.isdir(model):
        raise ValueError(f"--tokenizer, --keep-case and --apostrophes are for word vectors, and "
                         f"{model} is a folder with a tokenizer of its own; leave them out")


def split_of_version_0_1(tokens):
    """The function that an index of version 0.1 used; tokens: "spaces" or "words"."""
    from scratch_embed.text.word_tokenizer import SPACES
    return {"spaces": SPACES, "words": lambda text: re.findall(r"\w+", text.lower())}[tokens]


# ---- is the training text tokenized? ----------------------------------------------------------

def warn_of_raw_text(vocab, tokenizer):
    """Print a warning if a text that was split at white space seems not to be tokenized."""
    from scratch_embed.text.word_tokenizer import raw_share
    if tokenizer.kind != "spaces":
        return
    share = raw_share(vocab.words, vocab.counts.tolist())
    if share > FEW_RAW:
        say(f"warning: the text is not tokenized: {share:.0%} of its words have capitals or end in "
            "punctuation, and each form is a word of its own; --tokenizer words joins them")


# ---- known words ------------------------------------------------------------------------------

def count_words(encoder):
    """Make a StaticEncoder count its words, from 0; nothing for an encoder of another kind."""
    from scratch_embed.sentences.static import StaticEncoder, WordCounts
    if isinstance(encoder, StaticEncoder):
        encoder.counts = WordCounts()


def say_known(encoder, name, what, strict=True):
    """Print how many words of the texts encoded since the last call are known, and start anew.

    Of a transformer, print how many texts were truncated.

    name: of the model; what: the texts are ("queries").  -> number of texts without a known word,
    whose vectors are zero; 0 for a transformer, which has no unknown words: nothing is printed.
    Raises ValueError if strict and no word at all is known: all vectors are zero.
    """
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    say_truncated(encoder, name, what)
    counts = getattr(encoder, "counts", None)
    if counts is None:
        return 0
    count_words(encoder)
    if strict and counts.words and not counts.known:
        raise ValueError(f"{name}: 0 of {counts.words:,} words of the {what} are known; "
                         + what_to_do(encoder))
    if counts.words:
        ngrams = isinstance(encoder.words, FastTextVectors)
        say(f"{name}: {counts.known:,} of {counts.words:,} words of the {what} are known"
            f"{' or have n-grams' * ngrams} ({counts.known / counts.words:.1%})")
    if counts.without:
        say(f"{name}: {counts.without:,} of {counts.texts:,} {what} have no known word: their "
            "vectors are zero")
    return counts.without


def what_to_do(encoder):
    """The advice if a StaticEncoder knows no word: about the options, if they split otherwise."""
    from scratch_embed.text.word_tokenizer import WordTokenizer, deduced
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    vectors, used = encoder.words, encoder.tokenize
    table = vectors.words if isinstance(vectors, FastTextVectors) else vectors
    own = vectors.tokenizer or deduced(table.index_to_key)
    if used == own or not isinstance(used, WordTokenizer):
        return f"they are split as its own words are ({own}): take another model"
    options = [name for name, given in (("--tokenizer", used.kind == "spaces"),
                                        ("--keep-case", not used.lowercase),
                                        ("--apostrophes", used.apostrophes == "split")) if given]
    return (f"they are split otherwise ({used}) than its own words ({own}): leave out "
            f"{' and '.join(options) or '--tokenizer and --apostrophes'}")
