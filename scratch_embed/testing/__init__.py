"""Property tests for your own functions: strategies that draw examples, and checkers that use them.

A checker takes a function of yours and tries the invariants one after the other, each on a hundred
drawn examples (check_gradient: ten).  It raises AssertionError at the first broken invariant.  The
message states the invariant, and shows the smallest example found, with the result of your function
and the expected result.

    check_similarity(f)             f(a, b) -> the cosine of two vectors
    check_top_k(f)                  f(scores, k) -> ids of the k highest scores
    check_ranking_measure(f)        f(judged, scores) -> nDCG, MRR or another measure from 0 to 1
    check_contrastive_loss(f)       f(q, k, tau) -> the InfoNCE loss
    check_encoder(encode)           encode(texts) -> (N, D)
    check_gradient(f, *inputs)      f(*inputs) -> (y, backward)
    check_quantiser(quantise, dequantise, low, high)
                                    quantise(X) -> codes, dequantise(codes) -> X, nearly
    check_tokenizer(encode, decode, vocab_size)
                                    encode(text) -> ids, decode(ids) -> text

Every checker has three further arguments: without=("name", ...), the invariants to leave out;
max_examples, the number of examples for each invariant; and seed, from which examples are drawn.
The invariants of a checker are a dictionary {name: Invariant}: SIMILARITY, TOP_K, RANKING_MEASURE,
CONTRASTIVE_LOSS, ENCODER, GRADIENT, QUANTISER, TOKENIZER.  `broken` tries all
invariants, also after one that breaks.

    >>> import numpy as np
    >>> from scratch_embed.space.similarity import cosine
    >>> from scratch_embed.testing import SIMILARITY, broken, check_similarity
    >>> check_similarity(cosine)                                # this package's: nothing is raised
    >>> def naive(a, b):
    ...     return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    >>> list(broken(check_similarity, SIMILARITY, naive))
    ['range', 'zero', 'power_of_two', 'every_scale']

Read next README.md in this folder, strategies.py, similarity.py
"""
try:
    from scratch_embed.testing.contrastive import CONTRASTIVE_LOSS, check_contrastive_loss
    from scratch_embed.testing.encoder import ENCODER, check_encoder
    from scratch_embed.testing.gradient import GRADIENT, check_gradient
    from scratch_embed.testing.invariants import Invariant, broken
    from scratch_embed.testing.quantiser import QUANTISER, check_quantiser
    from scratch_embed.testing.ranking import RANKING_MEASURE, check_ranking_measure
    from scratch_embed.testing.similarity import SIMILARITY, check_similarity
    from scratch_embed.testing.tokenizer import TOKENIZER, check_tokenizer
    from scratch_embed.testing.top_k import TOP_K, check_top_k
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    raise ModuleNotFoundError("scratch_embed.testing draws its examples with hypothesis, which is "
                              "not installed; run  python -m pip install hypothesis",
                              name="hypothesis") from error

__all__ = ["CONTRASTIVE_LOSS", "ENCODER", "GRADIENT", "Invariant", "QUANTISER", "RANKING_MEASURE",
           "SIMILARITY", "TOKENIZER", "TOP_K", "broken", "check_contrastive_loss", "check_encoder",
           "check_gradient", "check_quantiser", "check_ranking_measure", "check_similarity",
           "check_tokenizer", "check_top_k"]
