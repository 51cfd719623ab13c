"""How unigram.json was made: sentencepiece 0.2.3, transformers 5.24.0 and tokenizers 0.23.3.

    python tests/golden/make_unigram.py

sentencepiece trains small models with RULES in place of its own table of 240 kB; transformers
converts them as it converts those of XLM-R, CamemBERT and Llama, in the way of version 5 (the
classes of its models) and in the way of version 4 (its converters); the tokenizers library encodes
and decodes texts.  The file has the tokenizers, as the library saves them, and these results.
"""
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

PROSE = """the unaffable cat sat on the mat, unhappily; the affable dog was happy
naïve cafés serve Crème brûlée and CAFÉ noir: 3 for 5.50 $!
日本語と漢字 are written without spaces, 한국어 is not
low lower lowest, o oo foo oooo, new newer newest, wide wider widest
Ελληνικά: ΟΔΥΣΣΕΥΣ ΟΔΟΣ; Русский: Ёлка, ёж हिन्दी में
abc ab bc abcd bcd abcde cde abab baba aaaa aaa aa""".split("\n") * 4
RULES = {"ﬁ": "fi", "½": "1⁄2", "Ａ": "A", "e\u0301": "é", "¨": " \u0308", "\t": " ", "\n": " ",
         "\u00a0": " ", "\u200b": " ", "\u3000": " ", "\x01": "", "カ\u3099": "ガ", "ｶ": "カ",
         "\u0958": "क\u093c"}
TEXTS = ["unaffable", "The unaffable CAT, unhappily!", "", "  \t\n ", " low  lower   lowest ",
         "a <mask> b", "a<mask>b</s> c", "<s>a", "<unk>x <unk>", "naïve Café, cafe\u0301 ﬁn ½",
         "¨\u0301 e\u0301\u0323 \x01a\x01", "日本語abc漢字", "한국어 \u1112\u1161\u11ab",
         "カ\u3099 ｶ\u3099 \u0958\u0301", "a\u00a0b\u3000c\u200bd\u1680e\x1cf", "▁a ▁▁ b▁",
         "aaaaaaaaaaa abababab", "🙂 a🙂b 👩\u200d👩\u200d👧", "xyz qqq ÿþ ÿa",
         "<0x41> <0xC3><0xA9>", "New  York new york", "o" * 100, "the the low##er",
         "\x00 \U0010ffff \u2028x"]
PAIRS = [("the cat sat", "on the mat"), ("", "a"), (" a", "")]


def train(folder, name, kind, size, **settings):
    """Write a .model of sentencepiece to folder/name; kind: "unigram" or "bpe"."""
    import sentencepiece
    rules = folder / "rules.tsv"
    codes = (" ".join(f"{ord(c):X}" for c in text) for pair in RULES.items() for text in pair)
    rules.write_text("".join(f"{key}\t{value}\n" for key, value in zip(codes, codes)), "ascii")
    with open(folder / name, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE), model_writer=file, vocab_size=size, model_type=kind,
            normalization_rule_tsv=str(rules), hard_vocab_limit=False, character_coverage=0.98,
            num_threads=1, minloglevel=2, **settings)
    return folder / name


def version_5(name, folder):
    """The tokenizer that a class of transformers makes of the .model in a folder."""
    import transformers
    return getattr(transformers, name).from_pretrained(folder)._tokenizer


def version_4(name, path, **settings):
    """The tokenizer that a converter of transformers makes of a .model with a Unigram."""
    from transformers import convert_slow_tokenizer
    original = SimpleNamespace(
        vocab_file=str(path), convert_tokens_to_ids={"<s>": 5, "</s>": 6}.get,    # CamemBERT's
        convert_ids_to_tokens=["<unk>", "<s>", "</s>"].__getitem__, **settings)   # Llama's
    return getattr(convert_slow_tokenizer, name)(original).converted()


def with_bpe(decoder, model, left_out=(), **settings):
    """Mistral's rules (version 4) around the BPE of a saved model, without some of its pieces."""
    from tokenizers import Tokenizer, models, normalizers
    pieces = [piece for piece in model["vocab"] if piece not in left_out]
    tokenizer = Tokenizer(models.BPE(
        {piece: number for number, piece in enumerate(pieces)}, [*map(tuple, model["merges"])],
        unk_token="<unk>", byte_fallback=True, **settings))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"),
                                                 normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoder
    return tokenizer


def tokenizers():
    """{kind: Tokenizer}."""
    from tokenizers import AddedToken, processors

    def added(tokenizer, *names):
        tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
        tokenizer.add_tokens([AddedToken("New York", normalized=True, single_word=True)])
        return tokenizer

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = train(folder, "sentencepiece.bpe.model", "unigram", 160)
        xlmr, camembert = (version_5(name, folder)
                           for name in ("XLMRobertaTokenizer", "CamembertTokenizer"))
        older = added(version_4("CamembertConverter", path), "<s>", "<pad>", "</s>", "<unk>")
        in_bytes = version_4("LlamaConverter", train(folder, "bytes.model", "unigram", 380,
                                                     byte_fallback=True), legacy=False)
        train(folder, "tokenizer.model", "bpe", 420, byte_fallback=True)
        llama = version_5("LlamaTokenizer", folder)
    model = json.loads(llama.to_str())["model"]
    mistral = added(with_bpe(llama.decoder, model, fuse_unk=True), "<unk>", "<s>", "</s>")
    mistral.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    some = with_bpe(llama.decoder, model, ("<0xC3>", "<0x9F>"), fuse_unk=False)
    return {"xlm-roberta": xlmr, "camembert": camembert, "older camembert": older, "llama": llama,
            "mistral": mistral, "unigram in bytes": in_bytes, "some bytes": some,
            "ignored merges": with_bpe(llama.decoder, model, fuse_unk=True, ignore_merges=True)}


def cases(tokenizer):
    """[text, pair, ids, types, decoded, decoded with special tokens]."""
    for text, pair in [(text, None) for text in TEXTS] + PAIRS:
        found = tokenizer.encode(text, pair)
        yield [text, pair, found.ids, found.type_ids, tokenizer.decode(found.ids),
               tokenizer.decode(found.ids, skip_special_tokens=False)]


def main():
    kept = {name: {"file": json.loads(tokenizer.to_str()), "cases": list(cases(tokenizer))}
            for name, tokenizer in tokenizers().items()}
    text = json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
    for key in ('{"file"', '"cases"', '"model"'):
        text = text.replace(key, "\n" + key)
    Path(__file__).with_name("unigram.json").write_text(text + "\n", "ascii")


if __name__ == "__main__":
    sys.exit(main())
