"""Check functions of other libraries: which invariants of scratch_embed.testing do they satisfy?

    python bench/testing/peers.py                                        all tables (some minutes)
    python bench/testing/peers.py check_similarity check_top_k
    python bench/testing/peers.py check_similarity --show "SciPy"        the counterexamples
    python bench/testing/peers.py --examples 1000 --seed 7

A row is an invariant, a column a function.  "keeps": no example broke the invariant.  "–": the
invariant does not apply to the function (for example, it does not accept a single text).  A broken
invariant is not always a fault: some libraries document another choice.  Libraries that are not
installed are skipped:  python -m pip install -e '.[bench,test]'
"""
import argparse
import importlib.util
import os
from functools import partial
from pathlib import Path

import numpy as np

from scratch_embed import testing
from scratch_embed.testing import broken

FOLDER = Path(__file__).parents[2] / "tests/golden/sentence_old"       # a BERT of random weights
LOW, HIGH = np.array([-1.0, 0.0, 100.0]), np.array([1.0, 0.01, 300.0])
INVARIANTS = {"check_similarity": testing.SIMILARITY, "check_top_k": testing.TOP_K,
              "check_ranking_measure": testing.RANKING_MEASURE,
              "check_contrastive_loss": testing.CONTRASTIVE_LOSS, "check_encoder": testing.ENCODER,
              "check_gradient": testing.GRADIENT, "check_quantiser": testing.QUANTISER,
              "check_tokenizer": testing.TOKENIZER}


# ---- peers: {name: (arguments of the checker, invariants that do not apply)} --------------------

def similarities():
    from scratch_embed.space.similarity import cosine
    peers = {"ours": ((cosine,), ()), "NumPy, the textbook's": ((
        lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b)),), ())}
    if installed("scipy"):
        from scipy.spatial import distance
        peers["SciPy"] = (lambda a, b: 1 - distance.cosine(a, b),), ()
    if installed("sklearn"):
        from sklearn.metrics.pairwise import cosine_similarity
        peers["scikit-learn"] = (lambda a, b: cosine_similarity(a[None], b[None])[0, 0],), ()
    if installed("torch"):
        import torch
        peers["torch"] = (lambda a, b: torch.cosine_similarity(tensor(a), tensor(b), dim=0),), ()
    if installed("sentence_transformers"):
        from sentence_transformers.util import cos_sim
        peers["sentence-transformers"] = (lambda a, b: cos_sim(a, b)[0, 0],), ()
    return peers


def selections():
    import heapq

    from scratch_embed.space.neighbours import top_k
    peers = {"ours": ((lambda s, k: top_k(s, k)[0],), ()),
             "NumPy, argsort()[::-1]": ((lambda s, k: s.argsort()[::-1][:k],), ()),
             "NumPy, stable": ((lambda s, k: (-s).argsort(kind="stable")[:k],), ()),
             "heapq.nlargest": ((lambda s, k: heapq.nlargest(k, range(len(s)), s.__getitem__),),
                                ())}
    if installed("torch"):
        import torch
        peers["torch.topk"] = (lambda s, k: torch.topk(tensor(s), k).indices,), ()
    return peers


def measures():
    from scratch_embed.evaluate.ranking import average_precision, evaluate, ndcg, reciprocal_rank

    def one_query(measure):
        return lambda judged, scores: evaluate({"q": judged}, {"q": scores}, {"m": measure}
                                               ).mean["m"]
    peers = {"ours, nDCG": ((one_query(ndcg),), ()),
             "ours, MAP": ((one_query(average_precision),), ()),
             "ours, MRR": ((one_query(reciprocal_rank),), ())}
    if installed("pytrec_eval"):
        import pytrec_eval

        def trec(measure, judged, scores):
            evaluator = pytrec_eval.RelevanceEvaluator({"q": judged}, {measure})
            return evaluator.evaluate({"q": scores})["q"][measure] if scores else 0.0
        peers |= {f"pytrec_eval, {name}": ((partial(trec, measure),), ()) for name, measure in
                  {"nDCG": "ndcg", "MAP": "map", "MRR": "recip_rank"}.items()}
    if installed("sklearn"):
        from sklearn.metrics import ndcg_score

        def ndcg_of_all(judged, scores):
            """ndcg_score ranks all documents, so missing documents get the same lowest score."""
            documents = [*scores, *(d for d in judged if d not in scores), "one more", "and one"]
            last = min(scores.values(), default=0) - 4
            return ndcg_score([[judged.get(d, 0) for d in documents]],
                              [[scores.get(d, last) for d in documents]])
        peers["scikit-learn, ndcg_score"] = (ndcg_of_all,), ("nothing_found", "unjudged",
                                                             "irrelevant_tail")
    return peers


