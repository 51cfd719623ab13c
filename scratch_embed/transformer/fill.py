"""What belongs into a gap: the question that BERT was trained on, asked.

Paper     Devlin et al. 2019, "BERT", section 3.1.
Equation  p(w | the text around gap t) = softmax(E ŷ_t + b)_w       as in transformer/bert.py
Shapes    places (M,) rows of a batch -> ids (M, k), probabilities (M, k), the likeliest first
Cost      the encoder's, and 2 M V D for the head.
Read next transformer/bert.py (the head and its loss)

Two gaps of one text are filled each for itself: p(w₁) and p(w₂), not p(w₁ w₂).  "[MASK] [MASK]" has
"new" and "york" on top of its lists where it also has "los" and "angeles", and nothing says which
belong together.
"""
import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import softmax
from scratch_embed.space.neighbours import top_k
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.bert import TABLE, predictions
from scratch_embed.transformer.encoder import Config, infer


def fill_gaps(batch: Packed, places: np.ndarray, p: Params, config: Config, k: int = 5
              ) -> tuple[np.ndarray, np.ndarray]:
    """The k likeliest tokens of each gap.  places: (M,) -> ids (M, k), probabilities (M, k).

    Ties to the lowest id; all V where k is larger.  Probabilities are float64.
    Raises ValueError for a model without the masked-LM head.
    """
    if "cls.predictions.bias" not in p:
        raise ValueError(f"the model of {p[TABLE].shape[0]:,} tokens has no masked-LM head "
                         "(cls.predictions): it encodes texts and cannot fill gaps")
    logits, _ = predictions(infer(batch, p, config)[places], p, config)
    return top_k(softmax(logits.astype(np.float64))[0], k)
