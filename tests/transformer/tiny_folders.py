"""Tiny models of each family with a tokenizer of its kind, and their folders.

    model_of("roberta")          a model with random weights
    tokenizer_of("roberta")      its tokenizer
    write_folder(folder, "roberta")    both, as transformers stores them
"""
import functools

import numpy as np

from scratch_embed.nn.params import init_params
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.added_tokens import AddedToken
from scratch_embed.text.bpe import BPE
from scratch_embed.text.byte_level import CHAR_OF_BYTE
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.tokenizer import Part, Template, roberta_template
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer import bert, distilbert, gpt2, mistral, mpnet, roberta

ANGLED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ROLES = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
         "mask_token": "<mask>", "cls_token": "<s>", "sep_token": "</s>"}
WORDS = ["the", "a", "red", "cat", "sat", "on", "mat", "##s", "s", ".", "é", "日"]
TEXTS = ["the red cat sat on the mat.", "a Cat", "red cats, é日 <mask> sat", "the the the the the"]
SIZES = {"dim": 12, "layers": 2, "heads": 3, "ff": 20}
MODELS = {"bert": bert, "roberta": roberta, "xlm-roberta": roberta, "camembert": roberta,
          "distilbert": distilbert, "mpnet": mpnet, "gpt2": gpt2, "mistral": mistral,
          "llama": mistral}
CLASSES = {"bert": bert.Bert, "roberta": roberta.Roberta, "xlm-roberta": roberta.Roberta,
           "camembert": roberta.Roberta, "distilbert": distilbert.Distilbert,
           "mpnet": mpnet.Mpnet, "gpt2": gpt2.Gpt2, "mistral": mistral.Mistral,
           "llama": mistral.Llama}
MORE = {**{name: {"positions": 26, "model_type": name} for name in
           ("roberta", "xlm-roberta", "camembert")}, "mpnet": {"positions": 26},
        "mistral": {"sliding_window": 3, "kv_heads": 1, "head_dim": 4},
        "llama": {"kv_heads": 1, "head_dim": 4}}


def added(tokens, index):
    """Special tokens with the ids of their pieces."""
    return [AddedToken(token, index[token]) for token in dict.fromkeys(tokens)]


def with_roles(tokenizer, roles, has_types=False):
    """The same tokenizer with the names of its special tokens, as files have them."""
    return tokenizer.with_tokens(added(roles.values(), tokenizer.index), tokenizer.template,
                                 tokenizer.truncation_side, roles, has_types)


@functools.cache
def tokenizer_of(model_type):
    """The tokenizer of a family."""
    if model_type in ("bert", "distilbert"):
        return WordPiece([*SPECIAL, *WORDS])
    if model_type == "mpnet":
        pieces = [*ANGLED, "[UNK]", *WORDS]
        return with_roles(WordPiece(pieces, added=(), template=roberta_template(0, 2)),
                          {**ROLES, "unk_token": "[UNK]"})
    if model_type in ("roberta", "gpt2"):
        first = ANGLED if model_type == "roberta" else ["<|endoftext|>"]
        letters = [*CHAR_OF_BYTE.values()]
        merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("c", "at"), ("a", "t"), ("Ġ", "cat")]
        pieces = [*first, *letters, "th", "the", "Ġthe", "at", "cat", "Ġcat"]
        if model_type == "roberta":
            return with_roles(BPE(pieces, merges, template=roberta_template(0, 2)), ROLES)
        return with_roles(BPE(pieces, merges), dict.fromkeys(
            ("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>"))
    if model_type in ("xlm-roberta", "camembert"):
        pieces = [*ANGLED, "▁", *"thecasrdonm.,é", "▁the", "▁cat", "at", "▁red", "s"]
        pieces = [*dict.fromkeys(pieces)]
        return with_roles(Unigram(pieces, -np.arange(len(pieces)) / 7,
                                  template=roberta_template(0, 2)), ROLES)
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)),
              *dict.fromkeys("▁thecasrdonm."), "th", "the", "▁the"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the")]
    ends = [Part(None, (1,), 0), Part(0, (), 0), Part(None, (2,), 0)]
    return with_roles(SentencePieceBPE(pieces, merges, template=Template(
        tuple(ends), (*ends, Part(1, (), 0)))), {
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"})


def model_of(model_type, seed=0):
    """A model with random weights, activations of order 1 and perturbed norms."""
    module, vocab = MODELS[model_type], len(tokenizer_of(model_type))
    config = module.Config(vocab=vocab, **{**SIZES, "positions": 24, **MORE.get(model_type, {})})
    p = init_params(module.tensors(config, std=0.4), seed)
    p.flat += 0.1 * np.random.default_rng(seed).standard_normal(p.flat.size).astype(np.float32)
    return CLASSES[model_type](config, p)


def encoder_of(model_type, recipe=None, seed=0):
    """Both, with the mean of the tokens by default."""
    return SentenceEncoder(tokenizer_of(model_type), model_of(model_type, seed), recipe)


def write_folder(folder, model_type, recipe=None):
    """Write a folder of sentence-transformers and return its path."""
    encoder_of(model_type, recipe).save(folder)
    return folder
