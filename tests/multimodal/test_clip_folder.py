"""A CLIP folder: transformers reads ours, we read theirs; contradictions are refused by name."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import Config, TextConfig, tensors
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.clip_folder import config_fields, read_config, read_model
from scratch_embed.multimodal.image_processor import NAME, ImageProcessor, Square
from scratch_embed.nn.activations import gelu, quick_gelu
from scratch_embed.nn.params import init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.bpe_training import train_clip_bpe
from tests.transformer.causal_parity import assert_same, change_config, change_tensors

CAPTIONS = ["a red circle", "a blue square", "two red squares, one é"] * 3
TOKENIZER = train_clip_bpe(CAPTIONS, 530)
V = len(TOKENIZER)
TRUNK = Trunk(dim=6, layers=2, heads=3, ff=5, eps=1e-4)
CONFIG = Config(vit.Config(8, 3, 3, TRUNK._replace(layers=1, activation=gelu)),
                TextConfig(V, 12, V - 1, TRUNK._replace(causal=True)), 4, 1.5)


def draw_clip():
    p = init_params(tensors(CONFIG), 1)
    p.flat += 0.3 * np.random.default_rng(0).standard_normal(p.flat.size).astype(np.float32)
    return Clip(CONFIG, p, TOKENIZER, ImageProcessor(size=8, crop=Square(8, 8)))


def draw_images(N=3):
    return list(np.random.default_rng(1).integers(0, 256, (N, 11, 9, 3)).astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    draw_clip().save(tmp_path)
    return tmp_path


def change(folder, tower, **fields):
    """Set fields of one tower's object in config.json."""
    config = json.loads((folder / "config.json").read_text())
    change_config(folder, **{tower: config[tower] | fields})


# ---- round trips ---------------------------------------------------------------------------------

def test_loading_gives_what_was_saved(folder):
    ours, loaded = draw_clip(), Clip.load(folder)
    assert loaded.config == ours.config and loaded.processor == ours.processor
    assert_same(loaded.p, ours.p)
    np.testing.assert_array_equal(loaded.encode_texts(CAPTIONS), ours.encode_texts(CAPTIONS))
    np.testing.assert_array_equal(loaded.encode_images(draw_images()),
                                  ours.encode_images(draw_images()))


