"""peft's adapters: outputs and gradients equal peft's, both ways; what is read or refused."""
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.text.packed import Packed, pack
from scratch_embed.transformer.adapter_folder import (
    original_layers,
    read_adapter,
    save_adapter,
)
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.lora import Lora, lora_layers, merged, with_lora
from scratch_embed.transformer.mistral import Mistral
from tests.golden import make_lora
from tests.transformer.causal_parity import change_config

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = {"mistral": Mistral, "gpt2": Gpt2, "bert": Bert}


class Case:
    """A model and an adapter of peft, written to folder/base and folder/adapter."""

    def __init__(self, family, arrays, config, adapter, folder):
        self.family, self.arrays, self.folder = FAMILIES[family], arrays, folder
        self.batch = Packed(arrays["ids"], arrays["off"], np.zeros_like(arrays["ids"]))
        for name, prefix, fields, file in (
                ("base", "weight.", ("config.json", config), "model.safetensors"),
                ("adapter", "adapter.", ("adapter_config.json", adapter),
                 "adapter_model.safetensors")):
            (folder / name).mkdir()
            (folder / name / fields[0]).write_text(json.dumps(fields[1]))
            write_safetensors(folder / name / file, {
                key.removeprefix(prefix): np.asarray(x) for key, x in arrays.items()
                if key.startswith(prefix)})

    @classmethod
    def from_golden(cls, name, folder):
        arrays, metadata = read_safetensors(GOLDEN / f"lora_{name}.safetensors")
        return cls(make_lora.CASES[name][0], arrays, json.loads(metadata["config"]),
                   json.loads(metadata["adapter_config"]), folder)

    def model(self, dtype=np.float32):
        return read_adapter(self.folder / "adapter", self.family.load(self.folder / "base", dtype),
                            is_trainable=True)


def assert_equals_peft(case):
    """Outputs to 1e-5 in float32 and 1e-12 in float64, the gradients of A and B to 1e-9."""
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        adapted = case.model(dtype)
        for model in (adapted, merged(adapted)):
            np.testing.assert_allclose(model.infer(case.batch), case.arrays["hidden" + suffix],
                                       rtol=atol, atol=atol)
    x, backward = adapted.encode(case.batch)
    g = adapted.p.like()
    backward(case.arrays["push"], g)
    np.testing.assert_allclose((x * case.arrays["push"]).sum(), case.arrays["loss"], rtol=1e-9)
    theirs = {name.removeprefix("grad.base_model.model."): grad
              for name, grad in case.arrays.items() if name.startswith("grad.")}
    for name, layers in original_layers(adapted).items():
        if f"{name}.lora_A.weight" not in theirs:
            continue
        # GPT-2's q, k and v share one A, so its gradient is the sum of theirs
        ours = {"A": sum(g[layer + ".lora_a"] for layer in layers),
                "B": np.concatenate([g[layer + ".lora_b"] for layer in layers])}
        for letter, gradient in ours.items():
            expected = theirs.pop(f"{name}.lora_{letter}.weight")
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9 * abs(expected).max(),
                                       err_msg=name)
    assert not theirs and len(g) >= 2


@pytest.mark.parametrize("name", make_lora.CASES)
def test_outputs_and_gradients_equal_peft(name, tmp_path):
    assert_equals_peft(Case.from_golden(name, tmp_path))


@pytest.mark.parametrize("name, fields", [
    ("mistral", {"lora_alpha": 4}), ("mistral", {"alpha_pattern": {}}),
    ("gpt2", {"use_rslora": False}), ("bert", {"lora_alpha": 1})])
def test_the_golden_files_detect_a_wrong_scale(name, fields, tmp_path):
    case = Case.from_golden(name, tmp_path)
    change_adapter(case, **fields)
    x = case.model(np.float64).infer(case.batch)
    assert abs(x - case.arrays["hidden64"]).max() > 1e-3


# ---- peft as installed ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def peft():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("peft")


@pytest.mark.parametrize("family, options", [
    ("mistral", {"r": 1, "target_modules": ["q_proj", "v_proj"]}),
    ("mistral", {"r": 4, "target_modules": r"layers\.[01]\.mlp\.\w+_proj", "use_rslora": True}),
    ("mistral", {"r": 3, "target_modules": ["up_proj", "k_proj"], "exclude_modules": [
        "layers.0.mlp.up_proj"], "layers_to_transform": [0, 1], "layers_pattern": "layers"}),
    ("gpt2", {"r": 3, "target_modules": ["c_attn", "attn.c_proj"], "fan_in_fan_out": True}),
    ("gpt2", {"r": 2, "target_modules": "all-linear"}),
    ("bert", {"r": 2, "target_modules": "all-linear", "rank_pattern": {"dense": 1}})])
def test_adapters_of_other_options_equal_peft(peft, family, options, tmp_path):
    assert_equals_peft(Case(family, *make_lora.make(family, options, [4, 1, 4], 7), tmp_path))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora", [Lora(2, 3.0), Lora(3, 1.0, ("attn.q", "attn.v"))])
