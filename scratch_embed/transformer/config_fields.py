"""The fields of a config.json that do not change a model's token vectors, each with the reason.

transformers stores every attribute of a configuration in config.json: those of the encoder, and
those of training, of heads, of text generation and of the class that all configurations share.  A
family reads the first kind.  check_fields() accepts these others, and refuses any field that it
does not know: it could be an option of another architecture under the same model_type.

read_sizes(), read_theta() and ACTIVATIONS are for the fields that several families read in the same
way.

Read next transformer/bert.py (FIELDS, ONLY: the fields that are read)
"""
from collections.abc import Callable, Collection, Mapping
from typing import Any

from scratch_embed.nn.activations import gelu, gelu_tanh, quick_gelu
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, show

ACTIVATIONS: dict[str, Callable] = {"gelu": gelu, "gelu_new": gelu_tanh,
                                    "gelu_pytorch_tanh": gelu_tanh, "quick_gelu": quick_gelu}

ONLY: dict[str, list[Any]] = {     # the accepted values of options that would change the vectors
    "is_encoder_decoder": [False, None], "auto_map": [None, {}], "quantization_config": [None],
    "is_decoder": [False, None], "add_cross_attention": [False, None], "pruned_heads": [{}, None],
    "prefix": [None, ""], "per_layer_config": [None, {}], "cross_attention_hidden_size": [None]}
IGNORED = {
    **dict.fromkeys(("_name_or_path", "name_or_path", "_commit_hash", "transformers_version",
                     "architectures", "name", "language", "custom_pipelines", "base_model",
                     "_num_labels"), "says where the weights came from"),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
                     "attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout",
                     "initializer_range", "gradient_checkpointing", "layerdrop"),
                    "is used in training; here dropout is an argument of it"),
    **dict.fromkeys(("num_labels", "id2label", "label2id", "problem_type", "finetuning_task",
                     "task_specific_params", "sentence_transformers",
                     "sbert_ce_default_activation_function", "pooler_fc_size",
                     "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head",
                     "pooler_type", "directionality", "summary_type", "summary_activation",
                     "summary_first_dropout", "summary_proj_to_labels", "summary_use_proj"),
                    "belongs to a head that is not part of the token vectors"),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id",
                     "cls_token_id", "mask_token_id", "decoder_start_token_id", "tokenizer_class"),
                    "the tokenizer's files say it; tokenizer_class is checked with them"),
    **dict.fromkeys(("tie_word_embeddings", "tie_encoder_decoder"),
                    "a stored decoder must equal the embeddings, whatever this says"),
    **dict.fromkeys(("dtype", "torch_dtype", "use_bfloat16", "torchscript",
                     "chunk_size_feed_forward", "attn_implementation", "_attn_implementation",
                     "_attn_implementation_autoset", "_attn_implementation_internal",
                     "experts_implementation", "use_cache", "output_past",
                     "output_attentions", "output_hidden_states", "return_dict",
                     "use_return_dict", "tf_legacy_loss", "xla_device", "pretraining_tp",
                     "reorder_and_upcast_attn"),
                    "says how the same numbers are computed, stored or returned"),
    **dict.fromkeys((
        "max_length", "min_length", "max_new_tokens", "min_new_tokens", "do_sample",
        "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature",
        "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
        "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
        "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id",
        "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
        "begin_suppress_tokens"), "is used when text is generated")}

ROPE = ("rope_theta", "rope_parameters", "rope_scaling")       # what read_theta() reads


def check_fields(fields: Fields, known: Collection[str]) -> None:
    """Raise FormatError for an option that changes the vectors, and for a field that is unknown.

    known: the fields that the family itself reads or checks
    """
    for name, values in ONLY.items():
        if name not in known:
            fields.one_of(name, values, values[0])
    fields.no_others((*known, *ONLY, *IGNORED))


def read_sizes(fields: Fields, names: Mapping[str, str]) -> dict[str, Any]:
    """The sizes of a model, whole numbers.  names: {ours: the field's}, also of "heads" and "dim".

    Raises FormatError for a field that is missing or not a whole number of at least 1, and unless
    heads divides dim.
    """
    sizes = {ours: fields.whole(theirs) for ours, theirs in names.items()}
    if sizes["dim"] % sizes["heads"]:
        raise fields.fault(names["heads"], f"a divisor of {names['dim']}, {sizes['dim']}",
                           show(sizes["heads"]))
    return sizes


def read_theta(fields: Fields) -> float:
    """The base of the angles of rotary positions; 10,000 if no field of ROPE says it.

    Version 4 of transformers writes rope_theta and rope_scaling, version 5 an object
    rope_parameters.  If they differ, transformers takes rope_scaling's theta before
    rope_parameters', and this before rope_theta; here that is a FormatError, and so is any
    rope_type but "default".
    """
    found = {}                                     # {where it is: theta}
    if "rope_theta" in fields:
        found["rope_theta"] = fields.positive("rope_theta")
    for name in ("rope_parameters", "rope_scaling"):
        given = fields.values.get(name)
        rope = Fields(fields.path, {} if given is None else given, name)
        for kind in ("rope_type", "type"):
            if rope.values.get(kind, "default") != "default":
                raise rope.fault(kind, '"default", because scaled RoPE is not supported',
                                 show(rope.values[kind]))
        rope.no_others(("rope_type", "type", "rope_theta"))
        if "rope_theta" in rope:
            found[f"{name}.rope_theta"] = rope.positive("rope_theta")
    if len({*found.values()}) > 1:
        raise FormatError(fields.path, f"fields {', '.join(found)}", "expected one number, found "
                          f"{', '.join(map(show, found.values()))}")
    return float(next(iter(found.values()), 10_000.0))


def activation_name(activation: Callable) -> str:
    """The name of an activation in config.json.  Raises ValueError if ACTIVATIONS has none."""
    for name, function in ACTIVATIONS.items():
        if function is activation:
            return name
    raise ValueError("activation: config.json has names for gelu and gelu_tanh of "
                     f"nn/activations.py, got {activation}")
