"""Folders of sentence-transformers: both layouts are read, and it loads what we write."""
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, gelu_tanh, tanh
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import write_safetensors
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.folder import read_sentence_folder, write_sentence_folder
from scratch_embed.sentences.recipe import POOLINGS, Dense, Recipe, sentence_vectors
from scratch_embed.text.packed import pack
from scratch_embed.transformer.pooling import (
    cls,
    last_token,
    max_,
    mean,
    mean_sqrt_len,
    weighted_mean,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENIZER = {name: (GOLDEN / "sentence_old" / name).read_bytes() for name in
             ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")}
both = pytest.mark.parametrize("layout", ["old", "new"])


@pytest.fixture
def folder(layout, tmp_path):
    """A copy of a golden folder, which a test can change."""
    return shutil.copytree(GOLDEN / f"sentence_{layout}", tmp_path / "model")


old = pytest.mark.parametrize("layout", ["old"])
new = pytest.mark.parametrize("layout", ["new"])


def change(folder, file, **fields):
    """Set fields of a JSON file; the value ... deletes a field."""
    path = folder / file
    values = (json.loads(path.read_text()) if path.exists() else {}) | fields
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def dense(O, I, activation=tanh, dtype=np.float32, seed=0, bias=True):
    """A Dense of random weights, (O, I)."""
    p = Params({"linear.weight": (O, I), **({"linear.bias": (O,)} if bias else {})}, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size) / I**0.5
    return Dense(p, activation)


def comparable(recipe):
    """The recipe with lists in place of arrays, so that == compares its values."""
    return recipe._replace(dense=[({n: x.tolist() for n, x in p.items()}, activation)
                                  for p, activation in recipe.dense])


# ---- folders that sentence-transformers wrote ----------------------------------------------------

@both
@pytest.mark.parametrize("kind", ["plain", "query"])
def test_vectors_equal_those_of_sentence_transformers(layout, kind):
    """Two poolings, Dense, Normalize, truncated texts, a prompt (pooled in one layout only)."""
    model, recipe = read_sentence_folder(GOLDEN / f"sentence_{layout}")
    golden = json.loads((GOLDEN / f"sentence_{layout}.json").read_text())[kind]
    assert max(map(len, golden["ids"])) == recipe.max_seq_length
    batch = pack(golden["ids"])
    y, _ = sentence_vectors(model.infer(batch), batch.offsets, recipe, golden["skip"])
    assert y.dtype == np.float32 and y.shape[1] == recipe.dim(model.dim)
    np.testing.assert_allclose(y, golden["vectors"], rtol=0, atol=2e-6)


def test_the_recipe_of_the_old_layout():
    model, recipe = read_sentence_folder(GOLDEN / "sentence_old")
    config = model.config
    assert config.activation is gelu and recipe.dense[0].activation is tanh
    assert recipe._replace(dense=()) == Recipe(
        poolings=(cls, mean), include_prompt=True, normalize=True, max_seq_length=12,
        prompts={"query": "query : "})


def test_the_recipe_of_the_new_layout():
    model, recipe = read_sentence_folder(GOLDEN / "sentence_new")
    config = model.config
    assert config.activation is gelu_tanh and recipe.dense[0].activation is None
    assert [*recipe.dense[0].p] == ["linear.weight"]              # no bias in the file
    assert recipe._replace(dense=()) == Recipe(
        poolings=(weighted_mean, max_), include_prompt=False, normalize=True, max_seq_length=9,
        prompts={"query": "where is ", "document": ""}, default_prompt_name="query")


@both
def test_optional_files_have_defaults(folder, layout):
    for name in ("config_sentence_transformers.json", "sentence_bert_config.json",
                 "tokenizer_config.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "3_Normalize", ignore_errors=True)
    _, recipe = read_sentence_folder(folder)
    assert (recipe.max_seq_length, recipe.prompts, recipe.default_prompt_name) == (16, {}, None)
    assert recipe.normalize and recipe.similarity_fn_name == "cosine"


@both
@pytest.mark.parametrize("in_bert, in_tokenizer, length", [
    (7, 9, 7), (None, 9, 9), (None, None, 16), (None, 10**30, 16), (99, 9, 16)])
def test_max_seq_length_is_read_from_two_files_and_limited_to_the_models_positions(
        folder, in_bert, in_tokenizer, length):
    change(folder, "sentence_bert_config.json", max_seq_length=in_bert)
    change(folder, "tokenizer_config.json", model_max_length=in_tokenizer)
    assert read_sentence_folder(folder)[1].max_seq_length == length


@old
def test_the_transformer_may_be_in_a_subfolder(folder):
    """The first releases wrote 0_Transformer."""
    (folder / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "sentence_bert_config.json"):
        os.rename(folder / name, folder / "0_Transformer" / name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert read_sentence_folder(folder)[1].max_seq_length == 12


# ---- folders that we write -----------------------------------------------------------------------

RECIPES = [
    Recipe(max_seq_length=16),
    Recipe((last_token,), normalize=False, max_seq_length=5, similarity_fn_name="dot"),
    Recipe((cls, max_, mean, mean_sqrt_len, weighted_mean, last_token), False,
           (dense(20, 72), dense(4, 20, None)), True, 9, True, {"q": "où ", "d": ""}, "d"),
    Recipe((mean, cls), dense=(dense(3, 24),), normalize=False, max_seq_length=16),
    Recipe((mean, mean), max_seq_length=16),
    Recipe((mean,), dense=(dense(5, 12, bias=False),), max_seq_length=16)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_writing_and_reading_gives_the_same_model_and_recipe(tmp_path, recipe):
    model, _ = read_sentence_folder(GOLDEN / "sentence_old")
    write_sentence_folder(tmp_path, model, recipe, TOKENIZER)
    found, again = read_sentence_folder(tmp_path)
    assert found.config == model.config and comparable(again) == comparable(recipe)
    np.testing.assert_array_equal(found.p.flat, model.p.flat)
    assert (tmp_path / "vocab.txt").read_bytes() == TOKENIZER["vocab.txt"]


def test_the_old_layout_is_written(tmp_path):
    model, recipe = read_sentence_folder(GOLDEN / "sentence_old")
    write_sentence_folder(tmp_path, model, recipe)
    for name in ("modules.json", "1_Pooling/config.json", "2_Dense/config.json",
                 "sentence_bert_config.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads(
            (GOLDEN / "sentence_old" / name).read_text())


@pytest.mark.parametrize("wrong, message", [
    ({"poolings": ()}, "expected one or more of transformer/pooling.py"),
    ({"poolings": (np.mean,)}, "expected one or more of transformer/pooling.py"),
    ({"dense": (dense(2, 13),)}, r"dense: expected weights of 12 columns .* got \(2, 13\)"),
    ({"dense": (dense(2, 12, gelu),)}, "the activation tanh or None, got"),
    ({"max_seq_length": 17}, "expected 1 to 16, the model's max_length"),
    ({"default_prompt_name": "q"}, r"expected None or one of \[\]"),
    ({"similarity_fn_name": "l2"}, "expected one of cosine, dot, euclidean, manhattan")])
def test_a_wrong_recipe_is_an_error_and_the_old_folder_is_kept(tmp_path, wrong, message):
    model, recipe = read_sentence_folder(GOLDEN / "sentence_old")
    write_sentence_folder(tmp_path, model, recipe)
    with pytest.raises(ValueError, match=message):
        write_sentence_folder(tmp_path, model, RECIPES[0]._replace(**wrong))
    assert comparable(read_sentence_folder(tmp_path)[1]) == comparable(recipe)


def test_a_folder_without_config_json_is_not_loaded(tmp_path):
    """It is written last, so it is missing if the folder was not written completely."""
    model, recipe = read_sentence_folder(GOLDEN / "sentence_old")
    write_sentence_folder(tmp_path, model, recipe)
    os.remove(tmp_path / "config.json")
    with pytest.raises(FormatError, match="config.json: the file: expected JSON, found no such"):
        read_sentence_folder(tmp_path)


# ---- pooling and dense layers --------------------------------------------------------------------

def test_backward_is_the_derivative_in_the_tokens_and_in_each_dense():
    layers = tuple(dense(*size, dtype=np.float64) for size in [(7, 10), (4, 7)])
    recipe = Recipe((mean, max_), False, layers, True)
    offsets = np.array([0, 3, 5])

    def f(x, *flats):
        for layer, flat in zip(layers, flats):
            layer.p.flat[:] = flat
        y, backward = sentence_vectors(x, offsets, recipe, skip=1)

        def vjp(dy):
            grads = [layer.p.like() for layer in layers]
            return backward(dy, grads), *(g.flat for g in grads)
        return y, vjp
    check_backward(f, np.random.default_rng(0).standard_normal((5, 5)),
                   *(layer.p.flat.copy() for layer in layers))


def test_backward_needs_gradients_for_each_dense():
    recipe = Recipe(dense=(dense(2, 5),))
    y, backward = sentence_vectors(np.ones((3, 5), np.float32), np.array([0, 3]), recipe)
    with pytest.raises(ValueError):
        backward(y)


@pytest.mark.parametrize("include", [True, False])
def test_a_prompt_is_pooled_only_if_include_prompt_is_set(include):
    x, offsets = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 3, 6])
    y, _ = sentence_vectors(x, offsets, Recipe(include_prompt=include, normalize=False), skip=2)
    np.testing.assert_array_equal(y, mean(x, offsets, 0 if include else 2)[0])


# ---- errors --------------------------------------------------------------------------------------

POOLING, DENSE = "1_Pooling/config.json", "2_Dense/config.json"
ST, BERT = "config_sentence_transformers.json", "sentence_bert_config.json"


@both
@pytest.mark.parametrize("file, fields, message", [
    (POOLING, {"pooling_mode": "sum"}, "field 'pooling_mode': expected one or several of cls, max, "
     "mean, mean_sqrt_len_tokens, weightedmean, lasttoken, found ['sum']"),
    (POOLING, {"pooling_mode": []}, "field 'pooling_mode': expected one or several of"),
    (POOLING, {"pooling_mode": [["cls"]]}, "field 'pooling_mode': expected one or several of"),
    (POOLING, {"include_prompt": "yes"}, "field 'include_prompt': expected true or false"),
    (POOLING, {"pooling_mode_median": True}, "field 'pooling_mode_median': expected only "),
    (DENSE, {"activation_function": "torch.nn.modules.activation.ReLU"},
     "field 'activation_function': expected one of \"torch.nn.modules.activation.Tanh\", "
     "\"torch.nn.modules.linear.Identity\", found 'torch.nn.modules.activation.ReLU'"),
    (DENSE, {"activation_function": ...}, "field 'activation_function': expected one of"),
    (DENSE, {"use_residual": True}, "field 'use_residual': expected false, found True"),
    (DENSE, {"in_features": 12}, "field 'in_features': expected 24, the dimension of its input, "
                                 "found 12"),
    (DENSE, {"out_features": 7}, "model.safetensors: the header: expected floats"),
    (DENSE, {"module_input_name": "token_embeddings"},
     "field 'module_input_name': expected \"sentence_embedding\", found 'token_embeddings'"),
    (DENSE, {"gate": 1}, "field 'gate': expected only in_features"),
    (BERT, {"max_seq_length": 0}, "field 'max_seq_length': expected a whole number of at least 1, "
                                  "or null, found 0"),
    (BERT, {"do_lower_case": None}, "field 'do_lower_case': expected true or false, found None"),
    (BERT, {"transformer_task": "fill-mask"}, "field 'transformer_task': expected "
     "\"feature-extraction\", found 'fill-mask'"),
    (BERT, {"modality_config": {}}, "field 'modality_config': expected {"),
    (BERT, {"model_args": {"attn": 1}}, "field 'model_args': expected {}, found {'attn': 1}"),
    (BERT, {"query_length": 3}, "field 'query_length': expected null, found 3"),
    (BERT, {"pad_to": 3}, "field 'pad_to': expected only max_seq_length"),
    (ST, {"prompts": ["q"]}, "field 'prompts': expected an object of strings, found ['q']"),
    (ST, {"prompts": {"q": None}}, "field 'prompts': expected an object of strings"),
    (ST, {"default_prompt_name": "none"},
     "field 'default_prompt_name': expected one of null, \""),
    (ST, {"similarity_fn_name": "l2"}, "field 'similarity_fn_name': expected one of \"cosine\", "),
    (ST, {"model_type": "SparseEncoder"}, "field 'model_type': expected \"SentenceTransformer\", "),
    ("config.json", {"hidden_act": "relu"}, "field 'hidden_act'")])
def test_an_unsupported_field_is_named(folder, file, fields, message):
    change(folder, file, **fields)
    with pytest.raises(FormatError) as error:
        read_sentence_folder(folder)
    assert message in str(error.value) and str(error.value).startswith(str(folder))
    assert message.startswith("model.safetensors") or file in str(error.value)


@old
@pytest.mark.parametrize("fields, message", [
    ({"word_embedding_dimension": 13}, "field 'word_embedding_dimension': expected 12, the "
                                       "hidden_size of config.json, found 13"),
    ({"word_embedding_dimension": ...}, "field 'word_embedding_dimension': expected a whole numb"),
    ({"pooling_mode_mean_tokens": ...}, "field 'pooling_mode_mean_tokens': expected true or false"),
    ({"pooling_mode_cls_token": 1}, "field 'pooling_mode_cls_token': expected true or false, fou"),
    ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False},
     "its flags: expected one of pooling_mode_cls_token")])
def test_a_wrong_field_of_the_old_layout_is_named(folder, fields, message):
    change(folder, POOLING, **fields)
    with pytest.raises(FormatError) as error:
        read_sentence_folder(folder)
    assert f"{POOLING}: {message}" in str(error.value)


def edit(number, **fields):
    """A function that changes fields of one entry of modules.json."""
    def edited(modules):
        modules[number] |= fields
        return modules
    return edited


@both
@pytest.mark.parametrize("edit, message", [
    (edit(1, type="sentence_transformers.models.LSTM"), "module 1, field 'type': expected "
     "Transformer, Pooling, Dense, Normalize, StaticEmbedding of sentence_transformers, found"),
    (edit(1, type="elsewhere.Pooling"), "module 1, field 'type': expected"),
    (edit(1, path="../1_Pooling"), "module 1, field 'path': expected a path below this folder"),
    (edit(1, path="/1_Pooling"), "module 1, field 'path': expected a path below this folder"),
    (edit(1, path="a\0"), "module 1, field 'path': expected a path below this folder"),
    (edit(1, path=1), "module 1, field 'path': expected a string"),
    (edit(1, kwargs=["task"]), "module 1, field 'kwargs': expected only idx, name, path, type"),
    (edit(1, path="elsewhere"), "elsewhere/config.json: the file: expected JSON, found no such"),
    (lambda m: [*m, 3], "module 4: expected an object, found 3"),
    (lambda m: m[:1], "its list: expected Transformer, Pooling, any number of Dense, "
                      "and optionally Normalize, in this order; found Transformer"),
    (lambda m: m[1:], "its list: expected"), (lambda m: [m[0], m[1], m[3], m[2]], "its list: expe"),
    (lambda m: [*m, m[3]], "its list: expected"), (lambda m: [], "in this order; found nothing"),
    (lambda m: {}, "the file: expected a JSON list in UTF-8, found {}")])
def test_unsupported_modules_are_named(folder, edit, message):
    path = folder / "modules.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(FormatError) as error:
        read_sentence_folder(folder)
    assert message in str(error.value)


@new
def test_a_normalize_of_token_vectors_is_an_error(folder):
    change(folder, "3_Normalize/config.json", module_input_name="token_embeddings")
    with pytest.raises(FormatError, match="field 'module_input_name': expected \"sentence_embed"):
        read_sentence_folder(folder)


@both
@pytest.mark.parametrize("file", ["modules.json", "config.json", BERT, ST, POOLING, DENSE])
def test_a_file_truncated_at_any_byte_is_an_error_that_names_it(folder, file):
    path = folder / file
    data = path.read_bytes().rstrip()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(FormatError) as error:
            read_sentence_folder(folder)
        assert str(error.value).startswith(f"{path}: the file: expected a JSON ")


@both
@pytest.mark.parametrize("file", ["modules.json", "config.json", "model.safetensors", POOLING,
                                  DENSE, "2_Dense/model.safetensors"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(FormatError) as error:
        read_sentence_folder(folder)
    assert str(error.value).startswith(f"{folder / file}: the file: expected ")


# ---- a transformer alone -------------------------------------------------------------------------

@old
@pytest.mark.parametrize("model_max_length, length", [(None, 16), (9, 9), (10**30, 16)])
def test_a_folder_without_modules_is_the_mean_of_the_tokens(folder, model_max_length, length):
    """Its max_seq_length is that of tokenizer_config.json, as in sentence-transformers."""
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
                 "1_Pooling", "2_Dense"):
        shutil.rmtree(folder / name) if "_" in name[:2] else (folder / name).unlink()
    change(folder, "tokenizer_config.json", model_max_length=model_max_length)
    encoder = SentenceEncoder.load(folder)
    assert encoder.recipe == Recipe((mean,), normalize=False, max_seq_length=length)
    x = encoder.model.infer(encoder.tokenizer.encode_batch(["a cat", "the dog"]))
    np.testing.assert_allclose(encoder.encode("a cat"), x[:4].mean(0), rtol=0, atol=1e-6)


@both
def test_a_lost_modules_json_is_an_error_and_not_the_mean_of_the_tokens(folder):
    (folder / "modules.json").unlink()
    with pytest.raises(FormatError, match="modules.json: the file: expected JSON, since config_se"):
        SentenceEncoder.load(folder)


@old
def test_a_token_type_that_the_model_does_not_have_is_refused(folder):
    value = json.loads((folder / "tokenizer.json").read_text())
    for number, message in (2, "types of tokens below 2"), (2**31, "'type_id': expected a whole"):
        value["post_processor"]["single"][1]["Sequence"]["type_id"] = number
        (folder / "tokenizer.json").write_text(json.dumps(value))
        with pytest.raises(FormatError, match=message):
            SentenceEncoder.load(folder)


@old
def test_damaged_weights_of_a_dense_are_errors(folder):
    path = folder / "2_Dense" / "model.safetensors"
    data = path.read_bytes()
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises(FormatError, match="2_Dense"):
            read_sentence_folder(folder)
    write_safetensors(path, {"linear.weight": np.full((6, 24), np.nan), "linear.bias": np.zeros(6)})
    with pytest.raises(FormatError, match="expected finite numbers"):
        read_sentence_folder(folder)
    path.unlink()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(FormatError, match="found pytorch_model.bin, a pickle"):
        read_sentence_folder(folder)


# ---- the installed sentence-transformers ---------------------------------------------------------

@pytest.mark.parametrize("recipe", RECIPES)
def test_sentence_transformers_loads_our_folder_and_gives_the_same_vectors(tmp_path, recipe):
    pytest.importorskip("torch")
    theirs = pytest.importorskip("sentence_transformers")
    pytest.importorskip("transformers").logging.disable_progress_bar()
    texts = ["The cat sat on the mat.", "a dog", "cats", "the the dog ran, the cat ran, dogs ran"]
    ours, _ = read_sentence_folder(GOLDEN / "sentence_new")
    write_sentence_folder(tmp_path, ours, recipe, TOKENIZER)
    model = theirs.SentenceTransformer(str(tmp_path), device="cpu")
    assert model.max_seq_length == recipe.max_seq_length
    assert model.similarity_fn_name == recipe.similarity_fn_name
    assert {**recipe.prompts, "query": "", "document": ""} == {"query": "", "document": "",
                                                               **model.prompts}
    for prompt in ("", "the cat "):
        vectors = model.encode(texts, prompt=prompt)
        batch = pack([model.tokenizer(prompt + text, truncation=True)["input_ids"]
                      for text in texts])
        skip = len(model.tokenizer(prompt)["input_ids"]) - 1 if prompt else 0
        y, _ = sentence_vectors(ours.infer(batch), batch.offsets, recipe, skip)
        np.testing.assert_allclose(y, vectors, rtol=0, atol=1e-5)


def test_all_poolings_of_sentence_transformers_are_supported():
    pooling = pytest.importorskip("sentence_transformers.sentence_transformer.modules").Pooling
    assert len(pooling.POOLING_MODES) == len(POOLINGS) == len(RECIPES[2].poolings)
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert len({tuple(pool(x, np.array([0, 4]))[0][0]) for pool in POOLINGS}) == 6
