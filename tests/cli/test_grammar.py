"""One grammar for all commands: a thing has the same name, metavar and place in each of them.

Every test here is generated from the parser, so that a new command is held to it too.
"""
import argparse
import re
import shlex

import pytest

from scratch_embed.cli.main import GROUPS, parser
from scratch_embed.cli.parsing import CommandParser, subcommands
from scratch_embed.cli.paths import read_as
from tests.cli.test_parsing import commands

LEAVES = [(" ".join(words), command) for words, command in commands(parser())
          if not subcommands(command)]


def shown(command):
    """The arguments and options that its help shows."""
    return [action for action in command._actions
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)]


SHOWN = [(name, command, action) for name, command in LEAVES for action in shown(command)]
ALL = pytest.mark.parametrize("name, command", LEAVES, ids=[name for name, _ in LEAVES])

# what an argument is called: files, folders, words and texts
ARGUMENTS = {"TEXT", "LABELLED", "VECTORS", "MODEL", "INDEX", "QRELS", "RUN", "WORD", "A", "B", "C",
             "QUERY", "SENTENCE", "NAME", "FILE", "IN", "OUT"}


@ALL
def test_every_argument_and_option_has_help_without_a_full_stop_and_states_its_default(
        name, command):
    """What an option does if it is left out is in brackets at the end: (default: 5)."""
    for action in shown(command):
        assert action.help and not action.help.rstrip().endswith("."), action.dest
        assert "; default" not in action.help and action.help.count("(default: ") <= 1, action.dest
        optional = action.option_strings and not action.required or action.nargs in ("?", "*")
        if optional and not isinstance(action, argparse._StoreTrueAction):
            assert re.search(r"\(default: .*\)$", action.help, re.S), action.dest


def test_an_argument_has_one_name_in_every_command():
    names = {action.metavar for _, _, action in SHOWN if not action.option_strings}
    assert names <= ARGUMENTS
    # an option that takes words is a STRING: a TEXT is a file
    assert "TEXT" not in {action.metavar for _, _, action in SHOWN if action.option_strings}


def test_one_kind_of_value_has_one_metavar_and_one_word():
    """A number from 0 to 1 is a SHARE, and --lr a learning rate, which begins the sentence."""
    found = {option: action for _, _, action in SHOWN for option in action.option_strings}
    for option in "--sample", "--dropout", "--warmup-ratio", "--mlm-probability", "--weight":
        assert found[option].metavar == "SHARE", option
    assert all(action.help.startswith("learning rate") for _, _, action in SHOWN
               if "--lr" in action.option_strings)


@ALL
def test_large_numbers_in_a_help_have_commas(name, command):
    text = re.sub(r"\((?:[A-Z]\w+ et al\. )?\d{4}\)|et al\. \d{4}", "", command.format_help())
    assert not re.search(r"(?<![\d,.])\d{4,}", text.split("example:")[0])


def test_a_default_of_a_thousand_or_more_has_a_comma():
    top = CommandParser()
    top.add_argument("--depth", type=int, default=1000, help="depth (default: %(default)s)")
    top.add_argument("--rate", type=float, default=0.5, help="rate (default: %(default)s)")
    assert "(default: 1,000)" in top.format_help() and "(default: 0.5)" in top.format_help()


@ALL
def test_defaults_do_not_point_in_a_circle_or_at_what_is_not_named(name, command):
    """A default is a value or a rule: not "see --rows", and not the name of another option."""
    for action in shown(command):
        default = re.search(r"\(default: (.*)\)$", action.help, re.S)
        assert not default or not re.search(r"^see |\bthem\b|^--\S+$|^[A-Z]+$", default[1]), (
            action.dest)


@ALL
def test_an_example_does_not_repeat_a_default(name, command):
    example = command.format_help().split("example:")[1].replace("\\\n", " ")
    words = shlex.split(example)
    for option, value in zip(words, words[1:]):
        action = command._option_string_actions.get(option)
        assert action is None or str(action.default) != value, option


def test_a_limit_of_0_is_explained_and_the_result_is_always_measured():
    found = {(name, option): " ".join(action.help.split()) for name, _, action in SHOWN
             for option in action.option_strings}
    for (name, option), help in found.items():
        assert option not in ("--min-n", "--max-n") or "0" in help.split("(default")[0], name
        assert option != "--held-out" or ("measure the result on these" in help
                                          and "no measurement" not in help), name
    assert "text <tab> positive" in found["train simcse", "--held-out"]


def test_a_group_that_goes_together_is_named_where_each_of_it_is():
    """TEXT or --pairs; QUERY, --rows or --vector-file; --corpus, --queries and --qrels."""
    texts = {name: " ".join(command.format_help().split()) for name, command in LEAVES}
    assert texts["train simcse"].count("TEXT or --pairs is required") == 2
    assert "QUERY, --rows or --vector-file is required" in texts["neighbours"]
    assert "Give --corpus, --queries and --qrels together" in texts["evaluate retrieval"]


def test_what_a_number_or_a_model_is_can_be_read_from_its_help():
    for name, _, action in SHOWN:
        if "--sif" in action.option_strings:
            assert "so that rare words count more, the more so the smaller A is" in action.help
        if name == "train bert" and "--model" in action.option_strings:
            assert action.help.startswith("a folder with a BERT, ")


