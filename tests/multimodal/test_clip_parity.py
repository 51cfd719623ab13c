"""CLIP equals transformers' CLIPModel: features, logits, loss and every gradient."""
import numpy as np
import pytest

from tests.golden import make_clip
from tests.multimodal.clip_parity import Case, assert_gradients, assert_outputs


@pytest.fixture(params=make_clip.CASES)
def case(request, tmp_path):
    return Case.from_golden(request.param, tmp_path)


def test_outputs_equal_the_frozen_ones(case):
    assert_outputs(case)


def test_gradients_equal_the_frozen_ones(case):
    assert_gradients(case)


@pytest.mark.parametrize("name", make_clip.CASES)
def test_the_installed_transformers_gives_the_frozen_arrays(name, tmp_path):
    pytest.importorskip("transformers")
    seed = [*make_clip.CASES].index(name)
    arrays, _ = make_clip.make(*make_clip.CASES[name], seed)
    frozen = Case.from_golden(name, tmp_path).arrays
    assert set(arrays) == set(frozen)
    for key, x in frozen.items():
        np.testing.assert_allclose(arrays[key], x, rtol=0, atol=1e-5 * max(1, abs(x).max()),
                                   err_msg=key)


@pytest.mark.parametrize("seed", range(2))
def test_a_model_drawn_now_equals_the_installed_transformers(seed, tmp_path):
    pytest.importorskip("transformers")
    rng = np.random.default_rng(seed)
    towers = [{"hidden_size": int(3 * rng.integers(2, 6)), "num_attention_heads": 3,
               "intermediate_size": int(rng.integers(3, 30)),
               "num_hidden_layers": int(rng.integers(1, 4)),
               "hidden_act": ["quick_gelu", "gelu"][seed]} for _ in range(2)]
    text = towers[0] | {"vocab_size": 31, "max_position_embeddings": 8,
                        "eos_token_id": [2, 30][seed]}
    vision = towers[1] | {"image_size": int(rng.integers(7, 13)),
                          "patch_size": int(rng.integers(2, 8))}
    lengths = [8, *(int(n) for n in rng.integers(3, 8, 4))]
    arrays, config = make_clip.make(text, vision, 5, lengths, seed)
    case = Case(arrays, config, tmp_path)
    assert_outputs(case)
    assert_gradients(case)
