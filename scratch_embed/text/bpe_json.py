r"""The parts of a tokenizer.json that only byte-level BPE has.

    {"normalizer":     null, NFC, Replace of \s+ by a space, Lowercase, or a Sequence of these
     "pre_tokenizer":  ByteLevel, or a Sequence of Splits by a Regex with a ByteLevel at its end
     "model":          BPE: vocab {piece: id}, merges, end_of_word_suffix, unk_token ...
     "decoder":        ByteLevel, or null}

A ByteLevel with use_regex is a split by GPT-2's pattern.  Merges are pairs of pieces or, in files
from before version 0.20 of the library, strings with a space between the pieces; pairs are written.

Differs   from the tokenizers library, which takes any regular expression: a Split must have one of
          the patterns of text/byte_level.py.  Steps of the normalizer must be in the order above.
          add_prefix_space is accepted without Splits only: after a Split the library puts a space
          before each of its parts.  Without a decoder the library joins pieces with spaces; here
          ids are decoded as with ByteLevel.  A Split that keeps all parts (Isolated) is written as
          one that drops the parts between matches (Removed, invert); it is read only with patterns
          that leave no such parts.
Read next text/tokenizer_json.py (the other parts), text/bpe.py
"""
from collections.abc import Mapping

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, show
from scratch_embed.text.bpe import BPE
from scratch_embed.text.byte_level import GPT2, PATTERNS
from scratch_embed.text.normal_forms import TextNormalizer
from scratch_embed.text.tokenizer_json import (
    PARTS,
    pieces_by_id,
    read_added,
    read_side,
    read_template,
    whole_json,
)

# {step of the normalizer: the field of TextNormalizer}, in the order in which they are applied
STEPS = {"NFC": "nfc", "Replace": "join_spaces", "Lowercase": "lower_case"}
REPLACE = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}


# ---- reading ----------------------------------------------------------------------------------

