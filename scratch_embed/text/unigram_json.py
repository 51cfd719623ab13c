r"""The parts of a tokenizer.json that only SentencePiece's tokenizers have: Unigram and its BPE.

    {"normalizer":     Precompiled, Replace, Prepend, Strip, NFC, NFD, NFKC, NFKD, Lowercase, a
                       Sequence of these, or null
     "pre_tokenizer":  WhitespaceSplit, Metaspace, a Sequence of both in this order, or null
     "model":          Unigram: vocab [[piece, score] ...], unk_id, byte_fallback
                       BPE: vocab {piece: id}, merges, unk_token, fuse_unk, byte_fallback ...
     "decoder":        Metaspace, Replace, ByteFallback, Fuse, Strip, a Sequence of these, or null}

A BPE is SentencePiece's if its pre_tokenizer has no ByteLevel; the others are read by bpe_json.py.
Older files have add_prefix_space in place of Metaspace's prepend_scheme.

Differs   from the tokenizers library, which takes any regular expression in a Replace: here it must
          be one of PATTERNS (text/sentencepiece.py).  prepend_scheme "first" is accepted only if no
          step of the normalizer can move the beginning of a text: the library asks whether a word
          began the text before it was normalised.  A model needs a piece for unknown characters or,
          in a BPE, pieces for all bytes.
          From transformers 5, which for some classes (XLMRobertaTokenizer, CamembertTokenizer,
          LlamaTokenizer) keeps only the vocabulary, the merges, the Precompiled and the
          post_processor of the file and rebuilds the rest: here the whole file counts, as in
          version 4.  So texts get other ids there if they begin with spaces (LlamaTokenizer) or
          contain "▁".
Read next text/tokenizer_json.py (the other parts), text/sentencepiece.py
"""
from collections.abc import Callable, Mapping
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, show
from scratch_embed.text.bpe_json import read_merges
from scratch_embed.text.metaspace import PREPEND, Metaspace
from scratch_embed.text.normal_forms import FORMS, Lowercase, UnicodeForm
from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.sentencepiece import (
    PATTERNS,
    ByteFallback,
    Fuse,
    Prepend,
    Replace,
    Rules,
    SentencePiece,
    Strip,
    StripStart,
)
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.tokenizer_json import (
    PARTS,
    pieces_by_id,
    read_added,
    read_side,
    read_template,
    whole_json,
)
from scratch_embed.text.unigram import Unigram


def is_sentencepiece(whole: Fields) -> bool:
    """Whether a tokenizer.json whose model is a BPE is SentencePiece's, not byte-level."""
    steps = _steps(whole, "pre_tokenizer", "pretokenizers", None)
    return all(step.values.get("type") != "ByteLevel" for step in steps)


# ---- reading ----------------------------------------------------------------------------------

def parse(whole: Fields, settings: Mapping[str, bool | None] = {}) -> Unigram | SentencePieceBPE:
    """The tokenizer that a tokenizer.json describes.

    settings: not used, since no setting overrides a part of such a file
    """
    whole.no_others(PARTS)
    model = whole.part("model", ["Unigram", "BPE"])
    rules = _rules(whole)
    read = _unigram if model.text("type") == "Unigram" else _bpe
    try:
        return read(model, rules, read_added(whole), read_template(whole), read_side(whole))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(whole.path, "model, added_tokens, post_processor", str(error)) from None


def _unigram(model, rules, added, template, side):
    model.no_others(("type", "unk_id", "vocab", "byte_fallback"))
    vocab = model.of("vocab", list)
    for number, pair in enumerate(vocab):
        one = pair if isinstance(pair, list) and len(pair) == 2 else [None, None]
        if not isinstance(one[0], str) or type(one[1]) not in (int, float):
            raise model.fault("vocab", "a piece and its score in each list",
                              f"{show(pair)} as number {number}")
    if not vocab:
        raise model.fault("vocab", "a list of pieces", "an empty one")
    unk = model.whole("unk_id", 0, most=len(vocab) - 1)
    return Unigram([piece for piece, _ in vocab], [score for _, score in vocab], vocab[unk][0],
                   rules, added, template, byte_fallback=model.flag("byte_fallback", False),
                   truncation_side=side)


