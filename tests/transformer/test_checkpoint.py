"""Weights under original names: renamed, transposed, split, tied, in one file or in several.

The tests use the names of a small invented model; test_bert_folder.py tests those of BERT.
"""
import json
import os
import shutil
import tracemalloc

import numpy as np
import pytest

from scratch_embed.nn.params import Normal, Tensor, init_params, linear_tensors, norm_tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.transformer.checkpoint import (
    Renames,
    groups,
    memory_to_read,
    open_weights,
    read_tensors,
    streams,
    write_tensors,
)

NAMES = Renames(
    {"embed": "wte", "layers.*.q": "h.*.c_attn", "layers.*.k": "h.*.c_attn", "layers.*.o": "h.*.o",
     "layers.*.norm": "h.*.ln", "scale": "logit_scale", "head": "score"},
    prefix="model.", bare=("score.", "lm_head."), transposed=("h.*.c_attn",),
    older={"ln.gamma": "ln.weight"}, tied={"lm_head.weight": "embed.weight"}, optional=("score.",),
    ignored=("h.*.mask",))
SHAPES = {"embed.weight": (5, 4), "scale": ()}


def declared(layers=2):
    found = {name: Tensor(shape, Normal(1.0)) for name, shape in SHAPES.items()}
    for n in range(layers):
        found |= linear_tensors(f"layers.{n}.q", 6, 4, Normal(1.0))
        found |= linear_tensors(f"layers.{n}.k", 2, 4, Normal(1.0))
        found |= linear_tensors(f"layers.{n}.o", 4, 6, Normal(1.0), bias=False)
        found |= norm_tensors(f"layers.{n}.norm", 4)
    return streams(found | linear_tensors("head", 3, 4, Normal(1.0)), NAMES)


def model(seed=0):
    p = init_params(declared(), seed)
    p.flat += np.arange(p.flat.size, dtype=np.float32)             # all of them different
    return p


def read(folder):
    return read_tensors(open_weights(folder, layers=2), declared(), NAMES, "Toy of 2 layers")


@pytest.fixture
def folder(tmp_path):
    write_tensors(tmp_path, model(), NAMES, prefixed=True)
    return tmp_path


def change(folder, edit):
    """Replace the tensors of model.safetensors by edit(tensors)."""
    path = folder / "model.safetensors"
    write_safetensors(path, edit(read_safetensors(path)[0]))


def assert_same(p, q):
    assert list(p) == list(q)
    np.testing.assert_array_equal(p.flat, q.flat)


# ---- names --------------------------------------------------------------------------------------

@pytest.mark.parametrize("ours, theirs", [
    ("embed.weight", "wte.weight"), ("layers.0.q.weight", "h.0.c_attn.weight"),
    ("layers.11.norm.bias", "h.11.ln.bias"), ("scale", "logit_scale")])
def test_the_original_name_has_the_layer_number_instead_of_the_star(ours, theirs):
    assert NAMES.original(ours) == theirs


def test_a_single_tensor_of_a_layer_may_have_its_own_entry():
    table = Renames({"attn.q": "attn.q_proj", "attn.q.bias": "attn.in_proj_bias"})
    assert table.original("attn.q.weight") == "attn.q_proj.weight"
    assert table.original("attn.q.bias") == "attn.in_proj_bias"
    with pytest.raises(KeyError, match=r"layers\.\*\.z"):
        table.original("layers.3.z.weight")


@pytest.mark.parametrize("theirs, canonical", [
    ("model.wte.weight", "wte.weight"), ("h.0.ln.gamma", "h.0.ln.weight"),
    ("model.h.0.ln.gamma", "h.0.ln.weight"), ("h.0.gamma", "h.0.gamma")])
def test_prefixes_are_removed_and_older_endings_replaced(theirs, canonical):
    assert NAMES.canonical(theirs) == canonical


def test_groups_worked_by_hand():
    """q (6, 4) and k (2, 4) concatenated are (8, 4); the original stores (4, 8).  Biases: (8,)."""
    found = groups(declared(1), NAMES)
    assert found["h.0.c_attn.weight"] == (("layers.0.q.weight", "layers.0.k.weight"), (4, 8))
    assert found["h.0.c_attn.bias"] == (("layers.0.q.bias", "layers.0.k.bias"), (8,))
    assert found["h.0.o.weight"].shape == (4, 6) and found["logit_scale"].shape == ()


def test_parts_of_one_original_tensor_have_different_random_streams():
    found = declared(1)
    assert found["layers.0.q.weight"].stream == "h.0.c_attn.weight"
    assert found["layers.0.k.weight"].stream == "h.0.c_attn.weight 1"
    assert len({tensor.stream for tensor in found.values()}) == len(found)


# ---- round trips --------------------------------------------------------------------------------