def test_peft_reads_our_adapter_and_gets_the_same_vectors(peft, family, lora, tmp_path):
    """Also if GPT-2's q, k and v have different A, or k has none."""
    import torch
    theirs, _ = make_lora.original(family)
    theirs.save_pretrained(tmp_path / "base")
    adapted = with_lora(FAMILIES[family].load(tmp_path / "base"), lora)
    adapted.p.flat[:] = np.random.default_rng(0).standard_normal(adapted.p.flat.size)
    save_adapter(adapted, tmp_path)
    wrapped = peft.PeftModel.from_pretrained(theirs, tmp_path).eval()
    ids = np.array([[1, 2, 3, 4, 0, 7, 1], [4, 11, 1, 2, 3, 4, 1]])
    with torch.no_grad():
        x = wrapped.base_model.model(torch.tensor(ids)).last_hidden_state.numpy().reshape(14, -1)
    batch = pack(ids)
    assert abs(x - FAMILIES[family].load(tmp_path / "base").infer(batch)).max() > 0.1
    np.testing.assert_allclose(adapted.infer(batch), x, rtol=0, atol=2e-5)


# ---- folders -------------------------------------------------------------------------------------

@pytest.fixture
def case(tmp_path):
    return Case.from_golden("mistral", tmp_path)


def change_adapter(case, **fields):
    """Set fields of adapter_config.json; ... (Ellipsis) deletes one."""
    path = case.folder / "adapter" / "adapter_config.json"
    path.rename(path.with_name("config.json"))
    change_config(path.parent, **fields)
    path.with_name("config.json").rename(path)


@pytest.mark.parametrize("name", make_lora.CASES)
def test_a_saved_adapter_is_read_bit_for_bit(name, tmp_path):
    case = Case.from_golden(name, tmp_path)
    adapted = case.model()
    save_adapter(adapted, tmp_path / "again")
    again = read_adapter(tmp_path / "again", case.family.load(tmp_path / "base"), True)
    assert list(again.p) == list(adapted.p)
    np.testing.assert_array_equal(again.p.flat, adapted.p.flat)
    np.testing.assert_allclose(again.infer(case.batch), adapted.infer(case.batch), rtol=0,
                               atol=1e-6)


def test_a_of_gpt2_that_differ_for_q_k_and_v_are_written_as_blocks(tmp_path):
    case = Case.from_golden("gpt2", tmp_path)
    adapted = case.model()
    save_adapter(adapted, tmp_path / "equal")
    adapted.p["layers.0.attn.k.lora_a"][...] += 1
    save_adapter(adapted, tmp_path / "differ")
    shapes = [read_header(tmp_path / kind / "adapter_model.safetensors")[0][
        "base_model.model.h.0.attn.c_attn.lora_B.weight"].shape for kind in ("equal", "differ")]
    assert shapes == [(36, 2), (36, 6)]
    again = read_adapter(tmp_path / "differ", case.family.load(tmp_path / "base"))
    np.testing.assert_allclose(again.infer(case.batch), adapted.infer(case.batch), rtol=0,
                               atol=1e-5)


def test_the_prefix_of_a_model_with_a_head_is_read(case):
    """An adapter of MistralForCausalLM has the names base_model.model.model.layers..."""
    expected = case.model().p.flat
    path = case.folder / "adapter" / "adapter_model.safetensors"
    tensors, _ = read_safetensors(path)
    write_safetensors(path, {name.replace(".layers", ".model.layers"): x
                             for name, x in tensors.items()})
    change_adapter(case, target_modules=r"model\.layers.*")
    np.testing.assert_array_equal(case.model().p.flat, expected)


def test_options_that_do_not_change_the_result_may_be_missing(case):
    expected = case.model().p.flat
    path = case.folder / "adapter" / "adapter_config.json"
    kept = "peft_type", "r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items()
                                if name in kept}))
    np.testing.assert_array_equal(case.model().p.flat, expected)


@pytest.mark.parametrize("dropout", [0.05, 0.5])
def test_an_adapter_with_dropout_of_its_own_is_read_but_not_to_be_trained(case, dropout):
    """lora_dropout is used in training only.  As in peft, an adapter is frozen by default."""
    expected = merged(case.model()).p.flat
    change_adapter(case, lora_dropout=dropout)
    base = case.family.load(case.folder / "base")
    frozen = read_adapter(case.folder / "adapter", base)
    assert not frozen.p.trainable_views() and lora_layers(frozen.p)
    np.testing.assert_array_equal(merged(frozen).p.flat, expected)
    with pytest.raises(FormatError, match=f"'lora_dropout': expected 0 to train .* {dropout}; set"):
        read_adapter(case.folder / "adapter", base, is_trainable=True)
    change_adapter(case, lora_dropout="0.1")
    with pytest.raises(FormatError, match="'lora_dropout': expected a finite number, found '0.1'"):
        read_adapter(case.folder / "adapter", base)


