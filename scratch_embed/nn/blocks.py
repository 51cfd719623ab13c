"""Blocks of BERT and its descendants: summed embeddings, the post-norm layer, and two heads.

Papers    Vaswani et al. 2017, "Attention Is All You Need", section 3.1 (the layer); Devlin et al.
          2019, "BERT" (embeddings and heads); Liu et al. 2019, "RoBERTa" (its positions).
Equation  summed_embeddings  x = LN(Σ_tables table[id])
          post_norm_layer    h = LN(x + Wₒ attention(W_q x, W_k x, W_v x)),  biases omitted,
                             y = LN(h + W₂ f(W₁ h)),  f the activation, usually gelu
          masked_lm_head     logits = E ŷ + b,  ŷ = LN(f(W x + c))
          pooler             y = tanh(P x + d)
Shapes    x, h, y (T, D), the tokens of all sequences end to end, offsets (N+1,) their bounds;
          W_q, W_k, W_v, Wₒ, W, P (D, D), W₁ (F, D), W₂ (D, F), E (V, D)
Cost      24 T D² + 4 Σ t² D operations for one layer with F = 4 D and sequences of t tokens, 2 V D
          for each row of the masked-LM head.  Without backward, infer_post_norm_layer computes
          the feed-forward sublayer in blocks of rows, so no array (T, F) is stored.
          No kernel: nn/matmul.py or BLAS computes the products
Differs   Dropout is applied where the caller says, because BERT and DistilBERT differ in it.
Read next nn/norms.py (add_norm, and why post-norm needs warmup), nn/attention.py, then
          transformer/bert.py, which is made of these blocks

BERT, RoBERTa, DistilBERT and MPNet differ in their embeddings, in a bias of the attention scores,
in their training and in their heads' names, but not in these blocks.  Causal models normalise the
input of a sublayer instead of its output ("pre-norm"); their layers are in their own files.

Gradient.  Each backward undoes its forward line by line, from the last to the first; a value that
is used twice, such as x in the residual connection and in q, k and v, gets the sum.
"""
from collections.abc import Callable, Mapping

import numpy as np

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.layers import embedding, in_row_blocks, linear
from scratch_embed.nn.matmul import matmul
from scratch_embed.nn.norms import add_norm, layer_norm
from scratch_embed.nn.params import Init, Params, Tensor, linear_tensors, norm_tensors

# ---- parameters ----------------------------------------------------------------------------------

def post_norm_tensors(name: str, D: int, H: int, F: int, init: Init) -> dict[str, Tensor]:
    """The tensors of post_norm_layer.  name: their prefix, "layers.0.".

    Raises ValueError unless H, the number of heads, divides D.
    """
    if D % H:
        raise ValueError(f"heads: expected a divisor of dim={D}, got {H}")
    return {**linear_tensors(name + "attn.q", D, D, init),
            **linear_tensors(name + "attn.k", D, D, init),
            **linear_tensors(name + "attn.v", D, D, init),
            **linear_tensors(name + "attn.o", D, D, init), **norm_tensors(name + "attn_norm", D),
            **linear_tensors(name + "mlp.up", F, D, init),
            **linear_tensors(name + "mlp.down", D, F, init), **norm_tensors(name + "mlp_norm", D)}


def masked_lm_tensors(V: int, D: int, init: Init) -> dict[str, Tensor]:
    """The tensors of masked_lm_head except E, which the caller has: usually the embeddings."""
    return {**linear_tensors("mlm.dense", D, D, init), **norm_tensors("mlm.norm", D),
            "mlm.bias": Tensor((V,))}


# ---- embeddings ----------------------------------------------------------------------------------

