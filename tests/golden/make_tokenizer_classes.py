"""Write tokenizer_classes.json: folders of each tokenizer class of transformers, and their ids.

    python tests/golden/make_tokenizer_classes.py

The vocabularies are trained by the tokenizers library on a few lines, the folders saved by
transformers, and the ids are those of AutoTokenizer on the folder.  {name: {"files": {file: JSON},
"cases": [[text, pair, max_length, ids]]}}
"""
import json
import os
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import tokenizers
import transformers
from tokenizers import AddedToken, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

LINES = ["the cat sat on the mat", "A dog, Straße! naïve", "hello world hello",
         "日本 test  two spaces"] * 3
ANGLED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = ["The cat sat on the mat.", "hello <mask> world", "", " naïve  日本x", "the</s>cat \n test"]
CASES = [*((text, None, None) for text in TEXTS), (TEXTS[0], TEXTS[1], None),
         (TEXTS[0], None, 6), (TEXTS[0], TEXTS[3], 9)]


def byte_level(special):
    """Vocabulary and merges of a byte-level BPE."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def unigram(special):
    """Pieces and scores of a Unigram."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(LINES, trainers.UnigramTrainer(
        vocab_size=50, special_tokens=special, unk_token="<unk>", show_progress=False))
    return [tuple(entry) for entry in json.loads(tokenizer.to_str())["model"]["vocab"]]


def llama():
    """Vocabulary and merges of a SentencePiece BPE."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)),
              *dict.fromkeys("▁thecatsonmd.,lowr"), "th", "the", "▁the", "▁c", "at"]
    return {"vocab": {piece: n for n, piece in enumerate(pieces)},
            "merges": [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "c"), ("a", "t")]}


def numbered(pieces):
    """{piece: id}"""
    return {piece: number for number, piece in enumerate(pieces)}


def made():
    """{name: (model_type, tokenizer, {changed settings of tokenizer_config.json})}"""
    words = ["the", "cat", "##s", "hello", "world", "on", "a", "na", "##ive", "."]
    angled = byte_level(ANGLED)
    sp = unigram(ANGLED[:4])
    mask = [("<mask>", 0.0)]
    camembert = [("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0),
                 ("<unk>NOTUSED", -100.0), *sp[4:], *mask]
    distilbert = transformers.DistilBertTokenizer(vocab=numbered(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    more = transformers.RobertaTokenizer(**angled)
    more.add_tokens([AddedToken("world", single_word=True), AddedToken("日", lstrip=True)])
    generic = transformers.PreTrainedTokenizerFast(
        tokenizer_object=transformers.LlamaTokenizer(**llama(), add_bos_token=True)._tokenizer,
        bos_token="<s>", eos_token="</s>", unk_token="<unk>", truncation_side="left")
    return {
        "distilbert": ("distilbert", distilbert, {}),
        "mpnet": ("mpnet", transformers.MPNetTokenizer(
            vocab=numbered([*ANGLED[:4], *words, "[UNK]", "<mask>"])), {}),
        "mpnet, cased": ("mpnet", transformers.MPNetTokenizer(
            vocab=numbered([*ANGLED[:4], *words, "[UNK]", "<mask>"]), do_lower_case=False), {}),
        "roberta": ("roberta", transformers.RobertaTokenizer(**angled), {}),
        "roberta, added tokens": ("roberta", more, {}),
        "roberta, a space before": ("roberta", transformers.RobertaTokenizer(
            **angled, add_prefix_space=True), {}),
        "roberta, the setting decides": ("roberta", transformers.RobertaTokenizer(**angled),
                                         {"add_prefix_space": True}),
        "gpt2": ("gpt2", transformers.GPT2Tokenizer(**byte_level(["<|endoftext|>"])), {}),
        "clip": ("clip", transformers.CLIPTokenizer(**clip()), {}),
        "xlm-roberta": ("xlm-roberta", transformers.XLMRobertaTokenizer(vocab=[*sp, *mask]), {}),
        "bert with xlm-roberta's tokenizer": (
            "bert", transformers.XLMRobertaTokenizer(vocab=[*sp, *mask]), {}),
        "camembert": ("camembert", transformers.CamembertTokenizer(vocab=camembert), {}),
        "llama": ("llama", transformers.LlamaTokenizer(**llama()), {}),
        "llama, both ends": ("llama", transformers.LlamaTokenizer(
            **llama(), add_bos_token=True, add_eos_token=True), {}),
        "mistral, from the left": ("mistral", generic, {})}


def clip():
    """Vocabulary and merges of CLIP: letters, and letters at the end of a word."""
    letters = [*"abcdefghijklmnopqrstuvwxyz.,!<>/"]
    ends = [letter + "</w>" for letter in letters]
    return {"vocab": numbered([*letters, *ends, "th", "the</w>", "at</w>", "<|startoftext|>",
                               "<|endoftext|>"]),
            "merges": [("t", "h"), ("th", "e</w>"), ("a", "t</w>")]}


def stored(model_type, tokenizer, changed):
    """The files of a folder, and the ids that AutoTokenizer gives."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        config = Path(folder) / "tokenizer_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text("utf-8")), **changed}))
        (Path(folder) / "config.json").write_text(json.dumps({"model_type": model_type}))
        found = AutoTokenizer.from_pretrained(folder)
        files = {path.name: json.loads(path.read_text("utf-8")) for path in Path(folder).iterdir()}
    cases = []
    for text, pair, length in CASES:
        given = {} if pair is None else {"text_pair": pair}
        given |= {} if length is None else {"max_length": length, "truncation": True}
        cases.append([text, pair, length, found(text, **given)["input_ids"]])
    return {"files": files, "cases": cases}


if __name__ == "__main__":
    value = {name: stored(*parts) for name, parts in made().items()}
    Path(__file__).with_name("tokenizer_classes.json").write_text(
        json.dumps(value, separators=(",", ":"), ensure_ascii=True) + "\n")
