"""The settings of a tokenizer in tokenizer_config.json and the small files beside it.

    tokenizer_config.json      normalisation, the names of the special tokens, added tokens
    special_tokens_map.json    the names again; read if tokenizer_config.json has no
                               added_tokens_decoder
    added_tokens.json          {token: id}; read in the same case
    config.json                tokenizer_class, if tokenizer_config.json has none

Each field of these files is one of three things: it is read, or only one value of it is accepted
(ONLY), or it cannot change the ids of a text and is ignored (IGNORED gives the reason).  Any other
field is refused by name.

Differs   from transformers (5.24), in which
          settings that disagree with tokenizer.json override parts of it: here the flags of the
          normalizer do so too, but other names of [CLS], [SEP] and [UNK] than those of
          tokenizer.json are refused, because versions 4 and 5 disagree about them;
          do_lower_case is true for a tokenizer.json without it, and clean_text always: here what
          tokenizer.json says is used;
          an added token gets the next free id, whatever its file says: here another id is an error;
          a tokenizer_class that it does not know is ignored: here that is an error.
Read next text/tokenizer_files.py
"""
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import LARGEST, NULL, REQUIRED, Fields, show
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.basic_tokenizer import UNCASED
from scratch_embed.text.tokenizer import NO_TEMPLATE, SIDES, Tokenizer, bert_template
from scratch_embed.text.tokenizer_json import added_token
from scratch_embed.text.wordpiece import WordPiece
from scratch_embed.text.wordpiece_json import SETTINGS

CONFIG, NAMES, ADDED, MODEL = ("tokenizer_config.json", "special_tokens_map.json",
                               "added_tokens.json", "config.json")
NAMED = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
         "mask_token": "[MASK]"}
ROLES = ("bos_token", "eos_token", *NAMED)         # the order in which new tokens get ids
EXTRA = ("extra_special_tokens", "additional_special_tokens")
# classes of transformers that are BERT's WordPiece under another name
BERT = tuple(name + fast for name in ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
             for fast in ("", "Fast"))
GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")         # a tokenizer.json, as it is
ONLY: dict[str, list[Any]] = {     # the accepted values of options that would change ids
    "do_basic_tokenize": [True, None], "never_split": [None, []],
    "split_special_tokens": [False, None], "add_bos_token": [False, None],
    "add_eos_token": [False, None], "auto_map": [None, {}], "clean_text": [True],
    "wordpieces_prefix": ["##"]}
IGNORED = {
    **dict.fromkeys(("name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file",
                     "is_local", "local_files_only", "backend", "use_fast", "from_slow",
                     "processor_class", "_commit_hash", "trust_remote_code"),
                    "says where the files came from, or which program wrote them"),
    **dict.fromkeys(("model_max_length", "max_len"),
                    "is an argument of encode(); sentences/folder.py reads it"),
    **dict.fromkeys(("max_length", "stride", "truncation_strategy", "truncation"),
                    "stored defaults of a call; transformers takes the caller's"),
    **dict.fromkeys(("padding", "padding_side", "pad_to_multiple_of", "pad_token_type_id",
                     "pad_token_id", "pad_to_max_length"), "nothing is padded"),
    **dict.fromkeys(("clean_up_tokenization_spaces", "spaces_between_special_tokens",
                     "decode_with_prefix_space"), "is used when ids are decoded"),
    **dict.fromkeys(("model_input_names", "return_token_type_ids", "return_attention_mask",
                     "verbose"), "says which outputs a call returns"),
    "chat_template": "is used for conversations"}
NEW = -1                           # in place of an id that is not known yet
Path = str | os.PathLike


class Settings(NamedTuple):
    """What the files say.  A token whose id is NEW gets the id of its piece, or the next one."""

    path: Path                                     # of tokenizer_config.json, for messages
    generic: bool                                  # whether tokenizer.json is used as it is
    flags: Mapping[str, bool | None]               # fields that replace those of tokenizer.json
    names: Mapping[str, AddedToken | None]         # {role: token}; only those in a file
    extra: tuple[AddedToken, ...]                  # further special tokens
    added: Mapping[int, AddedToken]                # with ids
    side: str | None                               # truncation_side

    def name(self, role: str) -> str:
        """The name of a role's token."""
        token = self.names.get(role)
        return NAMED[role] if token is None else token.content


