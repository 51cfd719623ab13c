"""What all commands share: help, errors, Ctrl-C, pipes; and the commands for word vectors."""
import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.parsing import require_writable
from scratch_embed.cli.word2vec import chosen_method
from scratch_embed.text.reader import read_corpus
from scratch_embed.training.session import RunOptions
from scratch_embed.words import word2vec
from scratch_embed.words.vectors import WordVectors
from tests.processes import ctrl_c_at, terminal

ROOT = Path(__file__).parents[2]
PAIR = "the king and the queen\nthe man and the woman\n" * 20
COMMANDS = [line.split() for line in [
    "", "tour", "phrases", "train", "train word2vec", "train glove", "train fasttext",
    "train classifier", "train bpe", "train bert", "train gpt2", "train simcse", "train sbert",
    "train m3", "train e5-mistral", "train cross-encoder", "train clap", "train clip",
    "train imagebind", "train whisper",
    "encode", "fill", "similar",
    "analogy", "odd", "vectors", "plot", "ngrams", "predict", "evaluate", "evaluate words",
    "evaluate classifier", "evaluate sts", "evaluate run", "evaluate retrieval", "evaluate mteb",
    "index", "search", "rerank", "neighbours", "convert", "info", "world", "figures", "why",
    "why word2vec", "why glove", "why fasttext", "why bert", "why gpt2", "why simcse",
    "why sbert", "why e5", "why matryoshka", "why m3", "why lora", "why rerank", "why retrieval",
    "why clip", "mine", "answer", "answer 1", "answer 2", "answer 3", "answer 4", "answer 5"]]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(PAIR)
    return path


@pytest.fixture
def file(tmp_path):
    """Four words on a square: king − man + woman = queen exactly."""
    path = tmp_path / "square.vec"
    words = ["man", "woman", "king", "queen", "apple"]
    WordVectors(words, np.array([[1, 1, 0], [1, -1, 0], [2, 1, 0.5], [2, -1, 0.5], [-1, 0, 1]],
                                np.float32)).save(path)
    return path


def shell(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "scratch_embed", *map(str, arguments)],
                          env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, **options)


# ---- all commands --------------------------------------------------------------------------------

def test_the_list_of_commands_is_complete():
    def commands(parser, path=()):
        yield list(path)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, inner in action.choices.items():
                    yield from commands(inner, (*path, name))
    assert sorted(commands(parser())) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example_that_the_parser_understands(command, run):
    code, help, _ = run(*command, "--help")
    assert code == 0
    example = help.split("example:\n")[1].replace("\\\n", " ").split("scratch-embed")[-1]
    assert "(None)" not in help and ".." not in help.replace("...", "")
    assert parser().parse_args(shlex.split(example))
    assert max(map(len, help.splitlines())) <= 79


@pytest.mark.parametrize("wrong", [[], ["fly"], ["similar"], ["train", "word2vec", "x"],
                                   ["train", "word2vec", "x", "-o", "y", "--dim", "many"],
                                   ["train", "word2vec", "x", "-o", "y", "--dim", "0"],
                                   ["train", "word2vec", "x", "-o", "y", "--lr", "nan"],
                                   ["similar", "x", "king", "--top", "0"],
                                   ["train", "word2vec", "x", "-o", "y", "--resume"],
                                   ["train", "word2vec", "x", "-o", "y", "--shared-negatives",
                                    "--mode", "cbow"]])
def test_bad_usage_exits_with_code_2(wrong, run):
    code, out, err = run(*wrong)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert re.fullmatch(r"(scratch-embed[a-z0-9 ]*): .*; see \1 --help\n", err)


@pytest.mark.parametrize("command, message", [
    (["similar", "no-such-file", "king"], "no-such-file"),
    (["similar", "{file}", "kang"], "king"),                       # suggests the closest word
    (["train", "word2vec", "no-such-file", "-o", "{file}"], "no-such-file"),
    (["train", "word2vec", "{text}", "-o", "no/folder/x"], "no folder"),
    (["train", "word2vec", "{text}", "-o", "{folder}"], "folder"),
    (["train", "word2vec", "{text}", "-o", "{file}", "--min-count", "99"], "--min-count|min_count"),
    (["train", "word2vec", "{text}", "-o", "{text}"], "is the input itself"),
    (["train", "word2vec", "{text}", "-o", ""], "name a file"),
    (["train", "word2vec", "{text}", "-o", "{file}.gz"],
     "with the ending .vec, .txt, .bin, .safetensors, .npy or none, got the ending .gz"),
    (["similar", "{text}", "king"], "found a text; `train`"),
    (["evaluate", "words", "{file}", "--pairs", "{file}"], "line")])
