"""RoBERTa, XLM-R, CamemBERT, DistilBERT and MPNet equal transformers; their folders and errors."""
import json

import numpy as np
import pytest

from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.blocks import positions_after
from scratch_embed.nn.dropout import Dropout, factors
from scratch_embed.nn.relative_bias import distance_bucket, distance_buckets
from scratch_embed.text.packed import pack
from scratch_embed.transformer import mpnet
from scratch_embed.transformer.distilbert import Distilbert
from scratch_embed.transformer.mpnet import Mpnet
from scratch_embed.transformer.roberta import Roberta
from tests.golden import make_encoders
from tests.transformer.encoder_parity import Case, assert_gradients, assert_outputs
from tests.transformer.tiny_encoders import TINY, families, model

FAMILIES = {"roberta": Roberta, "distilbert": Distilbert, "mpnet": Mpnet}
CASES = [*make_encoders.CASES]


def family_of(name):
    return FAMILIES[name.partition("_")[0]]


# ---- worked by hand ------------------------------------------------------------------------------

def test_positions_begin_after_the_padding_id_and_do_not_count_padding():
    ids, offsets = np.array([7, 8, 9, 3, 7, 3, 3, 8, 7]), np.array([0, 3, 8, 9])
    np.testing.assert_array_equal(positions_after(3, ids, offsets), [4, 5, 6, 3, 4, 3, 3, 5, 4])
    assert positions_after(0, ids[:0], np.array([0])).shape == (0,)


def test_the_rows_of_positions_that_texts_do_not_use_have_no_gradient():
    """padding = 1: tokens use rows 2, 3, 4; the padding token, in the text, uses row 1."""
    ours = model(Roberta, np.float64)
    g = ours.p.like()
    x, backward = ours.encode(pack([[0, 2, 4]]))
    backward(x, g)
    assert g["embed.positions.weight"].any(1).tolist() == [False, False] + 3 * [True] + 3 * [False]
    ours.encode(pack([[0, 1, 4]]))[1](x, g)
    assert g["embed.positions.weight"].any(1).tolist() == [False] + 4 * [True] + 3 * [False]


def test_max_length_is_the_number_of_positions_that_are_left():
    lengths = {Roberta: 6, Distilbert: 6, Mpnet: 6}
    for family, length in lengths.items():
        ours = model(family)
        assert ours.max_length == length
        ours.infer(pack([[2] * length]))
        with pytest.raises(ValueError, match="embed.positions: ids must be in 0.."):
            ours.infer(pack([[2] * (length + 1)]))


def test_the_bucket_of_a_distance():
    """Eight distances, 0 .. 7, have a bucket each; the bounds grow by a factor of √2 from 8."""
    bounds = {8: 8, 11: 8, 12: 9, 15: 9, 16: 10, 22: 10, 23: 11, 31: 11, 32: 12, 45: 12, 46: 13,
              63: 13, 64: 14, 90: 14, 91: 15, 128: 15, 10**6: 15}
    near = {n: n for n in range(8)}
    for n, bucket in (near | bounds).items():
        assert distance_bucket(np.array(-n)) == bucket
        assert n == 0 or distance_bucket(np.array(n)) == bucket + 16
    np.testing.assert_array_equal(distance_buckets(3), [[0, 17, 18], [1, 0, 17], [2, 1, 0]])


def test_mpnets_bias_alone_can_decide_where_a_head_attends():
    """With W_q = W_k = 0, and the bias 1,000 for j − i = −1: each token attends to the one before.

    Token 0 has none before it, so it attends to all alike.  Token 1 is changed: tokens 0 and 2
    attend to it, token 3 does not.
    """
    config = mpnet.Config(vocab=9, dim=4, layers=1, heads=1, ff=4, positions=9)
    ours = model(Mpnet, np.float64, (), config)
    p = ours.p
    for name in ("q", "k"):
        p[f"layers.0.attn.{name}.weight"][...] = p[f"layers.0.attn.{name}.bias"][...] = 0
    p["relative.weight"][...] = 0
    p["relative.weight"][1] = 1e3                                    # the bucket of j − i = −1
    x, y = (ours.infer(pack([[2, token, 6, 7]])) for token in (5, 8))
    assert (abs(y - x).max(1) > 1e-3).tolist() == [True, True, True, False]


