"""A StaticEmbedding folder is read as a StaticEncoder, with sentence-transformers' vectors."""
import json
import os

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import write_safetensors
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static_folder import is_static_folder
from scratch_embed.text.tokenizer_files import write_tokenizer
from scratch_embed.text.wordpiece import SPECIAL, WordPiece

PIECES = [*SPECIAL, "the", "cat", "##s", "sat"]
TEXTS = ["the cats sat", "the [MASK] cat", "", "dog", "THE THE cat sat the cat"]
VECTORS = np.random.default_rng(0).standard_normal((len(PIECES), 4)).astype(np.float32)
STATIC = "sentence_transformers.models.StaticEmbedding"


def write(folder, tensors=None, kinds=(), tokenizer=None, **settings):
    """Write a folder; kinds: of the modules after the first."""
    tensors = {"embedding.weight": VECTORS} if tensors is None else tensors
    write_safetensors(folder / "model.safetensors", tensors)
    write_tokenizer(folder / "tokenizer.json", tokenizer or WordPiece(PIECES))
    modules = [{"idx": 0, "name": "0", "path": "", "type": STATIC}]
    for number, kind in enumerate(kinds, 1):
        modules.append({"idx": number, "name": str(number), "path": f"{number}_{kind}",
                        "type": f"sentence_transformers.models.{kind}"})
        (folder / f"{number}_{kind}").mkdir()
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def test_a_text_is_the_mean_of_its_tokens_without_special_tokens(tmp_path):
    encoder = load(write(tmp_path))
    the, cat, s, sat, mask = VECTORS[[5, 6, 7, 8, 4]]
    expected = [(the + cat + s + sat) / 4, (the + mask + cat) / 3, 0 * the, VECTORS[1],
                (3 * the + 2 * cat + sat) / 6]
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    assert repr(encoder) == "StaticEncoder(9 words x 4 dimensions)"


def test_normalize_scales_to_norm_1(tmp_path):
    x = load(write(tmp_path, kinds=["Normalize"])).encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), [1, 1, 0, 1, 1], atol=1e-6)


def test_rows_of_model2vec_are_mapped_and_weighted(tmp_path):
    mapping = np.array([0, 0, 1, 1, 2, 2, 3, 3, 0], np.int64)
    weights = np.linspace(1, 2, 9)
    encoder = load(write(tmp_path, {"embeddings": VECTORS[:4], "mapping": mapping,
                                    "weights": weights}))
    x = VECTORS[[2, 3]] * weights[[5, 6], None]
    np.testing.assert_allclose(encoder.encode("the cat"), x.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("side, kept", [("Right", [5, 6]), ("Left", [7, 8])])
def test_a_text_is_truncated_if_the_tokenizer_says_so(side, kept, tmp_path):
    path = write(tmp_path) / "tokenizer.json"
    value = json.loads(path.read_text())
    value["truncation"] = {"direction": side, "max_length": 2, "strategy": "LongestFirst",
                           "stride": 0}
    path.write_text(json.dumps(value))
    np.testing.assert_allclose(load(tmp_path).encode("the cats sat"), VECTORS[kept].mean(axis=0),
                               atol=1e-6)


def test_prompts_are_read(tmp_path):
    encoder = load(write(tmp_path, prompts={"query": "the "}))
    x = encoder.encode("cat", prompt_name="query")
    np.testing.assert_allclose(x, VECTORS[[5, 6]].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_the_vectors_are_those_of_sentence_transformers(normalize, kind, tmp_path):
    st = pytest.importorskip("sentence_transformers")
    write(tmp_path, kinds=["Normalize"] * normalize)
    theirs = st.SentenceTransformer(str(tmp_path), device="cpu")
    if kind == "BF16":
        import torch
        theirs = theirs.to(torch.bfloat16).to(torch.float32)
    theirs.save(str(tmp_path / "again"))
    expected = theirs.encode(TEXTS)
    np.testing.assert_allclose(load(tmp_path / "again").encode(TEXTS), expected, atol=1e-5)
    if kind == "F32":
        np.testing.assert_allclose(load(tmp_path).encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("change, message", [
    ({"tensors": {"x": VECTORS}}, "model.safetensors: the header: expected the tensor embedding"),
    ({"tensors": {"embedding.weight": VECTORS[:3]}}, "tokenizer.json: its tokens: expected at most"
     " 3, the rows of the embeddings, found 9"),
    ({"tensors": {"embedding.weight": VECTORS[0]}}, "'embedding.weight': expected .* 2 axes"),
    ({"tensors": {"embedding.weight": VECTORS * np.inf}}, "expected finite numbers"),
    ({"tensors": {"embedding.weight": VECTORS.astype(np.int8)}}, "expected F64 or F32"),
    ({"tensors": {"embeddings": VECTORS, "mapping": np.full(9, 9)}}, "'mapping': .* 0..8, found"),
    ({"tensors": {"embeddings": VECTORS, "weights": np.ones(8)}}, "as many weights as tokens"),
    ({"kinds": ["Dense"]}, "modules.json: its list: expected StaticEmbedding and .*, found Dense"),
    ({"default_prompt_name": "query", "prompts": {"query": "x"}}, "'default_prompt_name'"),
    ({"similarity_fn_name": "dot"}, "'similarity_fn_name': expected \"cosine\" for a Sta")])
def test_a_wrong_folder_is_refused_by_name(change, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        load(write(tmp_path, **change))


def test_a_sentence_encoder_says_what_reads_it(tmp_path):
    assert is_static_folder(write(tmp_path))
    assert not is_static_folder(tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="expected Transformer first, found StaticEmbedding: se"):
        SentenceEncoder.load(tmp_path)
    os.remove(tmp_path / "tokenizer.json")
    with pytest.raises(FormatError, match="tokenizer.json: the file: expected JSON"):
        load(tmp_path)
