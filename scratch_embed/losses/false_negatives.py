"""False negatives: which pairs of a batch InfoNCE should not push apart.

Papers    Solatorio 2024, "GISTEmbed" (a guide model).
          Khosla et al. 2020, "Supervised Contrastive Learning" (labels).
Equation  mask_ij = True if key j, which is not the positive of query i, is an answer to it all the
          same, judged by
          equal_texts    k_j = k_n for a positive k_n of a query q_n = q_i, or k_j = q_i, as texts
          equal_labels   label_i = label_j
          guide_scores   cos(guide(q_i), guide(k_j)) > cos(guide(q_i), guide(k_i)) − margin
Shapes    N queries, M keys: the N positives, then hard negatives -> mask (N, M) bool, as
          losses/infonce.py takes it; True on its diagonal has no effect
Cost      O(N·M); equal_texts O(N²·M), one matrix product; guide_scores O(N·M·G), G the guide's
          dimension
Differs   GISTEmbed also pushes queries from queries and positives from positives, and masks these.
Read next losses/infonce.py (what a duplicate costs), sentences/hard_negatives.py (mined negatives
          have the same problem, and a margin there too)

InfoNCE calls every other key of the batch a negative.  In a batch of 64 of 10,000 pairs with 100
different answers, a query meets its own answer again among the 63 others with probability
1 − 0.99⁶³ = 47%, and the loss asks for both: this key first, and the same key far away.  Its value
then cannot fall below log 2 for such a row.  Larger batches, otherwise better, make it worse.

Which of the three?  Equal texts are certain and cost nothing.  Labels need a class for each pair.
A guide, a model that is already good, also finds paraphrases; but where it is wrong, it removes
the hard negatives that are worth most, those that look like answers to the guide.
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.losses.infonce import cosine_logits


def text_numbers(*views: Sequence[str]) -> np.ndarray:
    """A number for each text, equal for equal texts.  V views of N texts -> (N, V) integers.

    >>> text_numbers(["who?", "when?"], ["Ada", "Ada"]).tolist()
    [[2, 0], [1, 0]]
    """
    _, numbers = np.unique(np.array(views).ravel(), return_inverse=True)
    return numbers.reshape(len(views), -1).T


def equal_texts(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The mask of repeated texts.  q: (N,), k: (M,) numbers of the texts -> (N, M) bool.

    Key j is masked for query i if its text is the positive of a query with the text of query i (of
    query i itself, or of another), or if it is the query's own text.

    >>> equal_texts(np.array([1, 2]), np.array([7, 7])).tolist()         # both have answer 7
    [[True, True], [True, True]]
    """
    same_query = (q[:, None] == q).astype(np.float32)                    # (N, N)
    is_positive = (k[:len(q), None] == k).astype(np.float32)             # (N, M): k_n = k_j
    return (same_query @ is_positive > 0) | (q[:, None] == k)


def equal_labels(labels: np.ndarray, M: int) -> np.ndarray:
    """The mask of pairs with the same label.  labels: (N,) -> (N, M); hard negatives: False."""
    N = len(labels)
    mask = np.zeros((N, M), bool)
    mask[:, :N] = labels[:, None] == labels
    return mask


def guide_scores(q: np.ndarray, k: np.ndarray, margin: float = 0.0, relative_margin: float = 0.0
                 ) -> np.ndarray:
    """The mask of keys that a guide model scores above the positive, less a margin.

    q: (N, G), k: (M, G), the guide's vectors -> (N, M) bool.  The threshold of query i is
    c_ii − margin − relative_margin·|c_ii|.  With both at 0, a key that equals the positive is not
    above it: use equal_texts too, or a small margin.

    >>> q, k = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 4.0], [4.0, 3.0]])
    >>> guide_scores(q, k).tolist()                   # cosines [[0.6, 0.8], [0.8, 0.6]]
    [[False, True], [True, False]]
    """
    c, _ = cosine_logits(q, k, tau=1.0)
    positive = c.diagonal()[:, None]                  # (N, 1): c_ii
    return c > positive - margin - relative_margin * abs(positive)
