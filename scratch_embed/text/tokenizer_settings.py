"""The settings of a tokenizer in tokenizer_config.json and the small files beside it.

    tokenizer_config.json      the class, its settings, names of special tokens, added tokens
    special_tokens_map.json    the names again; read if tokenizer_config.json has no
                               added_tokens_decoder
    added_tokens.json          {token: id}; read in the same case
    config.json                tokenizer_class, read if tokenizer_config.json has none; model_type,
                               read if neither file has a tokenizer_class

Each field of these files is one of three things: it is read, or only some values of it are accepted
(ONLY), or it cannot change the ids of a text and is ignored (IGNORED gives the reason).  Any other
field is refused by name.

Differs   from transformers (5.24):
          - There the class builds the normalizer, the pre_tokenizer and the template, whatever
            tokenizer.json says.  Here tokenizer.json is used as it is, as in version 4.  Only the
            flags of WordPiece's normalizer override it, and, for GPT2Tokenizer and
            RobertaTokenizer, add_prefix_space (false if tokenizer_config.json lacks it).
          - What versions 4 and 5 treat differently is refused if it disagrees with tokenizer.json:
            the names of the first, the last and the unknown token; add_prefix_space of the other
            classes, add_bos_token and add_eos_token.
          - There do_lower_case is true if tokenizer_config.json lacks it, and clean_text is always
            true.  Here tokenizer.json decides.
          - There an added token gets the next free id, whatever its file says.  Here it is an error
            if the file says another id.
          - There a special token of the class that is in no file and no vocabulary gets a new id.
            Here there is no such token.
Read next text/tokenizer_classes.py, text/tokenizer_files.py
"""
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import LARGEST, NULL, REQUIRED, Fields, show
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.tokenizer import NO_TEMPLATE, SIDES, Tokenizer
from scratch_embed.text.tokenizer_classes import CLASSES, NEW, OF_MODEL, TokenizerClass
from scratch_embed.text.tokenizer_json import added_token
from scratch_embed.text.wordpiece_json import SETTINGS as FLAGS

CONFIG, NAMES, ADDED, MODEL = ("tokenizer_config.json", "special_tokens_map.json",
                               "added_tokens.json", "config.json")
# the order in which new tokens get ids
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
TYPES = "token_type_ids"
NULLABLE = ("strip_accents", "add_prefix_space", "add_bos_token", "add_eos_token")
EXTRA = ("extra_special_tokens", "additional_special_tokens")
ONLY: dict[str, list[Any]] = {     # the accepted values of options that would change ids
    "do_basic_tokenize": [True, None], "never_split": [None, []],
    "split_special_tokens": [False, None], "auto_map": [None, {}], "clean_text": [True],
    "wordpieces_prefix": ["##"], "sp_model_kwargs": [None, {}], "fix_mistral_regex": [None, False]}
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
    **dict.fromkeys(("clean_up_tokenization_spaces", "spaces_between_special_tokens", "errors",
                     "decode_with_prefix_space"), "is used when ids are decoded"),
    **dict.fromkeys(("return_token_type_ids", "return_attention_mask", "verbose"),
                    "stored defaults of a call; transformers takes the caller's"),
    "trim_offsets": "changes positions in the text, not ids",
    "legacy": "tokenizer.json says where spaces are put",
    "unk_id": "tokenizer.json says which piece is that of unknown characters",
    **dict.fromkeys(("chat_template", "use_default_system_prompt"), "is used for conversations")}
READ = ("truncation_side", "tokenizer_class", "added_tokens_decoder", "model_input_names",
        "add_prefix_space", "add_bos_token", "add_eos_token")
Path = str | os.PathLike


class Settings(NamedTuple):
    """What the files say.  A token whose id is NEW gets its piece's id, or the next free one."""

    path: Path                                     # of tokenizer_config.json, for messages
    name: str | None                               # of the tokenizer_class; None: not in any file
    flags: Mapping[str, bool | None]               # of WordPiece's normalizer, add_prefix_space ...
    names: Mapping[str, AddedToken | None]         # {role: token}; only those in a file
    extra: tuple[AddedToken, ...]                  # further special tokens
    added: Mapping[int, AddedToken]                # with ids
    side: str | None                               # truncation_side
    has_types: bool | None                         # whether token_type_ids are returned

    @property
    def of_class(self) -> TokenizerClass:
        """The class of the tokenizer."""
        return CLASSES[self.name or "TokenizersBackend"]

    def token(self, role: str) -> AddedToken | None:
        """The token of a role, from a file or else of the class."""
        return self.names.get(role) or self.of_class.tokens.get(role)


# ---- reading ------------------------------------------------------------------------------------

