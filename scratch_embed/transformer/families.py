"""The families of models that can be loaded, each with a file of its own in this package.

The tokenizer is read from the files of the folder, whatever the family: a BERT may have an XLM-R's
tokenizer.  Code that uses a model (sentences/) relies only on the methods of Transformer
(transformer/model.py), not on the family.
Read next transformer/model.py, transformer/model_folder.py, text/tokenizer_files.py
"""
import os
from typing import Any, NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, show
from scratch_embed.text import tokenizer_files
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.distilbert import Distilbert
from scratch_embed.transformer.gpt2 import Gpt2
from scratch_embed.transformer.mistral import Llama, Mistral
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.mpnet import Mpnet
from scratch_embed.transformer.roberta import Roberta


class Family(NamedTuple):
    """The models of one model_type.

    name     for messages
    model    a subclass of Transformer, see transformer/model.py
    """

    name: str
    model: Any


FAMILIES = {
    "bert": Family("BERT", Bert), "roberta": Family("RoBERTa", Roberta),
    "xlm-roberta": Family("XLM-R", Roberta), "camembert": Family("CamemBERT", Roberta),
    "distilbert": Family("DistilBERT", Distilbert), "mpnet": Family("MPNet", Mpnet),
    "gpt2": Family("GPT-2", Gpt2), "mistral": Family("Mistral", Mistral),
    "llama": Family("Llama", Llama)}
# {model_type: why it is not read}, for messages; those that users have most
NOT_READ = {
    **dict.fromkeys(("t5", "mt5", "umt5", "bart", "mbart"), "it is an encoder and a decoder"),
    "albert": "all of its layers share one set of weights",
    "electra": "its embeddings are projected to another size",
    **dict.fromkeys(("deberta", "deberta-v2"), "its attention has separate terms for positions"),
    "modernbert": "it has rotary positions, gated layers and local attention",
    "eurobert": "it has rotary positions and RMS norms in an encoder",
    **dict.fromkeys(("nomic_bert", "new", "gte"), "it needs code of its own"),
    "xlnet": "it has the attention of Transformer-XL",
    **dict.fromkeys(("qwen2", "qwen3"), "its attention has biases or norms that Mistral's lacks"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text"), "its norms and embeddings are scaled"),
    **dict.fromkeys(("phi", "phi3", "gpt_neox", "gptj", "opt", "bloom"),
                    "it is another decoder than GPT-2, Mistral and Llama")}


def family_of(folder: str | os.PathLike) -> Family:
    """The family that model_type in a folder's config.json names; BERT if the field is missing.

    Raises FormatError for a family that is not in FAMILIES, and for a model that needs code of its
    own (auto_map), which is never run.
    """
    fields = Fields.read(os.path.join(folder, "config.json"))
    name = fields.values.get("model_type")
    if isinstance(name, str) and name in NOT_READ:
        raise FormatError(fields.path, "field 'model_type'", f"{name!r} is not read: "
                          f"{NOT_READ[name]}; expected one of {', '.join(FAMILIES)}")
    family = FAMILIES[fields.one_of("model_type", FAMILIES, "bert")]
    if fields.values.get("auto_map"):
        raise fields.fault("auto_map", "none: code that comes with a model is not run",
                           show(fields.values["auto_map"]))
    return family


def read_tokenizer(folder: str | os.PathLike, model: Transformer) -> Any:
    """Load the tokenizer of a model's folder.

    Raises FormatError if the tokenizer has more tokens, or types of tokens, than the model has
    embeddings.
    """
    tokenizer = tokenizer_files.load(folder)
    if len(tokenizer) > model.config.vocab:
        raise FormatError(folder, "its tokenizer", f"expected at most {model.config.vocab} tokens, "
                          f"the vocab_size of config.json, found {len(tokenizer)}")
    most = max(part.type for part in tokenizer.template.single)
    if has_types(model) and most >= model.config.types:
        raise FormatError(folder, "its tokenizer", f"expected types of tokens below "
                          f"{model.config.types}, the type_vocab_size of config.json, found {most}")
    if isinstance(model, Gpt2) and tokenizer.has_types:
        raise FormatError(os.path.join(folder, tokenizer_files.CONFIG), "field 'model_input_names'",
                          "expected one without token_type_ids, since transformers' GPT-2 adds the "
                          "embedding of token 0 to every token that has the type 0; found a "
                          "tokenizer that returns them; set [\"input_ids\", \"attention_mask\"]")
    return tokenizer


def has_types(model: Transformer) -> bool:
    """Whether the model has embeddings for the types of tokens; if not, it ignores them."""
    return "types" in model.config._fields


def save_tokenizer(folder: str | os.PathLike, model: Transformer, tokenizer: Any,
                   max_length: int | None = None) -> None:
    """Write the files of a model's tokenizer.  max_length: the most tokens of a text."""
    if not has_types(model):
        tokenizer = tokenizer.without_types()
    tokenizer_files.save(folder, tokenizer, max_length)