def test_transformers_reads_our_folder(folder):
    """Model, tokenizer and processor; the features of texts and images agree."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.multimodal.test_image_processor import original
    PIL = pytest.importorskip("PIL.Image")
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = original(transformers).from_pretrained(folder)
    ours = Clip.load(folder)
    texts = [*CAPTIONS[:3], "A  RED\tcircle!", "", "çà 12"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    for text, ids in zip(texts, batch["input_ids"]):
        expected = ours.tokenizer.encode(text).ids
        assert ids[:len(expected)].tolist() == expected.tolist()
    pixels = processor([PIL.fromarray(x) for x in draw_images()], return_tensors="pt")
    with torch.no_grad():
        out = model(input_ids=batch["input_ids"], pixel_values=pixels["pixel_values"],
                    attention_mask=batch["attention_mask"])
    np.testing.assert_allclose(ours.encode_texts(texts, normalize=True), out.text_embeds,
                               rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.encode_images(draw_images(), normalize=True),
                               out.image_embeds, rtol=0, atol=1e-5)
    probabilities = ours.zero_shot(draw_images(), {text: [text] for text in texts})
    np.testing.assert_allclose(probabilities, out.logits_per_image.softmax(1), rtol=0, atol=1e-5)


def test_we_read_what_transformers_writes_after_reading_ours(folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    from tests.multimodal.test_image_processor import original
    theirs = tmp_path / "theirs"
    transformers.CLIPModel.from_pretrained(folder).save_pretrained(theirs)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(theirs)
    original(transformers).from_pretrained(folder).save_pretrained(theirs)
    ours, loaded = draw_clip(), Clip.load(theirs)
    assert loaded.config == ours.config and loaded.processor == ours.processor
    assert_same(loaded.p, ours.p)
    np.testing.assert_array_equal(loaded.encode_texts(CAPTIONS), ours.encode_texts(CAPTIONS))


def test_vocab_json_and_merges_txt_are_enough(folder):
    """As in OpenAI's folders: no tokenizer.json, and a tokenizer_config.json that names CLIP's."""
    from scratch_embed.text.bpe_files import write_merges, write_vocab
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / name).unlink()
    write_vocab(folder / "vocab.json", TOKENIZER.pieces)
    write_merges(folder / "merges.txt", TOKENIZER.merges)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    np.testing.assert_array_equal(Clip.load(folder).encode_texts(CAPTIONS),
                                  draw_clip().encode_texts(CAPTIONS))


def test_missing_fields_have_the_values_of_transformers_classes(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    config = read_config(tmp_path / "config.json")
    assert config == Config(
        vit.Config(224, 32, 3, Trunk(768, 12, 12, 3072)),
        TextConfig(49408, 77, 49407, Trunk(512, 12, 8, 2048, causal=True)), 512, 2.6592)
    assert config.image.trunk.activation is quick_gelu and config.text.trunk.eps == 1e-5


def test_a_config_survives_being_written(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config_fields(CONFIG)))
    assert read_config(tmp_path / "config.json") == CONFIG


def test_older_files_are_read(folder):
    """Buffers of positions, and text_config_dict, which repeats text_config."""
    change_tensors(folder, lambda tensors: tensors | {
        f"{tower}_model.embeddings.position_ids": np.arange(4)[None]
        for tower in ("text", "vision")})
    config = json.loads((folder / "config.json").read_text())
    change_config(folder, text_config_dict=config["text_config"], vision_config_dict=None)
    assert_same(read_model(folder)[1], draw_clip().p)


# ---- damage and contradictions -------------------------------------------------------------------

@pytest.mark.parametrize("tower, fields, message", [
    ("text_config", {"num_attention_heads": 4}, "field 'num_attention_heads': expected a divisor"),
    ("text_config", {"hidden_act": "relu"}, "text_config, field 'hidden_act': expected one of"),
    ("text_config", {"eos_token_id": None}, "text_config, field 'eos_token_id': expected a whole"),
    ("text_config", {"eos_token_id": [2, 3]}, "field 'eos_token_id': expected a whole number"),
    ("text_config", {"eos_token_id": V}, f"expected an id below vocab_size, {V}, found {V}"),
    ("text_config", {"eos_token_id": V - 2}, "expected the token that the tokenizer puts after a"),
    ("text_config", {"model_type": "siglip_text_model"}, 'expected "clip_text_model", found'),
    ("text_config", {"vocab_size": "9"}, "text_config, field 'vocab_size': expected a whole"),
    ("text_config", {"rope_theta": 1.0}, "text_config, field 'rope_theta': expected only"),
    ("vision_config", {"patch_size": 9}, "field 'patch_size': expected at most image_size, 8"),
    ("vision_config", {"image_size": [8, 8]}, "field 'image_size': expected a whole number"),
    ("vision_config", {"layer_norm_eps": 0}, "field 'layer_norm_eps': expected a number above 0"),
    ("vision_config", {"num_hidden_layers": 10**9}, "expected the tensors of 1000000002 layers"),
    ("vision_config", {"hidden_size": 9}, "tensor 'vision_model.embeddings.class_embedding': exp")])
def test_a_field_that_contradicts_is_named(folder, tower, fields, message):
    change(folder, tower, **fields)
    with pytest.raises(FormatError) as error:
        Clip.load(folder)
    assert message in str(error.value) and str(error.value).startswith(str(folder))


def test_other_contradictions_are_named(folder):
    config = json.loads((folder / "config.json").read_text())
    for fields, message in [
            ({"model_type": "clipseg"}, "field 'model_type': expected \"clip\", found 'clipseg'"),
            ({"projection_dim": 5}, "tensor 'text_projection.weight': expected floats of shape (5"),
            ({"vision_config_dict": {"patch_size": 4}}, "field 'vision_config_dict': expected the"),
            ({"text_config": 3}, "field 'text_config': expected an object or null, found 3")]:
        change_config(folder, **config | fields)
        with pytest.raises(FormatError) as error:
            Clip.load(folder)
        assert message in str(error.value)
    change_config(folder, **config)
    change_config(folder, vision_config_dict=...)
    change(folder, "text_config", vocab_size=V - 1, eos_token_id=2)
    change_tensors(folder, lambda tensors: tensors | {
        "text_model.embeddings.token_embedding.weight":
            tensors["text_model.embeddings.token_embedding.weight"][:-1]})
    with pytest.raises(FormatError, match=f"field 'vocab_size': expected at least {V}, the tokens"):
        Clip.load(folder)


@pytest.mark.parametrize("fields, message", [
    ({"crop_size": 7}, "field 'crop_size': expected 8 x 8, the image_size of config.json"),
    ({"do_center_crop": False, "size": {"height": 8, "width": 9}}, "field 'size': expected 8 x 8")])
def test_a_processor_for_another_size_is_refused(folder, fields, message):
    path = folder / NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(FormatError) as error:
        Clip.load(folder)
    assert message in str(error.value) and NAME in str(error.value)


@pytest.mark.parametrize("name", ["logit_scale", "vision_model.pre_layrnorm.weight"])
def test_a_missing_or_damaged_tensor_is_named(folder, name):
    tensors, _ = read_safetensors(folder / "model.safetensors")
    write_safetensors(folder / "model.safetensors", {
        key: x for key, x in tensors.items() if key != name}, {"format": "pt"})
    with pytest.raises(FormatError, match=f"found no {name}"):
        Clip.load(folder)
    write_safetensors(folder / "model.safetensors", {
        key: np.full_like(x, np.nan) if key == name else x for key, x in tensors.items()})
    with pytest.raises(FormatError, match=f"tensor '{name}': expected finite numbers"):
        Clip.load(folder)


def test_missing_files_are_named(folder):
    for name in (NAME, "tokenizer.json", "model.safetensors", "config.json"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises((FormatError, FileNotFoundError), match=name):
            Clip.load(folder)
        (folder / name).write_bytes(kept)


def test_parameters_that_the_config_does_not_declare_are_not_written(tmp_path):
    clip = draw_clip()
    clip.config = CONFIG._replace(dim=5)
    with pytest.raises(ValueError, match="the parameters are not those of this config"):
        clip.save(tmp_path)
    assert not [*tmp_path.iterdir()]
