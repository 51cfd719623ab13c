"""train sbert: the weights are those of sbert.train; each kind of data, loss, start and verdict."""
import inspect
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.sbert_data import LOSSES
from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.losses.false_negatives import text_numbers
from scratch_embed.losses.triplet import triplet
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import by_text, matryoshka, objective, ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import TABLE
from scratch_embed.transformer.pooling import max_, mean
from scratch_embed.words.vectors import WordVectors
from tests.cli.test_simcse import contents
from tests.processes import ctrl_c_at, terminal

QUERIES = ["who has milk", "who sang", "who is happy", "a pet", "who drove", "an opera singer",
           "who sleeps", "who rules", "what is red", "who barks", "who reads", "a small house"]
KEYS = ["a cat has milk", "the tenor sang a song", "a dancer looks very happy", "the cat",
        "a chauffeur drove a car", "the tenor", "the baby sleeps", "the king rules", "a red car",
        "a dog barks", "the judge reads", "a cottage"]
NEGATIVES = [*KEYS[1:], KEYS[0]]
SCORES = [0, 0.5, 1, 0.25, 0.75, 1, 0, 0.5, 1, 0.25, 0.75, 1]
STEPS = ["--steps", "3", "--batch-size", "4"]
NEW = ["--dim", "8", "--heads", "2", "--ff", "12", "--layers", "1", "--max-length", "12"]


def lines(*columns):
    return "\n\n".join("\t".join(map(str, row)) for row in zip(*columns)) + "\n"


@pytest.fixture
def files(tmp_path):
    """A folder with pairs, triplets, scored (0..1), ratings (0..5), labels (0 or 1), classes."""
    for name, columns in (("pairs", (QUERIES, KEYS)), ("triplets", (QUERIES, KEYS, NEGATIVES)),
                          ("scored", (QUERIES, KEYS, SCORES)),
                          ("ratings", (QUERIES, KEYS, [5 * s for s in SCORES])),
                          ("labels", (QUERIES, KEYS, [0, 1] * 6)),
                          ("classes", (QUERIES, KEYS, [0, 1, 2] * 4))):
        (tmp_path / name).write_text(lines(*columns))
    return tmp_path


@pytest.fixture
def run(run, files):
    """run(*arguments) -> exit code, stdout, stderr of `train sbert ... -o m` in a few steps."""
    return partial(run, "train", "sbert", "-o", files / "m", *STEPS)


def assert_trained(folder, start, objective, columns, targets=None, prompts=("", "", ""), **how):
    """The folder holds the weights that sbert.train computes from this start; -> its encoder."""
    views = [sbert.tokenize(start, *column) for column in zip(columns, prompts)]
    settings = dict(steps=3, batch_size=4, optim=Optim(3e-4, weight_decay=0.0)) | how
    expected = sbert.train(views, start, objective, targets, **settings).encoder
    found = SentenceEncoder.load(folder)
    for name, tensor in expected.model.p.items():
        np.testing.assert_array_equal(found.model.p[name], tensor, err_msg=name)
    return found


# ---- the data and the loss -----------------------------------------------------------------------

@pytest.mark.parametrize("data, columns", [("pairs", [QUERIES, KEYS]),
                                           ("triplets", [QUERIES, KEYS, NEGATIVES])])
def test_pairs_and_triplets_are_trained_with_infonce_without_repeated_texts(data, columns, models,
                                                                            files, run):
    code, out, err = run(f"--{data}", files / data, "--model", models.encoder, "--tau", "0.1",
                         "--lr", "0.01", "--warmup-ratio", "0.5", "--dropout", "0.2", "--seed", "5",
                         "--cache-batch", "2")
    assert (code, out) == (0, "")
    start = SentenceEncoder.load(models.encoder)
    found = assert_trained(files / "m", start, ranking(0.1, by_text), columns,
                           text_numbers(*columns), optim=Optim(0.01, 0.5, weight_decay=0.0),
                           dropout=0.2, cache_batch=2, options=RunOptions(seed=5))
    assert found.recipe == start.recipe and found.tokenizer.pieces == start.tokenizer.pieces
    assert f"(chance: {np.log(4 * (len(columns) - 1)):.4f}" in err
    assert f"12 examples of {files / data}: texts" in err


