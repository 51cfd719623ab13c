"""CLAP on the toy world of scenes: a small model, its training, and retrieval beside baselines.

Read next multimodal/clap.py (the model), worlds/scenes.py (the world)
"""
from collections.abc import Sequence

from scratch_embed.multimodal import clap, htsat
from scratch_embed.multimodal.audio import ClapAudio
from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.nn.params import init_params
from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.tokenizer import Tokenizer, roberta_template
from scratch_embed.transformer import roberta

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")      # RoBERTa's, with its ids 0 .. 4
ROLES = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL),
             cls_token="<s>", sep_token="</s>")
# a sound of 0.26 s is repeated three times; 126 frames of 32 bins, stretched to 128
AUDIO = ClapAudio(rate=8000, n_fft=256, hop=64, mels=32, seconds=1, low=50.0, high=4000.0)
TOWER = htsat.Config(mels=32, size=64, patch=4, stride=4, dim=32, depths=(2, 2), heads=(2, 4),
                     window=4)


def roberta_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE that is learned from texts, with RoBERTa's special tokens."""
    bpe = train_bpe(texts, vocab_size, special=SPECIAL)
    return bpe.with_tokens(bpe.added, roberta_template(0, 2), "right", ROLES, has_types=False)


def new_clap(captions: Sequence[str], seed: int = 1, audio: ClapAudio = AUDIO,
             tower: htsat.Config = TOWER, vocab_size: int = 600, std: float = 0.02) -> Clap:
    """A small model before training; its tokenizer is learned from the captions."""
    tokenizer = roberta_tokenizer(captions, vocab_size)
    text = roberta.Config(len(tokenizer), 64, 2, 2, 256, 66)
    config = clap.Config(tower, text, 64)
    p = init_params(clap.tensors(config, std), seed)
    return Clap(config, htsat.freeze_statistics(p), tokenizer, audio)
