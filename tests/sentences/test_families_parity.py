"""Folders of each family: the same vectors as sentence-transformers, theirs here and ours there.

Their models have random weights, activations of order 1 and perturbed norms, and tokenizers that
the tokenizers library has trained (golden/tokenizer_classes.json).
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.tokenizer_files import load as read_tokenizer

sys.path.append(str(Path(__file__).parents[1] / "transformer"))

from tiny_folders import TEXTS as OUR_TEXTS
from tiny_folders import write_folder

STORED = json.loads((Path(__file__).parents[1] / "golden/tokenizer_classes.json").read_text())
TEXTS = ["The cat sat on the mat.", "hello <mask> world", " naïve  日本x", "a", "the " * 30]
SIZES = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
         "intermediate_size": 20, "max_position_embeddings": 24}
ROTARY = {**SIZES, "num_key_value_heads": 1, "head_dim": 4}
# {model_type: (the tokenizer's folder, fields of the config, the pooling)}
FAMILIES = {
    "bert": ("bert with xlm-roberta's tokenizer", SIZES, "mean"),
    "roberta": ("roberta", {**SIZES, "max_position_embeddings": 26}, "cls"),
    "xlm-roberta": ("xlm-roberta", {**SIZES, "max_position_embeddings": 26}, "mean"),
    "camembert": ("camembert", {**SIZES, "max_position_embeddings": 26}, "max"),
    "distilbert": ("distilbert", {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20,
                                  "max_position_embeddings": 24}, "cls"),
    "mpnet": ("mpnet", {**SIZES, "max_position_embeddings": 26}, "mean_sqrt_len_tokens"),
    "gpt2": ("gpt2", {"n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 24},
             "weightedmean"),
    "mistral": ("llama, both ends", {**ROTARY, "sliding_window": 5}, "lasttoken"),
    "llama": ("llama, both ends", ROTARY, "lasttoken")}


@pytest.fixture(scope="module")
def st():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    return pytest.importorskip("sentence_transformers")


def made(folder, model_type, st):
    """A SentenceTransformer of a family, with a Dense and a Normalize, saved in `folder`."""
    import torch
    import transformers
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    name, sizes, pooling = FAMILIES[model_type]
    base = folder / "base"
    base.mkdir()
    for file, value in STORED[name]["files"].items():
        if file == "tokenizer_config.json" and "pad_token" not in value:
            value = {**value, "pad_token": value["eos_token"]}
        (base / file).write_text(json.dumps(value))
    config = transformers.AutoConfig.for_model(
        model_type, vocab_size=len(read_tokenizer(base)), **sizes)
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.3 * torch.randn(tensor.shape)
    model.save_pretrained(base)
    transformer = Transformer(str(base))
    transformer.max_seq_length = 24                # its own default is too long for RoBERTa
    if transformer.tokenizer.pad_token is None:
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
    theirs = st.SentenceTransformer(device="cpu", modules=[
        transformer, Pooling(12, pooling_mode=pooling), Dense(12, 5), Normalize()])
    theirs.save(str(folder / "theirs"))
    return theirs


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_folder_of_sentence_transformers_gives_the_same_vectors(model_type, tmp_path, st):
    theirs = made(tmp_path, model_type, st)
    expected = theirs.encode(TEXTS)
    ours = load(tmp_path / "theirs")
    assert isinstance(ours, SentenceEncoder) and ours.recipe.max_seq_length == 24
    np.testing.assert_allclose(ours.encode(TEXTS), expected, atol=1e-5)
    assert ours.truncated == 1                     # the last text has more than 24 tokens
    ours.save(tmp_path / "ours")
    again = st.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_our_folder_gives_sentence_transformers_the_same_vectors(model_type, tmp_path, st):
    write_folder(tmp_path, model_type)
    theirs = st.SentenceTransformer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(theirs.encode(OUR_TEXTS), load(tmp_path).encode(OUR_TEXTS),
                               atol=1e-5)
