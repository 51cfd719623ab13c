"""Files of a WordPiece tokenizer: those that BERT, transformers and sentence-transformers keep.

    vocab.txt                  a piece a line; the line, from 0, is its number
    tokenizer_config.json      do_lower_case and the like, the names of the special tokens
    special_tokens_map.json    these names again, for older readers
    tokenizer.json             all of it in one, as the tokenizers library writes it; see
                               wordpiece_json.py

Differs   Refused here: a piece that comes twice in vocab.txt (elsewhere the last one counts and the
          first number has no piece), an empty line, text that is not UTF-8; JSON with a key twice;
          numbers that leave one out.
          A tokenizer.json is taken by its word.  transformers lets do_lower_case of
          tokenizer_config.json overrule it; in what transformers saves both say the same.
          Which token pads and which masks is known by BERT's names for them alone; a tokenizer.json
          does not say it.
          model_max_length is written if asked for and not read: the caller of encode() says it.
Read next text/wordpiece_json.py
"""
import os
from collections.abc import Iterable
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import NULL, Fields, show, write_json
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import Cleaning
from scratch_embed.text.wordpiece import BARE, WordPiece, bert_frame
from scratch_embed.text.wordpiece_json import added_token, parse_tokenizer, tokenizer_json

VOCAB, CONFIG, NAMES, WHOLE = ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json",
                               "tokenizer.json")
NAMED = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
         "mask_token": "[MASK]"}
Path = str | os.PathLike


# ---- a vocabulary -----------------------------------------------------------------------------

def read_vocab(path: Path) -> list[str]:
    """The pieces of a vocab.txt.  FormatError with the line where it is none."""
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
            raise FormatError(path, f"line {number}", "a piece is expected, the line is empty")
        if piece in seen:
            raise FormatError(path, f"line {number}", f"the piece {piece!r} stands in line "
                              f"{seen[piece]} already; delete the file and fetch it again")
        seen[piece] = number
    if not seen:
        raise FormatError(path, "line 1", "pieces are expected, the file is empty")
    return list(seen)


def write_vocab(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces as a vocab.txt.  ValueError for one that would not come back."""
    pieces = list(pieces)
    for piece in pieces:
        if not piece or piece != piece.rstrip(" \t\r") or "\n" in piece:
            raise ValueError(f"{piece!r} cannot stand on a line of its own; vocab.txt has no "
                             "other way to write it")
    with atomic_write(path) as file:
        file.write("".join(piece + "\n" for piece in pieces).encode())


# ---- a tokenizer ------------------------------------------------------------------------------

def read_tokenizer(path: Path) -> WordPiece:
    """The WordPiece of a tokenizer.json.  FormatError where it is damaged, or of another kind."""
    return parse_tokenizer(Fields.read(path))


def write_tokenizer(path: Path, tokenizer: WordPiece) -> None:
    """Write a tokenizer.json, which the tokenizers library loads and encodes with alike."""
    write_json(path, tokenizer_json(tokenizer))


def load(folder: Path) -> WordPiece:
    """The WordPiece of a model's folder: of tokenizer.json, or of vocab.txt and its settings.

    Without tokenizer_config.json the settings are BERT's, uncased.
    """
    whole = os.path.join(folder, WHOLE)
    if os.path.exists(whole):
        return read_tokenizer(whole)
    vocab, config = os.path.join(folder, VOCAB), os.path.join(folder, CONFIG)
    if not os.path.exists(vocab):
        raise FileNotFoundError(f"{folder} has neither {WHOLE} nor {VOCAB}")
    pieces = read_vocab(vocab)
    settings = Fields.read(config) if os.path.exists(config) else Fields(config, {})
    cleaning = Cleaning(
        handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
        strip_accents=settings.of("strip_accents", bool, NULL, default=None),
        lower_case=settings.flag("do_lower_case", True))
    names = {role: _name(settings, role) for role in NAMED}
    index = {piece: number for number, piece in enumerate(pieces)}
    if names["unk_token"] not in index:
        raise FormatError(vocab, "its pieces", f"{names['unk_token']!r} is not among them, which "
                          f"stands for unknown words; add it, or name another in {CONFIG}")
    added = {index[name]: AddedToken(name, index[name]) for name in names.values()
             if name in index}
    listed = settings.inside("added_tokens_decoder", {})
    for key in listed.values:
        if not key.isdecimal():
            raise listed.fault(key, "a number as its name", show(key))
        added[int(key)] = added_token(listed.inside(key), int(key))
    cls, sep = index.get(names["cls_token"]), index.get(names["sep_token"])
    frame = BARE if cls is None or sep is None else bert_frame(cls, sep)
    try:
        return WordPiece(pieces, cleaning, list(added.values()), frame, unk=names["unk_token"])
    except ValueError as error:
        raise FormatError(config, "added_tokens_decoder", str(error)) from None


def _name(settings, role):
    """A special token's name; it may stand there with its flags."""
    value = settings.of(role, str, dict, NULL, default=None)
    if isinstance(value, dict):
        return settings.inside(role).text("content")
    return NAMED[role] if value is None else value


def save(folder: Path, tokenizer: WordPiece, max_length: int | None = None) -> None:
    """Write the four files to a folder, which is made if it is not there.

    max_length    model_max_length for those who load the folder: positions of the transformer
    Raises        ValueError for what these files cannot say: another prefix than "##"
    """
    if tokenizer.prefix != "##":
        raise ValueError(f"prefix={tokenizer.prefix!r}: {VOCAB} is read with '##' everywhere; "
                         "write_tokenizer can say another")
    os.makedirs(folder, exist_ok=True)
    write_vocab(os.path.join(folder, VOCAB), tokenizer.pieces)
    write_tokenizer(os.path.join(folder, WHOLE), tokenizer)
    names = _special_names(tokenizer)
    write_json(os.path.join(folder, NAMES), names)
    cleaning = tokenizer.cleaning
    config: dict[str, Any] = {
        "tokenizer_class": "BertTokenizer", "do_lower_case": cleaning.lower_case,
        "strip_accents": cleaning.strip_accents,
        "tokenize_chinese_chars": cleaning.handle_chinese_chars, **names,
        "added_tokens_decoder": {str(token.id): {name: value for name, value
                                                 in token._asdict().items() if name != "id"}
                                 for token in tokenizer.added}}
    if max_length is not None:
        config["model_max_length"] = max_length
    write_json(os.path.join(folder, CONFIG), config)


def _special_names(tokenizer):
    """{"cls_token": "[CLS]" ...} by the names that BERT has, or by the places in the frame."""
    names = {role: name for role, name in NAMED.items() if name in tokenizer.index}
    names["unk_token"] = tokenizer.unk
    around = [number for part in tokenizer.frame.one for number in part.ids]
    if len(around) == 2:
        first, last = map(tokenizer.token, around)
        names |= {"cls_token": first, "sep_token": last}
    return names
