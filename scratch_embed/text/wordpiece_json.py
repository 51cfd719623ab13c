"""tokenizer.json: a whole tokenizer in one file, as the tokenizers library writes it.

    {"normalizer":     BertNormalizer, or null
     "pre_tokenizer":  BertPreTokenizer
     "model":          WordPiece: vocab {piece: number}, unk_token, max_input_chars_per_word ...
     "post_processor": BertProcessing, RobertaProcessing, TemplateProcessing, or null
     "decoder":        WordPiece, or null
     "added_tokens":   [{id, content, special, normalized, lstrip, rstrip, single_word} ...]
     "truncation", "padding"}

Everything else that the format knows is of another tokenizer and refused by name.

Differs   truncation and padding are not taken over: the caller of encode() says the length, as
          with transformers.  Of a template all tokens and types are kept; a text must come once.
          What is written has a TemplateProcessing, whatever was read.
Read next text/wordpiece.py, whose parts these are.
"""
import json
import os
import reprlib
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import Cleaning
from scratch_embed.text.wordpiece import BARE, Frame, Part, WordPiece, bert_frame

FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")
NOTHING = type(None)


# ---- JSON that may be damaged -----------------------------------------------------------------

def read_json(path: str | os.PathLike) -> dict:
    """The object in a JSON file.  FormatError with line and column where it is broken."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise FormatError(path, f"byte {error.start}", "this is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise FormatError(path, f"line {error.lineno}, column {error.colno}",
                          f"broken JSON ({error.msg}); was the file cut off?") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(path, "its JSON", str(error)) from None
    if not isinstance(value, dict):
        raise FormatError(path, "its JSON", f"an object is expected, not {reprlib.repr(value)}")
    return value


def _without_repeats(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice!r} comes twice")
    return found


class Fields:
    """An object of a JSON file: its fields are asked for by name and kind."""

    def __init__(self, path: str | os.PathLike, value: Any, place: str = "") -> None:
        self.path, self.value, self.place = path, value, place
        if not isinstance(value, dict):
            raise FormatError(path, place, f"an object is expected, not {reprlib.repr(value)}")

    def get(self, name: str, kind: type | tuple, *default: Any) -> Any:
        """The field's value, or `default` if there is none.  FormatError if it is not of a kind."""
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if name not in self.value and default:
            return default[0]
        value = self.value.get(name)
        if name not in self.value or type(value) not in kinds:
            expected = " or ".join({NOTHING: "null", dict: "object"}.get(k, k.__name__)
                                   for k in kinds)
            found = reprlib.repr(value) if name in self.value else "nothing"
            raise FormatError(self.path, self.under(name), f"{expected} is expected, not {found}")
        return value

    def under(self, name: str) -> str:
        """Where a field stands, for a message."""
        return f"{self.place}.{name}" if self.place else name

    def inside(self, value: Any, name: str) -> "Fields":
        """Fields of an object that stands in this one."""
        return Fields(self.path, value, self.under(name))

    def part(self, name: str, supported: tuple, optional: bool = False) -> "Fields | None":
        """The part `name`, whose "type" is one of `supported`; None for null, if that may be."""
        value = self.get(name, (dict, NOTHING), *([None] if optional else []))
        kind = value.get("type", "an object without a type") if value is not None else "null"
        if value is None and optional:
            return None
        if kind not in supported:
            raise FormatError(self.path, name, f"found {reprlib.repr(kind)}; supported: "
                              + ", ".join([*supported, *["null"] * optional]))
        return self.inside(value, name)

    def wrong(self, name: str, problem: str) -> FormatError:
        """The error that something in the field is not as it should be."""
        return FormatError(self.path, self.under(name), problem)


# ---- reading ----------------------------------------------------------------------------------

def parse_tokenizer(whole: Fields) -> WordPiece:
    """The WordPiece that a tokenizer.json describes."""
    model = whole.get("model", dict)
    if "type" not in model and "max_input_chars_per_word" in model:       # before version 0.9
        whole.value = whole.value | {"model": model | {"type": "WordPiece"}}
    model = whole.part("model", ("WordPiece",))
    whole.part("pre_tokenizer", ("BertPreTokenizer",))
    pieces = _ordered(model)
    index = {piece: number for number, piece in enumerate(pieces)}
    unk = model.get("unk_token", str)
    if unk not in index:
        raise model.wrong("unk_token", f"{unk!r} is not in the vocabulary")
    max_word = model.get("max_input_chars_per_word", int)
    if max_word < 0:
        raise model.wrong("max_input_chars_per_word", f"{max_word} characters")
    added = [added_token(whole.inside(token, f"added_tokens[{i}]"))
             for i, token in enumerate(whole.get("added_tokens", (list, NOTHING), None) or [])]
    decoder = whole.part("decoder", ("WordPiece",), optional=True)
    try:
        return WordPiece(pieces, _cleaning(whole), added, _frame(whole), unk=unk,
                         prefix=model.get("continuing_subword_prefix", str), max_word=max_word,
                         mend=decoder is None or decoder.get("cleanup", bool, True))
    except FormatError:
        raise
    except ValueError as error:
        raise whole.wrong("added_tokens, post_processor", str(error)) from None


