"""The most probable tokens at each masked position, by a masked-LM head.

Paper     Devlin et al. 2019, "BERT", section 3.1.
Equation  p(w | the text around position t) = softmax(E ŷ_t + b)_w,  nn/blocks.py masked_lm_head
Shapes    masked_positions (M,) rows of a batch -> ids, probabilities (M, k), most probable first
Cost      the encoder's, and 2 M V D operations for the head.
Read next transformer/bert.py (the head), transformer/masked_lm.py (its loss)

Two masked tokens of one text are predicted independently: p(w₁) and p(w₂), not p(w₁ w₂).  For
"[MASK] [MASK]" the first list may hold "new" and "los", the second "york" and "angeles"; the lists
do not say that "new" goes with "york".
"""
from typing import Any

import numpy as np

from scratch_embed.nn.softmax import softmax
from scratch_embed.space.neighbours import top_k
from scratch_embed.text.packed import Packed


def fill_mask(batch: Packed, masked_positions: np.ndarray, model: Any, k: int = 5
              ) -> tuple[np.ndarray, np.ndarray]:
    """The k most probable tokens at each position.  (M,) -> ids (M, k), probabilities (M, k).

    model: a Bert, Roberta, Distilbert or Mpnet; its mlm_head gives the logits.
    On a tie the lowest id comes first.  If k > V, all V tokens are returned.  Probabilities are
    float64.
    Raises ValueError for a model without the masked-LM head.
    """
    if "mlm.bias" not in model.p:
        raise ValueError(f"the model of {model.config.vocab:,} tokens has no masked-LM head: "
                         "it encodes texts and cannot predict masked tokens")
    logits, _ = model.mlm_head(model.infer(batch)[masked_positions])
    return top_k(softmax(logits.astype(np.float64))[0], k)
