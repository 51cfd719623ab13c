"""SentenceEncoder against sentence-transformers: golden folders, and the installed package."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.transformer.pooling import cls, max_, mean, weighted_mean

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = "the a cat dog sat ran on mat ##s . , query : where is".split()
both = pytest.mark.parametrize("layout", ["old", "new"])


def some_texts(n, seed=0):
    """n texts of 0 to 20 words; "dogs" and "mats" are two pieces each, "dog ##s" and "mat ##s"."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(["cat", "dogs", "mats", "the", "ran", "Where", "is", "x-ray", ","],
                                length)) for length in rng.integers(0, 21, n)]


# ---- golden folders and vectors ----------------------------------------------------------------

@both
@pytest.mark.parametrize("kind", ["plain", "query"])
def test_a_golden_folder_gives_the_golden_vectors(layout, kind):
    """Tokenizer, two poolings, Dense, Normalize, truncated texts, a prompt."""
    encoder = SentenceEncoder.load(GOLDEN / f"sentence_{layout}")
    golden = json.loads((GOLDEN / f"sentence_{layout}.json").read_text())[kind]
    options = dict(prompt="") if kind == "plain" else dict(prompt_name="query")
    vectors = encoder.encode(golden["texts"], **options)
    np.testing.assert_allclose(vectors, golden["vectors"], rtol=0, atol=2e-6)
    for text, theirs in zip(golden["texts"], golden["vectors"]):
        np.testing.assert_allclose(encoder.encode(text, **options), theirs, rtol=0, atol=2e-6)


def test_the_default_prompt_of_a_folder_is_used():
    encoder = SentenceEncoder.load(GOLDEN / "sentence_new")
    np.testing.assert_array_equal(encoder.encode("a dog"),
                                  encoder.encode("a dog", prompt="where is "))


@both
def test_a_float64_model_computes_in_float64(layout):
    encoder = SentenceEncoder.load(GOLDEN / f"sentence_{layout}", np.float64)
    golden = json.loads((GOLDEN / f"sentence_{layout}.json").read_text())["plain"]
    batch = encoder.tokenizer.encode_batch(golden["texts"],
                                           max_length=encoder.recipe.max_seq_length)
    assert encoder.vectors(batch).dtype == np.float64
    np.testing.assert_allclose(encoder.encode(golden["texts"], prompt=""), golden["vectors"],
                               rtol=0, atol=2e-6)


@both
def test_a_saved_encoder_is_loaded_with_the_same_bits(tmp_path, layout):
    encoder, texts = SentenceEncoder.load(GOLDEN / f"sentence_{layout}"), some_texts(20)
    encoder.save(tmp_path / "model")
    again = SentenceEncoder.load(tmp_path / "model")
    np.testing.assert_array_equal(again.encode(texts), encoder.encode(texts))
    assert again.recipe._replace(dense=()) == encoder.recipe._replace(dense=())


def test_a_vocabulary_larger_than_the_models_table_is_an_error(tmp_path):
    folder = shutil.copytree(GOLDEN / "sentence_old", tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    with open(folder / "vocab.txt", "a") as file:
        file.write("zebra\n")
    with pytest.raises(FormatError, match="at most 20 tokens.*found 21"):
        SentenceEncoder.load(folder)


# ---- the installed sentence-transformers -------------------------------------------------------

@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A random BERT of transformers with mean pooling and Normalize -> its folder, the model."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    transformers.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("theirs")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(3)
    bert = transformers.BertModel(transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=24, initializer_range=0.4))
    bert.save_pretrained(folder / "bert")
    (folder / "bert" / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "bert" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    model = library.SentenceTransformer(
        modules=[modules.Transformer(str(folder / "bert"), max_seq_length=16),
                 modules.Pooling(32, "mean"), modules.Normalize()],
        prompts={"query": "query : "}, device="cpu")
    model.save(str(folder / "saved"))
    return folder / "saved", model


@pytest.mark.parametrize("options", [{}, {"batch_size": 7}, {"prompt_name": "query"},
                                     {"prompt": "where is the "}])
def test_vectors_equal_those_of_the_installed_package(theirs, options):
    """300 texts of up to 20 words, truncated to 16 tokens, together and alone."""
    folder, model = theirs
    encoder, texts = SentenceEncoder.load(folder), some_texts(300)
    want = model.encode(texts, **options)
    np.testing.assert_allclose(encoder.encode(texts, **options), want, rtol=0, atol=1e-5)
    for i in range(3):
        single = encoder.encode(texts[i], **options)
        np.testing.assert_allclose(single, model.encode(texts[i], **options), rtol=0, atol=1e-5)
    assert not np.allclose(want[0], want[1], atol=0.01)


def test_truncated_vectors_equal_theirs_with_normalize_embeddings(theirs):
    """Without this option theirs are parts of unit vectors; ours always have norm 1."""
    folder, model = theirs
    encoder, texts = SentenceEncoder.load(folder), some_texts(40)
    want = model.encode(texts, truncate_dim=10, normalize_embeddings=True)
    for options in ({}, {"normalize_embeddings": True}):
        np.testing.assert_allclose(encoder.encode(texts, truncate_dim=10, **options), want,
                                   rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_at_most_one_percent_of_the_codes_differ_by_rounding(theirs, precision):
    folder, model = theirs
    encoder, texts = SentenceEncoder.load(folder), some_texts(300)
    ours = encoder.encode(texts, precision=precision)
    want = model.encode(texts, precision=precision)
    assert ours.dtype == want.dtype and ours.shape == want.shape
    assert (ours != want).mean() < 0.01
    if "int8" in precision:
        assert abs(ours.astype(int) - want).max() <= 1


def dense(O, I):
    p = Params({"linear.weight": (O, I), "linear.bias": (O,)})
    p.flat[:] = np.random.default_rng(0).standard_normal(p.flat.size) / I**0.5
    return Dense(p, tanh)


@pytest.mark.parametrize("recipe", [
    Recipe((mean,), max_seq_length=16, similarity_fn_name="dot"),
    Recipe((cls, max_), False, (dense(5, 64),), False, 9, prompts={"query": "query : "},
           default_prompt_name="query"),
    Recipe((weighted_mean,), False, max_seq_length=24, similarity_fn_name="manhattan")])
def test_sentence_transformers_gives_the_same_vectors_for_our_folder(theirs, tmp_path, recipe):
    library = pytest.importorskip("sentence_transformers")
    first = SentenceEncoder.load(theirs[0])
    encoder = SentenceEncoder(first.tokenizer, first.model, recipe)
    encoder.save(tmp_path)
    model = library.SentenceTransformer(str(tmp_path), device="cpu")
    texts = some_texts(60)
    for options in ({}, {"prompt": "the "}):
        x = encoder.encode(texts, **options)
        np.testing.assert_allclose(x, model.encode(texts, **options), rtol=0, atol=1e-5)
    np.testing.assert_allclose(encoder.similarity(x, x[:9]), model.similarity(x, x[:9]), atol=1e-4)
    np.testing.assert_allclose(encoder.similarity_pairwise(x, x[::-1]),
                               model.similarity_pairwise(x, x[::-1].copy()), atol=1e-4)
