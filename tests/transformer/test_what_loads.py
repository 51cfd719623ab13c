"""Every row of the tables "What loads" (scratch_embed/transformer/README.md) is true."""
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.nn.params import ZEROS, Params, linear_tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.text.tokenizer_files import save
from scratch_embed.transformer.adapter_folder import save_adapter
from scratch_embed.transformer.classification import HEADS
from scratch_embed.transformer.families import FAMILIES, NOT_READ
from scratch_embed.transformer.lora import Lora, with_lora
from scratch_embed.transformer.pooling import cls, last_token, mean

sys.path.append(str(Path(__file__).parent))

from tiny_folders import TEXTS, encoder_of, model_of, tokenizer_of, write_folder

from tests.text.sentencepiece_texts import FIRST, message, piece, varint

PAGE = Path(__file__).parents[2] / "scratch_embed/transformer/README.md"
SECTION = PAGE.read_text().split("## What loads")[1]
TABLES = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
          for block in re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE)]
TYPES, TOKENIZERS, MODULES, WEIGHTS, SCORERS = TABLES


def edit(path, **fields):
    """Change fields of a JSON file, which need not exist."""
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**value, **fields}))


def refused(folder, message):
    with pytest.raises(FormatError, match=message):
        load(folder)


def loads(folder, model_type, recipe=None):
    expected = encoder_of(model_type, recipe).encode(TEXTS)
    np.testing.assert_allclose(load(folder).encode(TEXTS), expected, atol=1e-6)


# ---- model_type ---------------------------------------------------------------------------------

@pytest.mark.parametrize("row", TYPES, ids=lambda row: row[0])
def test_a_model_type_loads_or_is_refused_with_the_reason(row, tmp_path):
    names, verdict, _ = row
    if verdict.startswith("yes"):
        name = names.strip("`")
        loads(write_folder(tmp_path / "m", name), name)
        return
    for name in re.findall("`([^`]+)`", names) or ["no_such_type"]:
        write_folder(tmp_path / name, "bert")
        edit(tmp_path / name / "config.json", model_type=name)
        reason = NOT_READ.get(name)
        assert reason is None or verdict == f"no: {reason}"
        listed = "expected one of .*bert.*llama"
        message = "config.json: field 'model_type': " + (
            f"{name!r} is not read: {reason}; {listed}" if reason else f"{listed}.* found {name!r}")
        refused(tmp_path / name, message)
        alone = tmp_path / f"{name}-of-transformers"
        alone.mkdir()
        for file in "config.json", "model.safetensors", "tokenizer.json":
            (tmp_path / name / file).rename(alone / file)
        refused(alone, message)


def test_the_table_has_each_type_that_is_known():
    listed = [name for row in TYPES for name in re.findall("`([^`]+)`", row[0])]
    assert sorted(listed) == sorted([*FAMILIES, *NOT_READ])


# ---- tokenizers ---------------------------------------------------------------------------------

def vocabulary(folder, model_type, files):
    """A folder with the older files of a tokenizer, as its class stores them."""
    write_folder(folder, model_type)
    for name in "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json":
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