@pytest.mark.parametrize("options, loss, data, targets", [
    (["--loss", "triplet", "--margin", "0.5"], objective(triplet, margin=0.5), "triplets", None),
    (["--loss", "cosine-mse"], objective(cosine_mse), "scored", SCORES),
    (["--loss", "cosine-mse", "--max-score", "5"], objective(cosine_mse), "ratings", SCORES),
    (["--loss", "cosine-mse", "--matryoshka", "4,8"],
     matryoshka(objective(cosine_mse), [16, 8, 4]), "scored", SCORES)])
def test_the_loss_and_its_settings_are_those_of_the_options(options, loss, data, targets, models,
                                                            files, run):
    kind = "triplets" if data == "triplets" else "scored"
    code, _, err = run(f"--{kind}", files / data, "--model", models.encoder, *options)
    assert code == 0
    columns = [QUERIES, KEYS, NEGATIVES][:3 if data == "triplets" else 2]
    assert_trained(files / "m", SentenceEncoder.load(models.encoder), loss, columns,
                   targets and np.float32(targets))
    for said in "16, the full dimension, is trained too", "the first 4 numbers of each vector":
        assert (said in err) == ("--matryoshka" in options)


def test_a_margin_that_unit_vectors_cannot_reach_is_said(models, files, run):
    start = SentenceEncoder.load(models.encoder)
    for normalize, margin, said in (True, [], True), (True, ["--margin", "1"], False), (
            False, [], False):
        start.recipe = start.recipe._replace(normalize=normalize)
        start.save(files / "start")
        _, _, err = run("--triplets", files / "triplets", "--loss", "triplet", "--model",
                        files / "start", *margin)
        assert ("--margin 5 is never reached" in err) == said


@pytest.mark.parametrize("data, loss", [("scored", ""), ("labels", "contrastive"),
                                        ("labels", "online-contrastive"), ("classes", "softmax")])
def test_every_loss_trains_and_ends_with_a_verdict(data, loss, models, files, run):
    code, _, err = run("--scored", files / data, "--model", models.encoder,
                       *(["--loss", loss] if loss else []))
    assert code == 0 and "verdict: " in err
    measured = "mean loss of 12 pairs" if loss == "softmax" else (
        "Spearman of cosine and score, 12 pairs of the training data: ")
    assert measured in err and ("class frequencies alone" in err) == (loss == "softmax")
    assert set(SentenceEncoder.load(files / "m").model.p) == set(
        SentenceEncoder.load(models.encoder).model.p)


@pytest.mark.parametrize("data, loss", [("pairs", "triplet"), ("pairs", "cosent"),
                                        ("triplets", "softmax"), ("scored", "infonce")])
def test_a_loss_that_does_not_fit_the_data_is_refused_with_those_that_fit(data, loss, files, run):
    code, _, err = run(f"--{data}", files / data, "--loss", loss)
    assert code == 2 and f"--loss {loss} does not fit --{data}: expected" in err
    assert all(name in err for name in LOSSES[data]) and not (files / "m").exists()


# ---- the start -----------------------------------------------------------------------------------

def test_a_new_model_has_the_sizes_of_the_options_and_a_vocabulary_of_the_texts(files, run):
    code, _, err = run("--pairs", files / "pairs", *NEW, "--vocab-size", "60", "--pooling", "max")
    found = SentenceEncoder.load(files / "m")
    assert code == 0 and found.model.config[1:6] == (8, 1, 2, 12, 12)
    assert len(found.tokenizer) <= 60 and "learnt a vocabulary of" in err
    assert found.recipe == Recipe((max_,), normalize=False, max_seq_length=12)
    assert f"the model has {found.model.p.flat.size:,} parameters\n" in err


