"""evaluate: measure word vectors, a classifier, a ranking or an encoder of texts."""
import os

from scratch_embed.cli import classifier, mteb, retrieval, runs, sts
from scratch_embed.cli.loading import add_vectors, load_vectors, with_words
from scratch_embed.cli.parsing import add_command, add_errors, add_json
from scratch_embed.cli.printing import measured, print_json


def add_commands(commands):
    """Add `evaluate` and its kinds of evaluation."""
    evaluate = add_command(commands, "evaluate", "measure vectors, a classifier, a ranking or an "
                           "encoder",
                           "scratch-embed evaluate words vectors.vec --pairs wordsim353.tsv")
    kinds = evaluate.add_subparsers(metavar="KIND", required=True)
    words = add_command(kinds, "words", "print scores on word pairs and on analogies",
                        "scratch-embed evaluate words vectors.vec --pairs wordsim353.tsv "
                        "--analogies questions-words.txt", run=run_words,
                        check=check_words,
                        details="Each score with its coverage: the share of the pairs or "
                                "questions whose words have vectors.")
    add_vectors(words)
    words.add_argument("--pairs", metavar="FILE",
                       help="word pairs, one per line: word, word, human score (default: no "
                            "pairs)")
    words.add_argument("--analogies", metavar="FILE",
                       help="a file in Google's questions-words format (default: no "
                            "analogies)")
    words.add_argument("--keep-case", action="store_true",
                       help="do not lower-case the words of the files")
    add_errors(words)
    add_json(words, '{"pairs": {file: score}, "analogies": {section: score}}, each score {"value", '
                    '"low", "high", "covered", "total"}')
    for kind in (classifier, sts, runs, retrieval, mteb):
        kind.add_evaluation(kinds)


def check_words(arguments):
    """Exit with code 2 if there is nothing to measure."""
    if not (arguments.pairs or arguments.analogies):
        arguments.usage_error("give --pairs FILE, --analogies FILE, or both")


def run_words(arguments):
    """Print the scores for --pairs and for --analogies."""
    from scratch_embed.evaluate.words import (
        format_analogies,
        format_pairs,
        read_analogies,
        read_pairs,
        score_analogies,
        score_pairs,
    )
    lower = not arguments.keep_case
    pairs = read_pairs(arguments.pairs, lower, arguments.errors) if arguments.pairs else None
    sections = (read_analogies(arguments.analogies, lower, arguments.errors)
                if arguments.analogies else None)
    vectors = load_vectors(arguments.file)
    words, report, found = with_words(vectors, ()), [], {}
    if pairs is not None:
        more = with_words(vectors, (word for a, b, _ in pairs for word in (a, b)))
        scores, name = score_pairs(more.key_to_index, more.vectors, pairs), arguments.pairs
        found["pairs"] = {os.path.basename(name): coverage(scores.spearman, scores)}
        report += format_pairs(os.path.basename(name), scores)
        if made := sum((a in more and b in more) and not (a in words and b in words)
                       for a, b, _ in pairs):
            report.append(f"    {made} of them have an unknown word, whose vector is made of its "
                          "n-grams")
    if sections is not None:
        scores = score_analogies(words.key_to_index, words.vectors, sections)
        found["analogies"] = {part.name: coverage(part.accuracy, part) for part in (
            *scores.sections, scores.semantic, scores.syntactic, scores.overall)}
        report += format_analogies(scores)
    if not any(row["covered"] for rows in found.values() for row in rows.values()):
        raise ValueError(f"{arguments.file}: expected words of the pairs or analogies, found none "
                         "of them; --keep-case keeps capitals, if the vectors have them")
    if arguments.json:
        print_json(found)
    else:
        print("\n".join(report))


def coverage(value, scores):
    """{"value", "low", "high", "covered", "total"} of a score over pairs or questions."""
    return {**measured(value), "covered": scores.covered, "total": scores.total}
