"""Whisper's encoder: by hand, gradients, and equality with transformers of outputs and layers."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.whisper import (
    Config,
    embed,
    encode,
    hidden_states,
    infer,
    masked_mean,
    new_params,
    sinusoids,
    sound_frames,
    tensors,
)
from scratch_embed.multimodal.whisper_encoder import NAMES, WhisperEncoder
from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.gradcheck import check_backward, check_parameters
from scratch_embed.nn.params import Params
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from tests.golden import make_whisper
from tests.rounding import dtypes

GOLDEN, META = read_safetensors("tests/golden/whisper.safetensors")
TINY = Config(mels=3, dim=6, layers=2, heads=2, ff=5, positions=4, activation=gelu_tanh)
AUDIO = WhisperAudio(rate=8000, n_fft=200, hop=80, mels=8, seconds=1)
SIZES = Config(mels=8, dim=12, layers=2, heads=3, ff=16, positions=50)


def random_params(config, dtype=np.float64, seed=0):
    """All tensors of order 1, with perturbed norms; the sinusoids are frozen."""
    p = Params(tensors(config), dtype)
    rng = np.random.default_rng(seed)
    for name, view in p.items():
        x = rng.standard_normal(view.shape)
        view[...] = (1 + 0.3 * x if name.endswith("norm.weight") else
                     0.3 * x if name.endswith("bias") else x / np.prod(view.shape[1:]) ** 0.5)
    p["positions.weight"][...] = sinusoids(rng, p["positions.weight"].shape)
    return p.freeze(["positions.weight"])


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def model():
    return WhisperEncoder(SIZES, random_params(SIZES, np.float32), AUDIO)


# ---- worked by hand ------------------------------------------------------------------------------

def test_sinusoids_worked_by_hand():
    """D = 6: frequencies 1, 10000^(−½) = 0.01 and 10000^(−1); all sines before all cosines."""
    angles = np.array([[0, 0, 0], [1, 0.01, 0.0001], [2, 0.02, 0.0002]])
    np.testing.assert_allclose(sinusoids(None, (3, 6)), np.hstack([np.sin(angles), np.cos(angles)]))


def test_the_stem_worked_by_hand():
    """conv₁ copies each frame, conv₂ sums three frames around every second one.

    gelu(100) = 100 to the last bit, so y = 100 .. 500 gives 0 + 100 + 200, 200 + 300 + 400, 400 +
    500 + 0.
    """
    p = Params(tensors(TINY), np.float64)
    p["conv1.weight"][0, 0, 1] = 1
    p["conv2.weight"][0, 0, :] = 1
    y = np.zeros((1, 5, 3))
    y[0, :, 0] = [100, 200, 300, 400, 500]
    x, _ = embed(y, p)
    assert x[:, 0].tolist() == [300, 900, 900] and not x[:, 1:].any()


def test_masked_mean_worked_by_hand():
    x = np.array([[[1.0, 2], [3, 4], [9, 9]], [[5, 6], [9, 9], [9, 9]]])
    v, backward = masked_mean(x, np.array([2, 1]))
    assert v.tolist() == [[2, 3], [5, 6]]
    assert backward(np.array([[2.0, 4], [3, 3]])).tolist() == [
        [[1, 2], [1, 2], [0, 0]], [[3, 3], [0, 0], [0, 0]]]


@pytest.mark.parametrize("samples, frames", [(1, 1), (320, 1), (321, 2), (16_000, 50),
                                             (480_000, 1500)])
def test_frames_of_sound_are_those_whose_centre_is_in_it(samples, frames):
    """20 ms each: frame t is centred on sample 320 t."""
    assert sound_frames(samples, WhisperAudio()) == frames


def test_new_parameters_have_the_deviations_that_are_declared():
    """Convolutions as in torch: U(−b, b), b = (3 I)^−½; keys have no bias; sinusoids are frozen."""
    p = new_params(Config(mels=40, dim=64, positions=30), seed=1, dtype=np.float64)
    for name, inputs in (("conv1", 40), ("conv2", 64)):
        bound = (3 * inputs) ** -0.5
        assert abs(p[name + ".weight"]).max() <= bound
        assert p[name + ".weight"].std() == pytest.approx(bound / 3 ** 0.5, rel=0.05)
    assert "layers.0.attn.k.bias" not in p and "layers.0.attn.q.bias" in p
    assert p.frozen == ("positions.weight",)
    np.testing.assert_array_equal(p["positions.weight"], sinusoids(None, (30, 64)))


def test_a_bias_of_the_keys_would_have_no_effect():
    """It adds the same number to all scores of a query: the reason why Whisper has none."""
    p = random_params(TINY)
    with_bias = Params(p.tensors | {"layers.0.attn.k.bias": (6,)}, np.float64)
    for name, view in p.items():
        with_bias[name][...] = view
    with_bias["layers.0.attn.k.bias"][...] = draw(6, seed=1)
    y = draw(2, 7, 3)
    x, backward = encode(y, with_bias, TINY)
    np.testing.assert_allclose(x, infer(y, p, TINY), atol=1e-12)
    g = with_bias.like()
    backward(draw(*x.shape, seed=2), g)
    np.testing.assert_allclose(g["layers.0.attn.k.bias"], 0, atol=1e-12)


# ---- invariants ----------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_forms_of_the_forward_pass_agree(dtype, frames):
    p, y = random_params(TINY, dtype), draw(3, frames, 3, dtype=dtype)
    x, _ = encode(y, p, TINY)
    assert x.shape == (3, (frames + 1) // 2, 6) and x.dtype == dtype
    np.testing.assert_array_equal(infer(y, p, TINY), x)
    states = hidden_states(y, p, TINY)
    for layer in range(3):
        np.testing.assert_array_equal(infer(y, p, TINY, layer), states[layer])


def test_other_sounds_of_the_batch_have_no_influence():
    p, y = random_params(TINY), draw(2, 8, 3)
    changed = y.copy()
    changed[1] += 1
    np.testing.assert_allclose(infer(y, p, TINY)[0], infer(changed, p, TINY)[0], rtol=0, atol=1e-13)


def test_padding_frames_do_not_enter_a_masked_mean():
    x, lengths = draw(3, 7, 4), np.array([1, 4, 7])
    changed = x.copy()
    changed[np.arange(7) >= lengths[:, None]] += 100
    np.testing.assert_array_equal(masked_mean(x, lengths)[0], masked_mean(changed, lengths)[0])


@pytest.mark.parametrize("frames", [1, 6, 7])
def test_gradients(frames):
    p = random_params(TINY)
    check_parameters(lambda y, p: encode(y, p, TINY), draw(2, frames, 3), p)


def test_the_sinusoids_get_a_gradient_where_they_are_not_frozen():
    p = random_params(TINY)
    free = Params(p.tensors, np.float64)
    for name, view in p.items():
        free[name][...] = view
    check_parameters(lambda y, p: encode(y, p, TINY), draw(2, 5, 3), free)


def test_the_gradient_of_the_masked_mean():
    check_backward(lambda x: masked_mean(x, np.array([1, 3])), draw(2, 3, 4))


def test_too_many_frames_and_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="expected at most 8 frames, as the model has positions "
                                         "for, got 9; cut the sounds"):
        infer(draw(1, 9, 3), random_params(TINY), TINY)
    with pytest.raises(ValueError, match="dim: expected an even number of at least 4"):
        tensors(TINY._replace(dim=9, heads=3))
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=6, got 4"):
        tensors(TINY._replace(heads=4))


# ---- the golden file -----------------------------------------------------------------------------

def golden_folder(tmp_path, prefix=""):
    """A folder of transformers with the golden file's weights, and its config.json."""
    write_safetensors(tmp_path / "model.safetensors", {
        prefix + name.removeprefix("weight."): x for name, x in GOLDEN.items()
        if name.startswith("weight.")})
    (tmp_path / "config.json").write_text(META["config"])
    audio = WhisperAudio(mels=11, hop=16_000 // 26, seconds=1)           # 26 frames
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": audio.mels,
        "hop_length": audio.hop, "chunk_length": audio.seconds}))
    return tmp_path


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder."])
def test_the_golden_hidden_states(prefix, tmp_path):
    model = WhisperEncoder.load(golden_folder(tmp_path, prefix))
    for n, state in enumerate(hidden_states(GOLDEN["mel"], model.p, model.config)):
        np.testing.assert_allclose(state, GOLDEN[f"state_{n}"], rtol=0, atol=1e-5)


