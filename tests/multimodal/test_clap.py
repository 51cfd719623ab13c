"""CLAP: its loss by hand, what vectors depend on, gradients, and parity with transformers."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal import clap, clap_folder, htsat
from scratch_embed.multimodal.audio import ClapAudio
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Params, init_params, join
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.packed import Packed, pack, take
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import roberta
from tests.golden import make_clap
from tests.rounding import seeds
from tests.transformer.causal_parity import random_params

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = clap.Config(
    htsat.Config(mels=8, size=16, patch=2, stride=2, dim=4, depths=(2, 1), heads=(2, 1), window=2),
    roberta.Config(11, 6, 1, 2, 8, 9), dim=5)
TEXTS = pack([[0, 5, 6, 2], [0, 2], [0, 7, 2], [0, 5, 6, 2]])


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def params(dtype=np.float64):
    declared = clap.tensors(TINY)
    p = join(random_params({name: tensor for name, tensor in declared.items() if tensor.shape}, 0,
                           dtype), scales(2, 3, dtype))
    p["audio.mel_norm.var"][...] = abs(p["audio.mel_norm.var"]) + 0.5
    return htsat.freeze_statistics(p)


def scales(audio, text, dtype=np.float64):
    p = Params({"log_scale.audio": (), "log_scale.text": ()}, dtype)
    p["log_scale.audio"][...], p["log_scale.text"][...] = np.log([audio, text])
    return p


# ---- worked by hand ------------------------------------------------------------------------------

def test_each_direction_has_its_own_scale():
    """cos = I: rows of sounds lose log(1 + e^−2), rows of texts log(1 + e^−3)."""
    loss, _ = clap.clap_loss(2 * np.eye(2), 3 * np.eye(2), scales(2, 3))
    np.testing.assert_allclose(loss, (np.log1p(np.exp(-2)) + np.log1p(np.exp(-3))) / 2, rtol=1e-12)


def test_transformers_loss_never_asks_which_text_fits_a_sound():
    """One text is near both sounds.  Each text finds its sound, but sound 1 does not find its text.

    cos = [[1, 0], [0.9, 0.8]]: sound 1 is nearer to text 0, and no text prefers the wrong sound.
    """
    e = np.eye(2)
    a = np.array([[1, 0], [0.9, 0.8]])
    a[1] /= np.hypot(*a[1])
    p = scales(100, 100)
    assert clap.transformers_loss(a, e, p)[0] < 1e-9
    assert clap.clap_loss(a, e, p)[0] > 2


def test_a_single_pair_has_loss_0_and_no_gradient():
    p = scales(5, 7)
    for loss_of in (clap.clap_loss, clap.transformers_loss):
        loss, backward = loss_of(draw(0, 1, 3), draw(1, 1, 3), p)
        g = p.like()
        assert loss == 0 and not any(x.any() for x in backward(1.0, g)) and not g.flat.any()


# ---- what must hold ------------------------------------------------------------------------------

@given(seeds, st.integers(2, 5))
def test_with_equal_scales_it_is_clips_loss(seed, N):
    from scratch_embed.losses.infonce import symmetric_infonce
    a, e = draw(seed, N, 4), draw(seed + 1, N, 4)
    np.testing.assert_allclose(clap.clap_loss(a, e, scales(8, 8))[0],
                               symmetric_infonce(a, e, 1 / 8)[0], rtol=1e-12)


def test_a_text_and_a_sound_do_not_depend_on_the_others_in_their_batch():
    p, mels = params(), draw(0, 3, 20, 8)
    e, a = clap.infer_texts(TEXTS, p, TINY), clap.infer_sounds(mels, p, TINY)
    np.testing.assert_allclose(clap.infer_texts(take(TEXTS, np.array([2])), p, TINY)[0], e[2],
                               rtol=0, atol=1e-12)
    np.testing.assert_allclose(clap.infer_sounds(mels[1:2], p, TINY)[0], a[1], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(clap.encode_texts(TEXTS, p, TINY)[0], e)
    np.testing.assert_array_equal(clap.encode_sounds(mels, p, TINY)[0], a)
    np.testing.assert_allclose(e[0], e[3], rtol=0, atol=1e-12)                 # the same text


def test_ids_and_lengths_that_the_text_tower_has_no_row_for_are_refused():
    for ids, message in ([0, 11, 2], "token ids in 0..10"), ([0] * 8, "positions in 0..6"):
        for encode in (clap.encode_texts, clap.infer_texts):
            with pytest.raises(ValueError, match=message):
                encode(pack([ids]), params(), TINY)


# ---- gradients -----------------------------------------------------------------------------------

@pytest.mark.parametrize("loss", [clap.clap_loss, clap.transformers_loss])
def test_the_gradient_of_the_whole_model(loss):
    mels = draw(0, 4, 20, 8)

    def whole(p):
        value, backward = clap.batch_loss(mels, TEXTS, p, TINY, loss)
        return value, lambda g: backward([g])
    check_loss(whole, params())


def test_two_workers_sum_to_the_gradient_of_one():
    p, mels = params(), draw(0, 4, 20, 8)
    one, two = [p.like()], [p.like(), p.like()]
    clap.batch_loss(mels, TEXTS, p, TINY)[1](one)
    clap.batch_loss(mels, TEXTS, p, TINY, workers=2)[1](two)
    np.testing.assert_allclose(two[0].flat + two[1].flat, one[0].flat, rtol=0, atol=1e-12)


# ---- training ------------------------------------------------------------------------------------

AUDIO = ClapAudio(rate=64, n_fft=16, hop=3, mels=8, seconds=1, low=0.0, high=32.0)


def test_training_lowers_the_loss_keeps_the_statistics_and_repeats_its_bits():
    rng = np.random.default_rng(0)
    sounds = [np.sin(np.arange(80) * (0.3 + 0.2 * n)).astype(np.float32) for n in range(8)]
    texts = pack([[0, 3 + n, 2] for n in range(8)])
    mels = clap.log_mels(sounds, AUDIO, rng)
    p = htsat.freeze_statistics(init_params(clap.tensors(TINY, 0.2), 0), mels)
    runs = [clap.train(sounds, texts, p, TINY, AUDIO, 20, 8, Optim(2e-2),
                       options=RunOptions(seed=seed)) for seed in (1, 1, 2)]
    first, again, other = runs
    assert np.mean(first.losses[-5:]) < 0.5 * first.losses[0]
    np.testing.assert_array_equal(first.p.flat, again.p.flat)
    assert first.losses[0] != other.losses[0]        # another seed cuts other parts of the sounds
    for name in p.frozen:
        np.testing.assert_array_equal(first.p[name], p[name])
    assert max(first.p[f"log_scale.{name}"] for name in ("audio", "text")) <= clap.MOST_SCALE


@pytest.mark.parametrize("sounds, size", [(3, 4), (4, 1)])
def test_pairs_that_do_not_match_or_have_no_negatives_are_refused(sounds, size):
    with pytest.raises(ValueError, match=f"as many sounds as texts.*got {sounds} sounds, 4 texts"):
        clap.train([np.zeros(9)] * sounds, TEXTS, params(), TINY, AUDIO, 1, size)


# ---- parity --------------------------------------------------------------------------------------

class Case:
    """A ClapModel of transformers: its weights as a folder, its inputs and outputs."""

    def __init__(self, arrays, fields, folder):
        self.arrays, self.fields, self.folder = arrays, fields, folder
        self.texts = Packed(arrays["ids"], arrays["off"], np.zeros_like(arrays["ids"]))

    def model(self, dtype):
        (self.folder / "config.json").write_text(json.dumps(self.fields))
        write_safetensors(self.folder / "model.safetensors", {
            name.removeprefix("weight."): x for name, x in self.arrays.items()
            if name.startswith("weight.")})
        return clap_folder.read_model(self.folder, dtype)


def assert_outputs(case):
    """To 1e-5 in float32, to 1e-12 in float64; the tower's vectors are of order 1."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        config, p = case.model(dtype)
        mels = case.arrays["mels"].astype(dtype)
        tower = htsat.infer(mels, p, config.audio)
        np.testing.assert_allclose(tower, case.arrays["tower64"], rtol=0, atol=atol)
        a, e = clap.infer_sounds(mels, p, config), clap.infer_texts(case.texts, p, config)
        assert a.dtype == e.dtype == dtype
        for name, x in (("audio", a), ("text", e)):
            np.testing.assert_allclose(l2_normalize(x)[0], case.arrays[name + suffix], rtol=0,
                                       atol=atol)
        (per_audio, per_text), _ = clap.scaled_cosines(a, e, p)
        np.testing.assert_allclose(per_audio, case.arrays["per_audio"], rtol=atol, atol=atol)
        np.testing.assert_allclose(per_text, case.arrays["per_text"], rtol=atol, atol=atol)


