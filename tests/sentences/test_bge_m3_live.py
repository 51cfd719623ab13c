"""BGE-M3 on XLM-R, its original backbone, beside transformers and the computation in PyTorch.

The heads, scores and loss are written as FlagEmbedding computes them, for texts of unequal lengths
with padding.  (golden/make_bge_m3.py freezes FlagEmbedding's own code, on a BERT.)  The model has
random weights, of activations of order 1; the numbers are in float64.
"""
import numpy as np
import pytest

from scratch_embed.nn.params import Params, join
from scratch_embed.sentences.bge_m3 import head_tensors, heads, strongest
from scratch_embed.sentences.bge_m3_training import Settings, batch_loss, scores
from scratch_embed.space.sparse import table
from scratch_embed.text.packed import pack
from scratch_embed.transformer.roberta import NAMES, Config, Roberta, tensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BOS, PAD, EOS, UNK = range(4)
CONFIG = Config(vocab=30, dim=12, layers=2, heads=3, ff=20, positions=14, padding=PAD,
                model_type="xlm-roberta")
E, TAU = 8, 0.1
QUERIES = [[BOS, 7, 8, 9, 7, EOS], [BOS, 10, UNK, 11, EOS], [BOS, 13, EOS]]
TEXTS = [[BOS, 7, 20, 8, 21, 22, 7, EOS], [BOS, 29, UNK, 10, 28, EOS], [BOS, 13, 13, EOS],
         [BOS, 20, 8, UNK, 26, 27, EOS], [BOS, 12, EOS]]
TARGETS = np.array([0, 1, 2])


@pytest.fixture(scope="module")
def model():
    p = join(Params(tensors(CONFIG), np.float64), Params(head_tensors(CONFIG.dim, E), np.float64))
    rng = np.random.default_rng(3)
    for name, view in p.items():
        view[...] = 0.4 * rng.standard_normal(view.shape)
        if "norm" in name and name.endswith("weight"):
            view[...] = 1 + 0.5 * view
    return Roberta(CONFIG, p)


@pytest.fixture(scope="module")
def theirs(model):
    """(XLM-R, {our name: parameter}), of which the heads are parameters of their own."""
    xlm_r = transformers.XLMRobertaModel(transformers.XLMRobertaConfig(
        vocab_size=CONFIG.vocab, hidden_size=CONFIG.dim, num_hidden_layers=CONFIG.layers,
        num_attention_heads=CONFIG.heads, intermediate_size=CONFIG.ff,
        max_position_embeddings=CONFIG.positions, type_vocab_size=1, pad_token_id=PAD,
        layer_norm_eps=CONFIG.eps), add_pooling_layer=False).double().eval()
    weights = dict(xlm_r.named_parameters())
    weights = {ours: weights[NAMES.original(ours)] if ours in tensors(CONFIG)
               else torch.nn.Parameter(torch.empty(view.shape, dtype=torch.float64))
               for ours, view in model.p.items()}
    for name, weight in weights.items():
        weight.data = torch.tensor(model.p[name])
    return xlm_r, weights


def their_vectors(sequences, theirs):
    """y (N, D), the sparse table (N, V), v (N, t − 1, E), and which of its tokens are no padding"""
    xlm_r, p = theirs
    longest = max(map(len, sequences))
    ids = torch.tensor([ids + [PAD] * (longest - len(ids)) for ids in sequences])
    mask = (ids != PAD).long()
    x = xlm_r(input_ids=ids, attention_mask=mask).last_hidden_state
    y = torch.nn.functional.normalize(x[:, 0], dim=-1)
    w = torch.relu(x @ p["sparse.weight"].T + p["sparse.bias"])              # (N, t, 1)
    each = torch.zeros(*ids.shape, CONFIG.vocab, dtype=x.dtype).scatter(-1, ids[..., None], w)
    sparse = each.max(dim=1).values
    allowed = torch.ones(CONFIG.vocab, dtype=x.dtype)
    allowed[[BOS, PAD, EOS, UNK]] = 0
    v = torch.nn.functional.normalize(x[:, 1:] @ p["multi.weight"].T + p["multi.bias"], dim=-1)
    return y, sparse * allowed, v, mask[:, 1:].bool()


def their_scores(q, x):
    """The three scores (N, M); padded tokens of a document are no match (losses/max_sim.py)."""
    dense, sparse = (q[n] @ x[n].T / TAU for n in (0, 1))
    products = torch.einsum("nie,mje->nimj", q[2], x[2])
    best = products.masked_fill(~x[3], -torch.inf).max(dim=-1).values        # (N, t, M)
    multi = (best * q[3][..., None]).sum(dim=1) / q[3].sum(dim=1, keepdim=True) / TAU
    return dense, sparse, multi


def their_loss(d, s, c, distil):
    targets, e = torch.tensor(TARGETS), d + 0.3 * s + c
    cross_entropy = torch.nn.functional.cross_entropy
    loss = sum(weight * cross_entropy(x, targets)
               for weight, x in ((1, d), (1, e), (0.1, s), (1, c))) / 4
    teacher = torch.softmax(e.detach(), dim=-1)
    taught = sum(weight * -(teacher * torch.log_softmax(x, dim=-1)).sum(dim=-1).mean()
                 for weight, x in ((1, d), (0.1, s), (1, c))) / 3
    return (loss + taught) / 2 if distil else loss


def of(sequences, model):
    batch = pack(sequences)
    return heads(model.infer(batch), batch.offsets, model.p)[0], batch


def test_vectors_and_scores_of_texts_of_unequal_lengths(model, theirs):
    (q, q_batch), (x, x_batch) = of(QUERIES, model), of(TEXTS, model)
    unweighted = np.array([BOS, PAD, EOS, UNK])
    with torch.no_grad():
        right_q, right_x = their_vectors(QUERIES, theirs), their_vectors(TEXTS, theirs)
        right = their_scores(right_q, right_x)
    y, w, v = x
    norms = np.linalg.norm(y, axis=1, keepdims=True)
    np.testing.assert_allclose(y / norms, right_x[0].numpy(), rtol=1e-9, atol=1e-12)
    found = table(strongest(w, x_batch, unweighted)[0], np.arange(CONFIG.vocab))[0]
    np.testing.assert_allclose(found, right_x[1].numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(v, right_x[2][right_x[3]].numpy(), rtol=1e-9, atol=1e-12)
    assert 0 < (found > 0).sum() < found.size                # some weights are cut off by relu
    for ours, table_ in zip(scores(q, q_batch, x, x_batch, unweighted, TAU)[0], right):
        np.testing.assert_allclose(ours, table_.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("distil", [False, True])
def test_the_loss_and_every_gradient(model, theirs, distil):
    loss, backward = batch_loss(pack(QUERIES), pack(TEXTS), TARGETS, model,
                                np.array([BOS, PAD, EOS, UNK]), Settings(TAU, distil))
    grads = [model.p.like(), model.p.like()]
    backward(grads)
    _, weights = theirs
    for weight in weights.values():
        weight.grad = None
    right = their_loss(*their_scores(their_vectors(QUERIES, theirs), their_vectors(TEXTS, theirs)),
                       distil)
    right.backward()
    np.testing.assert_allclose(loss, right.item(), rtol=1e-12)
    for name, weight in weights.items():
        expected = weight.grad.numpy()
        assert name.endswith("attn.k.bias") or abs(expected).max() > 1e-6, name
        np.testing.assert_allclose(grads[0][name] + grads[1][name], expected, rtol=1e-9,
                                   atol=1e-9 * abs(expected).max() + 1e-12, err_msg=name)
