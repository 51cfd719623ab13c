"""BGE-M3: one transformer gives a text a dense vector, and each token a weight and a vector.

Paper     Chen, Xiao, Zhang, Luo, Lian & Liu 2024, "BGE M3-Embedding: Multi-Lingual, Multi-
          Functionality, Multi-Granularity Text Embeddings Through Self-Knowledge Distillation",
          section 3.2.
Equation  x_1 … x_t = transformer([CLS] text [SEP])
          dense         y = x_1 / ‖x_1‖,                   s_dense(q, d) = y_q·y_d
          sparse        w_i = relu(W_s x_i + b_s),  w_token = max over i with that token,
                                                           s_sparse = Σ_token w_q,token w_d,token
          multi-vector  u_i = W_m x_i + b_m for i > 1,  v_i = u_i / ‖u_i‖,
                                                           s_multi = 1/|q| Σ_i max_j v_q,i·v_d,j
          hybrid        s = (a s_dense + b s_sparse + c s_multi) / (a + b + c),   a = b = c = 1
Shapes    packed ids (T,) of N texts -> dense (N, D), a weight per token (T,), vectors (T − N, E)
Cost      the transformer's; the three heads are negligible.  Stored for a text of t tokens: 4 D
          bytes, at most 8 t for the weights, 4 E (t − 1) for the token vectors, 16 times
          the dense vector if E = D and t = 17
Bytes     a sentence-transformers folder and two more files, see sentences/bge_m3_folder.py
Differs   from FlagEmbedding: encode() returns the weights and the vectors of all texts in packed
          form, not as a list with a dict or an array for each.  All special tokens have weight 0,
          also [MASK], which has a weight there.  New heads start from a normal distribution with
          the variance of torch's uniform one, and with biases of 0.
Read next losses/m3.py (the loss), sentences/bge_m3_training.py, sentences/bge_m3_index.py (search),
          space/max_sim.py

Why three?  One vector must place every text in the same D dimensions: synonyms come close, but a
product code that no training text contained has no place of its own.  A weight per token is BM25
with learned weights: it matches tokens exactly, and knows from the context which of them matter.
Vectors per token match words by meaning, one by one, at many times the memory.  One pass of the
transformer computes all three.  The dense and the sparse score fail on different queries, so their
sum can rank better than each of them; whether a sum is also better than the token vectors alone
must be measured: on the toy world it is not (why/README.md, BGE-M3).

Why the maximum over repeats, and relu?  A text that says "cat" five times is not five times as much
about cats.  relu keeps weights at 0 or above, so that most tokens can have weight 0 and no posting.

Why without the first token?  [CLS] has no word of its own, and the dense score compares it already.

Gradient.  The gradients of the three heads are added at the token vectors (y not normalised):
    dx_1 = W_sᵀ [w_1 > 0] dw_1 + dy,      dx_i = W_sᵀ [w_i > 0] dw_i + W_mᵀ du_i for i > 1,
    du_i = (dv_i − v_i (v_i·dv_i)) / ‖u_i‖.
dw_i is the gradient of the token's weight at the first place that has the maximum, and 0 elsewhere.
"""
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.nn.activations import relu
from scratch_embed.nn.contract import Backward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, Tensor, init_params, linear_tensors
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.sentences.bge_m3_folder import (
    is_normalised_cls,
    read_m3_folder,
    write_m3_folder,
)
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.interface import choose_prompt, require_text
from scratch_embed.sentences.length_batches import compute_in_batches
from scratch_embed.space.max_sim import max_sim_matrix
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.space.sparse import SparseVectors, from_parts, sparse_scores
from scratch_embed.text.packed import Packed
from scratch_embed.transformer import pooling


class TokenVectors(NamedTuple):
    """A vector for each token of N texts but the first; text n is rows offsets[n]:offsets[n+1]."""

    vectors: np.ndarray            # (T, E), of norm 1
    offsets: np.ndarray            # (N+1,)


class M3Vectors(NamedTuple):
    """The three kinds of vectors of N texts; None for a kind that was not asked for."""

    dense: np.ndarray | None               # (N, D), of norm 1
    sparse: SparseVectors | None           # a weight for each of a text's tokens
    multi: TokenVectors | None             # a vector for each of a text's tokens