def read_settings(folder: Path) -> Settings:
    """Read the settings of a folder.

    Raises FormatError for a field that is unknown, or that asks for another tokenizer.
    """
    config = _optional(folder, CONFIG)
    name = _class_name(folder, config)
    of_class = CLASSES[name or "TokenizersBackend"]
    for option, values in ONLY.items():
        config.one_of(option, values, values[0])
    flags = {flag: config.of(flag, bool, NULL) if flag in NULLABLE else config.flag(flag)
             for flag in (*FLAGS, *NULLABLE) if flag in config}
    config.no_others((*FLAGS, *ONLY, *IGNORED, *EXTRA, *READ, *_tokens_of(config)))
    side = config.one_of("truncation_side", SIDES, None)
    names, extra = _names(config, of_class)
    if "added_tokens_decoder" in config:
        added = _tokens_with_flags(config.inside("added_tokens_decoder"))
    else:
        names, extra = _merged(names, extra, _optional(folder, NAMES), of_class)
        special = {token.content for token in (*names.values(), *extra) if token}
        added = _tokens_without_flags(_optional(folder, ADDED), special)
    inputs = config.of("model_input_names", list, NULL, default=None)
    return Settings(config.path, name, flags, names, tuple(extra), added, side,
                    None if inputs is None else TYPES in inputs)


def _optional(folder, name):
    path = os.path.join(folder, name)
    return Fields.read(path) if os.path.lexists(path) else Fields(path, {})


def _class_name(folder, config):
    """The name of the class in CLASSES, or None if no file says it."""
    model = _optional(folder, MODEL)
    for fields in config, model:
        name = fields.of("tokenizer_class", str, NULL, default=None)
        if name is not None and name not in CLASSES:
            name = name.removesuffix("Fast")
        if name is not None and name not in CLASSES:
            raise fields.fault("tokenizer_class", f"one of {', '.join(CLASSES)}",
                               show(fields.values["tokenizer_class"]))
        if name is not None:
            return name
    model_type = model.values.get("model_type")
    return OF_MODEL.get(model_type) if isinstance(model_type, str) else None


def _tokens_of(fields):
    """The names of fields that are special tokens: transformers takes any name_token for one."""
    return [name for name in fields.values if name.endswith("_token") and name not in READ]


def _names(fields, of_class):
    """The special tokens that a file names.  -> {role: token or None}, [further tokens]"""
    names = {name: _special(fields, name, of_class.tokens.get(name)) for name in _tokens_of(fields)}
    extra = []
    for name in EXTRA:
        if isinstance(fields.values.get(name), dict):
            extra += [_special(fields.inside(name), key) for key in fields.values[name]]
        elif fields.of(name, list, NULL, default=None):
            one = Fields(fields.path, {f"{name}[{number}]": value for number, value
                                       in enumerate(fields.values[name])}, fields.place)
            extra += [_special(one, key) for key in one.values]
    return names, [token for token in extra if token is not None]


def _special(fields, name, default=None):
    """A special token that is stored as a str, or as a dict with its flags; None if it is null.

    default: the token of the class, from which a str gets its flags
    """
    value = fields.of(name, str, dict, NULL)
    if value is None:
        return None
    if isinstance(value, str):
        return (default or AddedToken("", NEW))._replace(content=value)
    token = fields.inside(name)
    token.no_others(("content", "lstrip", "rstrip", "normalized", "single_word", "special",
                     "__type"))
    flags = {flag: token.flag(flag, False) for flag in ("lstrip", "rstrip", "single_word")}
    normalized = token.flag("normalized", REQUIRED if "__type" in token else False)
    return AddedToken(token.text("content"), NEW, normalized=normalized, **flags)


def _merged(names, extra, older, of_class):
    """Add what special_tokens_map.json (older) names, which must agree with tokenizer_config.json.

    -> {role: token or None}, [further tokens]
    """
    older.no_others((*EXTRA, *_tokens_of(older)))
    more_names, more = _names(older, of_class)
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

def for_kind(settings: Settings, kind: str, whole: bool = True) -> Settings:
    """The settings with a class that reads tokenizers of this kind.  FormatError if it does not.

    kind    "WordPiece", "BPE", "SentencePieceBPE" or "Unigram"
    whole   whether the tokenizer is from a tokenizer.json, not from a vocabulary
    """
    if settings.name is None:
        classes = {"WordPiece": "BertTokenizer", **({} if whole else {"BPE": "GPT2Tokenizer"})}
        return settings._replace(name=classes.get(kind, "TokenizersBackend"))
    kinds = settings.of_class.kinds
    if not whole and (not kinds or "SentencePieceBPE" in kinds):       # not read from a vocabulary
        raise FormatError(settings.path, "field 'tokenizer_class'", "expected a class that reads a "
                          f"vocabulary, since there is no tokenizer.json, found {settings.name!r}")
    if kinds and kind not in kinds:
        raise FormatError(settings.path, "field 'tokenizer_class'", f"expected a class that reads "
                          f"{kind}, as the folder's tokenizer is, found {settings.name!r}, which "
                          f"reads {' or '.join(kinds)}; PreTrainedTokenizerFast reads any kind "
                          "that a tokenizer.json has")
    return settings


