"""A command checks the paths that it is given before the work, and says what a wrong file is.

The tests are generated from the parser, so that a new command is held to them too.
"""
import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.paths import (
    EXPECTED,
    TAKES,
    check_paths,
    has_sentences,
    missing,
    read_as,
    role_of,
    writes,
)
from scratch_embed.loading import FILES, FOLDERS
from scratch_embed.words.vectors import WordVectors
from tests.cli.test_grammar import LEAVES, SHOWN

GOLDEN = Path(__file__).parents[1] / "golden"
OLD = GOLDEN / "version_0_1"
NUMBERS = [(name, action) for name, _, action in SHOWN
           if action.type is not None and action.type.__module__.endswith("parsing")
           and action.metavar != "STRING"]
READS = [(name, action) for name, _, action in SHOWN if read_as(action)]
TEXTS = [(name, action) for name, action in READS if has_sentences(action)]
WRITES = [(name, action) for name, _, action in SHOWN if writes(action)]
# a value of every other argument that a command requires
VALUES = {"WORD": "king", "A": "a", "B": "b", "C": "c", "QUERY": "king", "ID": "1",
          "SENTENCE": "a [MASK]", "NAME": "facts"}
ALSO = {"evaluate words": ["pairs"], "index": ["model"], "neighbours": ["texts"],
        "train sbert": ["pairs"], "train m3": ["pairs"], "train e5-mistral": ["pairs"],
        "train cross-encoder": ["pairs"]}                        # options that one must give


def id_of(part):
    return part if isinstance(part, str) else part.dest


@pytest.fixture
def kinds(tmp_path):
    """{role: a file or folder of that role}."""
    (tmp_path / "text").write_text("the king rules\nthe queen rules\n")
    (tmp_path / "pairs").write_text("king queen 9\n")
    (tmp_path / "run").write_text("q1 Q0 d7 1 0.5 bm25\n")
    (tmp_path / "qrels").write_text("q1 0 d7 1\n")
    np.save(tmp_path / "array.npy", np.eye(2))
    shutil.copy(OLD / "words.vec", tmp_path / "words.vec")
    return {"vectors": tmp_path / "words.vec", "fasttext": OLD / "fasttext.bin",
            "classifier": OLD / "hs.bin", "index": OLD / "text.index", "encoder": OLD / "encoder",
            "model": OLD / "bert", "text": tmp_path / "text", "run": tmp_path / "run",
            "qrels": tmp_path / "qrels", "corpus": OLD / "corpus", "array": tmp_path / "array.npy",
            "pairs": tmp_path / "pairs", "cross-encoder": GOLDEN / "cross_encoder_new"}


def typed(name, kinds, folder, **instead):
    """A command line: every path as it should be, but for those in `instead` {dest: path}."""
    command = dict(LEAVES)[name]
    words, also = name.split(), {*instead, *ALSO.get(name, ())}
    if name in ("train sbert", "train m3", "train e5-mistral", "train cross-encoder") and (
            {"triplets", "scored"} & {*instead}):
        also -= {"pairs"}
    if also & {"corpus", "queries", "qrels"} and name == "evaluate retrieval":
        also |= {"corpus", "queries", "qrels"}                   # all three or none
    if "held_out" in also and name in ("train clip", "train clap"):
        also |= {"pairs"}
    if also & {"corpus", "queries"} and name == "rerank":
        also |= {"corpus", "queries"}                            # both, without a QUERY
    if "adapter_out" in also:
        also |= {"model"}                                        # to which the adapter is added
    for action in command._actions:
        wanted = action.required or not action.option_strings
        if action.dest == "asked" and "corpus" in also:
            continue
        if action.dest not in also and (not wanted or name == "train simcse" and "pairs" in also
                                        and action.dest == "corpus"):
            continue
        if read_as(action):
            value = (kinds["pairs"] if action.dest == "pairs" else
                     kinds["text"] if read_as(action) == "any" else
                     kinds[min(EXPECTED[read_as(action)].roles & kinds.keys())])
        elif writes(action):
            value = folder / ("out.png" if name == "plot" else "out.bin")
        else:
            value = VALUES.get(action.metavar, "3")
        value = instead.get(action.dest, value)
        words += [*action.option_strings[-1:], str(value)]
    return words


def test_every_argument_that_is_a_path_is_read_or_written():
    """Another metavar would not be checked: add it to the tables of cli/paths.py."""
    for name, _, action in SHOWN:
        paths = {"FILE", "FOLDER", "MODEL", "VECTORS", "INDEX", "QRELS", "RUN", "LABELLED"}
        if action.metavar in paths or (
                not action.option_strings and action.metavar in ("TEXT", "IN")):
            known = read_as(action) or writes(action)
            assert known or name in ("train bert", "train gpt2", "train sbert", "train m3",
                                     "train e5-mistral"), (name, action.dest)


