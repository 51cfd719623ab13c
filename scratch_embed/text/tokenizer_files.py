"""Tokenizer files: how transformers and sentence-transformers store a tokenizer in a folder.

    tokenizer.json             the whole tokenizer, of any kind: see tokenizer_json.py
    vocab.txt                  the pieces of a WordPiece, read if there is no tokenizer.json
    vocab.json, merges.txt     the pieces and merges of a byte-level BPE, read if there is neither
    sentencepiece.bpe.model    the pieces of XLM-R's or CamemBERT's Unigram, read if none of these
                               exists: see sentencepiece_model.py
    tokenizer_config.json      settings, names of special tokens, added tokens: see
                               tokenizer_settings.py, also for the next two
    special_tokens_map.json    the names of the special tokens again, for older readers
    added_tokens.json          added tokens in older folders

save() writes tokenizer.json, tokenizer_config.json and special_tokens_map.json, and for BERT's
tokenizers vocab.txt.

Differs   These are errors here: JSON with the same key twice; ids with a gap; a folder whose only
          vocabulary is a model of the sentencepiece package, unless its class is XLM-R's or
          CamemBERT's.
          save() names BertTokenizer as the class if BERT's template is used, and else
          PreTrainedTokenizerFast, for which transformers uses tokenizer.json as it is.
Read next text/tokenizer_json.py, text/tokenizer_settings.py
"""
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, write_json
from scratch_embed.text import bpe_files, bpe_json, unigram_json, wordpiece_json
from scratch_embed.text.bpe import BPE, clip_bpe
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.sentencepiece_model import (
    camembert,
    read_sentencepiece_model,
    xlm_roberta,
)
from scratch_embed.text.tokenizer import (
    NO_TEMPLATE,
    Tokenizer,
    bert_template,
    without_types,
)
from scratch_embed.text.tokenizer_classes import NAMED
from scratch_embed.text.tokenizer_json import read_whole
from scratch_embed.text.tokenizer_settings import (
    ADDED,
    CONFIG,
    NAMES,
    ROLES,
    TYPES,
    for_kind,
    overriding,
    read_settings,
    with_settings,
)
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.unigram_json import is_sentencepiece
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_files import read_vocab, write_vocab
from scratch_embed.text.wordpiece_json import normalizer_of

VOCAB, WHOLE = "vocab.txt", "tokenizer.json"
BPE_VOCAB, MERGES = "vocab.json", "merges.txt"
# models of the sentencepiece package; load() reads the first, and names the others in an error
SENTENCEPIECE = ("sentencepiece.bpe.model", "tokenizer.model", "spiece.model")
# all that load() reads, besides config.json
FILES = (VOCAB, BPE_VOCAB, MERGES, WHOLE, SENTENCEPIECE[0], CONFIG, NAMES, ADDED)
CONVERT = ("""with transformers: python -c "from transformers import AutoTokenizer; """
           """AutoTokenizer.from_pretrained('FOLDER').save_pretrained('FOLDER')" """).strip()
# {class: how a model of the sentencepiece package becomes its tokenizer}
CONVERTED = {"XLMRobertaTokenizer": xlm_roberta, "CamembertTokenizer": camembert}
Path = str | os.PathLike


class Kind(NamedTuple):
    """How tokenizers of one kind are read from and written to a tokenizer.json.

    name       the name of the kind in tokenizer_classes.py
    model      its model.type in a tokenizer.json
    tokenizer  our class
    parse      (Fields of the file, settings of tokenizer_config.json) -> tokenizer
    to_json    tokenizer -> the content of the file
    """

    name: str
    model: str
    tokenizer: type[Tokenizer]
    parse: Callable
    to_json: Callable


KINDS = (Kind("WordPiece", "WordPiece", WordPiece, wordpiece_json.parse, wordpiece_json.to_json),
         Kind("BPE", "BPE", BPE, bpe_json.parse, bpe_json.to_json),
         Kind("SentencePieceBPE", "BPE", SentencePieceBPE, unigram_json.parse,
              unigram_json.to_json),
         Kind("Unigram", "Unigram", Unigram, unigram_json.parse, unigram_json.to_json))