class M3Scores(NamedTuple):
    """Scores of N queries with M documents, (N, M) each."""

    dense: np.ndarray
    sparse: np.ndarray
    multi: np.ndarray
    hybrid: np.ndarray                     # their weighted mean


WEIGHTS = (1.0, 1.0, 1.0)          # of the dense, sparse and multi-vector scores, in a search


# ---- the three heads ---------------------------------------------------------------------------

def head_tensors(D: int, E: int | None = None) -> dict[str, Tensor]:
    """The tensors of the sparse and the multi-vector head.  E: of token vectors, by default D."""
    init = Normal((3 * D) ** -0.5)                         # the variance of U(−1/√D, 1/√D)
    return {**linear_tensors("sparse", 1, D, init), **linear_tensors("multi", E or D, D, init)}


def heads(x: np.ndarray, offsets: np.ndarray, p: Params
          ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Any]:
    """The three heads on token vectors.  x: (T, D) -> (y (N, D), w (T,), v (T − N, E)), backward

    y: the vector of the first token, not normalised; w: a weight for each token, not yet the
    maximum over repeats; v: the vectors of all tokens but the first, of norm 1.
    backward(dy, dw, dv, g) -> dx
    """
    y, back_y = pooling.cls(x, offsets)
    raw, back_raw = linear(x, p, "sparse")                                    # (T, 1)
    w, back_w = relu(raw)
    inner = np.ones(len(x), bool)
    inner[offsets[:-1]] = False
    projected, back_projected = linear(x[inner], p, "multi")
    v, back_v = l2_normalize(projected)

    def backward(dy, dw, dv, g):
        dx = back_y(dy) + back_raw(back_w(dw[:, None]), g)
        dx[inner] += back_projected(back_v(dv), g)
        return dx
    return (y, w[:, 0], v), backward


def strongest(w: np.ndarray, batch: Packed, without: np.ndarray) -> tuple[SparseVectors, Backward]:
    """The largest weight of each token of each text.  w: (T,) -> SparseVectors, backward -> dw

    without: the ids that get no weight, such as those of [CLS] and [SEP].  Weights of 0 are left
    out.  If a token has its largest weight twice, the first place counts.

    >>> batch = Packed(np.array([2, 7, 5, 7, 3]), np.array([0, 5]), np.zeros(5, int))
    >>> vectors, backward = strongest(np.array([9, 0.25, 0, 0.5, 9]), batch, np.array([2, 3]))
    >>> vectors.dicts(), backward(np.array([1.0])).tolist()
    ([{7: 0.5}], [0.0, 0.0, 0.0, 1.0, 0.0])
    """
    N = len(batch.offsets) - 1
    text = np.repeat(np.arange(N), np.diff(batch.offsets))
    counted = np.flatnonzero((w > 0) & ~np.isin(batch.ids, without))
    order = counted[np.lexsort((-w[counted], batch.ids[counted], text[counted]))]     # stable
    group = np.stack([text[order], batch.ids[order]])
    first = np.ones(len(order), bool)
    first[1:] = (group[:, 1:] != group[:, :-1]).any(axis=0)
    kept = order[first]                                    # by text, then by token
    ends = np.cumsum(np.bincount(text[kept], minlength=N))

    def backward(dweights):
        dw = np.zeros_like(w)
        dw[kept] = dweights
        return dw
    return SparseVectors(np.concatenate([[0], ends]).astype(np.int64), batch.ids[kept], w[kept]
                         ), backward


def unweighted_tokens(tokenizer: Any) -> np.ndarray:
    """The ids of tokens whose sparse weight is 0: special tokens and the token of unknown words."""
    ids = {*np.asarray(tokenizer.encode("").ids).tolist()}
    ids |= {token.id for token in getattr(tokenizer, "added", ()) if token.special}
    unk = getattr(tokenizer, "unk", None)
    return np.array(sorted(ids | ({tokenizer.token_to_id(unk)} if unk is not None else set())),
                    np.int64)


# ---- scores ------------------------------------------------------------------------------------

