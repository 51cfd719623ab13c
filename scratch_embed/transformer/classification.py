"""A transformer as a classifier of a text or a pair of texts: scores from the vector of [CLS].

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 4.1.
Equation  s = A dropout(f(P x_[CLS] + d)) + a;  f = tanh, in DistilBERT f(u) = max(u, 0)
          RoBERTa, XLM-R, CamemBERT and MPNet: dropout(x_[CLS]) in place of x_[CLS]
Shapes    x (T, D) -> s (N, O), O labels: 1 for a score, several for classes
Cost      the encoder's; that of the head is negligible
Bytes     model.safetensors of transformers' BertForSequenceClassification and of the same class of
          the other families, see HEADS
Differs   from transformers, whose classifier_dropout may differ from the dropout of the layers;
          here it is the same.  A file without P or A is an error; transformers draws them at
          random, with a warning.  Causal models have no head here: their first token attends
          to itself alone.
Read next sentences/cross_encoder.py (scores of pairs), transformer/bert.py

Why [CLS]?  It attends to all tokens of both texts, and masked LM does not use its last vector.
"""
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.nn.activations import relu, tanh
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, Tensor, init_params, join, linear_tensors
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.packed import Packed, by_length, take
from scratch_embed.transformer.checkpoint import (
    Renames,
    open_weights,
    read_tensors,
    streams,
    write_model,
)
from scratch_embed.transformer.families import family_of
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.roberta import CLASSES

CLASSIFIER = "classifier"          # our name of A and a; P and d are "pooler"


class Head(NamedTuple):
    """The classifier of a family in transformers.

    original      the name of its class
    names         {our name: the original's} of its two layers
    activation    f
    drops_input   whether its input is dropped, too
    """

    original: str
    names: Mapping[str, str]
    activation: Callable = tanh
    drops_input: bool = False


BERT = Head("BertForSequenceClassification", {"pooler": "pooler.dense", CLASSIFIER: "classifier"})
HEADS = {                          # {model_type: its Head}
    "bert": BERT,
    "distilbert": Head("DistilBertForSequenceClassification", {
        "pooler": "pre_classifier", CLASSIFIER: "classifier"}, relu),
    **{model_type: Head(f"{name}ForSequenceClassification", {
        "pooler": "classifier.dense", CLASSIFIER: "classifier.out_proj"}, drops_input=True)
       for model_type, name in {**CLASSES, "mpnet": "MPNet"}.items()}}


def head_of(model: Transformer) -> Head:
    """The Head of a model's family.  Raises ValueError for a causal model, which has none."""
    return _head(type(model), model.config)


def _head(family: Any, config: Any) -> Head:
    model_type = family.architecture.config_fields(config)["model_type"]
    if model_type not in HEADS:
        raise ValueError(f"model: expected one of {', '.join(HEADS)}, whose first token attends to "
                         f"all others, got a {model_type}")
    return HEADS[model_type]


def names_of(family: Any, head: Head) -> Renames:
    """The names of all tensors of a family's classifier.

    RoBERTa's older files have a pooler besides, which the class does not use.
    """
    old = family.architecture.names
    unused = () if head is BERT else ("pooler.dense.weight", "pooler.dense.bias")
    return old._replace(names={**old.names, **head.names}, optional=(),
                        bare=("classifier.", "pre_classifier."), ignored=(*old.ignored, *unused))


def head_tensors(D: int, labels: int, std: float = 0.02, head: Head = BERT) -> dict[str, Tensor]:
    """The tensors of the head.  labels: O"""
    return streams({**linear_tensors("pooler", D, D, Normal(std)),
                    **linear_tensors(CLASSIFIER, labels, D, Normal(std))}, Renames(head.names))


def with_new_classifier(model: Transformer, labels: int = 1, seed: int = 1) -> Transformer:
    """A copy of the transformer with a new classifier.

    A BERT's pooler is kept, such as that of next-sentence prediction, because it is P; other heads,
    such as that of masked LM, are left out.
    """
    head, p = head_of(model), model.without_heads().p
    others = (f"{CLASSIFIER}.", "head.", *(() if head is BERT else ("pooler.",)))
    body = p.only(name for name in p if not name.startswith(others))
    new = {name: tensor for name, tensor in head_tensors(model.dim, labels, head=head).items()
           if name not in body}
    return model.with_params(join(body, init_params(new, seed, p.flat.dtype)))


