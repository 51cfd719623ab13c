"""The command `mine`: the triplets by hand, the options, and one clear line for bad input."""
import gzip

import pytest

from scratch_embed.cli.main import main
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.hard_negatives import Mining, cosines, mine_hard_negatives

PAIRS = "red fox\ta red fox runs\nred fox\tthe fox is red\nold dog\tan old dog\n"
CORPUS = ("Red Fox\na red car\na fox\n\nold cars and dog houses\nthe old dog and the fox\n"
          "a red car\n")


@pytest.fixture
def files(tmp_path):
    """The folder with pairs.tsv and corpus.txt, and the arguments that name them."""
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    (tmp_path / "corpus.txt").write_text(CORPUS)
    return tmp_path


def command(files, *options):
    return ["mine", files / "pairs.tsv", "--corpus", files / "corpus.txt", *options,
            "-o", files / "out"]


def triplets(files):
    return [tuple(line.split("\t")) for line in (files / "out").read_text().splitlines()]


def test_bm25_finds_the_negatives_and_prints_what_it_left_out(files, run):
    """BM25 lower-cases, so "Red Fox" is found; only an equal text would be left out."""
    code, out, err = run(*command(files, "--num-negatives", 1))
    assert (code, out) == (0, "")
    assert triplets(files) == [("red fox", "a red fox runs", "Red Fox"),
                               ("red fox", "the fox is red", "Red Fox"),
                               ("old dog", "an old dog", "old cars and dog houses")]
    assert "3 pairs of 2 queries, 8 documents; left out: 1 equal to another document, " in err
    assert "3 pairs with 1 negative, 0 pairs with fewer, 0 pairs with none" in err
    assert "wrote 3 triplets" in err


def test_pairs_with_fewer_negatives_are_counted(files, run):
    """"an old dog" has both words and is shorter than any other, so a margin leaves out nothing."""
    _, _, err = run(*command(files, "--relative-margin", 0))
    assert [row[2] for row in triplets(files)] == [
        "a red car", "a fox", "the old dog and the fox"] * 2 + [
        "old cars and dog houses", "the old dog and the fox"]
    assert "1 too near the positive's score" in err                          # Red Fox
    assert "2 pairs with 3 negatives, 1 pair with fewer, 0 pairs with none" in err


def test_a_reason_is_named_by_its_option(files, run):
    _, _, err = run(*command(files, "--range-min", 1))
    assert "2 skipped by --range-min" in err


def test_a_model_finds_what_the_function_finds(files, models, run):
    options = dict(num_negatives=2, range_min=1, relative_margin=0.01)
    code, _, err = run(*command(files, "--model", models.encoder, "--num-negatives", 2,
                                "--range-min", 1, "--relative-margin", 0.01))
    assert code == 0
    queries, positives = zip(*(line.split("\t") for line in PAIRS.splitlines()))
    corpus = [line for line in CORPUS.splitlines() if line]
    encoder = SentenceEncoder.load(models.encoder)
    mined = mine_hard_negatives(queries, positives, cosines(encoder.encode), corpus,
                                Mining(**options))
    assert triplets(files) == list(zip(*mined.triplets()))


def test_the_texts_can_be_gzipped_and_the_pairs_come_from_stdin(files, run, stdin):
    (files / "corpus.txt").write_bytes(gzip.compress(CORPUS.encode()))
    stdin(PAIRS.encode())
    assert run("mine", "-", "--corpus", files / "corpus.txt", "-o", files / "out")[0] == 0
    assert len(triplets(files)) == 8


def test_the_triplets_are_compressed_or_written_to_stdout(files, capfdbinary):
    for output in str(files / "out.gz"), "-":
        assert main(["mine", *map(str, command(files)[1:-1]), output]) == 0
    assert capfdbinary.readouterr().out == gzip.decompress((files / "out.gz").read_bytes())


def test_a_random_sample_depends_on_the_seed(files, run):
    samples = set()
    for seed in range(20):
        run(*command(files, "--sampling-strategy", "random", "--num-negatives", 1, "--range-max", 3,
                     "--seed", seed))
        samples.add(triplets(files)[0][2])
    assert samples == {"Red Fox", "a red car", "a fox"}


@pytest.mark.parametrize("given, message", [
    (["--num-negatives", 0], "at least 1"),
    (["--range-max", 2], "--range-max 2: expected at least 3, --range-min + "
                                   "--num-negatives; give a larger --range-max"),
    (["--relative-margin", "-1"], "from 0 to below 1"),
    (["--relative-margin", "20"], "from 0 to below 1"),
    (["--absolute-margin", 1], "--absolute-margin is for cosines"),
    (["--sif", 0.1], "--sif and the prompts are for --model"),
    (["--range-min", 20], "no hard negatives")])
def test_wrong_options_are_one_line(given, message, files, run):
    code, _, err = run(*command(files, *given))
    assert code in (1, 2) and message in err.splitlines()[-1] and not (files / "out").exists()


@pytest.mark.parametrize("pairs, corpus, message", [
    ("a\tb\nc\n", "x\n", "pairs.tsv: line 2: expected 2 texts with tabs between them, found 1"),
    ("a\tb\nc\t \n", "x\n", "pairs.tsv: line 2: expected a text between the tabs"),
    ("a\tb\n", "x\n\nx\ty\n", "corpus.txt: line 3: expected one document, found texts with a tab"),
    ("a\tb\n", "\n", "corpus.txt: expected a text with words, found none"),
    ("?\t!\n", "...\n", "expected at least one word"),
    ("a\tb\n", "x\n", "no hard negatives: no document is left for any query")])
def test_bad_texts_are_one_line(pairs, corpus, message, files, run):
    (files / "pairs.tsv").write_text(pairs)
    (files / "corpus.txt").write_text(corpus)
    code, _, err = run(*command(files))
    assert code == 1 and message in err.splitlines()[-1] and not (files / "out").exists()