def assert_gradients(model, arrays):
    """Outputs and gradients equal torch's in float64."""
    x, backward = encode(arrays["mel"].astype(np.float64), model.p, model.config)
    np.testing.assert_allclose(x, arrays["output64"], rtol=0, atol=1e-9)
    g = model.p.like()
    dmel = backward(arrays["push"], g)
    np.testing.assert_allclose(dmel, arrays["grad_mel"], rtol=0, atol=1e-9)
    theirs = {name.removeprefix("grad.") for name in arrays if name.startswith("grad.")}
    assert theirs == {NAMES.original(name) for name in g}
    for name, view in g.items():
        want = arrays["grad." + NAMES.original(name)]
        np.testing.assert_allclose(view, want, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_golden_gradients(tmp_path):
    assert_gradients(WhisperEncoder.load(golden_folder(tmp_path), np.float64), GOLDEN)


@pytest.mark.parametrize("wrong", [{"activation": gelu}, {"eps": 1e-3}, {"heads": 2}])
def test_the_golden_file_detects_a_wrong_config(wrong, tmp_path):
    model = WhisperEncoder.load(golden_folder(tmp_path), np.float64)
    x = infer(GOLDEN["mel"].astype(np.float64), model.p, model.config._replace(**wrong))
    assert abs(x - GOLDEN["output64"]).max() > 1e-5


# ---- transformers as installed -------------------------------------------------------------------

@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


@pytest.mark.parametrize("seed, kind", [
    (0, "WhisperModel"), (1, "WhisperForConditionalGeneration"),
    (2, "WhisperForAudioClassification")])
def test_folders_of_random_shapes_equal_transformers(transformers, seed, kind, tmp_path):
    import torch
    rng = np.random.default_rng(seed)
    heads, seconds = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    sizes = {"num_mel_bins": int(rng.integers(3, 12)),
             "d_model": heads * 2 * int(rng.integers(2, 6)),
             "encoder_layers": int(rng.integers(1, 4)),
             "encoder_attention_heads": heads, "encoder_ffn_dim": int(rng.integers(5, 30)),
             "max_source_positions": 50 * seconds,
             "activation_function": ["gelu", "gelu_new"][seed % 2],
             "decoder_attention_heads": 1}
    theirs = make_whisper.original(kind, make_whisper.CONFIG | sizes, seed)
    theirs.save_pretrained(tmp_path)
    transformers.WhisperFeatureExtractor(feature_size=sizes["num_mel_bins"], chunk_length=seconds
                                         ).save_pretrained(tmp_path)
    model = WhisperEncoder.load(tmp_path)
    mel = draw(2, 100 * seconds, sizes["num_mel_bins"], seed=seed, dtype=np.float32)
    with torch.no_grad():
        states = make_whisper.states(theirs, torch.tensor(mel))
    for got, want in zip(hidden_states(mel, model.p, model.config), states, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-5)
    push = draw(*states[-1].shape, seed=9)
    assert_gradients(WhisperEncoder.load(tmp_path, np.float64),
                     {"mel": mel, "push": push} | make_whisper.gradients(theirs, mel, push))


@pytest.mark.parametrize("kind", ["WhisperForAudioClassification", "AutoModel"])
def test_transformers_loads_the_encoder_that_is_saved(transformers, kind, model, tmp_path):
    import torch
    model.save(tmp_path)
    theirs = getattr(transformers, kind).from_pretrained(tmp_path).eval()
    y = draw(2, 100, 8, dtype=np.float32)
    with torch.no_grad():
        want = make_whisper.states(theirs, torch.tensor(y))[-1]
    np.testing.assert_allclose(infer(y, model.p, model.config), want.numpy(), rtol=0, atol=1e-5)


def test_a_sound_has_the_frames_that_transformers_computes(transformers, model, tmp_path):
    """From samples to vectors, with the classes that transformers has for the saved folder."""
    import torch
    model.save(tmp_path)
    theirs = transformers.AutoModel.from_pretrained(tmp_path).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    x = draw(5000, dtype=np.float32)
    inputs = extractor(x, sampling_rate=8000, return_tensors="pt")
    with torch.no_grad():
        want = theirs.encoder(inputs.input_features).last_hidden_state[0].numpy()
    frames, = model.features([(x, 8000)])
    assert len(frames) == 32                                   # ⌈5000 / 160⌉
    np.testing.assert_allclose(frames, want[:32], rtol=0, atol=2e-4)     # its float32 spectrogram
