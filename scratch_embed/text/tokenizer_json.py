"""tokenizer.json: a whole tokenizer in one file, as the tokenizers library writes it.

    {"added_tokens":   [{id, content, special, normalized, lstrip, rstrip, single_word} ...]
     "normalizer", "pre_tokenizer", "model", "decoder":  differ between the kinds of tokenizers
     "post_processor": BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel, a Sequence
                       of ByteLevel and one of these, or null
     "truncation", "padding", "version": "1.0"}

This file reads and writes what all kinds share.  The other parts are in the kind's own file:
wordpiece_json.py, bpe_json.py, unigram_json.py.  Any other part or field is refused by name.

Differs   Of truncation only the direction is used: the length is an argument of encode(), as in
          transformers.  padding is ignored: nothing is padded.
          A template may have any special tokens and types, but each text exactly once.  The
          post_processor is always written as a TemplateProcessing, whichever was read.
Read next text/tokenizer.py (templates), text/wordpiece_json.py (the parts of one kind)
"""
import os
from collections.abc import Mapping
from typing import Any

from scratch_embed.numerics.json_files import NULL, REQUIRED, Fields, show
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.tokenizer import (
    NO_TEMPLATE,
    Part,
    Template,
    Tokenizer,
    bert_template,
    roberta_template,
)

FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")
DIRECTIONS = {"Right": "right", "Left": "left"}
PARTS = ("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
         "post_processor", "decoder", "model")
IGNORED = {                        # fields that do not change ids, each with the reason, for tests
    "padding": "nothing is padded",
    r"truncation\.(max_length|strategy|stride)": "is an argument of encode()",
    r"decoder\..*": "is used when ids are decoded",
    r"added_tokens\.special": "is used when ids are decoded",
    r"post_processor\.special_tokens\..*\.(id|tokens)": "the ids decide",
    r"post_processor\.(processors\.)?(trim_offsets|add_prefix_space|use_regex)":
    "changes positions in the text, not ids"}
ENDLESS = {"max_length": 2**31 - 1, "strategy": "LongestFirst", "stride": 0}     # truncates nothing
# {field of a model: the only type that has it}
ONLY_IN = {"max_input_chars_per_word": "WordPiece", "merges": "BPE", "unk_id": "Unigram"}
TEMPLATES = ("BertProcessing", "RobertaProcessing", "TemplateProcessing")
PROCESSORS = {                     # {type: its fields}
    "BertProcessing": ("type", "sep", "cls"),
    "RobertaProcessing": ("type", "sep", "cls", "trim_offsets", "add_prefix_space"),
    "TemplateProcessing": ("type", "single", "pair", "special_tokens"),
    "ByteLevel": ("type", "add_prefix_space", "trim_offsets", "use_regex")}


# ---- reading ----------------------------------------------------------------------------------

def read_whole(path: str | os.PathLike) -> Fields:
    """The fields of a tokenizer.json.

    If its model has no "type", as in files from before version 0.9 of the library, it is added: it
    follows from the first field of ONLY_IN that the model has.
    Raises FormatError for another version of the format than "1.0", the only one there is.
    """
    whole = Fields.read(path)
    whole.one_of("version", ["1.0"], "1.0")
    model = whole.object("model")
    kind = next((kind for field, kind in ONLY_IN.items() if field in model), None)
    if "type" in model or kind is None:
        return whole
    return Fields(path, {**whole.values, "model": {**model, "type": kind}})


def read_added(whole: Fields) -> list[AddedToken]:
    """The added tokens of a tokenizer.json."""
    has_added = whole.of("added_tokens", list, NULL, default=None) is not None
    return [added_token(token, token.whole("id", 0))
            for token in (whole.each("added_tokens") if has_added else ())]


def pieces_by_id(model: Fields) -> list[str]:
    """The pieces of a vocabulary, sorted by their ids, which must be 0, 1, ... without a gap."""
    vocab = model.object("vocab")
    pieces: list = [None] * len(vocab)
    for piece, number in vocab.items():
        if type(number) is not int or not 0 <= number < len(pieces):
            raise model.fault("vocab", f"the ids 0 to {len(pieces) - 1}",
                              f"{show(number)} for {show(piece)}")
        if pieces[number] is not None:
            raise model.fault("vocab", "a different id for each piece",
                              f"{number} for {show(pieces[number])} and for {show(piece)}")
        pieces[number] = piece
    return pieces