def test_each_row_of_tokenizers(tmp_path):
    rows = {row[0]: row[1] for row in TOKENIZERS}
    kinds = {"WordPiece": "bert", "byte-level BPE": "roberta", "SentencePiece's BPE": "mistral",
             "Unigram": "xlm-roberta"}
    for kind, model_type in kinds.items():
        assert rows.pop(f"tokenizer.json with {kind}") == "yes"
        save(tmp_path / kind, tokenizer_of(model_type))
        model_of(model_type).save(tmp_path / kind)
        x = load(tmp_path / kind).encode(TEXTS, normalize_embeddings=True)
        np.testing.assert_allclose(x, encoder_of(model_type).encode(TEXTS), atol=1e-6)
    for name in [name for name in rows if "normalizer" in name]:
        rows.pop(name)                             # see the test below
    assert rows.pop("vocab.txt") == "yes"
    pieces = tokenizer_of("bert").pieces
    vocabulary(tmp_path / "v", "bert", {"vocab.txt": "".join(f"{p}\n" for p in pieces)})
    loads(tmp_path / "v", "bert")
    assert rows.pop("vocab.json and merges.txt") == "yes"
    bpe = tokenizer_of("gpt2")
    vocabulary(tmp_path / "b", "gpt2", {
        "vocab.json": json.dumps(bpe.index),
        "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in bpe.merges)})
    loads(tmp_path / "b", "gpt2")
    assert rows.pop("sentencepiece.bpe.model alone, of XLM-R or CamemBERT") == "yes"
    pieces = tokenizer_of("xlm-roberta").pieces[5:]
    vocabulary(tmp_path / "s", "xlm-roberta", {})
    (tmp_path / "s" / "sentencepiece.bpe.model").write_bytes(
        b"".join([*FIRST, *(piece(text, -number / 7) for number, text in enumerate(pieces))]))
    assert load(tmp_path / "s").tokenizer.pieces[4:-1] == pieces
    assert rows.pop("the same with other first pieces, kinds of pieces or flags than theirs"
                    ) == "no: expected those of XLM-R and CamemBERT"
    (tmp_path / "s" / "sentencepiece.bpe.model").write_bytes(
        b"".join([*FIRST, message(2, varint(8 * 35) + b"\1")]))
    refused(tmp_path / "s", "'byte_fallback': expected 0, as in XLM-R and CamemBERT, found 1")
    assert rows.pop("tokenizer.model or spiece.model alone").startswith("no: models of")
    for name in "spiece.model", "tokenizer.model":
        vocabulary(tmp_path / name, "mistral", {name: ""})
        refused(tmp_path / name, "models of the sentencepiece package are read for XLMRoberta")
    assert rows.pop('tokenizer.json of another version than "1.0"') == 'no: expected "1.0"'
    edit(write_folder(tmp_path / "2", "bert") / "tokenizer.json", version="2.0")
    refused(tmp_path / "2", "tokenizer.json: field 'version': expected \"1.0\", found '2.0'")
    assert rows.pop("tokenizer.json with WordLevel") == "no: expected WordPiece, BPE or Unigram"
    edit(write_folder(tmp_path / "w", "bert") / "tokenizer.json",
         model={"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"})
    refused(tmp_path / "w", "'model': expected .* WordPiece or BPE or Unigram, found .* 'WordLev")
    assert rows.pop("a class that reads another kind").startswith("no: expected a class that")
    edit(write_folder(tmp_path / "c", "roberta") / "tokenizer_config.json",
         tokenizer_class="BertTokenizer")
    refused(tmp_path / "c", "'tokenizer_class': expected a class that reads BPE")
    assert rows.pop("`auto_map` in tokenizer_config.json").startswith("no: code that comes with")
    edit(write_folder(tmp_path / "a", "bert") / "tokenizer_config.json",
         auto_map={"AutoTokenizer": ["code.Mine", None]})
    refused(tmp_path / "a", "tokenizer_config.json: field 'auto_map': expected")
    assert not rows


def test_each_normalizer_of_a_unigram(tmp_path):
    (yes, *_), (no, *_) = [row for row in TOKENIZERS if "normalizer" in row[0]]
    file = write_folder(tmp_path / "m", "xlm-roberta") / "tokenizer.json"
    settings = {"Strip": {"strip_left": True, "strip_right": True}, "Prepend": {"prepend": "▁"},
                "Replace": {"pattern": {"String": "``"}, "content": '"'}}
    for name in "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Prepend", "Replace":
        assert name in yes
        step = {"type": name, **settings.get(name, {})}
        for normalizer in step, {"type": "Sequence", "normalizers": [step, {"type": "NFC"}]}:
            edit(file, normalizer=normalizer)
            assert np.isfinite(load(tmp_path / "m").encode(TEXTS)).all()
    for name in "Nmt", "StripAccents", "BertNormalizer":
        assert name in no
        edit(file, normalizer={"type": name})
        refused(tmp_path / "m", f"'normalizer': expected .*NFKC.* found .*{name}")


# ---- modules ------------------------------------------------------------------------------------

def dense(outputs, inputs):
    p = Params(linear_tensors("linear", outputs, inputs, ZEROS))
    p.flat[:] = np.random.default_rng(0).standard_normal(p.flat.size)
    return Dense(p, None)


def test_each_row_of_modules(tmp_path):
    rows = {row[0]: row[1] for row in MODULES}
    assert rows.pop("none: a folder of transformers alone") == "yes"
    model_of("mpnet").save(tmp_path / "alone")
    save(tmp_path / "alone", tokenizer_of("mpnet"))
    loads(tmp_path / "alone", "mpnet", Recipe((mean,), normalize=False, max_seq_length=24))
    recipes = [Recipe((cls,), normalize=False, max_seq_length=24),
               Recipe((mean,), dense=(dense(5, 12), dense(3, 5)), max_seq_length=24),
               Recipe((last_token, mean), normalize=True, max_seq_length=24)]
    for name, recipe in zip(("Transformer, Pooling", "Dense", "Normalize"), recipes):
        assert rows.pop(name) == "yes"
        loads(write_folder(tmp_path / name, "distilbert", recipe), "distilbert", recipe)
    assert rows.pop("StaticEmbedding") == "yes"            # see sentences/test_static_folder.py
    name = "WordEmbeddings, BoW, CNN, LSTM, LayerNorm, Dropout ..."
    assert rows.pop(name).startswith("no: expected Transformer, Pooling, Dense, Normalize")
    path = write_folder(tmp_path / "other", "bert") / "modules.json"
    modules = json.loads(path.read_text())
    for kind in name.removesuffix(" ...").split(", "):
        modules[1]["type"] = f"sentence_transformers.models.{kind}"
        path.write_text(json.dumps(modules))
        refused(tmp_path / "other", "expected Transformer, Pooling, Dense, Normalize, StaticEmbedd")
    assert not rows


# ---- weights and options ------------------------------------------------------------------------

def cast(folder, dtype):
    tensors, _ = read_safetensors(folder / "model.safetensors")
    write_safetensors(folder / "model.safetensors",
                      {name: x.astype(dtype) for name, x in tensors.items()})


def test_each_row_of_weights_and_options(tmp_path):
    rows = {row[0]: row[1] for row in WEIGHTS}

    def folder(name, model_type="bert"):
        return write_folder(tmp_path / name, model_type)
    for check in check_weights, check_adapters, check_options:
        check(rows, folder, tmp_path)
    assert not rows


def check_weights(rows, folder, tmp_path):
    assert rows.pop("model.safetensors in float32, float16, bfloat16 or float64") == "yes"
    for dtype in np.float16, np.float64:                   # bfloat16: see test_checkpoint.py
        cast(folder(dtype.__name__, "roberta"), dtype)
        x = load(tmp_path / dtype.__name__).encode(TEXTS)
        np.testing.assert_allclose(x, encoder_of("roberta").encode(TEXTS), atol=0.02)
    assert rows.pop("several files with an index") == "yes"
    tensors, _ = read_safetensors(folder("shards", "gpt2") / "model.safetensors")
    names, files = sorted(tensors), {}
    for number in range(2):
        file = f"model-{number + 1}-of-2.safetensors"
        write_safetensors(tmp_path / "shards" / file, {n: tensors[n] for n in names[number::2]})
        files |= dict.fromkeys(names[number::2], file)
    (tmp_path / "shards/model.safetensors").unlink()
    edit(tmp_path / "shards/model.safetensors.index.json", weight_map=files)
    loads(tmp_path / "shards", "gpt2")
    assert rows.pop("pytorch_model.bin alone").startswith("no: a pickle can run code")
    (folder("pickle", "mistral") / "model.safetensors").rename(
        tmp_path / "pickle/pytorch_model.bin")
    refused(tmp_path / "pickle", "found pytorch_model.bin, a pickle: .* convert it with torch")
    assert rows.pop("quantised weights") == "no: expected floats"
    cast(folder("int8"), np.int8)
    refused(tmp_path / "int8", "expected floats of shape .* found I8")


def check_adapters(rows, folder, tmp_path):
    assert rows.pop("LoRA (adapter_config.json, adapter_model.safetensors) beside the model"
                    ) == "yes"                             # its vectors: see test_model_folder.py
    save_adapter(with_lora(model_of("bert"), Lora(rank=1)), folder("adapter"))
    loads(tmp_path / "adapter", "bert")                    # B is zero
    assert rows.pop("an adapter of another kind, or with `modules_to_save`").startswith("no: merge")
    for field, value in ("use_dora", True), ("modules_to_save", ["score"]):
        edit(tmp_path / "adapter/adapter_config.json", **{field: value})
        refused(tmp_path / "adapter", f"'{field}': .* merge such an adapter into the mod")
        edit(tmp_path / "adapter/adapter_config.json", **{field: None})
    assert rows.pop("an adapter without its model, or beside a cross-encoder").startswith("no: an")
    (tmp_path / "adapter/config.json").unlink()
    refused(tmp_path / "adapter", "an adapter without its model.* copy its two files")
    CrossEncoder.warm_start(encoder_of("bert")).save(tmp_path / "scorer")
    edit(tmp_path / "scorer/adapter_config.json", peft_type="LORA")
    refused(tmp_path / "scorer", "expected a cross-encoder without an adapter, found one; merge")


def check_options(rows, folder, tmp_path):
    assert rows.pop("`auto_map` in config.json").startswith("no: code that comes with a model is")
    edit(folder("code") / "config.json", auto_map={"AutoModel": "code.Mine"})
    refused(tmp_path / "code", "config.json: field 'auto_map': expected none: code that comes with")
    assert rows.pop("a `rope_scaling` that is null or of the type default") == "yes"
    for number, value in enumerate((None, {"rope_type": "default"}, {"type": "default"})):
        name = f"default {number}"
        edit(folder(name, "mistral") / "config.json", rope_parameters=None, rope_scaling=value)
        loads(tmp_path / name, "mistral")
    assert rows.pop("fields that contradict each other: two bases of RoPE, `n_ctx` and "
                    "`n_positions`") == "no: expected one number"
    edit(folder("two bases", "llama") / "config.json", rope_theta=5e5)
    refused(tmp_path / "two bases", "rope_theta, rope_parameters.rope_theta: expected one number")
    edit(folder("n_ctx", "gpt2") / "config.json", n_ctx=23)
    refused(tmp_path / "n_ctx", "'n_ctx': expected 24, the n_positions, or null, found 23")
    assert rows.pop("a `rope_type` other than default") == "no: scaled RoPE is not supported"
    for model_type in "mistral", "llama":
        edit(folder(f"rope {model_type}", model_type) / "config.json",
             rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0})
        refused(tmp_path / f"rope {model_type}", "'rope_type': expected \"default\"")
    assert rows.pop("`position_embedding_type` other than absolute") == "no: expected absolute"
    for model_type in "bert", "xlm-roberta":
        edit(folder(f"positions {model_type}", model_type) / "config.json",
             position_embedding_type="relative_key")
        refused(tmp_path / f"positions {model_type}", "'position_embedding_type': expected \"absol")


# ---- cross-encoders -----------------------------------------------------------------------------

def test_each_row_of_cross_encoders(tmp_path):
    """Their scores: see sentences/test_cross_encoder_families.py."""
    rows = {name: row[1] for row in SCORERS for name in row[0].split(", ")}
    for model_type, head in HEADS.items():
        assert rows.pop(head.original) == "yes"
        start = CrossEncoder.warm_start(encoder_of(model_type))
        start.save(tmp_path / model_type)
        scores = load(tmp_path / model_type).predict([("the cat", "a cat")])
        np.testing.assert_array_equal(scores, start.predict([("the cat", "a cat")]))
    for model_type, name in (("gpt2", "GPT2"), ("mistral", "Mistral"), ("llama", "Llama")):
        name += "ForSequenceClassification"
        assert rows.pop(name) == "no: expected a class of an encoder"
        edit(write_folder(tmp_path / name, model_type) / "config.json", architectures=[name])
        refused(tmp_path / name, rf"expected \[.BertFor.* found \[.{name}")
    assert rows.pop("DebertaV2ForSequenceClassification and other families").startswith("no: the")
    edit(tmp_path / "bert/config.json", model_type="deberta-v2")
    refused(tmp_path / "bert", "'model_type': 'deberta-v2' is not read")
    assert not rows
