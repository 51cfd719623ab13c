"""tokenizer.json: a whole tokenizer in one file, as the tokenizers library writes it.

    {"normalizer":     BertNormalizer, a Sequence of it and Lowercase, or null
     "pre_tokenizer":  BertPreTokenizer
     "model":          WordPiece: vocab {piece: id}, unk_token, max_input_chars_per_word ...
     "post_processor": BertProcessing, RobertaProcessing, TemplateProcessing, or null
     "decoder":        WordPiece, or null
     "added_tokens":   [{id, content, special, normalized, lstrip, rstrip, single_word} ...]
     "truncation", "padding"}

The format has other kinds of these parts; a file with one of them, or with a field that is not
listed here, is refused, with a message that names it.

Differs   Of truncation only the direction is used, and padding is ignored: encode() has an argument
          for the length, as in transformers, and nothing is padded.  sentence-transformers writes
          the Sequence if texts are lower-cased; lower-casing before or after BertNormalizer is the
          same for every character (a test compares all), so it is read as one Normalizer.
          A template may have any special tokens and types, but each text exactly once.  The
          post-processor is always written as a TemplateProcessing, whichever was read.
Read next text/wordpiece.py (the parts themselves)
"""
from collections.abc import Mapping

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, REQUIRED, Fields, show
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import Normalizer
from scratch_embed.text.wordpiece import NO_TEMPLATE, Part, Template, WordPiece, bert_template

FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")
DIRECTIONS = {"Right": "right", "Left": "left"}
PARTS = ("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
         "post_processor", "decoder", "model")
IGNORED = {                        # fields that do not change ids, each with the reason
    "version": "is that of the format, of which there is one", "padding": "nothing is padded",
    r"truncation\.(max_length|strategy|stride)": "is an argument of encode()",
    r"decoder\.(prefix|cleanup)": "is used when ids are decoded",
    r"added_tokens\.special": "is used when ids are decoded",
    r"post_processor\.special_tokens\..*\.(id|tokens)": "the ids decide",
    r"post_processor\.(trim_offsets|add_prefix_space)": "changes positions in the text, not ids"}
ENDLESS = {"max_length": 2**31 - 1, "strategy": "LongestFirst", "stride": 0}     # truncates nothing


# ---- reading ----------------------------------------------------------------------------------

def parse_tokenizer(whole: Fields, flags: Mapping[str, bool | None] = {}) -> WordPiece:
    """The WordPiece that a tokenizer.json describes.

    flags: fields of Normalizer that replace those of its BertNormalizer
    """
    whole = _add_model_type(whole)
    whole.no_others(PARTS)
    model = whole.part("model", ["WordPiece"])
    model.no_others(("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
                     "vocab"))
    whole.part("pre_tokenizer", ["BertPreTokenizer"]).no_others(("type",))
    pieces = _pieces_by_id(model)
    unk = model.text("unk_token")
    if unk not in model.values["vocab"]:
        raise model.fault("unk_token", "a piece of the vocabulary", show(unk))
    has_added = whole.of("added_tokens", list, NULL, default=None) is not None
    added = [added_token(token, token.whole("id", 0))
             for token in (whole.each("added_tokens") if has_added else ())]
    decoder = whole.part("decoder", ["WordPiece"], optional=True)
    if decoder is not None:
        decoder.no_others(("type", "prefix", "cleanup"))
    try:
        return WordPiece(pieces, _normalizer(whole, flags), added, _read_template(whole), unk=unk,
                         prefix=model.text("continuing_subword_prefix"),
                         max_word=model.whole("max_input_chars_per_word", 0),
                         cleanup=decoder is None or decoder.flag("cleanup", True),
                         truncation_side=_side(whole))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(whole.path, "added_tokens, post_processor", str(error)) from None


def _add_model_type(whole):
    """Add the "type" of the model, which files from before version 0.9 lack.

    It is WordPiece if the model has a field that only WordPiece has.
    """
    model = whole.object("model")
    if "type" in model or "max_input_chars_per_word" not in model:
        return whole
    return Fields(whole.path, {**whole.values, "model": {**model, "type": "WordPiece"}})