def test_a_users_error_is_one_line_on_stderr_and_exits_with_code_1(command, message, file, text,
                                                                   tmp_path, run):
    names = dict(file=file, text=text, folder=tmp_path)
    code, out, err = run(*(a.format(**names) for a in command))
    assert code == 1 and out == ""
    assert err.rstrip().splitlines()[-1].startswith("scratch-embed: ")
    assert any(part in err for part in message.split("|")) and "Traceback" not in err


def test_ctrl_c_exits_with_code_130_and_leaves_the_old_file(text, file):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    before = file.read_bytes()
    with terminal(ctrl_c_at("loss", lambda: process.pid)) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "scratch_embed", "train", "word2vec", str(text), "-o", str(file),
             "--sample", "0", "--epochs", "100000000"], stderr=sys.stderr,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            # a process in the background may ignore SIGINT
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()                                        # also if the test fails
    assert screen.text.endswith("at Ctrl-C\r\n") and "Traceback" not in screen.text
    assert file.read_bytes() == before


def test_a_reader_that_stops_early_causes_no_error_message(file):
    done = subprocess.run(f"{sys.executable} -m scratch_embed vectors {file} " + "king " * 20_000
                          + "| head -n 1", shell=True, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.startswith("king ") and done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_written_to_and_not_replaced(text, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    done = shell("train", "word2vec", text, "-o", pipe, *SMALL)
    assert done.returncode == 0 and reader.communicate(timeout=60)[0].startswith(b"6 8\nthe ")
    assert pipe.is_fifo()


def test_a_warning_is_one_line(tmp_path, run):
    (tmp_path / "twice.vec").write_text("2 2\na 1 2\na 3 4\n")
    code, out, err = run("vectors", tmp_path / "twice.vec", "a")
    assert (code, out) == (0, "a 1.0 2.0\n")
    assert err.startswith("scratch-embed: warning: ") and err.count("\n") == 1


def test_python_m_scratch_embed_is_the_command():
    assert shell("--version").stdout.startswith("scratch-embed ")


# ---- train ------------------------------------------------------------------------------------

SMALL = ["--dim", 8, "--epochs", 2, "--min-count", 1]


def test_training_writes_vectors_and_keeps_stdout_for_data(text, tmp_path, run):
    out = tmp_path / "v.vec"
    code, stdout, stderr = run("train", "word2vec", text, "-o", out, *SMALL)
    assert (code, stdout) == (0, "")
    assert "kept 200 words in 40 sentences, 6 different" in stderr and str(out) in stderr
    vectors = WordVectors.load(out)
    assert vectors.index_to_key[0] == "the" and vectors.vectors.shape == (6, 8)


def test_stdin_gives_the_same_file_as_a_path_and_another_seed_does_not(text, tmp_path, run, stdin):
    run("train", "word2vec", text, "-o", tmp_path / "a.vec", *SMALL)
    stdin(PAIR)
    run("train", "word2vec", "-", "-o", tmp_path / "b.vec", *SMALL)
    run("train", "word2vec", text, "-o", tmp_path / "c.vec", *SMALL, "--seed", 2)
    a, b, c = ((tmp_path / f"{name}.vec").read_bytes() for name in "abc")
    assert a == b != c


def test_the_name_chooses_the_binary_format(text, tmp_path, run):
    run("train", "word2vec", text, "-o", tmp_path / "a.vec", *SMALL)
    run("train", "word2vec", text, "-o", tmp_path / "a.bin", *SMALL)
    a, b = WordVectors.load(tmp_path / "a.vec"), WordVectors.load(tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes().startswith(b"6 8\nthe ")
    assert a.index_to_key == b.index_to_key
    np.testing.assert_array_equal(a.vectors, b.vectors)


def test_every_option_reaches_the_training(tmp_path, run, check_options):
    """The vectors equal those of word2vec.train, bit for bit; each option changes them."""
    text, out = tmp_path / "text", tmp_path / "v.bin"
    text.write_text(PAIR + "a word of its own\n")
    options = [["--dim", 2], ["--window", 3], ["--negatives", 4], ["--sample", 0.5],
               ["--min-count", 1], ["--epochs", 6], ["--lr", 0.07], ["--seed", 9]]
    assert run("train", "word2vec", text, "-o", out, *sum(options, []))[0] == 0
    vocab, corpus = read_corpus(text, 1)
    W = word2vec.train(corpus, vocab, dim=2, window=3, negatives=4, sample=0.5, epochs=6, lr=0.07,
                       options=RunOptions(seed=9)).W
    np.testing.assert_array_equal(WordVectors.load(out).vectors, W)
    check_options("train", "word2vec", text, "-o", out, options=options)


@pytest.mark.parametrize("options, method, lr, negatives", [
    ([], "skipgram_chunk", 0.025, 5), (["--shared-negatives"], "shared_chunk", 0.025, 5),
    (["--loss", "hs"], "skipgram_chunk", 0.025, 0), (["--mode", "cbow"], "cbow_chunk", 0.05, 5),
    (["--mode", "cbow", "--loss", "hs", "--cbow-gradient", "mean", "--lr", "1"],
     "corrected_cbow_chunk", 1, 0)])
def test_mode_loss_and_shared_negatives_choose_the_method(options, method, lr, negatives):
    arguments = parser().parse_args(["train", "word2vec", "x", "-o", "y", *options])
    chosen, *numbers = chosen_method(arguments)
    assert (chosen.__name__, *numbers) == (method, lr, negatives)


@pytest.mark.parametrize("options", [[], ["--shared-negatives"], ["--loss", "hs"],
                                     ["--mode", "cbow"], ["--mode", "cbow", "--loss", "hs"]])
def test_every_method_trains(options, text, tmp_path, run):
    code, _, err = run("train", "word2vec", text, "-o", tmp_path / "v", *SMALL, *options)
    assert code == 0, err
    assert len(WordVectors.load(tmp_path / "v")) == 6


def test_a_checkpoint_is_resumed_to_the_same_bytes(text, tmp_path, run):
    whole, state, again = tmp_path / "whole.bin", tmp_path / "state", tmp_path / "again.bin"
    run("train", "word2vec", text, "-o", whole, *SMALL, "--checkpoint", state)
    code, _, err = run("train", "word2vec", text, "-o", again, *SMALL, "--checkpoint",
                       state, "--resume", "--on-disk", tmp_path / "ids")
    assert code == 0, err
    assert again.read_bytes() == whole.read_bytes()
    code, _, err = run("train", "word2vec", text, "-o", again, *SMALL[2:], "--checkpoint",
                       state, "--resume")
    assert code == 1 and "dim was 8" in err


def test_an_output_that_cannot_be_written_is_an_error_before_the_training(text, tmp_path, run):
    with pytest.raises(FileNotFoundError):
        require_writable(tmp_path / "no" / "file")
    code, _, err = run("train", "word2vec", text, "-o", tmp_path / "no" / "v")
    assert code == 1 and "different" not in err                    # the text is not read yet


# ---- similar, analogy, odd, vectors, evaluate words ----------------------------------------------

def test_similar_prints_word_neighbour_cosine(file, run):
    code, out, _ = run("similar", file, "king", "apple", "--top", 2)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [r[0] for r in rows] == ["king", "king", "apple", "apple"]
    assert rows[0][1:] == ["man", f"{3 / np.sqrt(2 * 5.25):.4f}"]


@pytest.mark.parametrize("noise, said", [(0.01, True), (1.0, False)])
def test_similar_says_if_the_vectors_are_nearly_equal(noise, said, tmp_path, run):
    vectors = 1 + noise * np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    WordVectors([f"w{n}" for n in range(20)], vectors).save(tmp_path / "v.vec")
    code, out, err = run("similar", tmp_path / "v.vec", "w1", "w2", "-k", 2)
    assert code == 0 and len(out.splitlines()) == 4
    assert (err.count("the vectors are nearly equal ('w1' has a cosine of at least 0.99") == 1
            ) == said and len(err.splitlines()) == said


@pytest.mark.parametrize("command", [
    ["train", "word2vec", "text", "-o", "v", "--min-count", 1, "--sample", 0, "--dim", 2],
    ["train", "bert", "text", "-o", "i", "--dim", 8, "--steps", 1, "--max-length", 8],
    ["encode", "v.vec", "text"], ["index", "text", "-o", "i", "--model", "v.vec"],
    ["phrases", "text", "-o", "p"]])
def test_every_command_counts_the_bytes_that_errors_replaced(command, file, tmp_path, run):
    (tmp_path / "text").write_bytes(b"the king \xe9\nthe \xffqueen\n" * 3)
    names = {name: tmp_path / name for name in ("text", "v", "i", "p")} | {"v.vec": file}
    command = [names.get(part, part) for part in command]
    code, _, err = run(*command, "--errors", "replace")
    assert code == 0 and err.count(f"{tmp_path / 'text'}: 6 bytes are not UTF-8 and were replaced "
                                   "by U+FFFD") == 1, err


def test_an_unknown_word_among_known_ones_is_named_and_the_others_are_answered(file, run):
    code, out, err = run("similar", file, "zzz", "king", "KING", "-k", 1)
    assert (code, out) == (1, "king\tman\t0.9258\n")
    assert err == ("scratch-embed: 'zzz' is not among the 5 words\n"
                   "scratch-embed: 'KING' is not among the 5 words; the closest spelling is "
                   "'king'\n")
    code, out, err = run("vectors", file, "man", "zzz", "queen")
    assert (code, out) == (1, "man 1.0 1.0 0.0\nqueen 2.0 -1.0 0.5\n") and "'zzz'" in err
    code, out, err = run("odd", file, "king", "zzz", "queen", "apple", "man")
    assert (code, out) == (1, "apple\n") and "'zzz'" in err
    code, out, err = run("odd", file, "king", "zzz")
    assert (code, out) == (1, "") and "'zzz'" in err              # one word is no choice


def test_unknown_words_of_stdin_do_not_stop_the_others(file, run, stdin):
    stdin("queen zzz\nman\nyyy\n")
    code, out, err = run("vectors", file)
    assert code == 1 and [line.split()[0] for line in out.splitlines()] == ["queen", "man"]
    assert err.index("'zzz'") < err.index("'yyy'")


def test_analogy_completes_a_is_to_b_as_c_is_to(file, run):
    code, out, _ = run("analogy", file, "man", "king", "woman", "--top", 1)
    assert code == 0 and out.split("\t")[0] == "queen"


def test_analogy_with_cosmul_finds_the_same_word(file, run):
    code, out, _ = run("analogy", file, "man", "king", "woman", "--cosmul")
    assert code == 0 and out.split("\t")[0] == "queen"


def test_odd_prints_the_word_least_similar_to_the_mean(file, run):
    assert run("odd", file, "king", "queen", "apple", "man")[:2] == (0, "apple\n")


def test_vectors_prints_the_word_and_numbers_that_restore_the_vector(file, run):
    code, out, _ = run("vectors", file, "queen", "man")
    assert code == 0 and out == "queen 2.0 -1.0 0.5\nman 1.0 1.0 0.0\n"


def test_vectors_reads_words_from_stdin_if_none_are_given(file, run, stdin):
    stdin("queen\n\nman king\n")
    _, out, _ = run("vectors", file)
    assert [line.split()[0] for line in out.splitlines()] == ["queen", "man", "king"]


def test_evaluate_prints_scores_with_their_coverage(file, tmp_path, run):
    (tmp_path / "pairs").write_text("king\tqueen\t9\nking\tapple\t1\nman\tking\t8\nman\tgone\t5\n")
    (tmp_path / "analogies").write_text(": royalty\nman king woman queen\nman king boy prince\n")
    code, out, _ = run("evaluate", "words", file, "--pairs", tmp_path / "pairs",
                       "--analogies", tmp_path / "analogies")
    assert code == 0 and "3 of 4" in out and out.splitlines()[2].split()[:4] == [
        "royalty", "1", "1", "2"]
    assert "100.0" in out


def test_evaluate_words_without_pairs_and_analogies_is_bad_usage(file, run):
    code, _, err = run("evaluate", "words", file)
    assert code == 2 and "--pairs" in err
