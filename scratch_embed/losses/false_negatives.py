"""Masks of false negatives: the pairs of a batch that InfoNCE should not push apart.

Papers    Solatorio 2024, "GISTEmbed" (a guide model).
          Khosla et al. 2020, "Supervised Contrastive Learning" (labels).
Equation  mask_ij = True if key j is not a negative of query i, although it is not its positive:
          equal_texts    k_j is the text of q_i, or of the positive of a query with the text of q_i
          equal_labels   label_i = label_j
          guide_scores   cos(guide(q_i), guide(k_j)) > cos(guide(q_i), guide(k_i)) − margin
Shapes    N queries, M keys: the N positives, then hard negatives -> mask (N, M) bool, as
          losses/infonce.py takes it; True on its diagonal has no effect
Cost      O(N·M); equal_texts O(N²·M), one matrix product; guide_scores O(N·M·G), G the guide's
          dimension
Differs   from GISTEmbed, whose negatives are also the other queries, and for a positive the other
          positives, all masked in the same way.
Read next losses/infonce.py (what a duplicate costs), sentences/hard_negatives.py (mined negatives
          have the same problem, and a margin there too)

InfoNCE treats every other key of the batch as a negative.  If 10,000 pairs have 100 different
answers, all equally frequent, a query of a batch of 64 meets its own answer again among the 63
other keys with probability 1 − 0.99⁶³ = 47%.  The loss of such a query cannot fall below log 2, and
its gradient is smaller than with a mask (losses/README.md).  In larger batches there are more of
them.  A false negative that is another text, such as a second answer to the same query, does more
harm: the query is pushed away from a text that it should be near.

Which of the three?  Equal texts are certainly not negatives, and need nothing but the texts.
Labels need a class for each pair.  A guide, a model that is already good, also finds paraphrases;
but where it is wrong, it removes the most useful hard negatives, those that look like answers.
"""
from collections.abc import Sequence

import numpy as np

from scratch_embed.losses.infonce import cosine_logits


def text_numbers(*views: Sequence[str]) -> np.ndarray:
    """A number for each text, its place in sorted order.  V views of N texts -> (N, V) integers.

    >>> text_numbers(["who?", "when?"], ["Ada", "Ada"]).tolist()
    [[2, 0], [1, 0]]
    """
    number = {text: n for n, text in enumerate(sorted({text for view in views for text in view}))}
    rows = [[number[text] for text in row] for row in zip(*views, strict=True)]
    return np.array(rows, np.int64).reshape(-1, len(views))


def equal_texts(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The mask of repeated texts.  q: (N,), k: (M,) numbers of the texts -> (N, M) bool.

    Key j is masked for query i if it is the text of query i, or of a positive of query i or of
    another query with the same text.

    >>> equal_texts(np.array([1, 2]), np.array([7, 7])).tolist()         # both have answer 7
    [[True, True], [True, True]]
    """
    same_query = (q[:, None] == q).astype(np.float32)                    # (N, N)
    same_positive = (k[:len(q), None] == k).astype(np.float32)           # (N, M): k_n = k_j
    return (same_query @ same_positive > 0) | (q[:, None] == k)


def equal_labels(labels: np.ndarray, M: int) -> np.ndarray:
    """The mask of positives with the query's label.  labels: (N,) -> (N, M) bool.

    The M − N hard negatives have no label and are not masked.
    """
    N = len(labels)
    mask = np.zeros((N, M), bool)
    mask[:, :N] = labels[:, None] == labels
    return mask


def guide_scores(q: np.ndarray, k: np.ndarray, margin: float = 0.0, relative_margin: float = 0.0
                 ) -> np.ndarray:
    """The mask of keys that a guide model scores above the positive, less a margin.

    q: (N, G), k: (M, G), the guide's vectors -> (N, M) bool.  The threshold of query i is
    c_ii − margin − relative_margin·|c_ii|.  With both margins 0, a copy of the positive is not
    above the threshold, so it is not masked: use equal_texts too, or a small margin.

    >>> q, k = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 4.0], [4.0, 3.0]])
    >>> guide_scores(q, k).tolist()                   # cosines [[0.6, 0.8], [0.8, 0.6]]
    [[False, True], [True, False]]
    """
    c, _ = cosine_logits(q, k, tau=1.0)
    positive = c.diagonal()[:, None]                  # (N, 1): c_ii
    return c > positive - margin - relative_margin * abs(positive)
