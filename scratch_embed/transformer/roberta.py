"""RoBERTa: BERT's layers, with positions that begin after the padding id, and longer training.

Papers    Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach"; Conneau et al.
          2020, "Unsupervised Cross-lingual Representation Learning at Scale" (XLM-R, 100
          languages); Martin et al. 2020, "CamemBERT: a Tasty French Language Model".
Equation  x = LN(word[id] + position[i] + segment[type]),  i = padding + 1, padding + 2, ...;
          L layers as in BERT (nn/blocks.py);
          heads: mlm_head  E ŷ + b, ŷ = LN(gelu(W x + c)), E the word embeddings (tied)
                 pooler    tanh(P x_<s> + d)
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x (T, D)
Cost      as BERT: 24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py.
          XLM-R and CamemBERT have the same fields and tensors, and another model_type.
Differs   Sequences are packed, not padded.  A padding token inside a text is treated as in the
          original: its position is the padding id, and it is not counted in the positions after
          it; attention sees it, as it sees any token that is not masked.  But torch gives the
          padding token's rows of the embeddings no gradient, and this file does.  Initial weights
          are normal with standard deviation 0.02.  Roberta.load refuses a config.json with an
          option that would change what the model computes, and a decoder that is not tied.
Read next transformer/bert.py (the same encoder), transformer/masked_lm.py (its loss, with masks
          that are drawn anew, as RoBERTa does), sentences/bge_m3.py (XLM-R, trained for search)

What did RoBERTa show?  That BERT was trained too little.  The network is BERT's; what changed is
the training: ten times the text, batches of 8,000 sequences, masks that are drawn anew each time a
sequence is seen, no next-sentence loss (without it the results are as good or slightly better), and
a byte-level vocabulary that has no unknown token.  So a comparison of two models is also a
comparison of their training.  XLM-R repeats this in 100 languages, with one vocabulary of 250,000
Unigram pieces for all of them.

Why do positions begin at padding + 1?  It is an accident of the original's code, fairseq: it
computes the positions of a padded batch as a running count of the tokens that are not padding, and
gives padding the row `padding` of the table, which stays zero.  So rows 0 .. padding are not used
for texts, and max_position_embeddings = 514 means 512 tokens.  A program that begins at row 0 reads
such a folder without an error, and all of its vectors are wrong.

mlm_head always uses gelu, whatever hidden_act says, as in the original.
"""
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import gelu
from scratch_embed.nn.blocks import (
    infer_post_norm_layer,
    masked_lm_head,
    masked_lm_tensors,
    pooler,
    positions_after,
    post_norm_layer,
    post_norm_tensors,
    summed_embeddings,
)
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.checkpoint import Renames, streams
from scratch_embed.transformer.config_fields import (
    ACTIVATIONS,
    activation_name,
    check_fields,
    read_sizes,
)
from scratch_embed.transformer.model import Architecture, Transformer

NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.types": "embeddings.token_type_embeddings",
    "embed.norm": "embeddings.LayerNorm",
    "layers.*.attn.q": "encoder.layer.*.attention.self.query",
    "layers.*.attn.k": "encoder.layer.*.attention.self.key",
    "layers.*.attn.v": "encoder.layer.*.attention.self.value",
    "layers.*.attn.o": "encoder.layer.*.attention.output.dense",
    "layers.*.attn_norm": "encoder.layer.*.attention.output.LayerNorm",
    "layers.*.mlp.up": "encoder.layer.*.intermediate.dense",
    "layers.*.mlp.down": "encoder.layer.*.output.dense",
    "layers.*.mlp_norm": "encoder.layer.*.output.LayerNorm",
    "mlm.dense": "lm_head.dense",
    "mlm.norm": "lm_head.layer_norm",
    "mlm.bias": "lm_head.bias",
    "pooler": "pooler.dense"},
    prefix="roberta.", bare=("lm_head.",),             # XLM-R's and CamemBERT's prefix, too
    older={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    tied={"lm_head.decoder.weight": "embed.tokens.weight", "lm_head.decoder.bias": "mlm.bias"},
    optional=("pooler.", "lm_head."),
    ignored=("embeddings.position_ids", "embeddings.token_type_ids"))
CLASSES = {"roberta": "Roberta", "xlm-roberta": "XLMRoberta",      # {model_type: the beginning of
           "camembert": "Camembert"}                               # its classes' names}


