"""The tokenizer classes of transformers: which kind of tokenizer each is, and its special tokens.

A folder names its class in tokenizer_config.json or in config.json (tokenizer_class).  If neither
does, the class is that of the model_type.

Differs   from transformers (5.24), which ignores a class that it does not know: here that is an
          error.  Slow and fast classes ("Fast" at the end of the name) are the same here, as they
          are in version 5.  PreTrainedTokenizerFast returns token_type_ids, as in version 4; in
          version 5 it is another name of TokenizersBackend, which does not.
Read next text/tokenizer_settings.py
"""
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.tokenizer import Template, bert_template, roberta_template

NEW = -1                           # in place of an id that is not known yet


class TokenizerClass(NamedTuple):
    """What a class of transformers adds to the files of a tokenizer.

    kinds       the names of the kinds that it reads (KINDS in text/tokenizer_files.py); empty: any
                kind, exactly as tokenizer.json describes it
    tokens      {role: token}, the special tokens that the files need not name
    template    (id of the first token, id of the last) -> Template; None: no special tokens are
                added
    ends        the roles of the template's first and last token.  If two roles must name the first
                token, and two the last, in turn: first, last, first, last
    has_types   whether a call returns token_type_ids
    """

    kinds: tuple[str, ...] = ()
    tokens: Mapping[str, AddedToken] = {}
    template: Callable[[int, int], Template] | None = None
    ends: tuple[str, ...] = ("cls_token", "sep_token")
    has_types: bool = False


def special(content: str, **flags: bool) -> AddedToken:
    """A special token whose id is not known yet."""
    return AddedToken(content, NEW, **flags)


NAMED = {"unk_token": special("[UNK]"), "sep_token": special("[SEP]"),
         "pad_token": special("[PAD]"), "cls_token": special("[CLS]"),
         "mask_token": special("[MASK]")}
ANGLED = {"bos_token": special("<s>"), "eos_token": special("</s>"), "unk_token": special("<unk>"),
          "sep_token": special("</s>"), "pad_token": special("<pad>"), "cls_token": special("<s>"),
          "mask_token": special("<mask>")}
LSTRIP_MASK = {"mask_token": special("<mask>", lstrip=True)}
END = special("<|endoftext|>")

BERT = TokenizerClass(("WordPiece",), NAMED, bert_template, has_types=True)
ROBERTA = TokenizerClass(("BPE",), ANGLED, roberta_template)
XLMR = TokenizerClass(("Unigram",), ANGLED, roberta_template,
                      ("cls_token", "sep_token", "bos_token", "eos_token"))
LLAMA = TokenizerClass(("SentencePieceBPE", "BPE"), {
    "unk_token": special("<unk>"), "bos_token": special("<s>"), "eos_token": special("</s>")},
    ends=("bos_token", "eos_token"))
GENERIC = TokenizerClass()                         # a tokenizer.json, as it is
CLASSES = {
    "BertTokenizer": BERT, "ElectraTokenizer": BERT,
    "DistilBertTokenizer": BERT._replace(has_types=False),
    "MPNetTokenizer": TokenizerClass(
        ("WordPiece",), {**ANGLED, "unk_token": special("[UNK]"), **LSTRIP_MASK}, roberta_template),
    "RobertaTokenizer": ROBERTA,
    "XLMRobertaTokenizer": XLMR,
    "CamembertTokenizer": XLMR._replace(tokens={**ANGLED, **LSTRIP_MASK}),
    "GPT2Tokenizer": TokenizerClass(
        ("BPE",), {"unk_token": END, "bos_token": END, "eos_token": END},
        ends=("bos_token", "eos_token")),
    "CLIPTokenizer": TokenizerClass(
        ("BPE",), {"unk_token": END, "bos_token": special("<|startoftext|>"), "eos_token": END,
                   "pad_token": END}, roberta_template, ("bos_token", "eos_token")),
    "LlamaTokenizer": LLAMA, "TokenizersBackend": GENERIC,
    "PreTrainedTokenizerFast": GENERIC._replace(has_types=True)}
# {model_type: the class of a folder that names none}
OF_MODEL = {"bert": "BertTokenizer", "distilbert": "BertTokenizer", "electra": "ElectraTokenizer",
            "mpnet": "MPNetTokenizer", "roberta": "RobertaTokenizer",
            "xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer",
            "gpt2": "GPT2Tokenizer", "clip": "CLIPTokenizer", "clap": "RobertaTokenizer",
            "llama": "TokenizersBackend", "mistral": "TokenizersBackend"}
