"""What the `train` commands say besides the loss: notes on the text, and the verdict on the result.

The figures come from training/verdict.py.  The limits on the size of a text were measured on slices
of an English text, see words/README.md.
"""
import math

from scratch_embed.cli.messages import say
from scratch_embed.cli.tokenizing import chosen_tokenizer

FEW_DIFFERENT = 50                 # different words: too few to have useful neighbours
FEW = 30                           # occurrences of a word, on average, that say little about it
FEW_FOR_GLOVE = 100                # that leave most counts of pairs at 0 or 1
ENOUGH_READ = 1000                 # times that training reads a word, on average
TOO_FEW_READ = 500
MOST_EPOCHS = 50                   # that are suggested


# ---- before training ----------------------------------------------------------------------------

def note_text(arguments, vocab, corpus, few=FEW):
    """Say if a text is too small for word vectors.  few: occurrences of a word, on average"""
    words, different = len(corpus.ids), len(vocab)
    if different < FEW_DIFFERENT:
        say(f"a small vocabulary: {different:,} different words occur at least "
            f"{arguments.min_count} times (--min-count), too few for useful neighbours; use more "
            "text, or a smaller --min-count")
    elif words < few * different:
        say(f"a small text: {words / different:.0f} occurrences of a word, on average, say little "
            f"about it, whatever the settings ({few} are few); use more text, or vectors that were "
            "trained on more")


def note_epochs(arguments, vocab, corpus):
    """Say if word2vec or FastText reads the words too few times for useful vectors."""
    times = len(corpus.ids) / len(vocab)
    read = times * arguments.epochs
    if FEW <= times and read < TOO_FEW_READ:
        epochs = min(MOST_EPOCHS, math.ceil(ENOUGH_READ / times))
        say(f"a small text: {arguments.epochs} epochs read a word {read:.0f} times on average, and "
            f"{ENOUGH_READ:,} times are better; try --epochs {epochs}")


# ---- the text to measure on ---------------------------------------------------------------------

def add_held_out_option(command, what="lines"):
    """Add --held-out FILE."""
    command.add_argument("--held-out", metavar="FILE", help=f"measure the result on these {what}, "
                         "which training does not read (default: on a sample of the training "
                         "text)")


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

def report(verdict, examples, held_out, frequencies, advice, seen=True):
    """Print the three losses, and in one sentence whether the model has learned anything.

    examples: what the losses are means over, and where it comes from if held_out is None
    frequencies: what the baseline knows; advice: what to try if nothing was learned
    seen: whether training has read the examples, if held_out is None
    """
    kind, source = examples
    source = f"of {held_out}, which is held out" if held_out else source
    say(f"mean loss of {verdict.examples:,} {kind} {source}: {verdict.trained:.4f}; with "
        f"{frequencies} alone {verdict.baseline:.4f}; untrained {verdict.untrained:.4f}")
    say(verdict.sentence(frequencies, advice))
    if verdict.learned and seen and not held_out:
        say("(on the text that it was trained on, which it may know by heart: --held-out FILE "
            "measures another text)")


def report_pairs(arguments, verdict):
    """Report on word2vec or FastText."""
    report(verdict, ("pairs", "drawn anew from the training text"), arguments.held_out,
           "word frequencies", "train on more text, for more --epochs or with a larger --lr")