class Config(NamedTuple):
    """The sizes of a model, its activation, and which of the three it is.

    RoBERTa base, in this order: 50265, 768, 12, 12, 3072, 514, 1.
    """

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 514           # rows of the table, of which the first padding + 1 are not used
    types: int = 1
    eps: float = 1e-5              # of layer norms
    activation: Callable = gelu
    padding: int = 1               # the id of the padding token, <pad>
    model_type: str = "roberta"    # one of CLASSES

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self.positions - self.padding - 1


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The encoder's tensors.  std: the standard deviation of the initial weights.

    Raises ValueError unless heads divides dim.
    """
    V, D, L, H, F, P, types = config[:7]
    init = Normal(std)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init),
                **embedding_tensors("embed.types", types, D, init), **norm_tensors("embed.norm", D)}
    for n in range(L):
        declared |= post_norm_tensors(f"layers.{n}.", D, H, F, init)
    return streams(declared, NAMES)


def head_tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the masked-LM head and the pooler."""
    V, D, init = config.vocab, config.dim, Normal(std)
    return streams(masked_lm_tensors(V, D, init) | linear_tensors("pooler", D, D, init), NAMES)


# ---- forward and backward ------------------------------------------------------------------------

def embed(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of token, position and segment embeddings.  -> x (T, D)."""
    ids = {"embed.tokens": batch.ids, "embed.types": batch.types,
           "embed.positions": positions_after(config.padding, batch.ids, batch.offsets)}
    return summed_embeddings(ids, p, "embed.norm", config.eps, dropout)


def encoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, config: Config,
                  dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "layers.0."; x (T, D) -> y (T, D)."""
    return post_norm_layer(x, p, name, offsets, config.heads, config.activation, config.eps,
                           (dropout.at(0), dropout.at(1), dropout.at(2)))


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Contextual token vectors.  -> x (T, D), backward(dx, g)."""
    x, back_embed = embed(batch, p, config, dropout.at(config.layers))
    backs = []
    for n in range(config.layers):
        x, back = encoder_layer(x, p, f"layers.{n}.", batch.offsets, config, dropout.at(n))
        backs.append(back)

    def backward(dx, g):
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (T, D)"""
    x = embed(batch, p, config)[0]
    for n in range(config.layers):
        x = infer_post_norm_layer(x, p, f"layers.{n}.", batch.offsets, config.heads,
                                  config.activation, config.eps)
    return x


def mlm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of masked tokens.  x: (M, D) -> (M, V)."""
    return masked_lm_head(x, p, gelu, config.eps)


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "ff": "intermediate_size",
          "positions": "max_position_embeddings", "types": "type_vocab_size"}
# for each option that would change what is computed, the only value supported here
ONLY = {"position_embedding_type": "absolute"}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    return parse_config(fields)._replace(model_type=fields.one_of("model_type", CLASSES))


def parse_config(fields: Fields) -> Config:
    """A Config from the fields of a JSON object, whatever its model_type.

    Raises FormatError with the field, the expected values and the value found.
    """
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, "model_type", "hidden_act", "layer_norm_eps",
                          "pad_token_id"))
    sizes = read_sizes(fields, FIELDS)
    padding = fields.whole("pad_token_id", least=0, default=1)
    if sizes["positions"] < padding + 2:
        raise fields.fault("max_position_embeddings", f"at least pad_token_id + 2, {padding + 2}",
                           str(sizes["positions"]))
    return Config(**sizes, eps=float(fields.positive("layer_norm_eps", 1e-12)), padding=padding,
                  activation=ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")])


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that config.json has no name for.
    """
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": config.model_type, **sizes, "pad_token_id": config.padding,
            "hidden_act": activation_name(config.activation), "layer_norm_eps": config.eps,
            "position_embedding_type": "absolute", "tie_word_embeddings": True}


# ---- the model -----------------------------------------------------------------------------------

def original_class(config: Config, p: Params) -> str:
    """The transformers class that has the heads of p; RobertaForMaskedLM ignores a pooler.

    Raises ValueError for a model_type that is not in CLASSES.
    """
    if config.model_type not in CLASSES:
        raise ValueError(f"model_type: expected one of {', '.join(CLASSES)}, got "
                         f"{config.model_type!r}")
    return CLASSES[config.model_type] + ("ForMaskedLM" if "mlm.bias" in p else "Model")


class Roberta(Transformer):
    """A RoBERTa, XLM-R or CamemBERT: its config and its parameters.

    Each call uses their current values.
    """

    architecture = Architecture("RobertaModel", NAMES, tensors, encode, infer, read_config,
                                config_fields, original_class, head_tensors,
                                pretraining=("mlm",))

    def mlm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of masked tokens.  x: (M, D) -> (M, V)."""
        return mlm_head(x, self.p, self.config)

    def pooler(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """tanh(P x + d) of the rows of the first tokens, <s>.  x, y: (N, D)."""
        return pooler(x, self.p)