def _ordered(model):
    """The pieces of a vocabulary by their numbers, which are 0, 1, ... without a gap."""
    vocab = model.get("vocab", dict)
    pieces = [None] * len(vocab)
    for piece, number in vocab.items():
        if type(number) is not int or not 0 <= number < len(pieces):
            raise model.wrong("vocab", f"{reprlib.repr(piece)} has the number "
                              f"{reprlib.repr(number)}; expected are 0 to {len(pieces) - 1}")
        if pieces[number] is not None:
            raise model.wrong("vocab", f"{pieces[number]!r} and {piece!r} both have the number "
                              f"{number}")
        if any("\ud800" <= c <= "\udfff" for c in piece):
            raise model.wrong("vocab", f"the piece {piece!r} has half a surrogate pair")
        pieces[number] = piece
    return pieces


def _cleaning(whole):
    fields = whole.part("normalizer", ("BertNormalizer",), optional=True)
    if fields is None:
        return Cleaning(False, False, False, False)
    return Cleaning(fields.get("clean_text", bool), fields.get("handle_chinese_chars", bool),
                    fields.get("strip_accents", (bool, NOTHING)), fields.get("lowercase", bool))


def added_token(fields: Fields, number: int | None = None) -> AddedToken:
    """An AddedToken of a JSON object; its id is a field, or given."""
    number = fields.get("id", int) if number is None else number
    return AddedToken(fields.get("content", str), number,
                      **{flag: fields.get(flag, bool) for flag in FLAGS})


def _frame(whole):
    fields = whole.part("post_processor", ("BertProcessing", "RobertaProcessing",
                                           "TemplateProcessing"), optional=True)
    if fields is None:
        return BARE
    if fields.value["type"] == "TemplateProcessing":
        return Frame(_template(fields, "single", "A"), _template(fields, "pair", "AB"))
    cls, sep = (_numbered(fields, name) for name in ("cls", "sep"))
    if fields.value["type"] == "BertProcessing":
        return bert_frame(cls, sep)
    first = (Part(None, (cls,), 0), Part(0, (), 0), Part(None, (sep,), 0))
    return Frame(first, (*first, Part(None, (sep,), 0), Part(1, (), 0), Part(None, (sep,), 0)))


def _numbered(fields, name):
    """The number of a pair such as ["[CLS]", 101]."""
    pair = fields.get(name, list)
    if [type(value) for value in pair] != [str, int]:
        raise fields.wrong(name, f"a token and its number are expected, not {reprlib.repr(pair)}")
    return pair[1]


def _template(fields, name, texts):
    """The parts of a template, which has each of the texts once."""
    tokens = fields.inside(fields.get("special_tokens", dict), "special_tokens")
    parts = []
    for item in fields.get(name, list):
        item = fields.inside(item, name)
        if item.value.keys() == {"SpecialToken"}:
            token = item.inside(item.get("SpecialToken", dict), "SpecialToken")
            key = token.get("id", str)
            ids = tokens.inside(tokens.get(key, dict), key).get("ids", list)
            parts.append(Part(None, tuple(ids), token.get("type_id", int)))
            if any(type(number) is not int or number < 0 for number in ids):
                raise tokens.wrong(key, f"numbers are expected, not {reprlib.repr(ids)}")
        else:
            text = item.inside(item.get("Sequence", dict), "Sequence")
            parts.append(Part("AB".find(text.get("id", str)), (), text.get("type_id", int)))
    if sorted("AB"[part.text] for part in parts if part.text is not None) != list(texts):
        raise fields.wrong(name, f"each text of {texts} is expected once")
    return tuple(parts)


# ---- writing ----------------------------------------------------------------------------------

def tokenizer_json(tokenizer: WordPiece) -> dict:
    """What a tokenizer.json says of a WordPiece."""
    cleaning = tokenizer.cleaning
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [token._asdict() for token in tokenizer.added],
        "normalizer": {"type": "BertNormalizer", "clean_text": cleaning.clean_text,
                       "handle_chinese_chars": cleaning.handle_chinese_chars,
                       "strip_accents": cleaning.strip_accents,
                       "lowercase": cleaning.lower_case},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _processor(tokenizer),
        "decoder": {"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": tokenizer.mend},
        "model": {"type": "WordPiece", "unk_token": tokenizer.unk,
                  "continuing_subword_prefix": tokenizer.prefix,
                  "max_input_chars_per_word": tokenizer.max_word, "vocab": tokenizer.index}}


def _processor(tokenizer):
    special = {}

    def written(part):
        if part.text is not None:
            return [{"Sequence": {"id": "AB"[part.text], "type_id": part.type}}]
        tokens = [tokenizer.token(i) for i in part.ids]
        special.update({token: {"id": token, "ids": [i], "tokens": [token]}
                        for token, i in zip(tokens, part.ids)})
        return [{"SpecialToken": {"id": token, "type_id": part.type}} for token in tokens]

    one, two = ([item for part in parts for item in written(part)] for parts in tokenizer.frame)
    return {"type": "TemplateProcessing", "single": one, "pair": two, "special_tokens": special}