def no_inputs(name, folder):
    """{argument: a path that does not exist} of what a command must be given to read."""
    return {action.dest: folder / "no-input" for command, action in READS
            if command == name and (action.required or not action.option_strings)}


# ---- before the work -----------------------------------------------------------------------------

@pytest.mark.parametrize("name, action", WRITES, ids=id_of)
def test_an_output_that_cannot_be_written_is_an_error_before_any_input_is_read(
        name, action, kinds, tmp_path, run):
    """Inputs that do not exist are not even looked for."""
    inputs = no_inputs(name, tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    bad = file / "x" if action.metavar == "FOLDER" else tmp_path / "no" / "folder" / "x.bin"
    code, out, err = run(*typed(name, kinds, tmp_path, **inputs, **{action.dest: bad}))
    assert (code, out) == (1, "") and "folder" in err and err.count("\n") == 1
    assert "no-input" not in err


@pytest.mark.parametrize("name, action", WRITES, ids=id_of)
def test_the_folder_above_an_output_is_not_made(name, action, kinds, tmp_path, run):
    out = tmp_path / "no" / ("x.png" if name.split()[0] in ("plot", "answer") else "x.bin")
    code, out, err = run(*typed(name, kinds, tmp_path, **{action.dest: out}))
    assert (code, out) == (1, "") and f"there is no folder {tmp_path}/no\n" in err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name, action", WRITES, ids=id_of)
@pytest.mark.parametrize("path", ["", "-"])
def test_an_output_without_a_name_is_refused(name, action, path, kinds, tmp_path):
    arguments = parser().parse_args(typed(name, kinds, tmp_path, **{action.dest: path}))
    if name in ("phrases", "mine") and path == "-":                      # standard output
        assert check_paths(arguments) is None
        return
    with pytest.raises((OSError, ValueError), match="the name of a f|name a file"):
        check_paths(arguments)


@pytest.mark.parametrize("name, action", READS, ids=id_of)
def test_an_input_that_does_not_exist_is_an_error_before_the_work(name, action, kinds, tmp_path,
                                                                  run):
    command = typed(name, kinds, tmp_path, **{action.dest: tmp_path / "gone.txt"})
    code, out, err = run(*command)
    assert (code, out) == (1, "")
    assert err == f"scratch-embed: {tmp_path / 'gone.txt'}: there is no such file or folder\n"
    assert not (tmp_path / "out.bin").exists()


def refused(action, text):
    """Whether the type of an argument refuses a text."""
    try:
        action.type(text)
    except argparse.ArgumentTypeError:
        return True
    return False


@pytest.mark.parametrize("name, action", NUMBERS, ids=id_of)
def test_a_number_out_of_its_range_is_bad_usage_before_any_input_is_read(name, action, kinds,
                                                                         tmp_path, run):
    """What is not a number, infinite, negative, or larger than any array."""
    inputs = no_inputs(name, tmp_path)
    for text in "many", "nan", "inf", "-1", "1e400", str(10**30):
        if text == str(10**30) and not refused(action, text):
            continue                                             # a real number
        command = typed(name, kinds, tmp_path, **inputs, **{action.dest: text})
        code, out, err = run(*command)
        assert (code, out) == (2, "") and "expected a" in err and err.count("\n") == 1, text


# ---- a file of another kind ----------------------------------------------------------------------

@pytest.mark.parametrize("name, action", READS, ids=id_of)
def test_a_file_of_another_kind_is_named_with_the_command_that_takes_it(name, action, kinds,
                                                                        tmp_path, run):
    expected = EXPECTED[read_as(action)]
    if read_as(action) == "any":
        return
    for role, path in kinds.items():
        is_text = read_as(action) in ("text", "text or files") and os.path.isfile(path)
        if is_text or role == "pairs" or role in expected.roles:
            continue
        code, _, err = run(*typed(name, kinds, tmp_path, **{action.dest: path}))
        last = err.splitlines()[-1]
        assert code == 1, (role, err)
        assert last.startswith(f"scratch-embed: {path}: expected {expected.words}, found "), last
        assert TAKES.get(role, "numpy.load") in last


@pytest.mark.parametrize("command, first, second", [
    ("encode", "text", "vectors"), ("encode", "text", "encoder"), ("predict", "text", "classifier"),
    ("evaluate sts", "model", "text"), ("evaluate classifier", "text", "classifier"),
    ("index", "encoder", "text")])
def test_two_paths_that_are_swapped_are_both_named(command, first, second, kinds, tmp_path, run):
    one, other = kinds[first], kinds[second]
    options = ["-o", tmp_path / "x"] * (command in ("index", "encode"))
    paths = [one, "--model", other] if command == "index" else [one, other]
    code, _, err = run(*command.split(), *paths, *options)
    named = err.splitlines()[-1].removeprefix("scratch-embed: ")
    assert code == 1 and named.endswith((f"; {one} and {other} are swapped",
                                         f"; {other} and {one} are swapped"))


def test_a_path_of_an_unknown_kind_is_not_said_to_be_swapped(kinds, tmp_path, run):
    (tmp_path / "x").write_bytes(b"\x00\x01\x02")
    for other in tmp_path / "x", kinds["array"], kinds["text"]:
        assert "swapped" not in run("predict", kinds["text"], other)[2]


def test_every_kind_that_can_be_read_has_a_role_that_a_command_takes():
    for kind in (*FILES, *FOLDERS):
        assert role_of(kind) in TAKES or isinstance(kind.read, str), kind.name


def test_damage_is_described_by_the_reader_of_the_format(tmp_path, run):
    (tmp_path / "cut.bin").write_bytes((OLD / "hs.bin").read_bytes()[:-1])
    (tmp_path / "text").write_text("a\n")
    code, _, err = run("predict", tmp_path / "cut.bin", tmp_path / "text")
    assert code == 1 and "cut.bin: byte " in err


# ---- what is not a text --------------------------------------------------------------------------

@pytest.mark.parametrize("name, action", TEXTS, ids=id_of)
@pytest.mark.parametrize("content", ["", "\n \n\t\n", "\n" * 70_000])
def test_a_text_without_words_has_one_message(content, name, action, kinds, tmp_path, run):
    (tmp_path / "blank").write_text(content)
    code, out, err = run(*typed(name, kinds, tmp_path, **{action.dest: tmp_path / "blank"}))
    assert (code, out) == (1, "")
    assert err == f"scratch-embed: {tmp_path}/blank: expected a text with words, found none\n"


@pytest.mark.parametrize("name, action", TEXTS, ids=id_of)
@pytest.mark.parametrize("ending", ["vec", "txt", "bin"])
def test_word_vectors_are_not_a_text(ending, name, action, kinds, tmp_path, run):
    path = tmp_path / f"v.{ending}"
    WordVectors(["king", "queen", "the"], np.linspace(-1, 1, 12).reshape(3, 4)).save(path)
    code, out, err = run(*typed(name, kinds, tmp_path, **{action.dest: path}))
    assert (code, out) == (1, "")
    assert err.startswith(f"scratch-embed: {path}: expected a text, found word vectors")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name, action", TEXTS, ids=id_of)
def test_a_picture_is_named_as_a_picture(name, action, kinds, tmp_path, run):
    path = tmp_path / "map.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff")
    output = {"output": tmp_path / "x.index"} if name == "index" else {}
    code, _, err = run(*typed(name, kinds, tmp_path, **{action.dest: path}, **output))
    assert code == 1 and "found a PNG picture; " in err.splitlines()[-1]


