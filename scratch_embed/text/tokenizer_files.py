"""Tokenizer files: a tokenizer as transformers and sentence-transformers store it in a folder.

    tokenizer.json             the whole tokenizer, of any kind: see tokenizer_json.py
    vocab.txt                  the pieces of a WordPiece, read if there is no tokenizer.json
    tokenizer_config.json      settings, names of special tokens, added tokens: see
                               tokenizer_settings.py, also for the next two
    special_tokens_map.json    the names of the special tokens again, for older readers
    added_tokens.json          added tokens in older folders; not written

Differs   These are errors here: JSON with the same key twice, ids with a gap.
          save() recognises [PAD] and [MASK] by BERT's names only, since a WordPiece does not record
          which of its tokens have these two roles.
Read next text/tokenizer_json.py, text/tokenizer_settings.py
"""
import os
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from scratch_embed.numerics.json_files import Fields, write_json
from scratch_embed.text import wordpiece_json
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.text.tokenizer_json import with_model_type
from scratch_embed.text.tokenizer_settings import (
    ADDED,
    CONFIG,
    NAMED,
    NAMES,
    from_vocabulary,
    read_settings,
    with_settings,
)
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_files import read_vocab, write_vocab

VOCAB, WHOLE = "vocab.txt", "tokenizer.json"
FILES = (VOCAB, WHOLE, CONFIG, NAMES, ADDED)       # all that load() reads
Path = str | os.PathLike


class Kind(NamedTuple):
    """How the tokenizers of one model.type are read from and written to a tokenizer.json.

    tokenizer  the class
    parse      (Fields of the file, settings of tokenizer_config.json) -> tokenizer
    to_json    tokenizer -> the content of the file
    settings   the fields of tokenizer_config.json that parse() takes
    """

    tokenizer: type[Tokenizer]
    parse: Callable
    to_json: Callable
    settings: Collection[str]


KINDS = {"WordPiece": Kind(WordPiece, wordpiece_json.parse, wordpiece_json.to_json,
                           wordpiece_json.SETTINGS)}


def read_kind(whole: Fields) -> Kind:
    """The kind of a tokenizer.json, after its model.type.  FormatError for one not in KINDS."""
    return KINDS[with_model_type(whole).part("model", [*KINDS]).text("type")]


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.  FormatError if it is damaged or of another kind than KINDS."""
    whole = Fields.read(path)
    return read_kind(whole).parse(with_model_type(whole))


def write_tokenizer(path: Path, tokenizer: Tokenizer) -> None:
    """Write a tokenizer.json, from which the tokenizers library encodes texts to the same ids."""
    write_json(path, kind_of(tokenizer).to_json(tokenizer))


def kind_of(tokenizer: Tokenizer) -> Kind:
    """The Kind of a tokenizer."""
    return next(kind for kind in KINDS.values() if isinstance(tokenizer, kind.tokenizer))


def load(folder: Path) -> Tokenizer:
    """Load the tokenizer in a model's folder: tokenizer.json, or else vocab.txt and its settings.

    A vocab.txt without a tokenizer_config.json gets the settings of uncased BERT.
    """
    whole, vocab = os.path.join(folder, WHOLE), os.path.join(folder, VOCAB)
    has_whole = os.path.lexists(whole)
    if not has_whole and not os.path.exists(vocab):
        raise FileNotFoundError(f"{folder}: expected {WHOLE} or {VOCAB}, found neither")
    settings = read_settings(folder, has_whole)
    if not has_whole:
        return from_vocabulary(settings, read_vocab(vocab), vocab)
    fields = with_model_type(Fields.read(whole))
    return with_settings(settings, read_kind(fields).parse(fields, settings.flags))


def save(folder: Path, tokenizer: Tokenizer, max_length: int | None = None) -> None:
    """Write the four files to a folder, which is created if it does not exist.

    max_length    written as model_max_length: the number of positions of the transformer
    Raises        ValueError for a prefix other than "##", which vocab.txt cannot express
    """
    if not isinstance(tokenizer, WordPiece):
        raise TypeError(f"cannot save a {type(tokenizer).__name__}: expected a WordPiece")
    if tokenizer.prefix != "##":
        raise ValueError(f"prefix={tokenizer.prefix!r}: expected '##', with which every program "
                         f"reads {VOCAB}; use write_tokenizer for another")
    os.makedirs(folder, exist_ok=True)
    write_vocab(os.path.join(folder, VOCAB), tokenizer.pieces)
    write_tokenizer(os.path.join(folder, WHOLE), tokenizer)
    names = _special_names(tokenizer)
    write_json(os.path.join(folder, NAMES), names)
    normalizer = tokenizer.normalizer
    config: dict[str, Any] = {
        "tokenizer_class": "BertTokenizer", "do_lower_case": normalizer.lower_case,
        "strip_accents": normalizer.strip_accents,
        "tokenize_chinese_chars": normalizer.handle_chinese_chars, **names,
        "added_tokens_decoder": {str(token.id): {name: value for name, value
                                                 in token._asdict().items() if name != "id"}
                                 for token in tokenizer.added}}
    if tokenizer.truncation_side != "right":
        config["truncation_side"] = tokenizer.truncation_side
    if max_length is not None:
        config["model_max_length"] = max_length
    write_json(os.path.join(folder, CONFIG), config)


def _special_names(tokenizer):
    """{"cls_token": "[CLS]" ...}, by BERT's names or by position in the template."""
    added = {token.content for token in tokenizer.added}
    names = {role: name for role, name in NAMED.items()
             if name in added and role not in ("cls_token", "sep_token")}
    names["unk_token"] = tokenizer.unk
    special = [number for part in tokenizer.template.single for number in part.ids]
    if len(special) == 2:
        first, last = map(tokenizer.id_to_token, special)
        names |= {"cls_token": first, "sep_token": last}
    return {role: names[role] for role in NAMED if role in names}
