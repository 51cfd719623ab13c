"""What belongs into a gap: the question that BERT was trained on, asked.

Paper     Devlin et al. 2019, "BERT", section 3.1.
Equation  p(w | the text around gap t) = softmax(E ŷ_t + b)_w       as in transformer/masked_lm.py
Shapes    places (M,) rows of a batch -> ids (M, k), probabilities (M, k), the likeliest first
Cost      the encoder's, and 2 M V D for the head.
Read next transformer/bert.py (the head), transformer/masked_lm.py (its loss)

Two gaps of one text are filled each for itself: p(w₁) and p(w₂), not p(w₁ w₂).  "[MASK] [MASK]" has
"new" and "york" on top of its lists where it also has "los" and "angeles", and nothing says which
belong together.
"""
import numpy as np

from scratch_embed.nn.softmax import softmax
from scratch_embed.space.neighbours import top_k
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.bert import Bert, mlm_head


def fill_gaps(batch: Packed, places: np.ndarray, model: Bert, k: int = 5
              ) -> tuple[np.ndarray, np.ndarray]:
    """The k likeliest tokens of each gap.  places: (M,) -> ids (M, k), probabilities (M, k).

    Ties to the lowest id; all V where k is larger.  Probabilities are float64.
    Raises ValueError for a model without the masked-LM head.
    """
    if "mlm.bias" not in model.p:
        raise ValueError(f"the model of {model.config.vocab:,} tokens has no masked-LM head "
                         "(cls.predictions): it encodes texts and cannot fill gaps")
    logits, _ = mlm_head(model.infer(batch)[places], model.p, model.config)
    return top_k(softmax(logits.astype(np.float64))[0], k)
