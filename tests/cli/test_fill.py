"""fill: a line for each [MASK], with the tokens and probabilities of fill_mask."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.text.tokenizer_files import load
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.fill import fill_mask
from scratch_embed.words.vectors import WordVectors

TEXTS = ["the [MASK] drove a [MASK]", "[MASK]", "a cat has [MASK] milk"]


@pytest.fixture
def run(run):
    return partial(run, "fill")


def table(out):
    """[[(token, probability), ...] of each line]."""
    rows = [line.split("\t") for line in out.splitlines()]
    return [list(zip(row[::2], map(float, row[1::2]))) for row in rows]


def test_each_mask_has_a_line_with_the_predictions_of_fill_mask(models, run):
    code, out, err = run(models.bert, *TEXTS, "-k", 3)
    assert (code, err) == (0, "")
    tokenizer, model = load(models.bert), Bert.load(models.bert)
    batch = tokenizer.encode_batch(TEXTS)
    ids, probabilities = fill_mask(batch, np.flatnonzero(batch.ids == 4), model, 3)
    assert table(out) == [[(tokenizer.pieces[i], round(float(x), 4)) for i, x in zip(*row)]
                          for row in zip(ids, probabilities)]
    assert len(table(out)) == 4


def test_fill_prints_five_tokens_by_default_the_most_probable_first(models, run):
    (row,) = table(run(models.bert, "the [MASK]")[1])
    probabilities = [probability for _, probability in row]
    assert len(row) == 5 and probabilities == sorted(probabilities, reverse=True)


def test_texts_may_come_from_a_pipe(models, run, stdin):
    expected = run(models.bert, *TEXTS)[1]
    stdin("\n\n".join(TEXTS))
    assert run(models.bert, "-") == (0, expected, "")


@pytest.mark.parametrize("arguments, message", [
    (["{bert}", "the [MASK]", "no mask"], "'no mask' has no [MASK]: write it where"),
    (["{bert}", ""], "'' has no [MASK]"),
    (["{bert}", "[MASK] " * 15], "17 tokens, and the model accepts 16: shorten it"),
    (["{encoder}", "the [MASK]"], "encoder cannot predict masked tokens: it has no masked-LM head"),
    (["{folder}/none", "[MASK]"], "none: there is no such file"),
    (["{folder}", "[MASK]"], "found a folder that contains"),
    (["{vectors}", "[MASK]"], "w.vec: expected a folder with a transformer, found word vectors")])
def test_a_users_error_is_one_line_on_stderr(arguments, message, models, tmp_path, run):
    vectors = tmp_path / "w.vec"
    WordVectors(["a"], np.ones((1, 2), np.float32)).save(vectors)
    names = dict(bert=models.bert, encoder=models.encoder, folder=tmp_path, vectors=vectors)
    code, out, err = run(*(part.format(**names) for part in arguments))
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and message in err


def test_a_tokenizer_of_another_model_is_refused(models, tmp_path, run):
    for path in models.bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "tokenizer.json").unlink()
    with open(tmp_path / "vocab.txt", "a") as file:
        file.write("another\n")
    code, _, err = run(tmp_path, "the [MASK]")
    assert code == 1 and "its tokenizer: expected at most 400 tokens" in err and "found 401" in err


def test_the_pipeline_of_transformers_predicts_the_same_tokens(models, run):
    transformers = pytest.importorskip("transformers")
    pipeline = transformers.pipeline("fill-mask", str(models.bert), top_k=4)
    for text in TEXTS[1:]:
        (row,) = table(run(models.bert, text, "-k", 4)[1])
        theirs = pipeline(text)
        assert [token for token, _ in row] == [found["token_str"] for found in theirs]
        np.testing.assert_allclose([x for _, x in row], [f["score"] for f in theirs], atol=6e-5)