def test_a_transformer_alone_gets_the_mean_of_its_tokens_and_its_pooler_back(models, files, run):
    code, _, err = run("--pairs", files / "pairs", "--model", models.bert)
    found = SentenceEncoder.load(files / "m")
    assert code == 0 and found.recipe.poolings == (mean,)
    assert "pooling mean, at most 16 tokens" in err


def test_word_vectors_are_the_first_embeddings_and_their_words_join_the_vocabulary(files, run):
    words = ["cat", "puppy", "New", "milk"]
    vectors = np.random.default_rng(0).standard_normal((4, 6))
    WordVectors(words, vectors).save(files / "w.vec")
    options = ["--pairs", files / "pairs", "--word-vectors", files / "w.vec", *NEW[2:]]
    code, _, err = run(*options, "--lr", "1e-9")
    found = SentenceEncoder.load(files / "m")
    assert code == 0 and found.model.dim == 6 and "New" not in found.tokenizer.pieces
    known = [found.tokenizer.pieces.index(word) for word in ("cat", "puppy", "milk")]
    rows = found.model.p[TABLE][known]
    np.testing.assert_allclose(rows / rows[0, 0], vectors[[0, 1, 3]] / vectors[0, 0], rtol=1e-4)
    assert f"3 of {len(found.tokenizer)} tokens start with a vector" in err
    code, _, err = run(*options, "--heads", "4")
    assert code == 1 and "--heads: expected a divisor of 6, the dimensions of" in err


@pytest.mark.parametrize("options, message", [
    (["--model", "{bert}", "--word-vectors", "{bert}"], "not allowed with"),
    (["--model", "{bert}", "--dim", "8"], "--model has a size and a tokenizer of its own"),
    (["--word-vectors", "{bert}", "--dim", "8"], "leave out --dim"),
    (["--dim", "9"], "--heads: expected a divisor of --dim 9"),
    (["--batch-size", "1"], "--batch-size: expected 2 or more"),
    (["--loss", "nll"], "--loss: expected infonce, triplet"),
    (["--margin", "1"], "--margin belongs to triplet"), (["--max-score", "1"], "score belongs"),
    (["--scored", "{bert}"], "not allowed with"), (["--resume"], "--resume needs --checkpoint"),
    (["--matryoshka", "8,x"], "--matryoshka: expected a whole number"),
    (["--prompts", "a", "b", "c"], "--prompts: expected one STRING or two, got 3")])
def test_bad_usage_exits_with_code_2(options, message, models, files, run):
    code, out, err = run("--pairs", files / "pairs",
                         *(part.format(bert=models.bert) for part in options))
    assert (code, out) == (2, "") and message in err and not (files / "m").exists()


def test_options_that_belong_to_other_data_are_bad_usage(files, run):
    for options, message in (
            (["--triplets", files / "triplets", "--hard-negatives", "1"], "goes with --pairs"),
            (["--scored", files / "labels", "--loss", "softmax", "--matryoshka", "4"], "softmax"),
            (["--scored", files / "scored", "--prompts", "a", "b"], "expected one STRING, because"),
            ([], "one of the arguments --pairs --triplets --scored is required")):
        code, _, err = run(*options)
        assert code == 2 and message in err, err


# ---- prompts -------------------------------------------------------------------------------------

def test_two_prompts_are_trained_with_and_stored_where_search_finds_them(models, files, run):
    code, _, err = run("--pairs", files / "pairs", "--model", models.encoder, "--prompts", "who ",
                       "the ")
    assert code == 0 and "prompt of queries 'who ', prompt of documents 'the '" in err
    found = assert_trained(files / "m", SentenceEncoder.load(models.encoder),
                           ranking(0.05, by_text), [QUERIES, KEYS], text_numbers(QUERIES, KEYS),
                           prompts=("who ", "the "))
    assert found.recipe.prompts == {"query": "who ", "passage": "the "}
    assert found.recipe.default_prompt_name is None