@families
def test_segments_change_only_robertas_vectors(family):
    ours = model(family, config=TINY[family]._replace(types=2) if family is Roberta else None)
    x, y = (ours.infer(pack([[2, 3]], [types])) for types in ([0, 0], [0, 1]))
    assert (x == y).all() == (family is not Roberta)


# ---- the golden files ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_equal_transformers(name, tmp_path):
    case = Case.from_golden(family_of(name), name, tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("name, wrong_field", [
    ("roberta_model", {"activation": gelu_tanh}), ("roberta_model", {"eps": 1e-3}),
    ("roberta_model", {"padding": 0}), ("roberta_xlm", {"padding": 2}),
    ("roberta_xlm", {"activation": gelu}), ("roberta_xlm", {"heads": 4}),
    ("distilbert_model", {"activation": gelu_tanh}), ("distilbert_masked", {"heads": 5}),
    ("mpnet_model", {"eps": 1e-3}), ("mpnet_masked", {"activation": gelu})])
def test_the_golden_files_detect_a_wrong_config(name, wrong_field, tmp_path):
    case = Case.from_golden(family_of(name), name, tmp_path)
    right = case.model(np.float64)
    x = type(right)(right.config._replace(**wrong_field), right.p).infer(case.batch)
    assert abs(x - case.arrays["hidden64"]).max() > 1e-5


def test_mpnets_golden_file_detects_other_buckets(tmp_path, monkeypatch):
    """A mirrored distance, and another maximum."""
    case = Case.from_golden(Mpnet, "mpnet_model", tmp_path)
    for index in (lambda t, buckets: distance_buckets(t, buckets).T,
                  lambda t, buckets: distance_buckets(t, buckets, 120)):
        monkeypatch.setattr(mpnet, "distance_buckets", index)
        x = case.model(np.float64).infer(case.batch)
        assert abs(x - case.arrays["hidden64"]).max() > 1e-5


# ---- transformers as installed -------------------------------------------------------------------

@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def random_config(rng, name, seed):
    heads = int(rng.integers(1, 5))
    sizes = {"vocab_size": int(rng.integers(20, 60)), "max_position_embeddings":
             int(rng.integers(8, 16))}
    layers, dim, ff = int(rng.integers(1, 4)), heads * int(rng.integers(2, 9)), int(
        rng.integers(5, 40))
    if name == "DistilBert":
        return sizes | {"dim": dim, "n_layers": layers, "n_heads": heads, "hidden_dim": ff,
                        "activation": ["gelu", "gelu_new"][seed % 2]}
    return sizes | {
        "hidden_size": dim, "num_hidden_layers": layers, "num_attention_heads": heads,
        "intermediate_size": ff, "hidden_act": ["gelu", "gelu_new", "gelu_pytorch_tanh"][seed % 3],
        "layer_norm_eps": [1e-12, 1e-5][seed % 2]} | (
            {} if name == "MPNet" else {"type_vocab_size": 1 + seed % 2, "pad_token_id": seed % 3})


@pytest.mark.parametrize("name, family", [
    ("Roberta", Roberta), ("XLMRoberta", Roberta), ("Camembert", Roberta),
    ("DistilBert", Distilbert), ("MPNet", Mpnet)])
@pytest.mark.parametrize("seed", range(3))
def test_models_of_random_shapes_equal_transformers(transformers, name, family, seed, tmp_path):
    rng = np.random.default_rng([seed, *name.encode()])
    config = random_config(rng, name, seed)
    longest = config["max_position_embeddings"] - (
        0 if family is Distilbert else config.get("pad_token_id", 1) + 1)
    lengths = [longest, *map(int, rng.integers(1, longest + 1, rng.integers(0, 5)))]
    kind = name + ["ForMaskedLM", "Model"][seed % 2]
    case = Case(family, *make_encoders.make(kind, config, lengths, seed), tmp_path)
    assert_outputs(case)
    assert_gradients(case)


def test_buckets_equal_those_of_transformers(transformers):
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention
    distances = np.arange(-5000, 5001)
    for buckets, most in ((32, 128), (32, 100), (64, 1000), (8, 20)):
        np.testing.assert_array_equal(
            distance_bucket(distances, buckets, most), T5Attention._relative_position_bucket(
                torch.tensor(distances), True, buckets, most).numpy())
    np.testing.assert_array_equal(
        distance_bucket(distances),
        transformers.models.mpnet.modeling_mpnet.MPNetEncoder.relative_position_bucket(
            torch.tensor(distances)).numpy())


@families
def test_dropout_is_applied_where_transformers_applies_it(transformers, family, tmp_path,
                                                          monkeypatch):
    """With our masks in place of torch's dropout, transformers gives the same vectors.

    The masks are those of the embeddings, then of each layer in the order of the calls.
    DistilBERT drops nothing of attention's output.
    """
    import torch
    kind, dropout, L = family.architecture.original, Dropout(0.3, 11), 2
    name = kind.removesuffix("Model").lower() + "_model"
    theirs = make_encoders.original(kind, make_encoders.CASES[name][1] | {
        "n_layers" if family is Distilbert else "num_hidden_layers": L})
    make_encoders.draw_weights(theirs, np.random.default_rng(0))
    theirs.save_pretrained(tmp_path)
    masks = [dropout.at(L)]
    for n in range(L):
        of_output = [] if family is Distilbert else [dropout.at(n).at(1)]
        masks += [dropout.at(n).at(0).at(0), *of_output, dropout.at(n).at(2)]

    def our_mask(x, *ignored, **names):
        return x * torch.tensor(factors(tuple(x.shape), masks.pop(0)).astype(np.float32))
    monkeypatch.setattr(torch.nn.functional, "dropout", our_mask)
    ids = np.random.default_rng(1).integers(2, 41, 6)
    with torch.no_grad():
        x = theirs(torch.tensor(ids[None])).last_hidden_state[0].numpy()
    y, _ = family.load(tmp_path).encode(pack([ids]), dropout)
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-5)
    assert not masks