# ---- reading ------------------------------------------------------------------------------------

def read_settings(folder: Path, has_whole: bool) -> Settings:
    """Read the settings of a folder.  has_whole: whether it has a tokenizer.json.

    Raises FormatError for a field that is unknown, or that asks for another tokenizer.
    """
    config = _optional(folder, CONFIG)
    generic = _is_generic(folder, config, has_whole)
    for name, values in ONLY.items():
        config.one_of(name, values, values[0])
    flags = {name: config.of(name, bool, NULL) if name == "strip_accents" else config.flag(name)
             for name in SETTINGS if name in config}
    config.no_others((*SETTINGS, *ONLY, *IGNORED, *EXTRA, "truncation_side", "tokenizer_class",
                      "added_tokens_decoder", *_tokens_of(config)))
    side = config.one_of("truncation_side", SIDES, None)
    names, extra = _names(config)
    if "added_tokens_decoder" in config:
        added = _tokens_with_flags(config.inside("added_tokens_decoder"))
    else:
        names, extra = _merged(names, extra, _optional(folder, NAMES))
        special = {token.content for token in (*names.values(), *extra) if token}
        added = _tokens_without_flags(_optional(folder, ADDED), special)
    return Settings(config.path, generic, {} if generic else flags, names, tuple(extra), added,
                    side)


def _optional(folder, name):
    path = os.path.join(folder, name)
    return Fields.read(path) if os.path.lexists(path) else Fields(path, {})


def _is_generic(folder, config, has_whole):
    """Check tokenizer_class -> whether tokenizer.json is used as it is."""
    fields = config
    if config.of("tokenizer_class", str, NULL, default=None) is None:
        fields = _optional(folder, MODEL)
    kinds = [None, *BERT, *(GENERIC if has_whole else ())]
    return fields.one_of("tokenizer_class", kinds, None) in GENERIC


def _tokens_of(fields):
    """The names of fields that are special tokens: transformers takes any name_token for one."""
    return [name for name in fields.values if name.endswith("_token") and name not in ONLY]


def _names(fields):
    """The special tokens that a file names -> {role: token or None}, [further tokens]."""
    names = {name: _special(fields, name) for name in _tokens_of(fields)}
    extra = []
    for name in EXTRA:
        if isinstance(fields.values.get(name), dict):
            extra += [_special(fields.inside(name), key) for key in fields.values[name]]
        elif fields.of(name, list, NULL, default=None):
            one = Fields(fields.path, {f"{name}[{number}]": value for number, value
                                       in enumerate(fields.values[name])}, fields.place)
            extra += [_special(one, key) for key in one.values]
    return names, [token for token in extra if token is not None]


def _special(fields, name):
    """A special token that is stored as a str, or as a dict with its flags; None if it is null."""
    value = fields.of(name, str, dict, NULL)
    if value is None:
        return None
    if isinstance(value, str):
        return AddedToken(value, NEW)
    token = fields.inside(name)
    token.no_others(("content", "lstrip", "rstrip", "normalized", "single_word", "special",
                     "__type"))
    flags = {flag: token.flag(flag, False) for flag in ("lstrip", "rstrip", "single_word")}
    normalized = token.flag("normalized", REQUIRED if "__type" in token else False)
    return AddedToken(token.text("content"), NEW, normalized=normalized, **flags)


def _merged(names, extra, older):
    """Add the names of special_tokens_map.json (older), which must agree with the others."""
    older.no_others((*EXTRA, *_tokens_of(older)))
    more_names, more = _names(older)
    for name, token in more_names.items():
        if None not in (token, names.get(name)) and token.content != names[name].content:
            raise older.fault(name, f"{show(names[name].content)}, as {CONFIG} says",
                              show(token.content))
    if extra and more and extra != more:
        raise FormatError(older.path, " or ".join(EXTRA), f"expected the tokens of {CONFIG}, "
                          f"{show([token.content for token in extra])}, found "
                          f"{show([token.content for token in more])}")
    return {**more_names, **{name: token for name, token in names.items()
                             if token is not None or name not in more_names}}, extra or more