def test_a_single_prompt_is_the_default_prompt_of_all_texts(models, files, run):
    code, _, err = run("--scored", files / "scored", "--loss", "cosine-mse", "--model",
                       models.encoder, "--prompts", "the ")
    assert code == 0 and "the default prompt 'the ' is put before each text" in err
    found = assert_trained(files / "m", SentenceEncoder.load(models.encoder), objective(cosine_mse),
                           [QUERIES, KEYS], np.float32(SCORES), prompts=("the ", "the "))
    assert found.recipe.prompts == {"query": "the "}
    assert found.recipe.default_prompt_name == "query"


def test_the_prompts_of_the_folder_are_kept_and_used(models, files, run):
    start = SentenceEncoder.load(models.encoder)
    start.recipe = start.recipe._replace(prompts={"query": "who ", "document": "the "})
    start.save(files / "start")
    assert run("--pairs", files / "pairs", "--model", files / "start")[0] == 0
    found = assert_trained(files / "m", start, ranking(0.05, by_text), [QUERIES, KEYS],
                           text_numbers(QUERIES, KEYS), prompts=("who ", "the "))
    assert found.recipe == start.recipe
    _, _, err = run("--pairs", files / "pairs", "--model", files / "start", "--prompts", "a ", "b ")
    assert "--prompts replaces query 'who ', document 'the '" in err
    assert SentenceEncoder.load(files / "m").recipe.prompts == {"query": "a ", "passage": "b "}


# ---- hard negatives ------------------------------------------------------------------------------

@pytest.mark.parametrize("model", [True, False])
def test_hard_negatives_are_found_by_the_model_or_by_bm25(model, models, files, run):
    options = ["--model", models.encoder] if model else NEW
    code, _, err = run("--pairs", files / "pairs", "--hard-negatives", "1", *options)
    assert code == 0 and "1 hard negative for " in err
    assert f" of 12 pairs, found by {models.encoder if model else 'BM25'}" in err


def test_pairs_without_a_hard_negative_are_kept_with_a_random_one(models, files, run):
    """A pet is a cat, and an opera singer a tenor: BM25 finds neither."""
    code, _, err = run("--pairs", files / "pairs", "--hard-negatives", "2", *NEW)
    assert code == 0 and "of the training data among 12" in err
    assert "with fewer: positives of other pairs, drawn at random, take their place; of " in err
    assert "BM25 does not find the positive" in err and "--model, or `scratch-embed mine`" in err


# ---- the verdict ---------------------------------------------------------------------------------

def test_the_verdict_is_on_held_out_pairs_or_says_that_it_knows_the_data(files, run):
    (files / "held").write_text(lines(QUERIES[1:], KEYS[1:]))
    command = ["--pairs", files / "pairs", *NEW, "--steps", "30", "--lr", "0.02", "--dropout", "0"]
    _, _, err = run(*command)
    assert "finding the positives of the training data among 12, MRR: " in err
    assert "verdict: better than the model before" in err and "may know by heart" in err
    _, _, err = run(*command, "--held-out", files / "held")
    assert f"the positives of {files / 'held'} among 11" in err and "by heart" not in err


def test_there_is_no_verdict_on_a_few_examples(files, run):
    for data, message in (("pairs", "fewer than 10 texts"), ("scored", "fewer than 10 pairs")):
        (files / "few").write_text("\n".join((files / data).read_text().splitlines()[:6]))
        assert message in run(f"--{data}", files / "few", *NEW)[2]


# ---- checkpoints ---------------------------------------------------------------------------------

def test_a_stopped_run_is_resumed_to_the_same_bytes(files, run):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    command = ["--pairs", files / "pairs", *NEW, "--steps", "300"]
    run(*command, "-o", files / "whole")
    state = ["--checkpoint", files / "state"]
    with terminal(ctrl_c_at("loss")) as screen:
        assert run(*command, *state)[0] == 130
    assert screen.text.endswith("--resume to continue\r\n") and not (files / "m").exists()
    assert 0 < len(read_safetensors(files / "state")[0]["session/losses"]) < 300
    code, _, err = run(*command, *state, "--resume")
    assert code == 0 and contents(files / "m") == contents(files / "whole")
    for change, message in (["--tau", "0.1"], "loss was"), (["--cache-batch", "2"],
                                                            "--cache-batch was"), (
            ["--pooling", "max"], "--pooling was"), (["--prompts", "who "], "data was"):
        code, _, err = run(*command, *state, "--resume", *change)
        assert code == 1 and message in err, err


