"""encode: the output has the vectors that encode() returns, one row per line of text."""
import io
import warnings

import numpy as np
import pytest

from scratch_embed.cli.encode import BATCH_SIZE
from scratch_embed.numerics.blas import blas_threads, blas_threads_at_most
from scratch_embed.numerics.json_files import read_json, write_json
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static import StaticEncoder, sif_weights, zipf_frequencies
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.corpora import corpus_path

LINES = ["a cat has milk", "", "the tenor sang a song", "The King!", " "]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("\n".join(LINES) + "\n")
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.npy"


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "w.vec"
    rng = np.random.default_rng(0)
    WordVectors(["a", "cat", "the", "song"], rng.standard_normal((4, 6), np.float32)).save(path)
    return path


def rows(out):
    return [[float(x) for x in line.split()] for line in out.splitlines()]


# ---- files --------------------------------------------------------------------------------------

def test_the_file_has_the_vectors_that_encode_returns(models, text, out, run):
    code, printed, err = run("encode", models.encoder, text, "-o", out)
    assert (code, printed) == (0, "")
    assert "encoded 5 lines: float32 array of shape (5, 16); wrote" in err
    found = np.load(out, allow_pickle=False)
    assert found.dtype == np.float32 and found.shape == (5, 16)
    np.testing.assert_array_equal(found, SentenceEncoder.load(models.encoder).encode(LINES))


@pytest.mark.parametrize("options, same", [
    (["--normalize"], {"normalize_embeddings": True}), (["--truncate-dim", 5], {"truncate_dim": 5}),
    (["--precision", "ubinary"], {"precision": "ubinary"}),
    (["--batch-size", 2], {"batch_size": 2}),
    (["--precision", "int8", "--normalize"], {"precision": "int8", "normalize_embeddings": True}),
    (["--prompt", "a song: "], {"prompt": "a song: "}),
    (["--prompt-name", "query"], {"prompt_name": "query"})])
