"""An error at the shell names options, not the arguments of Python's functions."""
import re

import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.shell_names import message_of, shell_names
from scratch_embed.numerics.errors import FormatError, TrainingDiverged

WORD2VEC = ["train", "word2vec", "my text.txt", "-o", "v.vec"]


def arguments(*typed):
    return parser().parse_args(list(typed))


@pytest.mark.parametrize("python, shell", [
    ("sample=0: subsampling left no pair; use more text, or sample=0",
     "--sample 0: subsampling left no pair; use more text, or --sample 0"),
    ("0 of 3 words reach min_count=5: choose a smaller min_count",
     "0 of 3 words reach --min-count 5: choose a smaller --min-count"),
    ("a smaller window, or max_vocab_size", "a smaller --window, or --max-vocab-size"),
    ('x, errors="replace"', "x, --errors replace"),
    ("t.state: cannot resume, dim was 8 and is 4 now", "t.state: cannot resume, --dim was 8 and is "
                                                      "4 now"),
    ("corpus: expected words, got none", "my text.txt: expected words, got none"),
    ("resume=True", "--resume"),
    # what is not an argument stays as it is: a path, a quoted word, another name, an English word
    ("no/dim=3/w.vec: is not there", "no/dim=3/w.vec: is not there"),
    ("'dim=3' is not among the 5 words", "'dim=3' is not among the 5 words"),
    ("alpha=3: expected less; a larger vocabulary", "alpha=3: expected less; a larger vocabulary"),
    ("the window of a word has a sample", "the window of a word has a sample")])
def test_arguments_are_translated_to_options_of_the_running_command(python, shell):
    assert shell_names(python, arguments(*WORD2VEC)) == shell


def test_an_argument_may_have_another_name_than_the_option():
    bert = arguments("train", "bert", "t", "-o", "m")
    assert shell_names("size=10: expected 66; choose a larger size", bert) == (
        "--vocab-size 10: expected 66; choose a larger --vocab-size")
    search = arguments("search", "i", "q")
    assert shell_names("k=0: expected 1; topn=0", search) == "--top 0: expected 1; --top 0"


def test_the_names_in_a_file_are_not_translated():
    error = FormatError("dim=3.json", "config", "expected vocab_size=3, dim=3")
    found = message_of(error, arguments("train", "bert", "t", "-o", "m"))
    assert found == "dim=3.json: config: expected vocab_size=3, dim=3"


def test_advice_that_a_command_cannot_follow_is_left_out():
    error = FormatError("q", "line 1", 'not UTF-8; convert the file, or choose errors="replace" or '
                                       'errors="ignore"')
    assert message_of(error, arguments("similar", "v", "q")) == (
        "q: line 1: not UTF-8; convert the file")
    assert message_of(error, arguments("predict", "m", "q")).endswith(
        "or choose --errors replace or --errors ignore")


def test_messages_of_errors_that_are_not_value_errors():
    typed = arguments(*WORD2VEC)
    assert message_of(TrainingDiverged("step 3", 0.5), typed).endswith("--lr 0.025")
    assert message_of(KeyError("no word"), typed) == "no word"
    assert message_of(FileNotFoundError(2, "No such file", "x"), typed) == "x: No such file"
    assert message_of(MemoryError(), typed) == "MemoryError"


@pytest.mark.parametrize("command", [
    "train word2vec {text} -o v", "train word2vec {text} -o v --min-count 1 --sample 1e-9",
    "train word2vec {latin} -o v", "train fasttext {text} -o v", "train bert {text} -o b "
    "--vocab-size 3", "train glove {text} -o v", "phrases {latin} -o p", "encode {latin} {latin}",
    "train classifier {latin} -o c.bin", "train classifier {text} -o c.bin",
    "train word2vec {text} -o v.gz --min-count 1"])
def test_no_message_of_a_command_has_a_name_of_python(command, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("a b c d\nb c d e\n" * 2)
    (tmp_path / "latin").write_bytes(b"caf\xe9 a b\n" * 9)
    code, _, err = run(*command.format(text="text", latin="latin").split())
    last = err.splitlines()[-1]
    assert code == 1 and not re.search(r"\b[a-z_]+=|[a-z]_[a-z]", last), last