def read_side(whole: Fields) -> str:
    """The side from which texts are truncated: "right" unless truncation says "Left"."""
    if whole.of("truncation", dict, NULL, default=None) is None:
        return "right"
    return DIRECTIONS[whole.inside("truncation").one_of("direction", DIRECTIONS, "Right")]


def added_token(fields: Fields, number: int) -> AddedToken:
    """The AddedToken with this id that a JSON object describes."""
    fields.no_others(("id", "content", *FLAGS))
    return AddedToken(fields.text("content"), number, **{flag: fields.flag(flag) for flag in FLAGS})


def read_template(whole: Fields) -> Template:
    """The template of a post_processor."""
    fields = whole.part("post_processor", [*TEMPLATES, "ByteLevel", "Sequence"], optional=True)
    if fields is not None and fields.text("type") == "Sequence":
        fields.no_others(("type", "processors"))
        fields = _only_template(fields)
    if fields is None:
        return NO_TEMPLATE
    kind = fields.text("type")
    fields.no_others(PROCESSORS[kind])
    if kind == "ByteLevel":
        return NO_TEMPLATE
    if kind == "TemplateProcessing":
        return Template(_template(fields, "single", "A"), _template(fields, "pair", "AB"))
    cls, sep = (_numbered(fields, name) for name in ("cls", "sep"))
    return (bert_template if kind == "BertProcessing" else roberta_template)(cls, sep)


def _only_template(sequence):
    """The step of a Sequence that adds special tokens, or None.  FormatError if there are two."""
    found = None
    for step in sequence.each("processors"):
        kind = step.one_of("type", PROCESSORS)
        if kind == "ByteLevel":
            step.no_others(PROCESSORS[kind])
        elif found is not None:
            raise sequence.fault("processors", "at most one that adds special tokens",
                                 f"{found.text('type')} and {kind}")
        else:
            found = step
    return found


def _numbered(fields, name):
    """The id in a pair such as ["[CLS]", 101]."""
    return fields.get(name, REQUIRED, "a list of a token and its id", lambda v: isinstance(
        v, list) and [type(value) for value in v] == [str, int])[1]


def _template(fields, name, texts):
    """Read the parts of a template, in which each text must occur once."""
    tokens, parts = fields.inside("special_tokens"), []
    for item in fields.each(name):
        item.no_others(("SpecialToken", "Sequence"))
        if item.values.keys() == {"SpecialToken"}:
            token = item.inside("SpecialToken")
            token.no_others(("id", "type_id"))
            special = tokens.inside(token.text("id"))
            special.no_others(("id", "ids", "tokens"))
            ids = special.get(
                "ids", REQUIRED, "a list of whole numbers of at least 0", lambda v: isinstance(
                    v, list) and all(type(n) is int and n >= 0 for n in v))
            parts.append(Part(None, tuple(ids), token.whole("type_id", 0)))
        else:
            text = item.inside("Sequence")
            text.no_others(("id", "type_id"))
            parts.append(Part("AB".index(text.one_of("id", "AB")), (), text.whole("type_id", 0)))
    found = sorted("AB"[part.text] for part in parts if part.text is not None)
    if found != list(texts):
        raise fields.fault(name, f"each text of {texts} once", ", ".join(found) or "none")
    return tuple(parts)


# ---- writing ----------------------------------------------------------------------------------

def whole_json(tokenizer: Tokenizer, normalizer: Mapping | None, pre_tokenizer: Mapping | None,
               model: Mapping, decoder: Mapping | None) -> dict[str, Any]:
    """The content of a tokenizer.json: the parts that are given, and those that all kinds share."""
    return {
        "version": "1.0", "truncation": None if tokenizer.truncation_side == "right" else {
            "direction": "Left", **ENDLESS}, "padding": None,
        "added_tokens": [token._asdict() for token in tokenizer.added],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": _processor(tokenizer), "decoder": decoder, "model": model}


def _processor(tokenizer):
    """The template, as a TemplateProcessing."""
    special = {}

    def written(part):
        if part.text is not None:
            return [{"Sequence": {"id": "AB"[part.text], "type_id": part.type}}]
        tokens = [tokenizer.id_to_token(i) for i in part.ids]
        special.update({token: {"id": token, "ids": [i], "tokens": [token]}
                        for token, i in zip(tokens, part.ids)})
        return [{"SpecialToken": {"id": token, "type_id": part.type}} for token in tokens]

    one, two = ([item for part in parts for item in written(part)] for parts in tokenizer.template)
    return {"type": "TemplateProcessing", "single": one, "pair": two, "special_tokens": special}