def test_each_option_is_passed_to_encode(options, same, models, tmp_path, text, out, run):
    folder = tmp_path / "m"
    for path in models.encoder.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(models.encoder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    settings = folder / "config_sentence_transformers.json"
    write_json(settings, {**read_json(settings), "prompts": {"query": "the "}})
    assert run("encode", folder, text, "-o", out, *options)[0] == 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the ranges of only")
        expected = SentenceEncoder.load(folder).encode(LINES, **same)
    found = np.load(out)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_word_vectors_can_encode_and_a_line_without_a_known_word_is_zero(words, text, out, run):
    vectors = WordVectors.load(words)
    run("encode", words, text, "-o", out, "--sif", 0)
    lower = [line.lower() for line in LINES]
    np.testing.assert_array_equal(np.load(out), StaticEncoder(vectors).encode(lower))
    assert np.load(out).any(axis=1).tolist() == [True, False, True, True, False]
    run("encode", words, text, "-o", out, "--tokenizer", "spaces", "--sif", 0)
    np.testing.assert_array_equal(np.load(out), StaticEncoder(vectors).encode(LINES))
    for a, options in (0.1, ["--sif", 0.1]), (0.001, []):
        run("encode", words, text, "-o", out, *options)
        weights = sif_weights(zipf_frequencies(vectors.index_to_key), a)
        np.testing.assert_array_equal(np.load(out), StaticEncoder(vectors, weights).encode(lower))


def test_a_bert_without_modules_encodes_by_the_mean_of_its_tokens(models, text, out, run):
    code, _, err = run("encode", models.bert, text, "-o", out)
    assert code == 0 and np.load(out).shape == (5, 16) and "no modules.json" in err


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_text_without_words_from_a_pipe_is_an_error(text, models, out, run, stdin):
    """A file is tested before the work, in test_texts.py."""
    for more in (["-o", out], []):
        stdin(text)
        code, _, err = run("encode", models.encoder, *more)
        assert code == 1 and err.endswith("-: expected a text with words, found none\n")
    assert not out.exists()


class ThreadRecorder(io.BytesIO):
    """A stream of bytes that records the number of BLAS threads when it is read."""

    def readinto(self, buffer):
        self.threads = blas_threads()
        return super().readinto(buffer)


def test_workers_limits_the_blas_threads_and_restores_them(models, text, out, run, stdin,
                                                           three_blas_threads):
    before, stream = blas_threads(), ThreadRecorder(text.read_bytes())
    stdin(stream)
    assert run("encode", models.encoder, "-o", out, "--workers", 1)[0] == 0
    assert blas_threads() == before
    if before is not None:
        assert stream.threads == 1
        with blas_threads_at_most(10_000):
            assert blas_threads() == before


# ---- vectors on stdout --------------------------------------------------------------------------

def test_without_a_file_the_printed_numbers_restore_the_vectors(models, text, run, stdin):
    expected = SentenceEncoder.load(models.encoder).encode(LINES)
    code, out, _ = run("encode", models.encoder, text)
    assert code == 0
    np.testing.assert_array_equal(np.array(rows(out), np.float32), expected)
    stdin(text.read_bytes())
    assert run("encode", models.encoder)[1] == out


@pytest.fixture
def many():
    """More lines than one batch has."""
    lines = corpus_path("words-easy.txt").read_text().splitlines()[:BATCH_SIZE + 200]
    assert len(lines) > BATCH_SIZE
    return lines


def test_quantised_vectors_are_integers_in_the_ranges_of_all_lines(models, many, text, run):
    text.write_text("\n".join(many))
    for precision in "int8", "binary":
        _, out, _ = run("encode", models.encoder, text, "--precision", precision)
        expected = SentenceEncoder.load(models.encoder).encode(many, precision=precision)
        assert [[int(x) for x in line.split()] for line in out.splitlines()] == expected.tolist()


def test_many_lines_are_encoded_in_batches_and_printed_in_order(models, many, text, run):
    text.write_text("\n".join(many))
    printed = np.array(rows(run("encode", models.encoder, text)[1]))
    expected = SentenceEncoder.load(models.encoder).encode(many)
    np.testing.assert_allclose(printed, expected, atol=1e-6)


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, message", [
    (["{folder}/none", "{text}", "-o", "{out}"], "none: there is no such file"),
    (["{folder}", "{text}", "-o", "{out}"], "found a folder that contains"),
    (["{text}", "{text}", "-o", "{out}"], "found a text; `train`"),
    (["{encoder}", "{folder}/none", "-o", "{out}"], "none: there is no such file"),
    (["{encoder}", "{latin}", "-o", "{out}"], "line 1, byte 0"),
    (["{encoder}", "{text}", "-o", "{text}"], "is the input itself"),
    (["{encoder}", "{text}", "-o", "{folder}"], "name a file, not a folder"),
    (["{encoder}", "{text}", "-o", "{folder}/no/x.npy"], "there is no folder"),
    (["{encoder}", "{text}", "-o", "{out}", "--truncate-dim", "17"], "1 to 16"),
    (["{encoder}", "{text}", "-o", "{out}", "--prompt-name", "query"], "--prompt-name query"),
    (["{encoder}", "{text}", "-o", "{out}", "--sif", "0.1"], "--sif weights word vectors")])
def test_a_users_error_is_one_line_and_leaves_no_file(arguments, message, models, text, out,
                                                      tmp_path, run):
    (tmp_path / "latin").write_bytes(b"\xff\n")
    names = dict(folder=tmp_path, text=text, out=out, latin=tmp_path / "latin",
                 encoder=models.encoder)
    code, printed, err = run("encode", *(part.format(**names) for part in arguments))
    assert (code, printed) == (1, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert len(err.splitlines()) == 1 and not out.exists()
    assert text.read_text() == "\n".join(LINES) + "\n"


def test_bad_usage_exits_with_code_2(run):
    for wrong in (["m", "--prompt", "a", "--prompt-name", "b"], ["m", "--precision", "int4"],
                  ["m", "--workers", "0"], []):
        code, _, err = run("encode", *wrong)
        assert code == 2 and err.endswith("--help\n")


# ---- parity with sentence-transformers -----------------------------------------------------------

def test_sentence_transformers_has_the_same_vectors(models, text, out, run):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    run("encode", models.encoder, text, "-o", out)
    theirs = sentence_transformers.SentenceTransformer(str(models.encoder)).encode(LINES)
    np.testing.assert_allclose(np.load(out), theirs, atol=2e-6)
