"""train simcse on a sentence encoder's folder: its recipe is kept; what replaces a part is said."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.params import Params
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.sentences.simcse import train
from scratch_embed.text.packed import pack
from scratch_embed.transformer.pooling import cls, max_, mean

LINES = ["a cat has milk", "The tenor sang a song", "a dancer looks very happy", "the cat",
         "a chauffeur drove a car", "the tenor sings"]
TINY = ["--steps", "4", "--batch-size", "4"]
PROMPTS = {"query": "the tenor ", "task": "a song "}


def dense(O, I=None, activation=tanh):
    p = Params({"linear.weight": (O, I or O), "linear.bias": (O,)})
    p.flat[:] = np.random.default_rng(0).standard_normal(p.flat.size) / 4
    return Dense(p, activation)


@pytest.fixture
def start(models, tmp_path):
    """start(**fields of the recipe): writes the folder "start" and a text; -> its encoder."""
    def written(**fields):
        encoder = SentenceEncoder.load(models.encoder)
        encoder = SentenceEncoder(encoder.tokenizer, encoder.model, encoder.recipe._replace(
            **fields))
        encoder.save(tmp_path / "start")
        (tmp_path / "text").write_text("\n".join(LINES))
        return encoder
    return written


@pytest.fixture
def tune(run, tmp_path):
    """tune(*options) -> exit code, stderr; from "start" to "m"."""
    def command(*options):
        code, _, err = run("train", "simcse", tmp_path / "text", "-o", tmp_path / "m",
                           "--model", tmp_path / "start", *TINY, *options)
        return code, err
    return command


def fields(recipe):
    return recipe._replace(dense=len(recipe.dense))


def assert_trained(folder, encoder, views, pool, **options):
    """The weights in `folder` are those of simcse.train on these token ids."""
    expected = train([pack(views)], encoder.model, pool, steps=4, batch_size=4, **options).model.p
    p = SentenceEncoder.load(folder).model.p
    for name in p:
        np.testing.assert_array_equal(p[name], expected[name])


# ---- what is kept -------------------------------------------------------------------------------

def test_all_of_a_recipe_is_kept_and_trained_with(start, tune, tmp_path):
    """Before, mean became cls, Normalize was dropped, and max_seq_length became the model's."""
    encoder = start(normalize=True, max_seq_length=7, similarity_fn_name="dot", lower_case=True,
                    prompts=PROMPTS)
    code, err = tune()
    assert code == 0 and "start: pooling mean, normalized, at most 7 tokens" in err
    assert " replaces " not in err and "have more than --max-length 7 tokens" in err
    assert SentenceEncoder.load(tmp_path / "m").recipe == encoder.recipe
    ids = [encoder.tokenizer.encode(line, max_length=7).ids for line in LINES]
    assert_trained(tmp_path / "m", encoder, ids, mean)


def test_several_poolings_are_kept(start, tune, tmp_path):
    encoder = start(poolings=(mean, max_))
    for options in [], ["--no-head"], ["--checkpoint", tmp_path / "state"]:
        code, err = tune(*options)
        assert code == 0 and "start: pooling mean and max, at most 16 tokens" in err
        assert SentenceEncoder.load(tmp_path / "m").recipe == encoder.recipe


@pytest.mark.parametrize("include", [True, False])
def test_the_default_prompt_is_put_before_each_text(include, start, tune, tmp_path):
    """Its tokens, and [CLS], are pooled or not, as when texts are encoded."""
    encoder = start(prompts=PROMPTS, default_prompt_name="task", include_prompt=include)
    code, err = tune()
    assert code == 0 and "the default prompt 'a song ' is put before each text" in err
    assert SentenceEncoder.load(tmp_path / "m").recipe == encoder.recipe
    ids = [encoder.tokenizer.encode("a song " + line, max_length=16).ids for line in LINES]
    skip = 0 if include else encoder.prompt_tokens("a song ")
    assert (skip > 2) is not include
    assert_trained(tmp_path / "m", encoder, ids, partial(mean, skip=skip))


def test_a_dense_with_tanh_is_trained_as_the_head(start, tune, tmp_path):
    encoder = start(dense=(dense(16),), normalize=True)
    code, err = tune()
    assert code == 0 and "start: pooling mean, Dense, normalized, at most 16" in err
    tuned = SentenceEncoder.load(tmp_path / "m").recipe
    assert fields(tuned) == fields(encoder.recipe)
    moved = tuned.dense[0].p["linear.weight"] - encoder.recipe.dense[0].p["linear.weight"]
    assert 0 < np.abs(moved).max() < 0.01                      # not a new one
    code, err = tune("--no-head")
    assert code == 0 and "--no-head leaves out the Dense" in err
    assert SentenceEncoder.load(tmp_path / "m").recipe == encoder.recipe._replace(dense=())


@pytest.mark.parametrize("layers", [(dense(8, 16),), (dense(16, activation=None),),
                                    (dense(16), dense(16))])
def test_another_dense_is_refused(layers, start, tune, tmp_path):
    start(dense=layers)
    code, err = tune()
    assert code == 1 and "expected no Dense, or one of 16 x 16 with tanh" in err
    assert not (tmp_path / "m").exists()
    assert tune("--no-head")[0] == 0


# ---- what an option replaces --------------------------------------------------------------------

def test_what_an_option_replaces_is_said(start, tune, tmp_path):
    encoder = start(normalize=True, max_seq_length=9)
    code, err = tune("--pooling", "cls", "--max-length", "6")
    assert code == 0 and "--pooling cls replaces the pooling of" in err
    assert "--max-length 6 replaces the 9 of" in err
    assert SentenceEncoder.load(tmp_path / "m").recipe == encoder.recipe._replace(
        poolings=(cls,), max_seq_length=6)
    assert " replaces " not in tune("--pooling", "mean", "--max-length", "9")[1]


@pytest.mark.parametrize("options, pool", [([], cls), (["--pooling", "mean"], mean)])
def test_a_bert_has_no_recipe_of_its_own(options, pool, models, start, tune, run, tmp_path):
    start()
    code, _, err = run("train", "simcse", tmp_path / "text", "--model", models.bert, "-o",
                       tmp_path / "m", *TINY, *options)
    assert code == 0 and f"bert: pooling {pool.__name__}, at most 16 tokens" in err
    assert " replaces " not in err
    assert SentenceEncoder.load(tmp_path / "m").recipe == Recipe((pool,), normalize=False,
                                                                 max_seq_length=16)