def test_the_form_of_every_output_is_stated():
    """A file by the ending of its name, a folder by whether it is created."""
    for name, _, action in SHOWN:
        if {"--output", "--run-out"} & {*action.option_strings}:
            wanted = "created if" if action.metavar == "FOLDER" else r"end(s|ing)\b"
            assert re.search(wanted, action.help) or name == "tour", name


def test_options_of_the_tokenizer_say_when_the_model_decides():
    helps = {name: " ".join(command.format_help().split()) for name, command in LEAVES}
    assert helps["encode"].count("(default: as for --tokenizer; ") == 2
    assert "as for" not in helps["phrases"] and "is l and hiver (default: keep)" in helps["phrases"]


def test_an_option_has_one_metavar_and_the_same_other_spellings_in_every_command():
    found = {}
    for name, _, action in SHOWN:
        for option in action.option_strings:
            written = (action.metavar, tuple(action.option_strings), type(action).__name__)
            found.setdefault(option, {}).setdefault(written, []).append(name)
    several = {option: ways for option, ways in found.items() if len(ways) > 1}
    assert several.keys() <= {"-o", "--output"}, several         # FILE or FOLDER
    assert {"-k", "--top"} <= found.keys() and len(found["-k"]) == 1


@ALL
def test_a_command_that_prints_data_can_print_json(name, command):
    """The others write files, or print tables and paragraphs for people."""
    options = command._option_string_actions
    writes = ("-o" in options and options["-o"].required or name.split()[0] in ("tour", "why")
              or any(action.metavar == "OUT" for action in command._actions))
    assert writes != ("--json" in options)
    assert writes or isinstance(options["--json"], argparse._StoreTrueAction)


@ALL
def test_a_command_that_reads_a_text_says_what_it_does_with_other_bytes_than_utf_8(name, command):
    """So does `convert`, of words.  The names in a TREC run must be those of the collection."""
    reads = any(read_as(action) in ("text", "text or files") or action.metavar == "IN"
                for action in command._actions)
    assert ("--errors" in command._option_string_actions) == reads or name == "evaluate run"


@ALL
def test_the_list_of_commands_has_each_once_on_one_line_under_its_group(name, command):
    listing = parser().format_help().split("options:")[0]
    assert len(re.findall(rf"^  {name}  +{re.escape(command.summary)}$", listing, re.M)) == 1
    for title in GROUPS:
        assert f"\n{title}:\n" in listing


# ---- wrong command lines -------------------------------------------------------------------------

@ALL
def test_an_unknown_option_is_refused_by_the_command_that_was_typed(name, command, run):
    """Also before it complains of what is missing, and whatever else is given."""
    for option in "--kk", "--kk=3", "-q":
        code, out, err = run(*name.split(), option)
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert err.startswith(f"scratch-embed {name}: unknown option {option.split('=')[0]}")
        assert err.endswith(f"; see scratch-embed {name} --help\n")


@pytest.mark.parametrize("given, message", [
    ("similar v king --topp 3", "unknown option --topp; the nearest is -k/--top;"),
    ("train word2vec t -o v --max-vocab 3", "--max-vocab; the nearest is --max-vocab-size;"),
    ("train word2vec t -o v --batch 3", "unknown option --batch; other commands have it, by the "
                                        "name --batch-size"),
    ("train bert t -o v --batch 3", "--batch is now --batch-size"),
    ("train word2vec t -o v --size 3", "--size is --dim here;"),
    ("train word2vec t -o v --vector_size=3", "--vector_size is --dim here;"),
    ("train word2vec t -o v --iter 3", "--iter is --epochs here;"),
    ("train word2vec t -o v --cbow 1", "--cbow is --mode cbow here;"),
    ("train fasttext t -o v -minCount 1", "-minCount is --min-count here;"),
    ("train fasttext t -output v", "-output is --output here;"),
    ("similar v king --threads 3", "unknown option --threads; other commands have it, by the name "
                                   "--workers;"),
    ("train word2vec t -o v --model m", "--model; it belongs to train bert, train gpt2, "),
    ("train word2vec t -o v --alpha 1", "--alpha is --lr here;"),
    ("encode m -i t", "-i is now the second argument, TEXT"),
    ("encode m --input=t", "--input is now the second argument, TEXT"),
    ("glove", "unknown command 'glove'; the nearest is train glove or why glove;"),
    ("train worde2vec", "unknown command 'worde2vec'; the nearest is word2vec;"),
    ("evaluate mteb m --json out", "`--json FOLDER` is now --results-folder FOLDER"),
    ("odd v a b --json=1", "--json: ignored explicit argument '1'"),
    ("analogy v a b c d", "unexpected argument 'd'"),
    ("similar v king -k 0", "-k/--top: expected a whole number of at least 1, got '0'"),
    ("encode m t --prompt a --prompt-name b", "--prompt-name: not allowed with --prompt"),
    ("similar", "the following arguments are required: VECTORS, WORD")])
def test_a_wrong_command_line_is_one_line_that_says_what_is_meant(given, message, run):
    code, out, err = run(*given.split())
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_a_negative_number_and_a_text_that_begins_with_a_dash_are_values(run):
    assert "expected a number of at least 0, got '-1'" in run(
        "train", "word2vec", "t", "-o", "v", "--sample", "-1")[2]
    assert parser().parse_args(["search", "i", "--", "--kk"]).queries == ["--kk"]
    assert parser().parse_args(["encode", "m", "--prompt", "- a text"]).prompt == "- a text"
    assert parser().parse_args(["similar", "v", "king", "-k3"]).top == 3