def read_kind(whole: Fields) -> Kind:
    """The kind of a tokenizer.json.  FormatError if its model.type is that of no kind in KINDS."""
    model = whole.part("model", [*dict.fromkeys(kind.model for kind in KINDS)]).text("type")
    name = "SentencePieceBPE" if model == "BPE" and is_sentencepiece(whole) else model
    return next(kind for kind in KINDS if kind.name == name)


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.  FormatError if it is damaged, or if its kind is not in KINDS."""
    whole = read_whole(path)
    return read_kind(whole).parse(whole, {})


def write_tokenizer(path: Path, tokenizer: Tokenizer) -> None:
    """Write a tokenizer.json.  With it the tokenizers library encodes texts to the same ids."""
    kind = next(kind for kind in KINDS if isinstance(tokenizer, kind.tokenizer))
    write_json(path, kind.to_json(tokenizer))


# ---- a folder -----------------------------------------------------------------------------------

def load(folder: Path) -> Tokenizer:
    """Load the tokenizer in a model's folder, from tokenizer.json, or else from a vocabulary.

    If no file of the folder names a class or a model_type, a vocab.txt is read as uncased BERT's,
    and vocab.json and merges.txt as GPT-2's.
    """
    path = os.path.join(folder, WHOLE)
    if os.path.lexists(path):
        settings, whole = read_settings(folder), read_whole(path)
        kind = read_kind(whole)
        settings = for_kind(settings, kind.name)
        return with_settings(settings, kind.parse(whole, overriding(settings, kind.name)))
    for name, kind, read in ((VOCAB, "WordPiece", _wordpiece), (BPE_VOCAB, "BPE", _bpe)):
        vocab = os.path.join(folder, name)
        if os.path.exists(vocab):
            settings = for_kind(read_settings(folder), kind, whole=False)
            return with_settings(settings, read(settings, vocab), whole=False)
    model = os.path.join(folder, SENTENCEPIECE[0])
    if os.path.exists(model) and (settings := read_settings(folder)).name in CONVERTED:
        return with_settings(settings, _unigram(settings, model), whole=False)
    raise _nothing_to_read(folder)


def _nothing_to_read(folder):
    """The error for a folder without a tokenizer.json or a vocabulary that load() reads."""
    for name in SENTENCEPIECE:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return FormatError(path, "the file", f"expected a {WHOLE} beside it, since models of "
                               f"the sentencepiece package are read for {' and '.join(CONVERTED)} "
                               "only, found none; write it "
                               + CONVERT.replace("FOLDER", os.fspath(folder)))
    where = ("found none" if os.path.isdir(folder) else "found a file" if os.path.exists(folder)
             else "found no such folder")
    return FileNotFoundError(f"{folder}: expected a folder with {WHOLE}, {VOCAB} or {BPE_VOCAB}, "
                             f"{where}")


def _wordpiece(settings, vocab):
    """The WordPiece of a vocab.txt, without added tokens and template."""
    pieces, unk = read_vocab(vocab), settings.token("unk_token").content
    if unk not in pieces:
        raise FormatError(vocab, "its pieces", f"expected {unk!r}, the token of unknown words, "
                          f"among them; add it, or name another in {CONFIG}")
    return WordPiece(pieces, normalizer_of(overriding(settings, "WordPiece")), (), NO_TEMPLATE,
                     unk=unk)


def _bpe(settings, vocab):
    """The BPE of a vocab.json and the merges.txt beside it, without added tokens and template."""
    merges = os.path.join(os.path.dirname(vocab), MERGES)
    if not os.path.exists(merges):
        raise FormatError(merges, "the file", f"expected the merges of {BPE_VOCAB}, found no such "
                          "file")
    pieces, pairs = bpe_files.read_vocab(vocab), bpe_files.read_merges(merges)
    space = overriding(settings, "BPE").get("add_prefix_space", False)
    try:
        if settings.name == "CLIPTokenizer":
            return clip_bpe(pieces, pairs, settings.token("unk_token").content)
        return BPE(pieces, pairs, prefix_space=space)
    except ValueError as error:
        raise FormatError(merges, "its merges", str(error)) from None


def _unigram(settings, path):
    """The Unigram of a model of the sentencepiece package, without added tokens and template."""
    model = read_sentencepiece_model(path)
    names = {role: settings.token(role).content for role in settings.of_class.tokens}
    try:
        return CONVERTED[settings.name](model, names)
    except ValueError as error:
        raise FormatError(path, "its pieces", str(error)) from None


# ---- writing ------------------------------------------------------------------------------------

def save(folder: Path, tokenizer: Tokenizer, max_length: int | None = None) -> None:
    """Write a tokenizer's files to a folder, which is created if it does not exist.

    max_length    written as model_max_length: the maximum number of tokens of the transformer
    Raises        ValueError for a WordPiece with a prefix other than "##": vocab.txt cannot say it
    """
    roles = _roles(tokenizer)
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **roles}
    if isinstance(tokenizer, WordPiece) and tokenizer.prefix != "##":
        raise ValueError(f"prefix={tokenizer.prefix!r}: expected '##', with which every program "
                         f"reads {VOCAB}; use write_tokenizer for another")
    os.makedirs(folder, exist_ok=True)
    if isinstance(tokenizer, WordPiece) and _is_berts(tokenizer, roles):
        write_vocab(os.path.join(folder, VOCAB), tokenizer.pieces)
        normalizer = tokenizer.normalizer
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": normalizer.lower_case,
                  "strip_accents": normalizer.strip_accents,
                  "tokenize_chinese_chars": normalizer.handle_chinese_chars, **roles,
                  **{role: None for role in NAMED if role not in roles}}       # null: no such token
    write_tokenizer(os.path.join(folder, WHOLE), tokenizer)
    write_json(os.path.join(folder, NAMES), roles)
    config["added_tokens_decoder"] = {
        str(token.id): {name: value for name, value in token._asdict().items() if name != "id"}
        for token in tokenizer.added}
    if not tokenizer.has_types or config["tokenizer_class"] != "BertTokenizer":
        config["model_input_names"] = ["input_ids", *[TYPES] * tokenizer.has_types,
                                       "attention_mask"]
    if tokenizer.truncation_side != "right":
        config["truncation_side"] = tokenizer.truncation_side
    if max_length is not None:
        config["model_max_length"] = max_length
    write_json(os.path.join(folder, CONFIG), config)


def _is_berts(tokenizer, roles):
    """Whether transformers' BertTokenizer, which ignores these parts of tokenizer.json, has them.

    They are the template, the longest word (100) and the cleaning of control characters.
    """
    ends = [tokenizer.index.get(roles.get(role)) for role in ("cls_token", "sep_token")]
    template = bert_template(*ends) if None not in ends else None
    if template and not tokenizer.has_types:
        template = without_types(template)
    return (tokenizer.template == template and tokenizer.max_word == 100
            and tokenizer.normalizer.clean_text)


def _roles(tokenizer):
    """{role: token}, such as {"cls_token": "[CLS]"}, for the files.

    These are the roles that were read.  If there are none: the added tokens with BERT's names, and
    the first and last token of the template.
    """
    if tokenizer.roles:
        names = dict(tokenizer.roles)
    else:
        added = {token.content for token in tokenizer.added}
        names = {role: token.content for role, token in NAMED.items()
                 if token.content in added and role not in ("cls_token", "sep_token")}
        special = [number for part in tokenizer.template.single for number in part.ids]
        if len(special) == 2:
            first, last = map(tokenizer.id_to_token, special)
            names |= {"cls_token": first, "sep_token": last}
    if tokenizer.unk is not None:
        names["unk_token"] = tokenizer.unk
    return {role: names[role] for role in (*ROLES, *names) if role in names}