def _tokens_with_flags(fields):
    """The tokens of added_tokens_decoder: {id: token}."""
    found = {}
    for key in fields.values:
        if not (key.isascii() and key.isdecimal() and int(key[:11]) <= LARGEST):
            raise fields.fault(key, "a number as its name", show(key))
        found[int(key)] = added_token(fields.inside(key), int(key))
    return found


def _tokens_without_flags(fields, special):
    """The tokens of added_tokens.json: {id: token}; those that are not special are normalised."""
    found = {}
    for content in fields.values:
        number = fields.whole(content, 0)
        if number in found:
            raise fields.fault(content, "a different id for each token", show(number))
        found[number] = AddedToken(content, number, content in special, content not in special)
    return found


# ---- a tokenizer with these settings ------------------------------------------------------------

def from_vocabulary(settings: Settings, pieces: list[str], vocab: Path) -> WordPiece:
    """The tokenizer of a vocabulary (vocab.txt, whose path is `vocab`) with these settings."""
    index = {piece: number for number, piece in enumerate(pieces)}
    unk, cls, sep = map(settings.name, ("unk_token", "cls_token", "sep_token"))
    if unk not in index:
        raise FormatError(vocab, "its pieces", f"expected {unk!r}, the token of unknown words, "
                          f"among them; add it, or name another in {CONFIG}")
    added = [AddedToken(name, index[name]) for role, name in NAMED.items()
             if name in index and role not in settings.names]
    flags: dict = {SETTINGS[name]: value for name, value in settings.flags.items()}
    tokenizer = WordPiece(pieces, UNCASED._replace(**flags), added, NO_TEMPLATE, unk=unk)
    return _with_tokens(settings, tokenizer, (cls, sep))


def with_settings(settings: Settings, tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer of a tokenizer.json, read with settings.flags, with the other settings."""
    if not settings.generic:
        _require_same_names(settings, tokenizer)
    known = {token.id: token for token in tokenizer.added}
    for number, token in settings.added.items():
        if number in known and known[number] != token:
            raise FormatError(settings.path, f"the added token {number}", f"expected "
                              f"{known[number]}, as tokenizer.json says, found {token}")
    return _with_tokens(settings, tokenizer)


def _require_same_names(settings, tokenizer):
    """Raise FormatError for other names of [UNK], [CLS] or [SEP] than those in tokenizer.json."""
    single = [tokenizer.id_to_token(number) for part in tokenizer.template.single
              for number in part.ids]
    in_file = {"unk_token": tokenizer.unk, "cls_token": single[0] if single else None,
               "sep_token": single[-1] if single else None}
    for role, name in in_file.items():
        token = settings.names.get(role)
        if token is not None and token.content != name:
            raise FormatError(settings.path, f"field {role!r}", f"expected {show(name)}, as "
                              f"tokenizer.json says, found {show(token.content)}")


def _with_tokens(settings, tokenizer, bert=None):
    """Add the tokens, and BERT's template if its names are given: bert = (cls, sep)."""
    added = {token.id: token for token in tokenizer.added} | dict(settings.added)
    contents = {token.content for token in added.values()}
    following = max([len(tokenizer.pieces) - 1, *added]) + 1
    ordered = [*(settings.names.get(role) for role in ROLES),
               *(token for role, token in settings.names.items() if role not in ROLES),
               *settings.extra]
    for token in ordered:
        if token is not None and token.content not in contents:
            number = tokenizer.index.get(token.content, following)
            following += number == following
            added[number] = token._replace(id=number)
            contents.add(token.content)
    template = tokenizer.template
    if bert:
        ids = {token.content: token.id for token in added.values()} | tokenizer.index
        cls, sep = map(ids.get, bert)
        template = NO_TEMPLATE if cls is None or sep is None else bert_template(cls, sep)
    try:
        return tokenizer.with_tokens(list(added.values()), template,
                                     settings.side or tokenizer.truncation_side)
    except ValueError as error:
        raise FormatError(settings.path, "its added tokens", str(error)) from None