def test_the_defaults_are_those_of_sbert_train():
    arguments = vars(parser().parse_args(["train", "sbert", "--pairs", "x", "-o", "y"]))
    defaults = {name: parameter.default for name, parameter
                in inspect.signature(sbert.train).parameters.items()}
    for name in "steps", "dropout", "batch_size", "cache_batch":
        assert arguments[name] == defaults[name], name
    assert (arguments["lr"], arguments["warmup_ratio"]) == defaults["optim"][:2]
    assert (arguments["workers"], arguments["seed"]) == defaults["options"][:2]


# ---- errors --------------------------------------------------------------------------------------

@pytest.mark.parametrize("option, content, message", [
    ("--pairs", "a b c\n", "line 1: expected 2 texts with tabs between them, found 1"),
    ("--pairs", "a\tb\na\tb\tc\n", "line 2: expected 2 texts"),
    ("--pairs", "a\tb\tc\n", "line 1: expected 2 texts with tabs between them, found 3; use "
                             "--triplets if the third is a hard negative"),
    ("--triplets", "a\tb\tscore\na\tb\t1\n", "got numbers such as '1'; for two texts and a score, "
                                            "use --scored"),
    ("--scored", "a\tb\t4,5\na\tb\t1\n", "line 1: expected a number from 0 to 1"),
    ("--pairs", "a\tb\n\t b\n", "line 2: expected a text between the tabs, found nothing"),
    ("--pairs", "a\tb\n", "expected at least 2 examples, found 1"),
    ("--triplets", "a\tb\tc\na\tb\n", "line 2: expected 3 texts"),
    ("--scored", "a\tb\t0\na\tb\n", "line 2: expected sentence, sentence and score"),
    ("--scored", "a\tb\t1\na\tb\t1.5\n", "line 2: expected a number from 0 to 1 (--max-score is "
                                         "another limit) as the score, found '1.5'"),
    ("--scored", "a\tb\t1\na\tb\tfive\n", "line 2: expected a number from 0 to 1"),
    ("--scored", "a\tb\t1\na\t \t1\n", "line 2: expected two sentences, found a blank one"),
    ("--scored --loss contrastive", "a\tb\t1\na\tb\t2\n", "line 2: expected 0 or 1 as the score"),
    ("--scored --loss softmax", "a\tb\t1\na\tb\t0.5\n", "line 2: expected a class, a whole number"),
    ("--scored --loss softmax", "a\tb\t1\na\tb\tyes\n", "line 2: expected a class, a whole number"),
    ("--scored --loss softmax", "a\tb\t0\na\tb\t0\n", "expected classes 0, 1 and so on"),
    ("--pairs", "\n\n", "expected texts with tabs between them, found none")])
def test_bad_data_is_one_line_before_any_training(option, content, message, files, run):
    (files / "bad").write_text(content)
    option, *others = option.split()
    code, out, err = run(option, files / "bad", *others, *NEW)
    assert (code, out) == (1, "") and err.startswith(f"scratch-embed: {files / 'bad'}: ")
    assert message in err and err.count("\n") == 1 and not (files / "m").exists()