def hybrid_scores(queries: M3Vectors, documents: M3Vectors, weights: Sequence[float] = WEIGHTS
                  ) -> M3Scores:
    """The scores of every query with every document, of all three kinds, and their weighted mean.

    queries, documents: vectors of all three kinds; weights: of dense, sparse and multi-vector
    """
    a, b, c = check_weights(weights)
    q, x = all_kinds(queries, "queries"), all_kinds(documents, "documents")
    dense = cosine_matrix(q[0], x[0])
    sparse, _ = sparse_scores(q[1], x[1])
    multi = max_sim_matrix(*q[2], *x[2]) / np.maximum(1, np.diff(q[2].offsets))[:, None]
    return M3Scores(dense, sparse, multi, (a * dense + b * sparse + c * multi) / (a + b + c))


def all_kinds(vectors: M3Vectors, name: str) -> tuple[np.ndarray, SparseVectors, TokenVectors]:
    """The dense, sparse and multi-vector parts.  Raises ValueError if one is None."""
    dense, sparse, multi = vectors
    if dense is None or sparse is None or multi is None:
        missing = [kind for kind, part in vectors._asdict().items() if part is None]
        raise ValueError(f"{name}: expected all three kinds of vectors, got no "
                         f"{' and no '.join(missing)}; ask encode() for them")
    return dense, sparse, multi


def check_weights(weights: Sequence[float]) -> tuple[float, ...]:
    """The three weights.  Raises ValueError unless they are 0 or more, and one is above 0."""
    found = tuple(float(weight) for weight in weights)
    if len(found) != 3 or not all(0 <= weight < np.inf for weight in found) or sum(found) == 0:
        raise ValueError("weights: expected three numbers of 0 or more, of the dense, the sparse "
                         f"and the multi-vector score, not all 0; got {list(weights)}")
    return found


# ---- the model -----------------------------------------------------------------------------------