# ---- the name of a model -------------------------------------------------------------------------

@pytest.mark.parametrize("name, repository", [
    ("all-MiniLM-L6-v2", "ORGANISATION/all-MiniLM-L6-v2"),
    ("BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5"),
    ("bert-base-uncased", "ORGANISATION/bert-base-uncased")])
def test_the_name_of_a_model_is_answered_with_two_ways_to_get_its_folder(name, repository, tmp_path,
                                                                         run):
    (tmp_path / "text").write_text("a\n")
    for command in (["encode", name, tmp_path / "text"], ["fill", name, "a [MASK]"],
                    ["index", tmp_path / "text", "-o", tmp_path / "x", "--model", name]):
        code, out, err = run(*command)
        assert (code, out) == (1, "") and "nothing is downloaded" in err
        assert f"hf download {repository} --local-dir" in err and ".save(" in err


def test_the_name_of_a_cross_encoder_is_answered_with_its_class(tmp_path, run):
    (tmp_path / "pairs").write_text("a\tb\n")
    name = "cross-encoder/ms-marco-MiniLM-L6-v2"
    for command in (["rerank", tmp_path / "pairs", "a", "--model", name],
                    ["search", OLD / "text.index", "a", "--rerank", name]):
        _, _, err = run(*command)
        assert f'CrossEncoder("{name}").save("ms-marco-MiniLM-L6-v2")' in err
    _, _, err = run("train", "cross-encoder", "--pairs", tmp_path / "pairs", "-o", tmp_path / "m",
                    "--model", "all-MiniLM-L6-v2")
    assert 'SentenceTransformer("all-MiniLM-L6-v2").save(' in err


def test_only_the_place_of_a_model_is_answered_so():
    assert missing("encoder", "vectors") == "encoder: there is no such file or folder"