def losses():
    from scratch_embed.losses.infonce import infonce

    def textbook(q, k, tau):
        q, k = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, k))
        e = np.exp(q @ k.T / tau)
        return -np.log(e.diagonal() / e.sum(axis=1)).mean()
    peers = {"ours": ((lambda q, k, tau: infonce(q, k, tau)[0],), ()),
             "NumPy, the textbook's": ((textbook,), ())}
    if installed("torch"):
        from torch import arange
        from torch.nn.functional import cross_entropy, normalize

        def torch_loss(q, k, tau):
            s = normalize(tensor(q)) @ normalize(tensor(k)).T / tau
            return cross_entropy(s, arange(len(q)))
        peers["torch, cross_entropy"] = (torch_loss,), ()
    if installed("sentence_transformers"):
        try:
            from sentence_transformers.sentence_transformer import losses as st_losses
        except ModuleNotFoundError:                                    # before version 5
            from sentence_transformers import losses as st_losses

        def theirs(q, k, tau):
            loss = st_losses.MultipleNegativesRankingLoss(None, scale=1 / tau)
            keys = [tensor(k[:len(q)])] + [tensor(k[len(q):])] * (len(k) > len(q))
            return loss.compute_loss_from_embeddings([tensor(q), *keys], None)
        peers["sentence-transformers, MNRL"] = (theirs,), ()
    return peers


def encoders():
    from scratch_embed.sentences.encoder import SentenceEncoder
    peers = {"ours": ((SentenceEncoder.load(FOLDER).encode,), ())}
    if installed("sentence_transformers"):
        from sentence_transformers import SentenceTransformer
        model = SentenceTransformer(str(FOLDER), device="cpu")
        peers["sentence-transformers"] = (model.encode,), ()
        peers["transformers, no mask in the mean"] = (partial(unmasked, model),), ("one_text",
                                                                                   "no_texts")
    if installed("sklearn"):
        from sklearn.feature_extraction.text import HashingVectorizer
        vectorizer = HashingVectorizer(n_features=16)
        peers["scikit-learn, HashingVectorizer"] = (
            (lambda texts: vectorizer.transform(texts).toarray(),), ("one_text",))
    return peers


def unmasked(model, texts):
    """The mean over all positions of the padded batch, without the mask."""
    import torch
    batch = model.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return model[0].auto_model(**batch).last_hidden_state.mean(dim=1).numpy()


def gradients():
    from scratch_embed.nn.softmax import cross_entropy_numpy
    logits, targets = np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 4, 2, 2])
    peers = {"ours, cross_entropy": ((lambda s: cross_entropy_numpy(s, targets), logits), ())}
    if installed("torch"):
        import torch

        def theirs(s):
            s = tensor(s).requires_grad_()
            loss = torch.nn.functional.cross_entropy(s, tensor(targets))
            return loss.item(), lambda dy: torch.autograd.grad(
                loss, s, torch.tensor(float(dy), dtype=s.dtype), retain_graph=True)[0].numpy()
        peers["torch, autograd"] = (theirs, logits), ()
    return peers


def quantisers():
    from scratch_embed.space.quantise import calibrate, dequantise, quantise
    ends = np.array([LOW, HIGH], np.float32)
    ranges = calibrate(ends)
    peers = {"ours": (partial(quantise, ranges=ranges), partial(dequantise, ranges=ranges))}
    if installed("sentence_transformers"):
        from sentence_transformers.util import quantization
        if hasattr(quantization, "_dequantize_embeddings"):
            peers["sentence-transformers"] = (
                partial(quantization.quantize_embeddings, precision="uint8", ranges=ends),
                partial(quantization._dequantize_embeddings, precision="uint8", ranges=ends))
    if installed("torch"):
        import torch
        step, zeros = tensor((HIGH - LOW) / 255), torch.zeros(3)

        def to_bytes(X):
            return torch.quantize_per_channel(tensor(X - LOW.astype(np.float32)), step, zeros, 1,
                                              torch.quint8).int_repr().numpy()
        peers["torch, quantize_per_channel"] = to_bytes, lambda codes: codes * step.numpy() + LOW
    if installed("sklearn"):
        from sklearn.preprocessing import KBinsDiscretizer
        bins = KBinsDiscretizer(255, encode="ordinal", strategy="uniform", subsample=None).fit(ends)
        peers["scikit-learn, KBinsDiscretizer"] = bins.transform, bins.inverse_transform
    if installed("faiss"):
        import faiss
        index = faiss.IndexScalarQuantizer(3, faiss.ScalarQuantizer.QT_8bit)
        index.train(ends)
        peers["faiss, QT_8bit"] = index.sa_encode, index.sa_decode
    return {name: ((*functions, LOW, HIGH), ()) for name, functions in peers.items()}