def overriding(settings: Settings, kind: str) -> dict[str, Any]:
    """The fields of tokenizer_config.json that override a tokenizer.json of this kind."""
    if kind == "WordPiece" and settings.of_class.kinds:
        return {name: settings.flags[name] for name in FLAGS if name in settings.flags}
    if settings.name in ("RobertaTokenizer", "GPT2Tokenizer"):
        return {"add_prefix_space": bool(settings.flags.get("add_prefix_space"))}
    return {}


def with_settings(settings: Settings, tokenizer: Tokenizer, whole: bool = True) -> Tokenizer:
    """A tokenizer with these settings: with their added and special tokens and truncation side.

    whole: the tokenizer is from a tokenizer.json, with its template; if not, it gets its class's
    """
    if whole:
        _require_same_names(settings, tokenizer)
    known = {token.id: token for token in tokenizer.added}
    for number, token in settings.added.items():
        if number in known and known[number] != token:
            raise FormatError(settings.path, f"the added token {number}", f"expected "
                              f"{known[number]}, as tokenizer.json says, found {token}")
    found = _with_tokens(settings, tokenizer, whole)
    _require_same_flags(settings, found)
    return found


def _require_same_names(settings, tokenizer):
    """Raise FormatError for other names of [UNK], [CLS] or [SEP] than those in tokenizer.json."""
    if not settings.of_class.kinds:                    # tokenizer.json is used as it is
        return
    in_file = {} if tokenizer.unk is None else {"unk_token": tokenizer.unk}
    for end, roles in (0, settings.of_class.ends[::2]), (-1, settings.of_class.ends[1::2]):
        part = tokenizer.template.single[end]
        if part.text is None or settings.of_class.template:
            token = tokenizer.id_to_token(part.ids[end]) if part.ids else None
            in_file |= dict.fromkeys(roles, token)
    for role, name in in_file.items():
        token = settings.names.get(role)
        if token is not None and token.content != name:
            raise FormatError(settings.path, f"field {role!r}", f"expected {show(name)}, as "
                              f"tokenizer.json says, found {show(token.content)}")


def _require_same_flags(settings, tokenizer):
    """Raise FormatError for an option that disagrees with tokenizer.json."""
    first, last = tokenizer.template.single[0], tokenizer.template.single[-1]
    own = settings.of_class.template is not None       # these classes do not use add_bos_token
    found = {"add_prefix_space": tokenizer.prefix_space,
             "add_bos_token": first.text is None and not own,
             "add_eos_token": last.text is None and not own}
    for name, value in found.items():
        flag = settings.flags.get(name)
        if None not in (flag, value) and flag is not value:
            raise FormatError(settings.path, f"field {name!r}", f"expected {str(value).lower()}, "
                              f"as the tokenizer has it, found {str(flag).lower()}")


def _with_tokens(settings, tokenizer, whole):
    """Add the tokens, and the template of the class if the tokenizer is from a vocabulary."""
    of_class = settings.of_class
    added = {token.id: token for token in tokenizer.added} | dict(settings.added)
    contents = {token.content for token in added.values()}
    following = max([len(tokenizer.pieces) - 1, *added]) + 1
    of_vocabulary = {role: token for role, token in of_class.tokens.items()
                     if token.content in tokenizer.index or token.content in contents}
    names = {**of_vocabulary, **settings.names}
    ordered = [*(names.get(role) for role in ROLES),
               *(token for role, token in names.items() if role not in ROLES), *settings.extra]
    for token in ordered:
        if token is not None and token.content not in contents:
            number = tokenizer.index.get(token.content, following)
            following += number == following
            added[number] = token._replace(id=number)
            contents.add(token.content)
    ids = {token.content: token.id for token in added.values()} | tokenizer.index
    roles = {role: token.content for role, token in names.items() if token is not None}
    template = tokenizer.template
    if not whole and of_class.template:
        ends = [ids.get(settings.token(role).content) for role in of_class.ends[:2]]
        template = NO_TEMPLATE if None in ends else of_class.template(*ends)
    has_types = of_class.has_types if settings.has_types is None else settings.has_types
    try:
        return tokenizer.with_tokens(list(added.values()), template,
                                     settings.side or tokenizer.truncation_side, roles, has_types)
    except ValueError as error:
        raise FormatError(settings.path, "its added tokens", str(error)) from None
