"""The parts of a tokenizer.json that are WordPiece's own.

    {"normalizer":     BertNormalizer, a Sequence of it and Lowercase, or null
     "pre_tokenizer":  BertPreTokenizer
     "model":          WordPiece: vocab {piece: id}, unk_token, max_input_chars_per_word ...
     "decoder":        WordPiece, or null}

Differs   sentence-transformers writes the Sequence if texts are lower-cased; lower-casing before or
          after BertNormalizer is the same for every character (a test compares all), so it is read
          as one Normalizer.
Read next text/tokenizer_json.py (the other parts), text/wordpiece.py
"""
from collections.abc import Mapping

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, show
from scratch_embed.text.basic_tokenizer import UNCASED, Normalizer
from scratch_embed.text.tokenizer_json import (
    PARTS,
    pieces_by_id,
    read_added,
    read_side,
    read_template,
    whole_json,
)
from scratch_embed.text.wordpiece import WordPiece

# {field of tokenizer_config.json: field of Normalizer}
SETTINGS = {"do_lower_case": "lower_case", "strip_accents": "strip_accents",
            "tokenize_chinese_chars": "handle_chinese_chars"}


# ---- reading ----------------------------------------------------------------------------------

def parse(whole: Fields, settings: Mapping[str, bool | None] = {}) -> WordPiece:
    """The WordPiece that a tokenizer.json describes.

    settings: fields of SETTINGS, which replace those of its BertNormalizer
    """
    flags = {SETTINGS[name]: value for name, value in settings.items()}
    whole.no_others(PARTS)
    model = whole.part("model", ["WordPiece"])
    model.no_others(("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
                     "vocab"))
    whole.part("pre_tokenizer", ["BertPreTokenizer"]).no_others(("type",))
    pieces = pieces_by_id(model)
    unk = model.text("unk_token")
    if unk not in model.values["vocab"]:
        raise model.fault("unk_token", "a piece of the vocabulary", show(unk))
    decoder = whole.part("decoder", ["WordPiece"], optional=True)
    if decoder is not None:
        decoder.no_others(("type", "prefix", "cleanup"))
    try:
        return WordPiece(pieces, _normalizer(whole, flags), read_added(whole),
                         read_template(whole), unk=unk,
                         prefix=model.text("continuing_subword_prefix"),
                         max_word=model.whole("max_input_chars_per_word", 0),
                         cleanup=decoder is None or decoder.flag("cleanup", True),
                         truncation_side=read_side(whole))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(whole.path, "added_tokens, post_processor", str(error)) from None


def normalizer_of(settings: Mapping[str, bool | None]) -> Normalizer:
    """Uncased BERT's Normalizer with these fields of SETTINGS."""
    flags: dict = {SETTINGS[name]: value for name, value in settings.items()}
    return UNCASED._replace(**flags)


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


# ---- writing ----------------------------------------------------------------------------------

def to_json(tokenizer: WordPiece) -> dict:
    """The content of the tokenizer.json of a WordPiece."""
    normalizer = tokenizer.normalizer
    return whole_json(
        tokenizer,
        normalizer={"type": "BertNormalizer", "clean_text": normalizer.clean_text,
                    "handle_chinese_chars": normalizer.handle_chinese_chars,
                    "strip_accents": normalizer.strip_accents, "lowercase": normalizer.lower_case},
        pre_tokenizer={"type": "BertPreTokenizer"},
        model={"type": "WordPiece", "unk_token": tokenizer.unk,
               "continuing_subword_prefix": tokenizer.prefix,
               "max_input_chars_per_word": tokenizer.max_word, "vocab": tokenizer.index},
        decoder={"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": tokenizer.cleanup})