def tokenizers():
    from scratch_embed.sentences.encoder import SentenceEncoder
    ours = SentenceEncoder.load(FOLDER).tokenizer

    def one_by_one(texts):
        packed = ours.encode_batch(texts)
        return [packed.ids[a:b] for a, b in zip(packed.offsets, packed.offsets[1:])]
    peers = {"ours, WordPiece": ((lambda text: ours.encode(text).ids, ours.decode, len(ours),
                                  one_by_one, lambda text, n: ours.encode(text, max_length=n).ids),
                                 ("lossless", "offsets_in_text"))}
    if installed("tokenizers"):
        import tokenizers as library
        word_piece = library.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        word_piece.no_padding()
        letters = sorted(library.pre_tokenizers.ByteLevel.alphabet())
        byte_level = library.Tokenizer(library.models.BPE(
            vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
        byte_level.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        byte_level.decoder = library.decoders.ByteLevel()
        peers["tokenizers, WordPiece"] = of_library(word_piece), ("lossless",)
        peers["tokenizers, byte-level BPE"] = of_library(byte_level), ()
    return peers


def of_library(tokenizer):
    """The arguments of check_tokenizer for a tokenizers.Tokenizer."""
    tokenizer.no_truncation()

    def cut(text, max_length):
        tokenizer.enable_truncation(max_length)
        ids = tokenizer.encode(text).ids
        tokenizer.no_truncation()
        return ids
    return (lambda text: tokenizer.encode(text).ids, tokenizer.decode, tokenizer.get_vocab_size(),
            lambda texts: [found.ids for found in tokenizer.encode_batch(texts)], cut,
            lambda text: tokenizer.encode(text).offsets)


def check_tokenizer(encode, decode, size, encode_batch, encode_cut=None, offsets=None, **options):
    """testing.check_tokenizer with positional arguments."""
    testing.check_tokenizer(encode, decode, size, encode_batch=encode_batch, encode_cut=encode_cut,
                            offsets=offsets, **options)


PEERS = {"check_similarity": similarities, "check_top_k": selections,
         "check_ranking_measure": measures, "check_contrastive_loss": losses,
         "check_encoder": encoders, "check_gradient": gradients, "check_quantiser": quantisers,
         "check_tokenizer": tokenizers}
CHECKS = {name: getattr(testing, name) for name in PEERS} | {"check_tokenizer": check_tokenizer}
ONLY_SYMMETRIC = {"check_contrastive_loss": {"exchanged"}}             # CLIP's loss, not these


# ---- the tables ---------------------------------------------------------------------------------

def installed(module):
    return importlib.util.find_spec(module) is not None


def tensor(x):
    import torch
    return torch.from_numpy(np.ascontiguousarray(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkers", nargs="*", default=list(PEERS), metavar="CHECKER")
    parser.add_argument("--show", metavar="PEER", help="print the messages of this peer too")
    parser.add_argument("--examples", type=int, default=200, help="for each invariant")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    unknown = set(arguments.checkers) - set(PEERS)
    if unknown:
        parser.error(f"no checker {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    for name in arguments.checkers:
        invariants = {key: value for key, value in INVARIANTS[name].items()
                      if key not in ONLY_SYMMETRIC.get(name, ())}
        columns, messages = {}, []
        for peer, (subject, not_applicable) in PEERS[name]().items():
            found = broken(CHECKS[name], INVARIANTS[name], *subject,
                           max_examples=arguments.examples, seed=arguments.seed,
                           without={*not_applicable, *ONLY_SYMMETRIC.get(name, ())})
            columns[peer] = ["–" if key in not_applicable else "breaks" if key in found else "keeps"
                             for key in invariants]
            messages += [f"{peer}\n{text}" for text in found.values() if peer == arguments.show]
        print(f"| {name} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for key, *cells in zip(invariants, *columns.values()):
            print(f"| `{key}` | {' | '.join(cells)} |")
        print()
        print(*messages, sep="\n\n", end="\n\n" * bool(messages), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
