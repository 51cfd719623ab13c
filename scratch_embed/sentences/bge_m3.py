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
Read next sentences/bge_m3_scores.py (scores), losses/m3.py (the loss), then
          sentences/bge_m3_training.py; sentences/bge_m3_index.py (search)

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
from collections.abc import Iterable
from typing import Any

import numpy as np

from scratch_embed.nn.activations import relu
from scratch_embed.nn.contract import Backward, ParamBackward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, Tensor, init_params, linear_tensors
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.memory import require_memory
from scratch_embed.sentences.bge_m3_folder import (
    is_normalised_cls,
    read_m3_folder,
    write_m3_folder,
)
from scratch_embed.sentences.bge_m3_scores import M3Vectors, TokenVectors
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.interface import choose_prompt, require_text, require_texts
from scratch_embed.sentences.length_batches import compute_in_batches
from scratch_embed.space.sparse import SparseVectors, from_parts
from scratch_embed.text.packed import Packed, rows_of, take
from scratch_embed.transformer import pooling
from scratch_embed.transformer.model import CausalModel

# ---- the three heads ---------------------------------------------------------------------------

def head_tensors(D: int, E: int | None = None) -> dict[str, Tensor]:
    """The tensors of the sparse and the multi-vector head.  E: of token vectors, by default D."""
    init = Normal((3 * D) ** -0.5)                         # the variance of U(−1/√D, 1/√D)
    return {**linear_tensors("sparse", 1, D, init), **linear_tensors("multi", E or D, D, init)}


def token_weights(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """The sparse head: relu(W_s x + b_s), not yet the maximum over repeats.  x: (T, D) -> (T,)"""
    raw, back_raw = linear(x, p, "sparse")                                    # (T, 1)
    w, back_w = relu(raw)
    return w[:, 0], lambda dw, g: back_raw(back_w(dw[:, None]), g)


def token_vectors(x: np.ndarray, offsets: np.ndarray, p: Params
                  ) -> tuple[np.ndarray, ParamBackward]:
    """The multi-vector head: W_m x + b_m of all tokens but the first, of norm 1.  -> (T − N, E)"""
    inner = np.ones(len(x), bool)
    inner[offsets[:-1]] = False
    projected, back_projected = linear(x[inner], p, "multi")
    v, back_v = l2_normalize(projected)

    def backward(dv, g):
        dx = np.zeros_like(x)
        dx[inner] = back_projected(back_v(dv), g)
        return dx
    return v, backward


def heads(x: np.ndarray, offsets: np.ndarray, p: Params
          ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Any]:
    """The three heads on token vectors.  x: (T, D) -> (y (N, D), w (T,), v (T − N, E)), backward

    y: the vector of the first token, not normalised; w: token_weights; v: token_vectors.
    backward(dy, dw, dv, g) -> dx
    """
    y, back_y = pooling.cls(x, offsets)
    w, back_w = token_weights(x, p)
    v, back_v = token_vectors(x, offsets, p)
    return (y, w, v), lambda dy, dw, dv, g: back_y(dy) + back_w(dw, g) + back_v(dv, g)


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
        Raises ValueError for a causal model, whose first token does not see the others.
        """
        if isinstance(encoder.model, CausalModel):
            raise ValueError("model: expected one whose first token attends to all others, such as "
                             f"a BERT or an XLM-R, got {encoder.model!r}, which is causal; "
                             "E5-Mistral trains such models")
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

        return_dense, return_sparse, return_multi_vector: which kinds.  The others are None, and
        are neither computed nor kept: the token vectors need 4 E bytes for each token.
        prompt_name, prompt, batch_size, show_progress_bar: as in SentenceEncoder.encode.
        Texts of more than max_seq_length tokens are truncated; encoder.truncated counts them.
        Raises ValueError if no kind is asked for, or for an invalid argument; TypeError for an
        input that is not a str; MemoryError, before any pass of the transformer, if the vectors
        need more than the machine's memory.
        """
        if not (return_dense or return_sparse or return_multi_vector):
            raise ValueError("encode(): expected return_dense, return_sparse or "
                             "return_multi_vector to be True, got none")
        require_whole("batch_size", 1 if batch_size is None else batch_size, 1)
        all_ids = self.tokenize(inputs, prompt_name, prompt)
        N, D, E = len(all_ids.offsets) - 1, self.encoder.model.dim, len(self.heads["multi.weight"])
        bounds = without_first(all_ids.offsets)
        require_memory(4 * N * D * return_dense + 4 * int(bounds[-1]) * E * return_multi_vector,
                       f"the vectors of {N:,} texts")
        dense = np.empty((N if return_dense else 0, D), np.float32)
        multi = np.empty((bounds[-1] if return_multi_vector else 0, E), np.float32)
        tokens, weights = [np.empty(0)] * N, [np.empty(0)] * N       # of each text

        def encode_batch(indices, batch):
            x = self.encoder.model.infer(batch)
            if return_dense:
                dense[indices] = l2_normalize(pooling.cls(x, batch.offsets)[0])[0]
            if return_sparse:
                w, _ = token_weights(x, self.heads)
                found, _ = strongest(w, batch, self.unweighted)
                for n, a, b in zip(indices, found.offsets[:-1], found.offsets[1:]):
                    tokens[n], weights[n] = found.tokens[a:b], found.weights[a:b]
            if return_multi_vector:
                multi[rows_of(bounds, indices)[0]] = token_vectors(x, batch.offsets, self.heads)[0]
        compute_in_batches(encode_batch, range(N), lambda part: take(all_ids, np.array(part)),
                           batch_size, show_progress_bar)
        return M3Vectors(dense if return_dense else None,
                         from_parts(tokens, weights) if return_sparse else None,
                         TokenVectors(multi, bounds) if return_multi_vector else None)

    def tokenize(self, inputs: str | Iterable[str], prompt_name: str | None = None,
                 prompt: str | None = None) -> Packed:
        """The ids of N texts with their prompt.  Raises as encode() does."""
        recipe = self.encoder.recipe
        prompt = choose_prompt(recipe.prompts, prompt_name, prompt, recipe.default_prompt_name)
        self.encoder.prompt_tokens(prompt)             # raises if it leaves no room for a text
        require_texts(inputs)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for number, text in enumerate(texts):
            require_text(number, text)
        found = self.encoder.tokenize([prompt + text for text in texts])
        if (empty := np.diff(found.offsets) == 0).any():
            raise ValueError(f"input {empty.argmax()}: expected a text with a token, got "
                             f"{texts[empty.argmax()]!r:.40}")
        return found


def without_first(offsets: np.ndarray) -> np.ndarray:
    """The offsets of texts whose first token is left out.  (N+1,) -> (N+1,)"""
    return offsets - np.arange(len(offsets))