def summed_embeddings(ids: Mapping[str, np.ndarray], p: Params, norm: str, eps: float,
                      dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of one row of each table.  -> x (T, D).

    ids: {name of a table: (T,)}; norm: the name of the norm
    """
    rows, backs = zip(*(embedding(of_table, p, name) for name, of_table in ids.items()))
    x, back_norm = layer_norm(sum(rows[1:], rows[0]), p, norm, eps)
    x, back_drop = apply_dropout(x, dropout)

    def backward(dx, g):
        dx = back_norm(back_drop(dx), g)
        for back in backs:
            back(dx, g)
    return x, backward


def positions_after(padding: int, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """RoBERTa's position of each token: padding + 1, padding + 2, ...  ids: (T,) -> (T,)

    padding   the id of the padding token.  A text may contain it: there its position is `padding`,
              and the tokens after it are counted as if it were not there, as in the original.

    >>> positions_after(1, np.array([0, 7, 2, 0, 1, 2]), np.array([0, 3, 6])).tolist()
    [2, 3, 4, 2, 1, 3]
    """
    counted = ids != padding
    count = np.cumsum(counted)                                   # of the whole batch, up to a token
    before = np.repeat((count - counted)[offsets[:-1]], np.diff(offsets))  # earlier sequences
    return np.where(counted, padding + count - before, padding)


# ---- a layer -------------------------------------------------------------------------------------

def post_norm_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, heads: int,
                    activation: Callable, eps: float,
                    dropouts: tuple[Dropout, Dropout, Dropout] = (NO_DROPOUT,) * 3,
                    bias: np.ndarray | None = None) -> tuple[np.ndarray, Callable]:
    """One layer.  x (T, D) -> y (T, D), backward(dy, g) -> dx or, with a bias, dx, dbias.

    name      the prefix of its parameters, "layers.0."
    dropouts  of the attention weights, of attention's output and of the feed-forward output
    bias      (H, t, t) is added to the attention scores, see nn/relative_bias.py
    """
    h, back_h = attention_sublayer(x, p, name, offsets, heads, eps, dropouts[:2], bias)
    y, back_y = feed_forward_sublayer(h, p, name, activation, eps, dropouts[2])
    return y, lambda dy, g: back_h(back_y(dy, g), g)


def infer_post_norm_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, heads: int,
                          activation: Callable, eps: float, bias: np.ndarray | None = None
                          ) -> np.ndarray:
    """post_norm_layer() without backward and dropout, in less memory.  x (T, D) -> y (T, D)."""
    h = attention_sublayer(x, p, name, offsets, heads, eps, bias=bias)[0]
    return in_row_blocks(feed_forward_sublayer, h, p, name, activation, eps)


def attention_sublayer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, heads: int,
                       eps: float, dropouts: tuple[Dropout, Dropout] = (NO_DROPOUT,) * 2,
                       bias: np.ndarray | None = None) -> tuple[np.ndarray, Callable]:
    """h = LN(x + Wₒ attention(W_q x, W_k x, W_v x)); arguments as for post_norm_layer."""
    q, back_q = linear(x, p, name + "attn.q")
    k, back_k = linear(x, p, name + "attn.k")
    v, back_v = linear(x, p, name + "attn.v")
    a, back_a = attention(q, k, v, offsets, heads, dropout=dropouts[0], bias=bias)
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = add_norm(x, o, p, name + "attn_norm", eps, dropouts[1])

    def backward(dh, g):
        dx, do = back_h(dh, g)
        dq, dk, dv, *dbias = back_a(back_o(do, g))
        dx = dx + back_q(dq, g) + back_k(dk, g) + back_v(dv, g)
        return (dx, *dbias) if dbias else dx
    return h, backward


def feed_forward_sublayer(h: np.ndarray, p: Params, name: str, activation: Callable, eps: float,
                          dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackward]:
    """y = LN(h + W₂ f(W₁ h)), each token by itself.  h, y (T, D)."""
    u, back_u = linear(h, p, name + "mlp.up")                                   # (T, F)
    f, back_f = activation(u)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = add_norm(h, w, p, name + "mlp_norm", eps, dropout)

    def backward(dy, g):
        dh, dw = back_y(dy, g)
        return dh + back_u(back_f(back_w(dw, g)), g)
    return y, backward


# ---- heads ---------------------------------------------------------------------------------------

def masked_lm_head(x: np.ndarray, p: Params, activation: Callable, eps: float,
                   decoder: str = "embed.tokens.weight") -> tuple[np.ndarray, ParamBackward]:
    """The logits of masked tokens.  x: (M, D) -> (M, V).  decoder: the name of E (V, D)."""
    E = p[decoder]
    u, back_u = linear(x, p, "mlm.dense")
    f, back_f = activation(u)
    y, back_y = layer_norm(f, p, "mlm.norm", eps)
    logits = matmul(y, E.T, p["mlm.bias"])

    def backward(dlogits, g):
        if "mlm.bias" in g:
            g["mlm.bias"] += dlogits.sum(0)
        if decoder in g:
            g[decoder] += matmul(dlogits.T, y)       # tied: a second gradient of the embeddings
        return back_u(back_f(back_y(matmul(dlogits, E), g)), g)
    return logits, backward


def pooler(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """tanh(P x + d) of the rows of each sequence's first token, [CLS].  x, y: (N, D)."""
    u, back_u = linear(x, p, "pooler")
    y, back_y = tanh(u)
    return y, lambda dy, g: back_u(back_y(dy), g)
