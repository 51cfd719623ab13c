"""What the `train` commands say besides the loss: the verdict on the result, and what to try.

A text is called small only as the reason of a verdict: if the model has learned something, the text
was large enough for that.  The figures come from training/verdict.py.  The limits on the size of a
text were measured on slices of an English text, see words/README.md.
"""
import math

from scratch_embed.cli.messages import say
from scratch_embed.cli.tokenizing import chosen_tokenizer
from scratch_embed.numerics.wording import counted

FEW_DIFFERENT = 50                 # different words: too few to have useful neighbours
FEW = 30                           # occurrences of a word, on average, that say little about it
FEW_FOR_GLOVE = 100                # that leave most counts of pairs at 0 or 1
ENOUGH_READ = 1000                 # times that training reads a word, on average
TOO_FEW_READ = 500
MOST_EPOCHS = 50                   # that are suggested
KNOWN_BY_HEART = ("(on the text that it was trained on, which it may know by heart: --held-out "
                  "FILE measures another text)")
LARGER_SAMPLES = 1e-4, 1e-3, 1e-2  # that are suggested, or 0 if they also leave too few words


# ---- before training ----------------------------------------------------------------------------

def note_vocabulary(arguments, vocab):
    """Say if a text has few different words."""
    if len(vocab) < FEW_DIFFERENT:
        say(f"a small vocabulary: {counted(len(vocab), 'different word')} with at least "
            f"{counted(arguments.min_count, 'occurrence')} (--min-count)")


# ---- what to try if little was learned ----------------------------------------------------------

def advice_for_text(arguments, vocab, few=FEW):
    """What to try if the text is the reason; None if it is large enough.

    few: occurrences of a word, on average
    """
    times = vocab.counts.sum() / len(vocab)
    if times < few:
        return (f"the text is small, a word occurs {times:.0f} times in it on average; use more "
                "text, or vectors that were trained on more")
    if len(vocab) < FEW_DIFFERENT:
        return (f"the text has only {counted(len(vocab), 'different word')}; use more text, or a "
                "smaller --min-count")
    return None


def advice_for_pairs(arguments, vocab):
    """What to try if word2vec or FastText has learned little.

    If subsampling leaves less than half of the words, and these are read too few times, then it is
    the reason; if all words are, the number of epochs is.
    """
    if vocab.counts.sum() < FEW * len(vocab):
        return advice_for_text(arguments, vocab)
    words, kept = vocab.counts.sum(), kept_words(vocab, arguments.sample)
    read = kept * arguments.epochs / len(vocab)
    if read < TOO_FEW_READ and kept < words / 2:
        larger = next((sample for sample in LARGER_SAMPLES if sample > arguments.sample
                       and kept_words(vocab, sample) >= words / 2), 0)
        epochs = max(arguments.epochs, epochs_for(kept_words(vocab, larger) / len(vocab)))
        return (f"subsampling by --sample {arguments.sample:g} leaves {kept:,.0f} of {words:,} "
                f"words; try --sample {larger:g} --epochs {epochs}")
    if len(vocab) < FEW_DIFFERENT:
        return advice_for_text(arguments, vocab)
    if read < TOO_FEW_READ and arguments.epochs < epochs_for(kept / len(vocab)):
        return (f"{counted(arguments.epochs, 'epoch')} read a word {read:.0f} times on average, "
                f"and {ENOUGH_READ:,} times are better; try --epochs "
                f"{epochs_for(kept / len(vocab))}")
    return "train on more text, for more --epochs or with a larger --lr"


def kept_words(vocab, sample):
    """How many words of the text subsampling keeps, on average."""
    from scratch_embed.text.vocab import keep_probability
    return float((vocab.counts * keep_probability(vocab.counts, sample)).sum())


def epochs_for(times):
    """How many epochs read a word ENOUGH_READ times, if one reads it `times` times."""
    return min(MOST_EPOCHS, math.ceil(ENOUGH_READ / times))


# ---- the text to measure on ---------------------------------------------------------------------

def add_held_out_option(command, what="lines"):
    """Add --held-out FILE."""
    command.add_argument("--held-out", metavar="FILE", help=f"measure the result on these {what}, "
                         "which training does not read (default: on a sample of the training "
                         "data)")


def held_out_corpus(arguments, vocab):
    """The Corpus of --held-out, numbered by `vocab`, or None without this option."""
    from scratch_embed.text.corpus import read_lines
    from scratch_embed.words.verdict import number_sentences
    if not arguments.held_out:
        return None
    try:
        return number_sentences(map(chosen_tokenizer(arguments), read_lines(
            arguments.held_out, arguments.errors)), vocab)
    except ValueError as error:
        raise ValueError(f"{arguments.held_out}: {error}") from None


# ---- after training -----------------------------------------------------------------------------

def report(verdict, examples, held_out, frequencies, advice, seen=True, start="untrained"):
    """Print the three losses, and in one sentence whether the model has learned anything.

    examples: what the losses are means over, in the singular, and where it comes from if held_out
    is None
    frequencies: what the baseline knows; advice: what to try if nothing was learned
    seen: whether training has read the examples, if held_out is None
    start: the words for the model at the start
    """
    kind, source = examples
    source = f"of {held_out}, which is held out" if held_out else source
    say(f"mean loss of {counted(verdict.examples, kind)} {source}: {verdict.trained:.4f}; with "
        f"{frequencies} alone {verdict.baseline:.4f}; {start} {verdict.untrained:.4f}")
    say(verdict.sentence(frequencies, advice))
    if verdict.learned and seen and not held_out:
        say(KNOWN_BY_HEART)


def report_search(verdict, what, *advice):
    """Report how well texts are found.  verdict: a SearchVerdict, or None for too few texts.

    what: is found; advice: the arguments of its sentence()
    """
    from scratch_embed.sentences.verdict import FEW
    if verdict is None:
        say(f"no verdict: fewer than {FEW} texts to find")
        return
    few = " (the two texts of a pair share few tokens)" * (verdict.tokens < verdict.chance)
    say(f"finding {what} among {verdict.texts:,}, MRR: {verdict.trained:.4f}; before training "
        f"{verdict.start:.4f}; by common tokens {verdict.tokens:.4f}{few}; chance "
        f"{verdict.chance:.4f}")
    say(verdict.sentence(*advice))


def report_scores(verdict, where, what):
    """Report how well a model agrees with scores.  verdict: a ScoreVerdict, or None.

    where: the pairs come from; what: is correlated
    """
    from scratch_embed.sentences.verdict import FEW
    if verdict is None:
        say(f"no verdict: fewer than {FEW} pairs, or all scores are equal")
        return
    say(f"Spearman of {what}, {counted(verdict.pairs, 'pair')} of {where}: "
        f"{verdict.trained:.4f}; before training {verdict.start:.4f}; a bag of words "
        f"{verdict.words:.4f}")
    say(verdict.sentence())


def report_pairs(arguments, verdict, vocab):
    """Report on word2vec or FastText."""
    report(verdict, ("pair", "drawn anew from the training text"), arguments.held_out,
           "word frequencies", advice_for_pairs(arguments, vocab))