@pytest.mark.parametrize("fields, message", [
    ({"peft_type": "IA3"}, "field 'peft_type': expected \"LORA\", found 'IA3'; merge such an"),
    ({"use_dora": True}, "field 'use_dora': expected false, found True; merge such an adapter into "
                         "the model with peft's merge_and_unload()"),
    ({"bias": "lora_only"}, "field 'bias': expected \"none\", found 'lora_only'"),
    ({"modules_to_save": ["pooler"]}, "field 'modules_to_save': expected one of null, [], found"),
    ({"lora_bias": True}, "field 'lora_bias': expected false, found True"),
    ({"init_lora_weights": "pissa"}, "field 'init_lora_weights': expected one of true, false, "),
    ({"new_option": 1}, "field 'new_option': expected only"),
    ({"r": 0}, "field 'r': expected a whole number of at least 1, found 0"),
    ({"r": 3}, "lora_A.weight': expected the shape (3, "),
    ({"lora_alpha": 0}, "field 'lora_alpha': expected a number above 0, found 0"),
    ({"rank_pattern": {"v_proj": 0}}, "rank_pattern, field 'v_proj': expected a whole number"),
    ({"alpha_pattern": {"(": 1}}, "alpha_pattern, field '(': expected a regular expression, found"),
    ({"target_modules": "("}, "field 'target_modules': expected a regular expression, found"),
    ({"target_modules": ...}, "field 'target_modules': expected names, or a regular expression"),
    ({"target_modules": None}, "field 'target_modules': expected names, or a regular expression"),
    ({"layers_to_transform": [0.5]}, "field 'layers_to_transform': expected a layer's number"),
    ({"target_modules": ["q_proj"]}, "expected matrices of the targets of adapter_config.json, "
                                     "found one of a layer that is not a target"),
    ({"exclude_modules": "layers.1.*"}, "found one of a layer that is not a target")])
def test_the_error_names_an_unsupported_option(case, fields, message):
    change_adapter(case, **fields)
    with pytest.raises(FormatError) as error:
        case.model()
    assert message in str(error.value) and str(case.folder) in str(error.value)


def replace(case, change):
    """Replace the adapter's tensors by change(tensors)."""
    path = case.folder / "adapter" / "adapter_model.safetensors"
    tensors, _ = read_safetensors(path)
    write_safetensors(path, change(tensors))


UP = "base_model.model.layers.0.mlp.up_proj.lora_"


@pytest.mark.parametrize("change, message", [
    (lambda t: {n: x for n, x in t.items() if n != UP + "A.weight"},
     "expected A and B of layers.0.mlp.up_proj, a target of adapter_config.json, found no A"),
    (lambda t: {n: x for n, x in t.items() if not n.startswith(UP)}, "found no A and no B"),
    (lambda t: t | {UP + "C.weight": np.ones((2, 2))}, "expected floats for A or B of a linear"),
    (lambda t: t | {UP + "A.weight": np.ones((2, 12), np.int32)}, "expected floats for A or B"),
    (lambda t: t | {UP.replace("0", "2") + "A.weight": np.ones((2, 12))}, "floats for A or B of"),
    (lambda t: t | {UP + "A.weight": np.ones((2, 11))}, "expected the shape (2, 12), as adapter_"),
    (lambda t: t | {UP + "B.weight": np.full((10, 2), np.nan)}, "found nan or inf")])
def test_the_error_names_an_invalid_tensor(case, change, message):
    replace(case, change)
    with pytest.raises(FormatError) as error:
        case.model()
    assert message in str(error.value) and "adapter_model.safetensors" in str(error.value)


def test_a_pickle_or_a_missing_file_is_refused(case):
    path = case.folder / "adapter" / "adapter_model.safetensors"
    path.rename(path.with_name("adapter_model.bin"))
    with pytest.raises(FormatError, match="a pickle: .* convert .*'adapter_model.bin'"):
        case.model()
    path.with_name("adapter_model.bin").unlink()
    with pytest.raises(FormatError, match="expected LoRA's matrices, found no such file"):
        case.model()


def test_a_truncated_adapter_is_refused(case):
    for name, step in (("adapter_config.json", 29), ("adapter_model.safetensors", 501)):
        path = case.folder / "adapter" / name
        data = path.read_bytes()
        for end in range(0, len(data) - 1, step):
            path.write_bytes(data[:end])
            with pytest.raises(FormatError, match=name):
                case.model()
        path.write_bytes(data)
    assert lora_layers(case.model().p)


def test_only_finite_lora_is_saved(case):
    adapted = case.model()
    adapted.p.flat[3] = np.nan
    with pytest.raises(ValueError, match="LoRA's matrices hold nan or inf"):
        save_adapter(adapted, case.folder / "new")
    with pytest.raises(ValueError, match="expected one with LoRA, got one without"):
        save_adapter(merged(adapted), case.folder / "new")
