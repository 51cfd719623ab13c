"""The token ids of captions, at most as many as a text tower has positions.

Shapes    N texts -> Packed: ids (T,), offsets (N+1,)
Cost      that of the tokenizer
Read next text/tokenizer.py, multimodal/clip_encoder.py and clap_encoder.py (its callers)
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.text.packed import Packed
from scratch_embed.text.tokenizer import Tokenizer


def caption_tokens(texts: Sequence[str], tokenizer: Tokenizer, most: int, truncate: bool) -> Packed:
    """The ids of texts, with the tokenizer's special tokens.

    Raises TypeError for one text in place of a list, and, unless `truncate` shortens them,
    ValueError for a text of more than `most` tokens.
    """
    batch = tokenizer.encode_batch(texts, max_length=most if truncate else None)
    lengths = np.diff(batch.offsets)
    if len(lengths) and lengths.max() > most:
        n = int(lengths.argmax())
        raise ValueError(f"text {n}: expected at most {most} tokens, got {lengths[n]} in "
                         f"{texts[n]!r:.60}; shorten it, or use truncate=True")
    return batch