class BgeM3:
    """Dense, sparse and multi-vector encodings of texts by one transformer.

        BgeM3.load(folder)                a folder of bge-m3 whose two .pt files are converted
        BgeM3.new(encoder)                any sentence encoder's transformer and new heads: a start
                                          for training (sentences/bge_m3_training.py)
        m3.encoder                        the dense part alone, a SentenceEncoder

    >>> from scratch_embed.nn.params import init_params
    >>> from scratch_embed.text.wordpiece import SPECIAL, WordPiece
    >>> from scratch_embed.transformer.bert import Bert, Config, tensors
    >>> config = Config(vocab=8, dim=4, layers=2, heads=2, ff=8)
    >>> model = Bert(config, init_params(tensors(config), seed=1))            # not trained
    >>> m3 = BgeM3.new(SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat"]), model))
    >>> m3
    BgeM3(Bert(2 layers x 4, 8 tokens), token vectors of 4 dimensions)
    >>> found = m3.encode(["a red cat", "a cat"], return_sparse=True, return_multi_vector=True)
    >>> found.dense.shape, found.multi.vectors.shape, found.multi.offsets.tolist()
    ((2, 4), (7, 4), [0, 4, 7])
    >>> {*found.sparse.dicts()[0]} <= {5, 6, 7}                  # ids of "a", "red" and "cat"
    True
    """

    def __init__(self, encoder: SentenceEncoder, heads: Params) -> None:
        """encoder, heads: not copied, so each call uses their current parameters.

        encoder  its recipe must be [CLS], normalised, without Dense layers
        heads    sparse.weight (1, D), sparse.bias, multi.weight (E, D), multi.bias
        Raises   ValueError for another recipe, or heads that do not fit the model
        """
        if not is_normalised_cls(encoder.recipe):
            raise ValueError("BgeM3: expected an encoder whose vector is that of [CLS], "
                             f"normalised, got {encoder!r}; BgeM3.new(encoder) makes one")
        shapes = {name: view.shape for name, view in heads.items()}
        E = len(heads["multi.weight"]) if "multi.weight" in heads else None
        need = {name: tensor.shape for name, tensor in head_tensors(encoder.model.dim, E).items()}
        if shapes != need:
            raise ValueError(f"heads: expected tensors {need}, got {shapes}")
        self.encoder, self.heads = encoder, heads
        self.unweighted = unweighted_tokens(encoder.tokenizer)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the encoder."""
        return self.encoder.tokenizer

    def __repr__(self) -> str:
        return (f"BgeM3({self.encoder.model!r}, token vectors of "
                f"{len(self.heads['multi.weight'])} dimensions)")

    @classmethod
    def new(cls, encoder: SentenceEncoder, seed: int = 1, token_dim: int | None = None) -> "BgeM3":
        """An M3 model of an encoder's transformer, tokenizer and length, and new heads.

        Its pooling is [CLS], whatever the encoder's is.  token_dim: E, by default D
        """
        recipe = encoder.recipe._replace(poolings=(pooling.cls,), include_prompt=True, dense=(),
                                         normalize=True)
        p = encoder.model.p
        return cls(SentenceEncoder(encoder.tokenizer, encoder.model, recipe), init_params(
            head_tensors(encoder.model.dim, token_dim), seed, p.flat.dtype))

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "BgeM3":
        """Load a folder of bge-m3, or one that save() wrote.

        Raises FormatError that names the file and the field that is missing, damaged or unknown;
        for the two heads as .pt files, which are pickles, with the commands that convert them.
        """
        encoder, heads = read_m3_folder(folder, head_tensors, dtype)
        return cls(encoder, heads)

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() reads; sentence-transformers and se.load read the dense part.
        """
        write_m3_folder(folder, self.encoder, self.heads)

    def encode(self, inputs: str | Iterable[str], return_dense: bool = True,
               return_sparse: bool = False, return_multi_vector: bool = False,
               prompt_name: str | None = None, prompt: str | None = None,
               batch_size: int | None = None, show_progress_bar: bool | None = None) -> M3Vectors:
        """The vectors of N texts, in their order, in one pass; a single str counts as N = 1.

        return_dense, return_sparse, return_multi_vector: which kinds; the others are None.
        prompt_name, prompt, batch_size, show_progress_bar: as in SentenceEncoder.encode.
        Texts of more than max_seq_length tokens are truncated; encoder.truncated counts them.
        Raises ValueError if no kind is asked for, or for an invalid argument; TypeError for an
        input that is not a str.
        """
        asked = {"dense": return_dense, "sparse": return_sparse, "multi": return_multi_vector}
        if not any(asked.values()):
            raise ValueError("encode(): expected return_dense, return_sparse or "
                             "return_multi_vector to be True, got none")
        require_whole("batch_size", 1 if batch_size is None else batch_size, 1)
        recipe = self.encoder.recipe
        prompt = choose_prompt(recipe.prompts, prompt_name, prompt, recipe.default_prompt_name)
        self.encoder.prompt_tokens(prompt)             # raises if it leaves no room for a text
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for number, text in enumerate(texts):
            require_text(number, text)
        found: list = [None] * len(texts)

        def encode_batch(indices, batch):
            for index, vectors in zip(indices, self.vectors(batch)):
                found[index] = vectors
        compute_in_batches(encode_batch, texts,
                           lambda part: self.encoder.tokenize([prompt + text for text in part]),
                           batch_size, show_progress_bar)
        return _joined(found, asked, self.encoder.model.dim, len(self.heads["multi.weight"]))

    def vectors(self, batch: Packed) -> list[tuple]:
        """(dense (D,), tokens (P,), weights (P,), token vectors (t − 1, E)) of each of N texts."""
        x = self.encoder.model.infer(batch)
        (y, w, v), _ = heads(x, batch.offsets, self.heads)
        dense, _ = l2_normalize(y)
        sparse, _ = strongest(w, batch, self.unweighted)
        split = sparse.offsets[1:-1]
        starts = batch.offsets[1:-1] - np.arange(1, len(batch.offsets) - 1)
        return list(zip(dense, np.split(sparse.tokens, split), np.split(sparse.weights, split),
                        np.split(v, starts)))


def _joined(found, asked, D, E):
    """The M3Vectors of texts whose parts are in `found`, as vectors() returns them."""
    dense, tokens, weights, multi = zip(*found) if found else ((), (), (), ())
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in multi], dtype=np.int64)])
    return M3Vectors(
        np.array(dense, np.float32).reshape(-1, D) if asked["dense"] else None,
        from_parts(list(tokens), list(weights)) if asked["sparse"] else None,
        TokenVectors(np.concatenate([np.empty((0, E), np.float32), *multi]).astype(np.float32),
                     offsets.astype(np.int64)) if asked["multi"] else None)
