"""why: remove the tricks of a method one at a time, and see what each was worth."""
import sys
import textwrap

from scratch_embed.cli.parsing import add_command, whole


def add_commands(commands):
    """Add `why` and the methods it can take apart."""
    why = add_command(commands, "why", "measure what each trick of a method is worth",
                      "scratch-embed why word2vec")
    methods = why.add_subparsers(metavar="METHOD", required=True)
    word2vec = add_command(methods, "word2vec", "the tricks of word2vec, on toy texts",
                           "scratch-embed why word2vec --seeds 10", run=run_word2vec)
    word2vec.add_argument("--seeds", type=whole(2), default=5, metavar="N",
                          help="texts and starting weights to average over (%(default)s)")
    word2vec.add_argument("--sentences", type=whole(100), default=10_000, metavar="N",
                          help="the length of each text (%(default)s)")


def run_word2vec(arguments):
    """Print the tricks, each with its prediction first; the methods; the closed form."""
    from scratch_embed.why.word2vec import toy_text
    print("(making the texts; a first run waits for the compiler)", file=sys.stderr)
    texts = [toy_text(seed, arguments.sentences) for seed in range(1, arguments.seeds + 1)]
    show_tricks(texts)
    show_methods(texts)
    show_closed_form([text.seed for text in texts], 2 * arguments.sentences)


def heading(text):
    """A line that begins a part."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def paragraph(text, indent=""):
    """Text in lines that fit."""
    print(textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent), flush=True)


def show_tricks(texts):
    """For each trick what is expected, then what is found."""
    from scratch_embed.why.word2vec import CBOW, LONG, SKIPGRAM, TRICKS, measure_tricks
    heading("1  The tricks: what happens without?")
    words = sum(len(text.corpus.ids) for text in texts) / len(texts)
    paragraph(f"% of analogies solved, mean of {len(texts)} seeds, each with a text (hard, "
              f"{words:,.0f} words) and starting weights of its own; with - without, seed by seed, "
              "has its 95% interval.  Skip-gram: "
              + ", ".join(f"{name} {value}" for name, value in SKIPGRAM.items())
              + f"; CBOW: the same with lr {CBOW['lr']}; long training: with dim {LONG['dim']}, "
              f"epochs {LONG['epochs']}.")
    effects = measure_tricks(TRICKS, texts, progress=True)
    held = total = 0
    for trick in TRICKS:
        print(f"\n{trick.name}")
        paragraph("Prediction: " + trick.prediction, "    ")
        print(f"    {'in its place':25}{'predicted':22} with  without   difference  found")
        for effect in next(effects):                          # measured now
            mean, half = effect.difference
            found = effect.difference.verdict
            print(f"    {effect.instead:25}{effect.predicted:22}{effect.with_it:5.1f}"
                  f"{effect.without:9.1f}{mean:+6.1f} ± {half:4.1f}  {found}", flush=True)
            held += found == effect.predicted
            total += 1
    print()
    paragraph(f"{held} of {total} predictions held.  Of {total} intervals at 95%, "
              f"{total / 20:.1f} are expected to miss the truth by chance.")


def show_methods(texts):
    """A table of methods, and for each from which others it cannot be told apart."""
    from scratch_embed.why.effects import interval
    from scratch_embed.why.word2vec import METHODS, alike, measure
    heading("2  The methods, on the same texts")
    scores = measure(list(METHODS.values()), texts, progress=True)
    print("    " + " " * 38 + "%            cannot be told apart from")
    for number, (name, row, others) in enumerate(zip(METHODS, scores, alike(scores)), 1):
        mean, half = interval(row)
        print(f"    {number}  {name:32} {mean:5.1f} ± {half:4.1f}   "
              + (" ".join(str(other + 1) for other in others) or "none"), flush=True)


def show_closed_form(seeds, sentences):
    """u·v of trained vectors beside what it should tend to."""
    from scratch_embed.why.effects import interval, paired_difference
    from scratch_embed.why.word2vec import OFTEN, WORLDS, closed_forms
    heading("3  The closed form: what u·v tends to")
    paragraph(f"Texts of {sentences:,} sentences; more dimensions than words: every u·v is "
              "free.  Prediction: u·v is the logarithm of Levy & Goldberg 2014, closer to it if "
              "noise that equals the answer, which the code skips, is left out of the sum.  Pairs "
              "that a text seldom has keep the luck of their draw; "
              f"'often' are those expected {OFTEN} times or more; 'off by' is a weighted RMS.")
    forms = {"log P(m,n)/(K Pnoise(m)(P(n) - P(m,n)))": 0, "log P(m,n)/(K Pnoise(m) P(n))": 1}
    print(f"    {'':39}  correlation       often             off by")
    for world in WORLDS:
        found = closed_forms(world, seeds, sentences)
        print(f"  {world}")
        for name, form in forms.items():
            r, often, off = (interval([getattr(pair[form], part) for pair in found])
                             for part in ("correlation", "often", "off"))
            print(f"    {name:39}  {r.mean:.4f} ± {r.half:.4f}   {often.mean:.4f} ± "
                  f"{often.half:.4f}   {off.mean:.3f} ± {off.half:.3f}", flush=True)
        gain = paired_difference(*([pair[form].correlation for pair in found] for form in (0, 1)))
        print(f"    {'the first against the second':39} {gain.mean:+.4f} ± {gain.half:.4f}   "
              f"the correction {gain.verdict}")