def _pieces_by_id(model):
    """The pieces of a vocabulary, sorted by their ids, which must be 0, 1, ... without a gap."""
    vocab = model.object("vocab")
    pieces = [None] * len(vocab)
    for piece, number in vocab.items():
        if type(number) is not int or not 0 <= number < len(pieces):
            raise model.fault("vocab", f"the ids 0 to {len(pieces) - 1}",
                              f"{show(number)} for {show(piece)}")
        if pieces[number] is not None:
            raise model.fault("vocab", "a different id for each piece",
                              f"{number} for {show(pieces[number])} and for {show(piece)}")
        pieces[number] = piece
    return pieces


def _side(whole):
    """The side from which texts are truncated: "right" unless truncation says "Left"."""
    if whole.of("truncation", dict, NULL, default=None) is None:
        return "right"
    return DIRECTIONS[whole.inside("truncation").one_of("direction", DIRECTIONS, "Right")]


def _normalizer(whole, flags):
    fields = whole.part("normalizer", ["BertNormalizer", "Sequence"], optional=True)
    if fields is None and any(flags.values()):
        raise whole.fault("normalizer", f"a BertNormalizer, since {show(dict(flags))} is set",
                          "null")
    if fields is None:
        return Normalizer(False, False, False, False)
    if fields.text("type") == "BertNormalizer":
        return _bert_normalizer(fields)._replace(**flags)
    fields.no_others(("type", "normalizers"))
    steps = fields.each("normalizers")
    kinds = [step.text("type") for step in steps]
    if sorted(kinds) not in (["BertNormalizer"], ["BertNormalizer", "Lowercase"]):
        raise fields.fault("normalizers", "a BertNormalizer and at most one Lowercase", show(kinds))
    for step in steps:
        if step.text("type") == "Lowercase":
            step.no_others(("type",))
    found = _bert_normalizer(steps[kinds.index("BertNormalizer")])._replace(**flags)
    if "Lowercase" not in kinds:
        return found
    strip = found.lower_case if found.strip_accents is None else found.strip_accents
    return found._replace(strip_accents=strip, lower_case=True)


def _bert_normalizer(fields):
    fields.no_others(("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"))
    return Normalizer(fields.flag("clean_text"), fields.flag("handle_chinese_chars"),
                      fields.of("strip_accents", bool, NULL), fields.flag("lowercase"))


def added_token(fields: Fields, number: int) -> AddedToken:
    """The AddedToken with this id that a JSON object describes."""
    fields.no_others(("id", "content", *FLAGS))
    return AddedToken(fields.text("content"), number, **{flag: fields.flag(flag) for flag in FLAGS})


def _read_template(whole):
    fields = whole.part("post_processor", ["BertProcessing", "RobertaProcessing",
                                           "TemplateProcessing"], optional=True)
    if fields is None:
        return NO_TEMPLATE
    if fields.text("type") == "TemplateProcessing":
        fields.no_others(("type", "single", "pair", "special_tokens"))
        return Template(_template(fields, "single", "A"), _template(fields, "pair", "AB"))
    fields.no_others(("type", "sep", "cls", "trim_offsets", "add_prefix_space"))
    cls, sep = (_numbered(fields, name) for name in ("cls", "sep"))
    if fields.text("type") == "BertProcessing":
        return bert_template(cls, sep)
    first = (Part(None, (cls,), 0), Part(0, (), 0), Part(None, (sep,), 0))
    return Template(first, (*first, Part(None, (sep,), 0), Part(1, (), 0), Part(None, (sep,), 0)))


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

def tokenizer_json(tokenizer: WordPiece) -> dict:
    """The content of the tokenizer.json of a WordPiece."""
    normalizer = tokenizer.normalizer
    return {
        "version": "1.0", "truncation": None if tokenizer.truncation_side == "right" else {
            "direction": "Left", **ENDLESS}, "padding": None,
        "added_tokens": [token._asdict() for token in tokenizer.added],
        "normalizer": {"type": "BertNormalizer", "clean_text": normalizer.clean_text,
                       "handle_chinese_chars": normalizer.handle_chinese_chars,
                       "strip_accents": normalizer.strip_accents,
                       "lowercase": normalizer.lower_case},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _processor(tokenizer),
        "decoder": {"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": tokenizer.cleanup},
        "model": {"type": "WordPiece", "unk_token": tokenizer.unk,
                  "continuing_subword_prefix": tokenizer.prefix,
                  "max_input_chars_per_word": tokenizer.max_word, "vocab": tokenizer.index}}


def _processor(tokenizer):
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
