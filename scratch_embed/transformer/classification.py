"""BERT as a classifier of a text or a pair of texts: scores from the vector of [CLS].

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 4.1.
Equation  s = A dropout(tanh(P x_[CLS] + d)) + a
Shapes    x (T, D) -> s (N, O), O labels: 1 for a score, several for classes
Cost      the encoder's; that of the head is negligible
Bytes     model.safetensors of transformers' BertForSequenceClassification, see NAMES
Differs   from transformers, whose classifier_dropout may differ from the dropout of the layers;
          here it is the same.  A file without a pooler or a classifier is an error; transformers
          draws them at random, with a warning.
Read next sentences/cross_encoder.py (scores of pairs), transformer/bert.py

Why [CLS]?  It attends to all tokens of both texts, and masked LM does not use its last vector.
"""
import os
from collections.abc import Mapping

import numpy as np

from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, Tensor, init_params, join, linear_tensors
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.packed import Packed, by_length, take
from scratch_embed.transformer import bert
from scratch_embed.transformer.bert import Bert, config_fields, pooler, read_config, tensors
from scratch_embed.transformer.checkpoint import (
    open_weights,
    read_tensors,
    streams,
    write_model,
)
from scratch_embed.transformer.families import Model

CLASSIFIER = "classifier"
NAMES = bert.NAMES._replace(names={**bert.NAMES.names, CLASSIFIER: CLASSIFIER},
                            bare=(f"{CLASSIFIER}.",), optional=())


def head_tensors(D: int, labels: int, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the pooler and the classifier.  labels: O"""
    return streams({**linear_tensors("pooler", D, D, Normal(std)),
                    **linear_tensors(CLASSIFIER, labels, D, Normal(std))}, NAMES)


def with_new_classifier(model: Model, labels: int = 1, seed: int = 1) -> Model:
    """A copy of the transformer with a new classifier.

    A pooler that it has is kept, such as that of next-sentence prediction; other heads, such as
    that of masked LM, are left out.
    """
    p = model.without_heads().p
    body = p.only(name for name in p if not name.startswith((f"{CLASSIFIER}.", "head.")))
    new = {name: tensor for name, tensor in head_tensors(model.dim, labels).items()
           if name not in body}
    return model.with_params(join(body, init_params(new, seed, p.flat.dtype)))


def labels_of(model: Model) -> int:
    """O, the number of scores of a model with a classifier.

    Raises ValueError for a model without classifier or pooler.
    """
    for name in (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias", "pooler.weight"):
        if name not in model.p:
            raise ValueError(f"expected a model with a classifier, got {model!r} without {name}; "
                             "with_new_classifier() of transformer/classification.py adds one")
    return len(model.p[f"{CLASSIFIER}.bias"])


# ---- the forward pass ----------------------------------------------------------------------------

def classify(x: np.ndarray, p: Params, dropout: Dropout = NO_DROPOUT
             ) -> tuple[np.ndarray, ParamBackward]:
    """The scores of the [CLS] rows.  x: (N, D) -> s (N, O), backward(ds, g) -> dx (N, D)."""
    pooled, back_pooled = pooler(x, p)
    dropped, back_drop = apply_dropout(pooled, dropout)
    s, back_s = linear(dropped, p, CLASSIFIER)
    return s, lambda ds, g: back_pooled(back_drop(back_s(ds, g)), g)


def scores(batch: Packed, model: Model, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The scores of N sequences.  -> s (N, O), backward(ds, g)"""
    order = by_length(batch)                             # attention batches equal lengths
    batch = take(batch, order)
    first = batch.offsets[:-1]
    x, back_x = model.encode(batch, dropout.at(0))
    sorted_s, back_s = classify(x[first], model.p, dropout.at(1))
    s = np.empty_like(sorted_s)
    s[order] = sorted_s

    def backward(ds, g):
        dx = np.zeros_like(x)
        dx[first] = back_s(ds[order], g)
        back_x(dx, g)
    return s, backward


def infer_scores(batch: Packed, model: Model) -> np.ndarray:
    """The scores of N sequences, without backward.  -> s (N, O)"""
    return classify(model.infer(batch)[batch.offsets[:-1]], model.p)[0]


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


def read_classifier(folder: str | os.PathLike, labels: int, dtype: type = np.float32) -> Bert:
    """The model of a folder of BertForSequenceClassification with this many labels.

    Raises FormatError if a file is missing or damaged, or the tensors contradict config.json.
    """
    config = read_config(os.path.join(folder, "config.json"))
    return Bert(config, read_tensors(
        open_weights(folder, config.layers), tensors(config) | head_tensors(config.dim, labels),
        NAMES, f"BertForSequenceClassification of {config.layers} layers and {labels} labels",
        dtype))


def write_classifier(folder: str | os.PathLike, model: Model, fields: Mapping) -> None:
    """Write config.json and model.safetensors.  fields: of config.json, besides the sizes."""
    config, p = model.config, model.p
    need = tensors(config) | head_tensors(config.dim, labels_of(model))
    write_model(folder, p, need, NAMES, {
        "architectures": ["BertForSequenceClassification"], **config_fields(config), **fields},
        prefixed=True)