@pytest.mark.parametrize("options, message", [
    (["--model", "{files}/none"], "none: there is no such file"),
    (["--model", "{files}/pairs"], "with a transformer, found a text"),
    (["--model", "{bert}", "--max-length", "17"], "accepts at most 16 tokens, got 17"),
    (["--model", "{bert}", "-o", "{bert}"], "is not a sentence encoder"),
    (["--model", "{encoder}", "-o", "{encoder}"], "is the model itself"),
    (["--model", "{bert}", "--matryoshka", "17"], "--matryoshka: expected at most 16, the dim"),
    (["--word-vectors", "{files}/pairs"], "expected word vectors, found a text"),
    (["--held-out", "{files}/triplets", *NEW], "triplets: line 1: expected 2 texts"),
    (["--prompts", "who is it that has a", "", *NEW, "--max-length", "6"],
     "--prompts: expected fewer than --max-length 6 tokens"),
    (["--max-length", "1", *NEW[:-2]], "--max-length 1: expected at least 2"),
    (["--hard-negatives", "30", *NEW], "--hard-negatives: expected at most 11, the pos"),
    (["--lr", "1e30", *NEW], "not finite")])
def test_a_users_error_is_one_line_and_leaves_no_folder(options, message, models, files, run):
    names = dict(files=files, bert=models.bert, encoder=models.encoder)
    code, out, err = run("--pairs", files / "pairs", *(part.format(**names) for part in options))
    last = err.splitlines()[-1]
    assert (code, out) == (1, "") and message in last and "Traceback" not in err
    assert last.startswith("scratch-embed: ") and not (files / "m").exists()


# ---- parity with sentence-transformers -----------------------------------------------------------

def test_sentence_transformers_loads_the_folder_and_has_the_same_vectors(files, run):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    assert run("--pairs", files / "pairs", *NEW, "--prompts", "who ", "the ")[0] == 0
    theirs = sentence_transformers.SentenceTransformer(str(files / "m"))
    ours = SentenceEncoder.load(files / "m")
    for name in "query", "passage":
        np.testing.assert_allclose(theirs.encode(KEYS, prompt_name=name),
                                   ours.encode(KEYS, prompt_name=name), atol=2e-6)


# ---- first lines, names and numbers that are probably meant otherwise ----------------------------

@pytest.mark.parametrize("data, header", [("pairs", "query\tpositive"),
                                          ("triplets", "anchor\tpositive\tnegative"),
                                          ("scored", "one\ttwo\tscore")])
def test_a_header_is_left_out_and_said(data, header, models, files, run):
    (files / "headed").write_text(f"{header}\n{(files / data).read_text()}")
    code, _, err = run(f"--{data}", files / "headed", "--model", models.encoder)
    assert code == 0 and f"12 examples of {files / 'headed'}" in err
    assert f"{files / 'headed'}: line 1 is taken for a header: {header.split()[0]!r}, " in err


def test_a_prefix_that_is_too_long_is_refused_before_the_vocabulary_is_learnt(files, run):
    code, _, err = run("--pairs", files / "pairs", *NEW, "--matryoshka", "64,4")
    assert code == 1 and "--matryoshka: expected at most 8" in err and "learnt" not in err


def test_a_class_without_examples_is_said(models, files, run):
    (files / "from_1").write_text(lines(QUERIES, KEYS, [1, 2, 3] * 4))
    code, _, err = run("--scored", files / "from_1", "--loss", "softmax", "--model", models.encoder)
    assert code == 0 and "no example has the class 0; the model gets 4 classes" in err


@pytest.mark.parametrize("name, here", [("mnrl", "infonce"), ("CoSENTLoss", "cosent"),
                                        ("MultipleNegativesRankingLoss", "infonce"),
                                        ("cosine_similarity_loss", "cosine-mse")])
def test_a_loss_by_the_name_of_sentence_transformers_is_named_as_here(name, here, files, run):
    code, _, err = run("--pairs", files / "pairs", "--loss", name)
    assert code == 2 and f"--loss: {name} is {here} here" in err


def test_bm25_needs_common_words(files, run):
    (files / "apart").write_text(lines(QUERIES, [f"x{n} y{n}" for n in range(12)]))
    code, _, err = run("--pairs", files / "apart", "--hard-negatives", "1", *NEW)
    assert code == 1 and "BM25 finds no text that scores 5% below the positive of a pair" in err
    assert "give --model" in err.splitlines()[-1]