@pytest.mark.parametrize("prefixed", [False, True])
def test_a_round_trip_keeps_the_parameters_and_the_file_has_original_names(tmp_path, prefixed):
    p = model()
    write_tensors(tmp_path, p, NAMES, prefixed)
    found, metadata = read_safetensors(tmp_path / "model.safetensors")
    prefix = "model." if prefixed else ""
    np.testing.assert_array_equal(
        found[prefix + "h.1.c_attn.weight"],
        np.concatenate([p["layers.1.q.weight"], p["layers.1.k.weight"]]).T)
    np.testing.assert_array_equal(found[prefix + "h.1.o.weight"], p["layers.1.o.weight"])
    assert "score.weight" in found and metadata == {"format": "pt"}
    assert_same(read(tmp_path), p)


def test_read_tensors_converts_to_the_requested_type(folder):
    p = read_tensors(open_weights(folder), declared(), NAMES, "Toy", np.float64)
    assert p.flat.dtype == np.float64
    np.testing.assert_array_equal(p.flat, model().flat)


def test_the_parameters_keep_their_declarations(folder):
    assert read(folder).tensors == declared()


def test_an_optional_head_may_be_missing_but_not_a_part_of_it(folder):
    change(folder, lambda t: {n: x for n, x in t.items() if not n.startswith("score.")})
    assert_same(read(folder), model().only(n for n in model() if not n.startswith("head.")))
    change(folder, lambda t: t | {"score.bias": np.zeros(3, np.float32)})
    with pytest.raises(FormatError, match="expected 1 more of the tensors .* found no score.weig"):
        read(folder)


@pytest.mark.parametrize("edit", [
    lambda t: t | {"lm_head.weight": t["model.wte.weight"]},
    lambda t: {("lm_head.weight" if n == "model.wte.weight" else n): x for n, x in t.items()},
    lambda t: t | {"model.h.0.mask": np.ones((1, 3), np.bool_), "h.1.mask": np.ones(2)},
    lambda t: {n.replace("ln.weight", "ln.gamma"): x for n, x in t.items()},
    lambda t: {n.removeprefix("model."): x for n, x in t.items()}])
def test_tied_copies_buffers_and_older_names_are_read(folder, edit):
    change(folder, edit)
    assert_same(read(folder), model())


