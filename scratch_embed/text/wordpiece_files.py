"""WordPiece files: a tokenizer as BERT, transformers and sentence-transformers store it.

    vocab.txt                  one piece per line; its id is the number of the line, from 0
    tokenizer_config.json      settings, names of special tokens, added tokens: see
                               wordpiece_settings.py, also for the next two
    special_tokens_map.json    the names of the special tokens again, for older readers
    added_tokens.json          added tokens in older folders; not written
    tokenizer.json             all of this in one file, as the tokenizers library writes it: see
                               wordpiece_json.py

Differs   These are errors here: a piece that occurs twice in vocab.txt (other readers give it the
          last id, and the first id belongs to no piece), an empty line, text that is not UTF-8,
          JSON with the same key twice, ids with a gap.
          save() recognises [PAD] and [MASK] by BERT's names only, since a WordPiece does not record
          which of its tokens have these two roles.
Read next text/wordpiece_json.py, text/wordpiece_settings.py
"""
import os
from collections.abc import Iterable
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import LONGEST, Fields, read_regular, write_json
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_json import parse_tokenizer, tokenizer_json
from scratch_embed.text.wordpiece_settings import (
    ADDED,
    CONFIG,
    NAMED,
    NAMES,
    from_vocabulary,
    from_whole,
    read_settings,
)

VOCAB, WHOLE = "vocab.txt", "tokenizer.json"
FILES = (VOCAB, WHOLE, CONFIG, NAMES, ADDED)       # all that load() reads
Path = str | os.PathLike


# ---- a vocabulary -----------------------------------------------------------------------------

def read_vocab(path: Path) -> list[str]:
    """Read the pieces of a vocab.txt.  FormatError that names the line if the file is damaged."""
    lines = read_regular(path, LONGEST).split(b"\n")
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

    A vocab.txt without a tokenizer_config.json gets the settings of uncased BERT.
    """
    whole, vocab = os.path.join(folder, WHOLE), os.path.join(folder, VOCAB)
    has_whole = os.path.lexists(whole)
    if not has_whole and not os.path.exists(vocab):
        raise FileNotFoundError(f"{folder}: expected {WHOLE} or {VOCAB}, found neither")
    settings = read_settings(folder, has_whole)
    return (from_whole(settings, Fields.read(whole)) if has_whole else
            from_vocabulary(settings, read_vocab(vocab), vocab))


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