def labels_of(model: Transformer) -> int:
    """O, the number of scores of a model with a classifier.

    Raises ValueError for a model without classifier or pooler.
    """
    for name in (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias", "pooler.weight"):
        if name not in model.p:
            raise ValueError(f"expected a model with a classifier, got {model!r} without {name}; "
                             "with_new_classifier() of transformer/classification.py adds one")
    return len(model.p[f"{CLASSIFIER}.bias"])


# ---- the forward pass ----------------------------------------------------------------------------

def classify(x: np.ndarray, p: Params, dropout: Dropout = NO_DROPOUT, head: Head = BERT
             ) -> tuple[np.ndarray, ParamBackward]:
    """The scores of the [CLS] rows.  x: (N, D) -> s (N, O), backward(ds, g) -> dx (N, D)."""
    x, back_x = apply_dropout(x, dropout.at(0) if head.drops_input else NO_DROPOUT)
    u, back_u = linear(x, p, "pooler")
    y, back_y = head.activation(u)
    dropped, back_drop = apply_dropout(y, dropout)
    s, back_s = linear(dropped, p, CLASSIFIER)
    return s, lambda ds, g: back_x(back_u(back_y(back_drop(back_s(ds, g))), g))


def scores(batch: Packed, model: Transformer, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The scores of N sequences.  -> s (N, O), backward(ds, g)"""
    order = by_length(batch)                             # attention batches equal lengths
    batch = take(batch, order)
    first = batch.offsets[:-1]
    x, back_x = model.encode(batch, dropout.at(0))
    sorted_s, back_s = classify(x[first], model.p, dropout.at(1), head_of(model))
    s = np.empty_like(sorted_s)
    s[order] = sorted_s

    def backward(ds, g):
        dx = np.zeros_like(x)
        dx[first] = back_s(ds[order], g)
        back_x(dx, g)
    return s, backward


def infer_scores(batch: Packed, model: Transformer) -> np.ndarray:
    """The scores of N sequences, without backward.  -> s (N, O)"""
    return classify(model.infer(batch)[batch.offsets[:-1]], model.p, head=head_of(model))[0]


# ---- files ---------------------------------------------------------------------------------------

def has_classifier(folder: str | os.PathLike) -> bool:
    """Whether config.json says that the folder's model has a classifier.

    A folder without a config.json has none.  Raises FormatError for a damaged one.
    """
    path = os.path.join(folder, "config.json")
    if not os.path.exists(path):
        return False
    names = Fields.read(path).get("architectures", None, "a list of names, or null",
                                  lambda v: v is None or isinstance(v, list))
    return any(isinstance(name, str) and name.endswith("ForSequenceClassification")
               for name in names or ())


def read_classifier(folder: str | os.PathLike, labels: int, dtype: type = np.float32
                    ) -> Transformer:
    """The model of a folder of a class of HEADS, with this many labels.

    Raises FormatError if a file is missing or damaged, or the tensors contradict config.json.
    """
    family = family_of(folder).model
    config = family.architecture.read_config(os.path.join(folder, "config.json"))
    head = _head(family, config)
    declared = family.architecture.tensors(config) | head_tensors(config.dim, labels, head=head)
    return family(config, read_tensors(
        open_weights(folder, config.layers), declared, names_of(family, head),
        f"{head.original} of {config.layers} layers and {labels} labels", dtype))


def write_classifier(folder: str | os.PathLike, model: Transformer, fields: Mapping) -> None:
    """Write config.json and model.safetensors.  fields: of config.json, besides the sizes."""
    family, config, head = type(model), model.config, head_of(model)
    architecture = family.architecture
    need = architecture.tensors(config) | head_tensors(config.dim, labels_of(model), head=head)
    write_model(folder, model.p, need, names_of(family, head), {
        "architectures": [head.original], **architecture.config_fields(config), **fields},
        prefixed=True)
