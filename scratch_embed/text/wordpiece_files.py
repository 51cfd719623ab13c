"""WordPiece files: a tokenizer as BERT, transformers and sentence-transformers store it.

    vocab.txt                  one piece per line; its id is the number of the line, from 0
    tokenizer_config.json      do_lower_case and similar settings, the names of the special tokens
    special_tokens_map.json    the names of the special tokens again, for older readers
    tokenizer.json             all of this in one file, as the tokenizers library writes it: see
                               wordpiece_json.py

Differs   These are errors here: a piece that occurs twice in vocab.txt (other readers use the last
          id, and the first has no piece), an empty line, text that is not UTF-8, JSON with the same
          key twice, ids with a gap.
          A tokenizer.json is used as it is.  In transformers, do_lower_case of
          tokenizer_config.json overrides it; in files that transformers saves, the two agree.
          save() recognises [PAD] and [MASK] by BERT's names only, since a WordPiece does not record
          which of its tokens have these two roles.
          model_max_length is written on request, but not read: encode() has an argument for it.
Read next text/wordpiece_json.py
"""
import os
from collections.abc import Iterable
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import NULL, Fields, show, write_json
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import Normalizer
from scratch_embed.text.wordpiece import NO_TEMPLATE, WordPiece, bert_template
from scratch_embed.text.wordpiece_json import added_token, parse_tokenizer, tokenizer_json

VOCAB, CONFIG, NAMES, WHOLE = ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json",
                               "tokenizer.json")
NAMED = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
         "mask_token": "[MASK]"}
Path = str | os.PathLike


# ---- a vocabulary -----------------------------------------------------------------------------

def read_vocab(path: Path) -> list[str]:
    """Read the pieces of a vocab.txt.  FormatError that names the line if the file is damaged."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    if not lines[-1]:
        lines.pop()
    seen = {}
    for number, line in enumerate(lines, 1):
        try:
            piece = line.decode("utf-8").rstrip(" \t\r")
        except UnicodeDecodeError as error:
            raise FormatError(path, f"line {number}, byte {error.start} of it",
                              "this is not UTF-8 text; convert the file") from None
        if not piece:
            raise FormatError(path, f"line {number}", "expected a piece, found an empty line")
        if piece in seen:
            raise FormatError(path, f"line {number}", f"expected each piece once, found {piece!r}, "
                              f"which is in line {seen[piece]} too; delete the file and fetch it "
                              "again")
        seen[piece] = number
    if not seen:
        raise FormatError(path, "line 1", "expected pieces, found an empty file")
    return list(seen)


def write_vocab(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces as a vocab.txt.  ValueError for a piece that would be changed when read back."""
    pieces = list(pieces)
    for piece in pieces:
        if not piece or piece != piece.rstrip(" \t\r") or "\n" in piece:
            raise ValueError(f"cannot write the piece {piece!r}: in a vocab.txt a piece is a line, "
                             "not empty, without white space at its end")
    with atomic_write(path) as file:
        file.write("".join(piece + "\n" for piece in pieces).encode())


# ---- a tokenizer ------------------------------------------------------------------------------

def read_tokenizer(path: Path) -> WordPiece:
    """Read a tokenizer.json.  FormatError if it is damaged or another kind of tokenizer."""
    return parse_tokenizer(Fields.read(path))


def write_tokenizer(path: Path, tokenizer: WordPiece) -> None:
    """Write a tokenizer.json, from which the tokenizers library encodes texts to the same ids."""
    write_json(path, tokenizer_json(tokenizer))


def load(folder: Path) -> WordPiece:
    """Load the tokenizer in a model's folder: tokenizer.json, or else vocab.txt and its settings.

    Without a tokenizer_config.json the settings are those of uncased BERT.
    """
    whole = os.path.join(folder, WHOLE)
    if os.path.exists(whole):
        return read_tokenizer(whole)
    vocab, config = os.path.join(folder, VOCAB), os.path.join(folder, CONFIG)
    if not os.path.exists(vocab):
        raise FileNotFoundError(f"{folder}: expected {WHOLE} or {VOCAB}, found neither")
    pieces = read_vocab(vocab)
    settings = Fields.read(config) if os.path.exists(config) else Fields(config, {})
    normalizer = Normalizer(
        handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
        strip_accents=settings.of("strip_accents", bool, NULL, default=None),
        lower_case=settings.flag("do_lower_case", True))
    names = {role: _name(settings, role) for role in NAMED}
    index = {piece: number for number, piece in enumerate(pieces)}
    if names["unk_token"] not in index:
        raise FormatError(vocab, "its pieces", f"expected {names['unk_token']!r}, the token of "
                          f"unknown words, among them; add it, or name another in {CONFIG}")
    added = {index[name]: AddedToken(name, index[name]) for name in names.values()
             if name in index}
    listed = settings.inside("added_tokens_decoder", {})
    for key in listed.values:
        if not key.isdecimal():
            raise listed.fault(key, "a number as its name", show(key))
        added[int(key)] = added_token(listed.inside(key), int(key))
    cls, sep = index.get(names["cls_token"]), index.get(names["sep_token"])
    template = NO_TEMPLATE if cls is None or sep is None else bert_template(cls, sep)
    try:
        return WordPiece(pieces, normalizer, list(added.values()), template, unk=names["unk_token"])
    except ValueError as error:
        raise FormatError(config, "added_tokens_decoder", str(error)) from None


def _name(settings, role):
    """The name of a special token, which is stored as a str or as a dict with its flags."""
    value = settings.of(role, str, dict, NULL, default=None)
    if isinstance(value, dict):
        return settings.inside(role).text("content")
    return NAMED[role] if value is None else value


def save(folder: Path, tokenizer: WordPiece, max_length: int | None = None) -> None:
    """Write the four files to a folder, which is created if it does not exist.

    max_length    written as model_max_length: the number of positions of the transformer
    Raises        ValueError for a prefix other than "##", which vocab.txt cannot express
    """
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
    if max_length is not None:
        config["model_max_length"] = max_length
    write_json(os.path.join(folder, CONFIG), config)


def _special_names(tokenizer):
    """{"cls_token": "[CLS]" ...}, by BERT's names or by position in the template."""
    names = {role: name for role, name in NAMED.items() if name in tokenizer.index}
    names["unk_token"] = tokenizer.unk
    special = [number for part in tokenizer.template.single for number in part.ids]
    if len(special) == 2:
        first, last = map(tokenizer.id_to_token, special)
        names |= {"cls_token": first, "sep_token": last}
    return names