def assert_gradients(case):
    """float64: to 1e-9 of each tensor's largest entry; float32: to 1e-5 of the largest of all.

    The key bias adds one number to all scores of a query, so its gradient is 0 up to rounding, in
    both implementations.  Its error is relative to the largest entry of the query bias's.
    """
    for dtype in (np.float64, np.float32):
        config, p = case.model(dtype)
        theirs = {name: case.arrays["grad." + clap_folder.NAMES.original(name)]
                  for name in p if name not in p.frozen}
        assert len(theirs) == sum(name.startswith("grad.") for name in case.arrays)
        g = p.like()
        loss, backward = clap.batch_loss(case.arrays["mels"].astype(dtype), case.texts, p, config,
                                         clap.transformers_loss)
        backward([g])
        np.testing.assert_allclose(loss, case.arrays["loss"],
                                   rtol=1e-9 if dtype == np.float64 else 1e-5)
        most = {name: abs(x).max() for name, x in theirs.items()}
        for name, x in theirs.items():
            largest = most[name.replace("attn.k.bias", "attn.q.bias")]
            assert largest > 1e-5, f"{name} has no effect, so its wrong use cannot be found"
            atol = 1e-9 * largest if dtype == np.float64 else 1e-5 * max(most.values())
            np.testing.assert_allclose(g[name], x, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("name", make_clap.CASES)
def test_frozen_outputs_loss_and_gradients_equal_transformers(name, tmp_path):
    arrays, metadata = read_safetensors(GOLDEN / f"{name}.safetensors")
    case = Case(arrays, json.loads(metadata["config"]), tmp_path)
    assert_outputs(case)
    assert_gradients(case)


@pytest.mark.parametrize("name", make_clap.CASES)
def test_live_outputs_loss_and_gradients_equal_transformers(name, tmp_path):
    pytest.importorskip("transformers")
    case = Case(*make_clap.make(*make_clap.CASES[name], seed=7), tmp_path)
    assert_outputs(case)
    assert_gradients(case)
