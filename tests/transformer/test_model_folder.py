"""A folder with a model and an adapter gives the vectors of transformers, which adds them."""
import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.folder import model_files
from scratch_embed.transformer.adapter_folder import save_adapter
from scratch_embed.transformer.lora import Lora, merged, with_lora
from scratch_embed.transformer.model_folder import load_model, read_model
from tests.golden import make_lora
from tests.transformer.test_adapter_folder import GOLDEN, Case

sys.path.append(str(Path(__file__).parent))

from tiny_folders import TEXTS, encoder_of, model_of, tokenizer_of, write_folder


@pytest.mark.parametrize("name", make_lora.CASES)
def test_an_adapter_beside_a_model_is_added_to_its_weights(name, tmp_path):
    case = Case.from_golden(name, tmp_path)
    for file in (tmp_path / "adapter").iterdir():
        file.rename(tmp_path / "base" / file.name)
    for dtype, atol, suffix in [(np.float32, 1e-5, ""), (np.float64, 1e-12, "64")]:
        x = load_model(tmp_path / "base", dtype).infer(case.batch)
        np.testing.assert_allclose(x, case.arrays["hidden" + suffix], rtol=atol, atol=atol)


def with_adapter(folder, model_type, seed=3):
    """A folder of sentence-transformers with an adapter.  -> the merged model"""
    write_folder(folder, model_type)
    adapted = with_lora(model_of(model_type), Lora(rank=2, alpha=3), seed)
    for name, view in adapted.p.items():
        if name.endswith("lora_b"):
            view[...] = np.random.default_rng(seed).standard_normal(view.shape) / 2
    save_adapter(adapted, folder)
    return merged(adapted)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "mistral"])
def test_sentence_transformers_gives_the_same_vectors(model_type, tmp_path):
    """Its weights are those of the folder, whatever base_model_name_or_path says."""
    st = pytest.importorskip("sentence_transformers")
    pytest.importorskip("peft")
    model = with_adapter(tmp_path, model_type)
    encoder_of(model_type, seed=8).save(tmp_path / "other")
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()),
                                "base_model_name_or_path": str(tmp_path / "other")}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = st.SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    encoder = se.load(tmp_path)
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(encoder.model.p.flat, model.p.flat)
    before = write_folder(tmp_path / "base", model_type)
    assert abs(se.load(before).encode(TEXTS) - theirs).max() > 0.05


def test_every_reader_of_a_model_adds_the_adapter(tmp_path):
    model = with_adapter(tmp_path, "gpt2")
    np.testing.assert_array_equal(read_model(tmp_path)[0].p.flat, model.p.flat)
    files = model_files(tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {*files}


def test_an_adapter_that_cannot_be_read_is_refused_by_its_file(tmp_path):
    with_adapter(tmp_path, "mistral")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    for field, value in (("use_dora", True), ("modules_to_save", ["score"]), ("bias", "all")):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, field: value}))
        with pytest.raises(FormatError, match=f"adapter_config.json: field '{field}': .* merge su"):
            se.load(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(FormatError, match="adapter_model.safetensors: the file: expected LoRA's m"):
        se.load(tmp_path)


def test_weights_are_not_written_beside_an_adapter(tmp_path):
    """The adapter would be added a second time."""
    with_adapter(tmp_path, "bert")
    encoder, before = se.load(tmp_path), read_safetensors(tmp_path / "model.safetensors")[0]
    for write in encoder.save, CrossEncoder.warm_start(encoder).save:
        with pytest.raises(ValueError, match="cannot write .* expected no adapter there, found"):
            write(tmp_path)
    after = read_safetensors(tmp_path / "model.safetensors")[0]
    assert all((after[name] == x).all() for name, x in before.items())
    encoder.save(tmp_path / "elsewhere")
    np.testing.assert_array_equal(se.load(tmp_path / "elsewhere").encode(TEXTS),
                                  encoder.encode(TEXTS))


def test_an_adapter_alone_is_refused_with_what_to_do(tmp_path):
    with_adapter(tmp_path, "bert")
    (tmp_path / "alone").mkdir()
    for name in "adapter_config.json", "adapter_model.safetensors":
        shutil.copy(tmp_path / name, tmp_path / "alone")
    for more in (), ("modules.json",):                     # as sentence-transformers saves it
        for name in more:
            shutil.copy(tmp_path / name, tmp_path / "alone")
        with pytest.raises(FormatError, match="an adapter without its model.* copy its two files"):
            se.load(tmp_path / "alone")


def test_a_cross_encoder_with_an_adapter_is_refused(tmp_path):
    folder = shutil.copytree(GOLDEN / "cross_encoder_new", tmp_path / "m")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(FormatError, match="adapter_config.json: the file: expected a cross-encoder"
                                          " without an adapter, found one; merge it"):
        se.load(folder)


def test_the_tokenizer_of_a_read_model_is_the_folders(tmp_path):
    with_adapter(tmp_path, "mpnet")
    assert read_model(tmp_path)[1].pieces == tokenizer_of("mpnet").pieces