def parse(whole: Fields, settings: Mapping[str, bool | None] = {}) -> BPE:
    """The BPE that a tokenizer.json describes.

    settings: its add_prefix_space, if it has one, replaces that of the ByteLevel
    """
    whole.no_others(PARTS)
    model = whole.part("model", ["BPE"])
    model.no_others(("type", "dropout", "unk_token", "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                     "merges"))
    for name, values in (("dropout", (None, 0, 0.0)), ("continuing_subword_prefix", (None, "")),
                         ("byte_fallback", (False,))):
        model.one_of(name, values, values[0])
    decoder = whole.part("decoder", ["ByteLevel"], optional=True)
    if decoder is not None:
        decoder.no_others(("type", "add_prefix_space", "trim_offsets", "use_regex"))
    splits, patterns, prefix_space = _pre_tokenizer(whole)
    prefix_space = bool(settings.get("add_prefix_space", prefix_space))
    if prefix_space and splits:
        raise whole.fault("pre_tokenizer", "no add_prefix_space after a Split", "true")
    try:
        return BPE(pieces_by_id(model), read_merges(model), read_added(whole),
                   read_template(whole), normalizer=_normalizer(whole), patterns=splits + patterns,
                   prefix_space=prefix_space,
                   suffix=model.of("end_of_word_suffix", str, NULL, default=None) or "",
                   unk=model.of("unk_token", str, NULL, default=None) or None,
                   fuse_unk=model.flag("fuse_unk", False),
                   ignore_merges=model.flag("ignore_merges", False),
                   truncation_side=read_side(whole))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(whole.path, "model, added_tokens, post_processor", str(error)) from None


def read_merges(model: Fields) -> list[tuple[str, str]]:
    """The merges of a model: each a list of two pieces, or a string "first second"."""
    found = []
    for number, merge in enumerate(model.of("merges", list)):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or [type(piece) for piece in pair] != [str, str]:
            raise model.fault("merges", "two pieces in each", f"{show(merge)} as number {number}")
        found.append((pair[0], pair[1]))
    return found


def _normalizer(whole):
    fields = whole.part("normalizer", [*STEPS, "Sequence"], optional=True)
    if fields is None:
        return TextNormalizer()
    steps = [fields]
    if fields.text("type") == "Sequence":
        fields.no_others(("type", "normalizers"))
        steps = fields.each("normalizers")
    kinds = [step.one_of("type", STEPS) for step in steps]
    if kinds != [kind for kind in STEPS if kind in kinds]:
        raise whole.fault("normalizer", f"each of {', '.join(STEPS)} at most once, in this order",
                          show(kinds))
    for step, kind in zip(steps, kinds):
        step.no_others(REPLACE if kind == "Replace" else ("type",))
        if kind == "Replace" and step.values != REPLACE:
            raise whole.fault("normalizer", show(REPLACE), show(dict(step.values)))
    return TextNormalizer(**{STEPS[kind]: True for kind in kinds})


def _pre_tokenizer(whole):
    """(patterns of the Splits, of the ByteLevel; whether a space is put before a text)."""
    fields = whole.part("pre_tokenizer", ["ByteLevel", "Sequence"])
    steps = [fields]
    if fields.text("type") == "Sequence":
        fields.no_others(("type", "pretokenizers"))
        steps = fields.each("pretokenizers")
    kinds = [step.text("type") for step in steps]
    if kinds != ["Split"] * (len(kinds) - 1) + ["ByteLevel"]:
        raise whole.fault("pre_tokenizer", "Splits and a ByteLevel after them", show(kinds))
    last = steps[-1]
    last.no_others(("type", "add_prefix_space", "trim_offsets", "use_regex"))
    return (tuple(map(_pattern, steps[:-1])), (GPT2,) * last.flag("use_regex", True),
            last.flag("add_prefix_space"))


def _pattern(split):
    """The pattern of a Split, which must be known, with a behavior that keeps what it matches."""
    split.no_others(("type", "pattern", "behavior", "invert"))
    given = split.inside("pattern")
    given.no_others(("Regex",))
    pattern = given.text("Regex")
    if pattern not in PATTERNS:
        raise given.fault("Regex", "the pattern of GPT-2, CLIP, Llama 3 or Qwen 2", show(pattern))
    behaviour = (split.text("behavior"), split.flag("invert"))
    accepted = [("Removed", True)] + [("Isolated", False), ("Isolated", True)] * PATTERNS[pattern]
    if behaviour not in accepted:
        raise split.fault("behavior", "Removed, with invert true" + " or Isolated" * PATTERNS[
            pattern], f"{behaviour[0]}, with invert {str(behaviour[1]).lower()}")
    return pattern


# ---- writing ----------------------------------------------------------------------------------

def to_json(tokenizer: BPE) -> dict:
    """The content of the tokenizer.json of a BPE."""
    return whole_json(
        tokenizer, normalizer=_normalizer_json(tokenizer.normalizer),
        pre_tokenizer=_pre_tokenizer_json(tokenizer),
        model={"type": "BPE", "dropout": None, "unk_token": tokenizer.unk,
               "continuing_subword_prefix": "", "end_of_word_suffix": tokenizer.suffix,
               "fuse_unk": tokenizer.fuse_unk, "byte_fallback": False,
               "ignore_merges": tokenizer.ignore_merges, "vocab": tokenizer.index,
               "merges": [list(pair) for pair in tokenizer.merges]},
        decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                 "use_regex": True})


def _normalizer_json(normalizer):
    steps = [REPLACE if kind == "Replace" else {"type": kind} for kind, name in STEPS.items()
             if getattr(normalizer, name)]
    if len(steps) < 2:
        return steps[0] if steps else None
    return {"type": "Sequence", "normalizers": steps}


def _pre_tokenizer_json(tokenizer):
    patterns = list(tokenizer.patterns)
    use_regex = patterns[-1:] == [GPT2]
    level = {"type": "ByteLevel", "add_prefix_space": tokenizer.prefix_space, "trim_offsets": True,
             "use_regex": use_regex}
    splits = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed",
               "invert": True} for pattern in patterns[:len(patterns) - use_regex]]
    return {"type": "Sequence", "pretokenizers": [*splits, level]} if splits else level
