"""How bpe.json was made: by tokenizers 0.23.3, under Python 3.11 (Unicode 14.0).

    python tests/golden/make_bpe.py

The file contains byte-level BPE tokenizers trained by the library (GPT-2's, RoBERTa's and CLIP's
kinds), whole, as the library saves them; their encodings and decodings of texts and pairs; the
merges that it learns from other corpora; and the marks for which the tables of its NFC are older.
"""
import json
import random
import sys
import unicodedata
from pathlib import Path

PROSE = """It's the cat that sat; we'll see, don't we? I'd say they've 3 cats, 42 dogs & 1999 mice.
the lower lowest newer newest wider widest ones are here, there and everywhere
naïve cafés serve Crème brûlée   and CAFÉ noir: 3 for 5.50 $!
日本語と漢字 are written without spaces, 한국어 is not
Ελληνικά: ΟΔΥΣΣΕΥΣ; Русский: Ёлка; العربية; हिन्दी; 🙂 👩\u200d👩\u200d👧
def f(x):\n    return x + 1\n\n\t# aaaa aaaaaaa aaa""".split("\n")
TIES = ["ba ab ba ab cd dc cd dc", "abc bca cab abc bca cab", "aaaaaaa aaaa aaa aa a aaaaa",
        "xyz zyx yzx xzy zxy yxz"]
TRAINING = [dict(texts=PROSE, size=330, min_frequency=0), dict(texts=PROSE, size=2000,
            min_frequency=2), dict(texts=TIES, size=300, min_frequency=0),
            dict(texts=TIES, size=300, min_frequency=3),
            dict(texts=["ab ab a b"], size=270, min_frequency=1, special=["ab", "<s>", "a"])]
TEXTS = ["", " ", "It's 3 cats", "  two  spaces \n\n\tlines  ", "we'll they'RE 'S 's'", "né CAFÉ",
         "cafe\u0301 o\u0323\u0302", "日本語abc漢字", "한국어 \u1112\u1161\u11ab", "ΟΔΥΣΣΕΥΣ Σ",
         "İstanbul ẞ ǅ Ω K ſ's 'ſ", "a\u00a0b\u3000c\u200bd\u0085e\x1cf\x00g", "🙂 a🙂b",
         "x <mask> y<mask>", "a<|endoftext|>b <|ENDOFTEXT|>", "<s>a</s>", "½ Ⅷ ٣ 1234567",
         "aaaaaaaaa", "!!!??? ...", "\r\n\r\n a"]
PAIRS = [("It's", "3 cats"), ("", "a"), ("a", "")]
# what a fuzzed text may contain, besides any character
FRAGMENTS = ["'s", "'S", "'ſ", "'ll", "'re", "'", "  ", " ", "\n", "\r\n", "\t", "\x1c", "\x85",
             "\u2028", "a", "B", "1", "23", "!", "?!", "<|endoftext|>", "<|ENDOFTEXT|>", "<mask>",
             " <mask>", "<s>", "</s>", "</w>", "日", "é", "e\u0301", "\u00a0", "the", " low", "ing",
             "\u0301\u0316", "\u1100\u1161\u11a8", "İ", "ΣΑΣ"]


# ---- the library's tokenizers ---------------------------------------------------------------

def train(texts, size, min_frequency, special=(), suffix=None, normalizer=None, split=None,
          prefix_space=False):
    """A tokenizer that the library has trained."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    ending = {"end_of_word_suffix": suffix} if suffix else {}
    tokenizer = Tokenizer(models.BPE(**ending))
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if split else level
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, **ending))
    return tokenizer


def kinds(texts=PROSE, size=450):
    """{name: a tokenizer} of GPT-2's, RoBERTa's, CLIP's and Llama 3's kinds."""
    from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors

    from scratch_embed.text.byte_level import CLIP_TOKENS, LLAMA3
    gpt2 = train(texts, size, 1, ["<|endoftext|>"])
    roberta = train(texts, size, 1, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], prefix_space=True)
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, True)
    roberta.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    clip = train(texts, size, 1, ["<|startoftext|>", "<|endoftext|>"], "</w>",
                 normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "),
                                       normalizers.Lowercase()]),
                 pre_tokenizers.Split(Regex(CLIP_TOKENS), "removed", invert=True))
    model = json.loads(clip.to_str())["model"]
    clip.model = models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]],
                            unk_token="<|endoftext|>", end_of_word_suffix="</w>")
    clip.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0),
                                                       False, False)
    llama = train(texts, size, 1, ["<|endoftext|>"],
                  split=pre_tokenizers.Split(Regex(LLAMA3), "isolated"))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    llama.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), level])
    return {"gpt2": gpt2, "roberta": roberta, "clip": clip, "llama3": llama}


def cases(tokenizer):
    """[text, pair, ids, types, decoded, decoded with special tokens]."""
    suffix = json.loads(tokenizer.to_str())["model"]["end_of_word_suffix"]
    for text, pair in [(text, None) for text in TEXTS] + PAIRS:
        found = tokenizer.encode(text, pair)
        yield [text, pair, found.ids, found.type_ids, *decoded(tokenizer, found.ids, suffix)]


def decoded(tokenizer, ids, suffix):
    """The text without and with special tokens; for a suffix a space, as in CLIPTokenizer."""
    texts = tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=False)
    return [text.replace(suffix, " ").strip() if suffix else text for text in texts]


# ---- Unicode --------------------------------------------------------------------------------

def assigned():
    """All characters that Python's Unicode version assigns, except surrogates."""
    return [c for c in map(chr, range(sys.maxunicode + 1))
            if unicodedata.category(c) not in ("Cn", "Cs")]


def older():
    """Characters that the library's NFC sorts or composes differently."""
    from tokenizers.normalizers import NFC
    theirs, ours = NFC().normalize_str, lambda text: unicodedata.normalize("NFC", text)

    def differs(c):
        apart = unicodedata.normalize("NFD", c)
        return any(theirs(text) != ours(text) for text in (
            "q" + c + "\u0334", "q\u0345" + c, c, apart))
    return [c for c in assigned() if not c.isascii() and differs(c)]


def fuzzed(count, seed, excluded):
    """Texts of fragments, and of characters of every category, except the excluded ones."""
    kinds = {}
    for c in assigned():
        if c not in excluded:
            kinds.setdefault(unicodedata.category(c), []).append(c)
    kinds, chosen = list(kinds.values()), random.Random(seed)
    for _ in range(count):
        yield "".join(chosen.choice(FRAGMENTS if chosen.random() < 0.6 else chosen.choice(kinds))
                      for _ in range(chosen.randint(0, 14)))


def main():
    from tokenizers import pre_tokenizers
    trained = []
    for settings in TRAINING:
        model = json.loads(train(**settings).to_str())["model"]
        first = {*settings.get("special", ()), *pre_tokenizers.ByteLevel.alphabet()}
        joined = sorted(model["vocab"], key=model["vocab"].get)[len(first):]
        trained.append({**settings, "joined": joined, "merges": model["merges"]})
    kept = {"unicode": unicodedata.unidata_version, "older": "".join(older()), "training": trained,
            "tokenizers": {name: {"file": json.loads(tokenizer.to_str()),
                                  "cases": list(cases(tokenizer))}
                           for name, tokenizer in kinds().items()}}
    text = json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
    for key in ('{"texts"', '{"file"', '"cases"', '"training"', '"tokenizers":', '"merges":'):
        text = text.replace(key, "\n" + key)
    Path(__file__).with_name("bpe.json").write_text(text + "\n", "ascii")


if __name__ == "__main__":
    main()
