"""How sentence_old/ and sentence_new/ were made: by sentence-transformers 3.4.1 and 6.2.0.

    python tests/golden/make_sentence_folders.py

Run the script once with each release: before version 5 it writes sentence_old/, from version 5 on
sentence_new/.  The model card is removed.  Weights are of order 1, as in make_bert.py.
sentence_old.json and sentence_new.json contain the ids and the vectors of TEXTS, with a prompt and
without.
"""
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
         *"the a cat dog sat ran on mat ##s . , query : where is".split()]
TEXTS = ["The cat sat on the mat.", "a dog", "cats", "",
         "the the dog ran, the cat ran, dogs ran on"]
CASES = {
    "old": {"activation": "gelu", "length": 12, "poolings": ["cls", "mean"],
            "include_prompt": True, "dense": (6, True, "Tanh"),
            "prompts": {"query": "query : "}, "default": None},
    "new": {"activation": "gelu_new", "length": 9, "poolings": ["weightedmean", "max"],
            "include_prompt": False, "dense": (5, False, "Identity"),
            "prompts": {"query": "where is ", "document": ""}, "default": "query"}}


def bert(activation, rng):
    """Write a BERT with weights of order 1 and its tokenizer to ./bert."""
    import torch
    import transformers
    model = transformers.BertModel(transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=16, hidden_act=activation))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            x = (1 + 0.3 * x if name.endswith("LayerNorm.weight") else 0.3 * x
                 if name.endswith("bias") else x * (1 if "embeddings" in name else 12 ** -0.5))
            weight.copy_(torch.tensor(x.astype(np.float32)))
    model.save_pretrained("bert")
    Path("bert/vocab.txt").write_text("\n".join(WORDS) + "\n")
    Path("bert/tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')


def build(case, rng):
    """The SentenceTransformer of a case, built by the installed release."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    bert(case["activation"], rng)
    torch.manual_seed(11)                               # for the bias of Dense
    pooling = models.Pooling(12, "mean")
    if hasattr(pooling, "pooling_mode_mean_tokens"):                   # before version 5
        pooling = models.Pooling(12, include_prompt=case["include_prompt"], **{
            f"pooling_mode_{name}_token{'s' * (name != 'cls')}": True for name in case["poolings"]})
    else:
        pooling = models.Pooling(12, tuple(case["poolings"]), include_prompt=case["include_prompt"])
    width, bias, activation = case["dense"]
    weight = rng.standard_normal((width, 12 * len(case["poolings"]))).astype(np.float32)
    dense = models.Dense(weight.shape[1], width, bias, getattr(torch.nn, activation)(),
                         init_weight=torch.tensor(weight / 5))
    return SentenceTransformer(
        modules=[models.Transformer("bert", max_seq_length=case["length"]), pooling, dense,
                 models.Normalize()],
        prompts=case["prompts"], default_prompt_name=case["default"], device="cpu")


def main():
    import sentence_transformers
    name = "old" if int(sentence_transformers.__version__.split(".")[0]) < 5 else "new"
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)                             # so that files contain no absolute path
        model = build(CASES[name], np.random.default_rng(11))
        model.save("saved")
        os.remove("saved/README.md")
        out = HERE / f"sentence_{name}"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree("saved", out)
    result = {"version": sentence_transformers.__version__, "texts": TEXTS}
    for kind, prompt in [("plain", ""), ("query", CASES[name]["prompts"]["query"])]:
        ids = [model.tokenizer(prompt + text, truncation=True)["input_ids"] for text in TEXTS]
        skip = len(model.tokenizer(prompt)["input_ids"]) - 1 if prompt else 0
        kept = [n for n, one in enumerate(ids) if len(one) > skip]      # tokens remain
        vectors = model.encode([TEXTS[n] for n in kept], prompt=prompt)
        result[kind] = {"prompt": prompt, "skip": skip, "texts": [TEXTS[n] for n in kept],
                        "ids": [ids[n] for n in kept], "vectors": vectors.tolist()}
    (HERE / f"sentence_{name}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
