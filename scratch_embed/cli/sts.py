"""evaluate sts: the correlation of encoders' similarities with human scores of sentence pairs."""
from scratch_embed.cli.loading import (
    MODELS,
    add_encoder_options,
    chosen_sif,
    column_names,
    load_encoder,
)
from scratch_embed.cli.messages import say_of
from scratch_embed.cli.parsing import add_command, add_errors, add_json, whole
from scratch_embed.cli.printing import measured, print_json
from scratch_embed.cli.prompts import say_default
from scratch_embed.cli.tokenizing import chosen_tokenizer, say_known
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

BASELINES = "bag of words", "random"


def add_evaluation(kinds):
    """Add `evaluate sts`."""
    command = add_command(
        kinds, "sts", "print correlations with human scores of sentence pairs",
        "scratch-embed evaluate sts stsb-en-dev.csv words.vec", run=run_evaluation,
        details="Spearman's and Pearson's correlation of the cosine of two sentences with their "
                "human score, each with its 95% bootstrap interval over pairs, beside a bag of "
                "words and random vectors.")
    pairs = command.add_argument("file", metavar="FILE", help="one pair per line: sentence, "
                                 "sentence, score, with tabs between them, or as CSV; plain or "
                                 "gzip")
    pairs.read_as = "text"
    command.add_argument("models", nargs="+", metavar="MODEL", help=MODELS)
    add_encoder_options(command)
    command.add_argument("--truncate-dim", type=whole(1), metavar="D", help="compare only the "
                         "first D dimensions of each MODEL (default: all)")
    add_json(command, '{system: {measure: {"value", "low", "high"}}}')
    add_errors(command)


def run_evaluation(arguments):
    """Read the pairs, encode both sides with each system, print a line per system."""
    from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
    from scratch_embed.evaluate.correlation_interval import correlation_intervals
    from scratch_embed.evaluate.scored_pairs import read_scored_pairs
    from scratch_embed.evaluate.sts import similarities
    tokenizer = chosen_tokenizer(arguments)
    names = column_names(arguments.models, taken=BASELINES)
    pairs = read_scored_pairs(arguments.file, arguments.errors, note=say_of(arguments.file))
    if len(pairs.scores) < 2:
        raise ValueError(f"{arguments.file}: expected at least 2 pairs, found 1")
    systems = {name: load_encoder(path, chosen_sif(arguments, path), tokenizer)
               for path, name in names.items()}
    for name, encoder in systems.items():
        say_default(encoder, name, "; only a default prompt is put before both sentences")
    systems |= dict(zip(BASELINES, (BagOfWords([*pairs.first, *pairs.second]), RandomVectors())))
    say(counted(len(pairs.scores), "pair"))
    found = {}
    for name, encoder in systems.items():
        how = {} if name in BASELINES else {"show_progress_bar": True,
                                            "truncate_dim": arguments.truncate_dim}
        A, B = (encoder.encode(side, **how) for side in pairs[:2])
        say_known(encoder, name, "sentences")
        found[name] = correlation_intervals(similarities(A, B).cosine, pairs.scores)
    print_table(found, arguments.json)


def print_table(found, as_json):
    """Print a line per system and a column per correlation, each with its interval."""
    if as_json:
        print_json({name: {measure.title(): measured(*interval)
                           for measure, interval in intervals._asdict().items()}
                    for name, intervals in found.items()})
        return
    width = max(map(len, found)) + 2
    print(" " * width + f"{'Spearman, 95% CI':<26}Pearson, 95% CI")
    for name, intervals in found.items():
        cells = (f"{value:6.3f} {low:6.3f} to {high:6.3f}" for value, low, high in intervals)
        print(f"{name:<{width}}{'   '.join(cells)}")