def _bpe(model, rules, added, template, side):
    model.no_others(("type", "dropout", "unk_token", "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                     "merges"))
    model.one_of("dropout", [None, 0, 0.0], None)
    for name in "continuing_subword_prefix", "end_of_word_suffix":
        model.one_of(name, [None, ""], None)
    return SentencePieceBPE(
        pieces_by_id(model), read_merges(model), model.of("unk_token", str, NULL, default=None),
        rules, added, template, byte_fallback=model.flag("byte_fallback", False),
        fuse_unk=model.flag("fuse_unk", False), ignore_merges=model.flag("ignore_merges", False),
        truncation_side=side)


def _rules(whole):
    normalizers = _steps(whole, "normalizer", "normalizers", NORMALIZERS)
    steps = _steps(whole, "pre_tokenizer", "pretokenizers", ("WhitespaceSplit", "Metaspace"))
    decoders = _steps(whole, "decoder", "decoders", DECODERS)
    kinds = [step.text("type") for step in steps]
    if kinds not in ([], ["WhitespaceSplit"], ["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        raise whole.fault("pre_tokenizer", "WhitespaceSplit, then Metaspace, each at most once",
                          show(kinds))
    if "WhitespaceSplit" in kinds:
        steps[0].no_others(("type",))
    rules = Rules(tuple(NORMALIZERS[step.text("type")](step) for step in normalizers),
                  "WhitespaceSplit" in kinds,
                  _metaspace(steps[-1]) if "Metaspace" in kinds else None,
                  tuple(DECODERS[step.text("type")](step) for step in decoders))
    if rules.metaspace and rules.metaspace.prepend == "first" and not all(
            map(_keeps_beginning, rules.normalizers)):
        raise whole.fault("pre_tokenizer", "no prepend_scheme 'first' after a normalizer that can "
                          "move the beginning of a text", show("first"))
    return rules


def _keeps_beginning(step):
    """Whether the normalised text begins where the text began."""
    return isinstance(step, Prepend) or (isinstance(step, Replace) and not step.is_regex
                                         and len(step.pattern) == len(step.content) == 1)


def _steps(whole, name, of_sequence, kinds):
    """The steps of a part: none, one, or those of a Sequence.

    kinds: the types that they may have; None: any
    """
    if whole.of(name, dict, NULL, default=None) is None:
        return []
    if whole.object(name).get("type") == "Sequence":
        whole.inside(name).no_others(("type", of_sequence))
        steps = whole.inside(name).each(of_sequence)
        for number, step in enumerate(steps if kinds is not None else ()):
            if step.values.get("type") not in kinds:
                raise whole.fault(name, f"a Sequence of {', '.join(kinds)}",
                                  f"the type {show(step.values.get('type'))} as number {number}")
        return steps
    return [whole.inside(name) if kinds is None else whole.part(name, [*kinds, "Sequence"])]


def _metaspace(fields):
    fields.no_others(("type", "replacement", "prepend_scheme", "add_prefix_space", "split",
                      "str_rep"))
    old = fields.flag("add_prefix_space", True)
    prepend = fields.one_of("prepend_scheme", PREPEND, "always" if old else "never")
    if not old and prepend != "never":
        raise fields.fault("prepend_scheme", "never, since add_prefix_space is false",
                           show(prepend))
    return Metaspace(_character(fields, "replacement"), prepend, fields.flag("split", True))


def _character(fields, name):
    return fields.get(name, "▁", "one character", lambda v: isinstance(v, str) and len(v) == 1)


def _precompiled(fields):
    fields.no_others(("type", "precompiled_charsmap"))
    try:
        return Precompiled.from_base64(fields.text("precompiled_charsmap"))
    except ValueError as error:
        raise fields.fault("precompiled_charsmap", "a table in base64", str(error)) from None


def _replace(fields):
    fields.no_others(("type", "pattern", "content"))
    pattern = fields.inside("pattern")
    pattern.no_others(("String", "Regex"))
    if "Regex" in pattern:
        pattern.one_of("Regex", PATTERNS)
        return Replace(pattern.text("Regex"), fields.text("content"), True)
    found = pattern.get("String", None, "a string of at least one character",
                        lambda v: isinstance(v, str) and bool(v))
    if found is None:
        raise fields.fault("pattern", "a String or a Regex", show(dict(pattern.values)))
    return Replace(found, fields.text("content"))


def _prepend(fields):
    fields.no_others(("type", "prepend"))
    return Prepend(fields.text("prepend"))


def _strip(fields):
    fields.no_others(("type", "strip_left", "strip_right"))
    return Strip(fields.flag("strip_left"), fields.flag("strip_right"))


def _strip_start(fields):
    fields.no_others(("type", "content", "start", "stop"))
    fields.one_of("stop", [0])
    return StripStart(_character(fields, "content"), fields.whole("start", 0))


def _only_type(step):
    """The function that reads a step without settings."""
    def read(fields):
        fields.no_others(("type",))
        return step
    return read


NORMALIZERS: dict[str, Callable] = {
    "Precompiled": _precompiled, "Replace": _replace, "Prepend": _prepend, "Strip": _strip,
    "Lowercase": _only_type(Lowercase()),
    **{form: _only_type(UnicodeForm(form)) for form in FORMS}}
DECODERS = {"Metaspace": _metaspace, "Replace": _replace, "ByteFallback":
            _only_type(ByteFallback()), "Fuse": _only_type(Fuse()), "Strip": _strip_start}


# ---- writing ----------------------------------------------------------------------------------

def to_json(tokenizer: SentencePiece) -> dict[str, Any]:
    """The content of the tokenizer.json of a Unigram or a SentencePieceBPE."""
    rules = tokenizer.rules
    steps = [{"type": "WhitespaceSplit"}] * rules.white_space
    steps += [_step_json(rules.metaspace)] if rules.metaspace is not None else []
    if isinstance(tokenizer, Unigram):
        model = {"type": "Unigram", "unk_id": tokenizer.unk_id,
                 "vocab": [[piece, score] for piece, score
                           in zip(tokenizer.pieces, tokenizer.scores.tolist())],
                 "byte_fallback": tokenizer.byte_fallback}
    elif isinstance(tokenizer, SentencePieceBPE):
        model = {"type": "BPE", "dropout": None, "unk_token": tokenizer.unk,
                 "continuing_subword_prefix": None, "end_of_word_suffix": None,
                 "fuse_unk": tokenizer.fuse_unk, "byte_fallback": tokenizer.byte_fallback,
                 "ignore_merges": tokenizer.ignore_merges, "vocab": tokenizer.index,
                 "merges": [list(pair) for pair in tokenizer.merges]}
    return whole_json(tokenizer, _sequence("normalizers", [*map(_step_json, rules.normalizers)]),
                      _sequence("pretokenizers", steps), model,
                      _sequence("decoders", [*map(_step_json, rules.decoders)]))


def _sequence(name, steps):
    """null, one step, or a Sequence of several."""
    if len(steps) < 2:
        return steps[0] if steps else None
    return {"type": "Sequence", name: steps}


def _step_json(step):
    match step:
        case Metaspace():
            return {"type": "Metaspace", "replacement": step.replacement,
                    "prepend_scheme": step.prepend, "split": step.split}
        case Precompiled():
            return {"type": "Precompiled", "precompiled_charsmap": step.to_base64()}
        case Replace():
            kind = "Regex" if step.is_regex else "String"
            return {"type": "Replace", "pattern": {kind: step.pattern}, "content": step.content}
        case Strip():
            return {"type": "Strip", "strip_left": step.left, "strip_right": step.right}
        case StripStart():
            return {"type": "Strip", "content": step.content, "start": step.most, "stop": 0}
        case Prepend():
            return {"type": "Prepend", "prepend": step.prepend}
        case UnicodeForm():
            return {"type": step.form}
    return {"type": type(step).__name__}           # ByteFallback, Fuse, Lowercase
