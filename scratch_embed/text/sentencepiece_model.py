"""A model file of the sentencepiece package: the pieces of XLM-R's and CamemBERT's tokenizers.

Bytes     a protocol buffer.  A message is a sequence of fields; each begins with 8 · number + type,
          a varint (7 bits a byte, the lowest first; bit 7: another byte follows).  The value is
          type 0  a varint     type 2  a length (varint) and so many bytes: a text or a message
          type 1  8 bytes      type 5  4 bytes: here a float32
          model       1 (repeated) a piece    2 training: see TRAINING
                      3 normalising: 2 the table of text/precompiled.py, and see NORMALISING
          piece       1 its text    2 log p    3 its kind (1 normal, 2 unknown, 3 control ...)
Differs   from transformers (5.24), which converts any model in the same way: it replaces the first
          pieces (three of XLM-R's, one of CamemBERT's) by the special tokens of fairseq, whatever
          they are, and ignores the flags.  Here a model is refused if this would give other ids
          than the sentencepiece package: if its first pieces are not <unk>, <s> and </s>, if it has
          other pieces than these and normal ones, or a flag unlike XLM-R's and CamemBERT's.
Read next text/unigram.py, text/precompiled.py

The ids in the file are not those of the models: both were trained with fairseq, which has special
tokens of its own before the pieces.  So a normal piece's id is one higher in XLM-R (fairseq puts
<pad> second), and four higher in CamemBERT.
"""
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import LONGEST, read_regular, show
from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.sentencepiece import XLM_ROBERTA
from scratch_embed.text.unigram import Unigram

NORMAL, UNKNOWN, CONTROL = 1, 2, 3                 # kinds of pieces
FIRST = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]      # pieces and their kinds
# {number of a field: (its name, the value of XLM-R and CamemBERT, which is also the default)}
TRAINING = {3: ("model_type", 1),                  # a Unigram; 2: BPE
            24: ("treat_whitespace_as_suffix", 0), # "▁" is before a word, not after it
            35: ("byte_fallback", 0)}              # unknown characters do not become bytes
NORMALISING = {3: ("add_dummy_prefix", 1),         # "▁" is put before a text
               4: ("remove_extra_whitespaces", 1), # several spaces become one, outer ones none
               5: ("escape_whitespaces", 1)}       # a space becomes "▁"
Path = str | os.PathLike
Scored = list[tuple[str, float]]


class SentencePieceModel(NamedTuple):
    """What the file of a Unigram says."""

    pieces: Scored                 # V pieces and their log p
    charsmap: bytes                # of a Precompiled; b"": nothing is normalised


# ---- reading ------------------------------------------------------------------------------------

def read_sentencepiece_model(path: Path) -> SentencePieceModel:
    """Read a .model.

    Raises FormatError if it is damaged, or not a Unigram with the first pieces, the kinds of pieces
    and the flags of XLM-R's and CamemBERT's.
    """
    pieces, kinds, charsmap = [], [], b""          # a file has only what is not the default
    try:
        for number, value in _fields(read_regular(path, LONGEST)):
            if number == 1:
                piece = {2: struct.pack("<f", 0), 3: NORMAL, **dict(_fields(value))}
                pieces.append((piece[1].decode(), struct.unpack("<f", piece[2])[0]))
                kinds.append(piece[3])
            elif number == 2:
                _check_flags(path, "trainer_spec", value, TRAINING)
            elif number == 3:
                _check_flags(path, "normalizer_spec", value, NORMALISING)
                charsmap = dict(_fields(value)).get(2, charsmap)
    except FormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise FormatError(path, f"piece {len(pieces)} or after it", "expected a model of the "
                          f"sentencepiece package: {error}") from None
    first = [(text, kind) for (text, _), kind in zip(pieces, kinds)][:len(FIRST)]
    if first != FIRST:
        raise FormatError(path, "its first pieces", f"expected (text, kind) {show(FIRST)}, as in "
                          f"XLM-R and CamemBERT, found {show(first)}")
    for (text, _), kind in zip(pieces[len(FIRST):], kinds[len(FIRST):]):
        if kind != NORMAL:
            raise FormatError(path, f"piece {show(text)}", "expected only normal pieces after "
                              f"</s>, of the kind {NORMAL}, found one of the kind {show(kind)}")
    return SentencePieceModel(pieces, charsmap)


def _check_flags(path, place, message, expected):
    """Raise FormatError for a field of a message that has another value than expected."""
    for number, value in _fields(message):
        name, only = expected.get(number, (None, value))
        if value != only:
            raise FormatError(path, f"{place}, field {name!r}", f"expected {only}, as in XLM-R and "
                              f"CamemBERT, found {show(value)}")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a message; a value is an int or bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        if key & 7 == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 2:
            size, place = _varint(data, place)
        if size is None or place + size > len(data):
            raise ValueError(f"a field that ends outside, or of type {key & 7}")
        yield key >> 3, data[place:place + size]
        place += size


def _varint(data, place):
    """The number at a place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("the file ends inside a number")
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
    raise ValueError("a number of more than 10 bytes")


# ---- conversion ---------------------------------------------------------------------------------

def xlm_roberta(model: SentencePieceModel, names: Mapping[str, str]) -> Unigram:
    """XLM-R's tokenizer, without added tokens.  names: {"bos_token": "<s>" ...}"""
    first = [(names[role], 0.0) for role in ("bos_token", "pad_token", "eos_token", "unk_token")]
    return _unigram(model, [*first, *model.pieces[3:], (names["mask_token"], 0.0)], names)


def camembert(model: SentencePieceModel, names: Mapping[str, str]) -> Unigram:
    """CamemBERT's tokenizer, without added tokens."""
    first = [("<s>NOTUSED", 0.0), (names["pad_token"], 0.0), ("</s>NOTUSED", 0.0),
             (names["unk_token"], 0.0), ("<unk>NOTUSED", -100.0)]
    return _unigram(model, [*first, *model.pieces[1:], (names["mask_token"], 0.0)], names)


def _unigram(model, pieces, names):
    steps = (Precompiled(model.charsmap),) if model.charsmap else ()
    return Unigram([piece for piece, _ in pieces], [score for _, score in pieces],
                   names["unk_token"], XLM_ROBERTA._replace(normalizers=steps))