def test_weights_that_are_not_finite_are_not_written(folder):
    p = model().freeze(["scale"])
    p["embed.weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match="the weights hold nan or inf"):
        write_tensors(folder, p, NAMES)
    assert_same(read(folder), model())


def test_frozen_tensors_are_written_too(folder):
    write_tensors(folder, model().freeze(["embed.weight", "layers.0.q.weight"]), NAMES)
    assert_same(read(folder), model())


@pytest.mark.parametrize("edit, message", [
    (lambda t: t | {"extra": np.zeros(2)}, "tensor 'extra': expected a tensor of Toy of 2 layers"),
    (lambda t: t | {"wte.weight": t["model.wte.weight"]}, "expected one tensor for wte.weight"),
    (lambda t: t | {"model.h.0.c_attn.weight": t["model.h.0.c_attn.weight"].T},
     r"expected floats of shape \(4, 8\), as config.json says, found F32 of shape \(8, 4\)"),
    (lambda t: t | {"model.logit_scale": np.array(1)}, "found I64 of shape"),
    (lambda t: t | {"model.h.0.c_attn.bias": np.full(8, np.nan)}, "expected finite numbers"),
    (lambda t: t | {"lm_head.weight": t["model.wte.weight"] + 1},
     "expected the numbers of wte.weight, to which it is tied here, found others"),
    (lambda t: {n: x for n, x in t.items() if "c_attn" not in n},
     "expected 4 more of the tensors that config.json requires, found no h.0.c_attn.weight"),
    (lambda t: {"a": np.zeros(1)}, "expected the tensors of 2 layers, found 1 tensors in all")])
def test_the_error_names_the_invalid_tensor(folder, edit, message):
    change(folder, edit)
    with pytest.raises(FormatError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


# ---- several files ------------------------------------------------------------------------------

@pytest.fixture
def shards(folder):
    """The same model in three files and an index."""
    found, _ = read_safetensors(folder / "model.safetensors")
    os.remove(folder / "model.safetensors")
    weight_map = {name: f"model-{1 + n % 3:05}-of-00003.safetensors"
                  for n, name in enumerate(found)}
    for file in set(weight_map.values()):
        write_safetensors(folder / file, {n: x for n, x in found.items() if weight_map[n] == file})
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def read_weight_map(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def write_weight_map(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_a_model_in_several_files_is_read_as_one(shards):
    assert_same(read(shards), model())


def test_model_safetensors_is_preferred_to_an_index(shards):
    other = model(1)
    write_tensors(shards, other, NAMES)
    assert_same(read(shards), other)


def test_the_error_names_a_missing_or_truncated_file(shards):
    for file in sorted(set(read_weight_map(shards).values())):
        whole = (shards / file).read_bytes()
        shutil.move(shards / file, shards / "away")
        with pytest.raises(FormatError, match=f"{file}: the file: expected tensors, as model.saf"):
            read(shards)
        for end in (0, 5, 100, len(whole) - 1):
            (shards / file).write_bytes(whole[:end])
            with pytest.raises(FormatError, match=file):
                read(shards)
        (shards / file).write_bytes(whole)
    assert_same(read(shards), model())


def test_an_index_that_contradicts_its_files_is_refused(shards):
    weight_map = read_weight_map(shards)
    first, *_ = weight_map
    one, two, three = sorted(set(weight_map.values()))
    other = two if weight_map[first] != two else three
    write_weight_map(shards, weight_map | {first: other})
    with pytest.raises(FormatError, match=f"tensor '{first}': expected it where model.safetensors."
                       "index.json says"):
        read(shards)
    write_weight_map(shards, {name: file for name, file in weight_map.items() if name != first})
    with pytest.raises(FormatError, match="expected it where .* says, None"):
        read(shards)
    write_weight_map(shards, weight_map | {"more": one})
    with pytest.raises(FormatError, match=f"{one}: the header: expected tensor 'more', as model"):
        read(shards)


@pytest.mark.parametrize("index", [
    {}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": {"a": 3}},
    {"weight_map": {"a": "../model.safetensors"}}, {"weight_map": {"a": "/etc/x"}},
    {"weight_map": {"a": "b\\c"}}, {"weight_map": {"a": ""}}, []])
def test_an_index_may_only_name_files_of_its_own_folder(shards, index):
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FormatError, match="model.safetensors.index.json"):
        read(shards)


def test_more_layers_than_tensors_are_refused_by_open_weights(folder):
    with pytest.raises(FormatError, match="tensors of 1000000000 layers"):
        open_weights(folder, layers=10**9)
    assert len(open_weights(folder).entries) == len(read_header(folder / "model.safetensors")[0])


# ---- memory -------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("is_tied", [False, True])
def test_the_memory_that_reading_takes_is_known_before(kind, dtype, is_tied, tmp_path):
    """A file in float64 has a largest tensor of twice the bytes, whatever it is read as."""
    tensors = {"embed.weight": Tensor((40_000, 5), Normal(1.0)),
               "layers.0.o.weight": Tensor((3_000, 50), Normal(1.0))}
    p = init_params(tensors, 0, np.float64 if kind == "F64" else np.float32)
    write_tensors(tmp_path, p, NAMES)
    if is_tied:
        change(tmp_path, lambda t: t | {"lm_head.weight": t["wte.weight"]})
    if kind in ("F16", "BF16"):
        halved(tmp_path, kind)
    weights = open_weights(tmp_path)
    tracemalloc.start()
    read_tensors(weights, tensors, NAMES, "Toy", dtype)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = memory_to_read(weights, tensors, ["lm_head.weight"] * is_tied, dtype)
    blocks = 400_000 * (kind == "BF16")                    # in which it is converted
    assert 0.8 * expected < peak < 1.02 * expected + blocks


# ---- half precision -----------------------------------------------------------------------------

def halved(folder, kind):
    """Write model.safetensors again in F16 or BF16, as other programs do."""
    path = folder / "model.safetensors"
    header, at, data = {}, 0, b""
    for name, x in read_safetensors(path)[0].items():
        header[name] = {"dtype": kind, "shape": x.shape, "data_offsets": (at, at + 2 * x.size)}
        at += 2 * x.size
        data += (x.astype("<f2") if kind == "F16" else
                 (x.view("<u4") >> 16).astype("<u2")).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_a_folder_in_half_precision_is_read_with_the_memory_of_its_twin(kind, tmp_path):
    """At the peak, while its largest tensor is read and converted."""
    tensors = {"embed.weight": Tensor((50_000, 20), Normal(1.0)), "scale": Tensor((), Normal(1.0))}
    peaks, found = [], []
    for name in "F32", kind:
        folder = tmp_path / name
        folder.mkdir()
        write_tensors(folder, init_params(tensors, 0), NAMES)
        if name != "F32":
            halved(folder, kind)
        tracemalloc.start()
        found.append(read_tensors(open_weights(folder), tensors, NAMES, "Toy").flat)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 1.9 < peaks[0] / found[0].nbytes < 2.3          # the model and its largest tensor
    assert peaks[1] <= 1.02 * peaks[0]
    np.testing.assert_allclose(found[1], found[0], rtol=2**-7, atol=1e-7)