@pytest.mark.parametrize("kind", [
    "RobertaModel", "RobertaForMaskedLM", "XLMRobertaModel", "XLMRobertaForMaskedLM",
    "CamembertModel", "CamembertForMaskedLM", "DistilBertModel", "DistilBertForMaskedLM",
    "MPNetModel", "MPNetForMaskedLM"])
def test_folders_are_exchanged_with_transformers(transformers, kind, tmp_path):
    """Theirs is loaded by us, ours by theirs: every tensor, the sizes, and the class's name."""
    name = kind.removesuffix("ForMaskedLM").removesuffix("Model")
    family = {"DistilBert": Distilbert, "MPNet": Mpnet}.get(name, Roberta)
    theirs = make_encoders.original(kind, random_config(np.random.default_rng(2), name, 1))
    make_encoders.draw_weights(theirs, np.random.default_rng(2))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = family.load(tmp_path / "theirs")
    weights = theirs.state_dict()                  # a tied tensor has two names in it
    assert len(ours.p) == len(list(theirs.parameters()))
    for name, view in ours.p.items():
        original = family.architecture.names.original(name)
        prefixed = family.architecture.names.prefix + original
        np.testing.assert_array_equal(view, weights[original if original in weights else prefixed])

    ours.save(tmp_path / "ours")
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["architectures"] == [kind]
    again, info = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info.values())                  # no missing or unexpected tensors
    for (name, x), y in zip(theirs.named_parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(x.detach().numpy(), y.detach().numpy(), err_msg=name)
    for field, value in theirs.config.to_dict().items():
        if field in (*family.architecture.config_fields(ours.config), "pad_token_id"):
            same = gelu_names(value) == gelu_names(getattr(again.config, field))
            assert same or field == "sinusoidal_pos_embds", field


def gelu_names(value):
    """Two names of the tanh form are one value."""
    return "gelu_new" if value == "gelu_pytorch_tanh" else value


# ---- parameters ----------------------------------------------------------------------------------

@families
def test_a_number_of_heads_that_does_not_divide_dim_is_refused(family):
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=4, got 3"):
        family.architecture.tensors(TINY[family]._replace(heads=3))


@families
def test_initial_weights_are_drawn_from_streams_with_the_original_names(family):
    declared = family.architecture.tensors(TINY[family]) | family.architecture.head_tensors(
        TINY[family])
    for name, tensor in declared.items():
        assert tensor.stream == family.architecture.names.original(name)
        assert tensor.decay == (len(tensor.shape) == 2), name


@families
def test_an_empty_batch_has_no_vectors_and_a_zero_gradient(family):
    ours = model(family)
    x, backward = ours.encode(pack([]))
    g = ours.p.like()
    backward(x, g)
    assert x.shape == (0, 4) and not g.flat.any()
