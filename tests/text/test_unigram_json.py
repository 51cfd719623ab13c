"""tokenizer.json of SentencePiece's kinds: read, written unchanged, and refused by name."""
import copy
import io
import json
from pathlib import Path

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.metaspace import Metaspace
from scratch_embed.text.normal_forms import FORMS, Lowercase, UnicodeForm
from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.sentencepiece import (
    LLAMA,
    ByteFallback,
    Fuse,
    Prepend,
    Replace,
    Rules,
    Strip,
    StripStart,
)
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.tokenizer import roberta_template
from scratch_embed.text.tokenizer_files import load, save
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.unigram_json import is_sentencepiece, parse, to_json
from tests.text.sentencepiece_texts import assert_alike, random_texts

STORED = json.loads((Path(__file__).parents[1] / "golden/unigram.json").read_text("ascii"))
EVERY_STEP = Rules(
    (Precompiled.from_keys({"a": "b"}), Strip(False, True), Replace(" {2,}", "▁", True),
     Replace("c", ""), Prepend("x")), True, Metaspace("_", "never", False),
    (Metaspace(), Replace("▁", " "), ByteFallback(), Fuse(), StripStart(" ", 2)))
MADE = [Unigram(["<unk>", "<s>", "</s>", "é"], [0, -1, -2.5, -1e-7], "<unk>", EVERY_STEP,
                template=roberta_template(1, 2), byte_fallback=True, truncation_side="left"),
        Unigram(["<unk>"], [0.0], rules=Rules((Strip(True, True),), True, None, (Fuse(),))),
        Unigram(["<unk>", "a", "f", "i", "é", "e", "\u0301", "σ", "▁"], [0, *[-1.0] * 8],
                rules=Rules((UnicodeForm("NFKC"), Lowercase()))),
        SentencePieceBPE(["<unk>", "a", "b", "ab"], [("a", "b")], byte_fallback=False),
        SentencePieceBPE(["a", *(f"<0x{byte:02X}>" for byte in range(256))], [], None, LLAMA,
                         ignore_merges=True, fuse_unk=False)]


def read(value):
    return parse(Fields("tokenizer.json", value))


@pytest.mark.parametrize("kind", STORED)
def test_a_file_of_the_library_is_written_again_unchanged(kind):
    """Except the post_processor: whichever it was, a TemplateProcessing; and Metaspace's place."""
    file = STORED[kind]["file"]
    written = to_json(read(file))
    if file["post_processor"] is None:
        written["post_processor"] = None
    if kind in ("llama", "mistral", "ignored merges"):
        for key in "continuing_subword_prefix", "end_of_word_suffix":
            assert not file["model"].pop(key) and not written["model"].pop(key)
    assert written == file


@pytest.mark.parametrize("tokenizer", MADE)
def test_a_tokenizer_is_written_and_read_back(tokenizer):
    value = json.loads(json.dumps(to_json(tokenizer)))
    back = read(value)
    assert type(back) is type(tokenizer) and to_json(back) == value
    assert back.rules == tokenizer.rules and back.truncation_side == tokenizer.truncation_side
    assert back.unk == tokenizer.unk and back.byte_fallback == tokenizer.byte_fallback


@pytest.mark.parametrize("tokenizer", MADE)
def test_the_library_reads_what_is_written(tokenizer):
    library = pytest.importorskip("tokenizers").Tokenizer
    theirs = library.from_str(json.dumps(to_json(tokenizer)))
    for text in random_texts(20, seed=3):
        assert_alike(tokenizer, theirs, text)


@pytest.mark.parametrize("step", [*map(UnicodeForm, FORMS), Lowercase()])
def test_a_step_normalises_as_the_library(step):
    normalizers = pytest.importorskip("tokenizers").normalizers
    theirs = getattr(normalizers, *([step.form] if step else ["Lowercase"]))()
    for text in ("ﬁ Ⅸ ½ ｶﾞ ㍿", "e\u0301 é Å \u212b", "한국 각", "ΟΔΟΣ İ ẞ", "a\u0323\u0307\u0301",
                 *random_texts(20, seed=4)):
        assert step(text) == theirs.normalize_str(text)


def test_the_two_kinds_of_bpe_are_distinguished():
    assert is_sentencepiece(Fields("file", STORED["mistral"]["file"]))
    for step in {"type": "ByteLevel"}, {"type": "Sequence", "pretokenizers": [
            {"type": "Split"}, {"type": "ByteLevel"}]}:
        assert not is_sentencepiece(Fields("file", {"pre_tokenizer": step}))
    assert is_sentencepiece(Fields("file", {"pre_tokenizer": {"type": "Metaspace"}}))


@pytest.mark.parametrize("tokenizer", MADE)
def test_a_folder_is_written_and_read_back(tmp_path, tokenizer):
    save(tmp_path, tokenizer)
    back = load(tmp_path)
    assert type(back) is type(tokenizer) and back.rules == tokenizer.rules
    assert to_json(back)["model"] == to_json(tokenizer)["model"]


def test_older_files_have_add_prefix_space_in_a_metaspace():
    value = to_json(MADE[0])
    old = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁"}
    for flag, prepend in (True, "always"), (False, "never"):
        value["pre_tokenizer"] = {**old, "add_prefix_space": flag}
        assert read(value).rules.metaspace == Metaspace("▁", prepend)
    del value["model"]["byte_fallback"]
    assert not read(value).byte_fallback


def test_whether_a_space_is_put_before_a_text_is_known():
    """So that an add_prefix_space of tokenizer_config.json that disagrees can be refused."""
    assert {kind: read(STORED[kind]["file"]).prefix_space for kind in ("camembert", "mistral")} == {
        "camembert": True, "mistral": True}
    assert [tokenizer.prefix_space for tokenizer in MADE] == [False, False, True, True, True]


def edited(kind, *keys, to):
    value = copy.deepcopy(STORED[kind]["file"])
    parent = value
    for key in keys[:-1]:
        parent = parent[key]
    parent[keys[-1]] = to
    if to is ...:
        del parent[keys[-1]]
    return value


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}


@pytest.mark.parametrize("kind, keys, to, message", [
    ("xlm-roberta", ["model", "unk_id"], None, "'unk_id': expected a whole number"),
    ("xlm-roberta", ["model", "unk_id"], 9999, "'unk_id': expected a whole number"),
    ("xlm-roberta", ["model", "vocab"], [], "'vocab': expected a list of pieces"),
    ("xlm-roberta", ["model", "vocab", 3], ["a"], "a piece and its score .*as number 3"),
    ("xlm-roberta", ["model", "vocab", 3], ["a", "b"], "a piece and its score"),
    ("xlm-roberta", ["model", "vocab", 3], ["a", True], "a piece and its score"),
    ("xlm-roberta", ["model", "vocab", 3], ["<s>", 0.0], "got one of them twice"),
    ("xlm-roberta", ["model", "vocab", 9], ["zz", 1e999], "scores: expected a finite number"),
    ("xlm-roberta", ["model", "alpha"], 0.1, "'alpha': expected only"),
    ("xlm-roberta", ["normalizer"], {"type": "Nmt"}, "'normalizer': .*found the type 'Nmt'"),
    ("xlm-roberta", ["normalizer", "precompiled_charsmap"], "AAA", "a table in base64"),
    ("xlm-roberta", ["normalizer", "precompiled_charsmap"], "", "a table in base64"),
    ("xlm-roberta", ["normalizer", "precompiled_charsmap"], None, "expected a string"),
    ("xlm-roberta", ["pre_tokenizer", "pretokenizers", 0, "type"], "Whitespace", "number 0"),
    ("xlm-roberta", ["pre_tokenizer", "pretokenizers"], [METASPACE] * 2, "each at most once"),
    ("xlm-roberta", ["pre_tokenizer", "pretokenizers", 1], METASPACE, "no prepend_scheme 'first'"),
    ("xlm-roberta", ["pre_tokenizer", "pretokenizers", 1, "replacement"], "__", "one character"),
    ("xlm-roberta", ["pre_tokenizer"], {**METASPACE, "add_prefix_space": False}, "expected never"),
    ("xlm-roberta", ["decoder", "type"], "WordPiece", "'decoder': .*the type 'WordPiece'"),
    ("older camembert", ["normalizer", "normalizers", 2, "pattern", "Regex"], "x+", "'Regex'"),
    ("older camembert", ["normalizer", "normalizers", 2, "pattern"], {"String": ""},
     "at least one"),
    ("older camembert", ["normalizer", "normalizers", 2, "pattern"], {}, "a String or a Regex"),
    ("older camembert", ["normalizer", "normalizers", 1, "strip_left"], 1, "true or false"),
    ("older camembert", ["normalizer", "normalizers", 1, "type"], "Nmt", "'Nmt' as number 1"),
    ("mistral", ["model", "dropout"], 0.1, "'dropout': expected one of"),
    ("mistral", ["model", "end_of_word_suffix"], "</w>", "'end_of_word_suffix': expected one of"),
    ("mistral", ["model", "unk_token"], "x", "expected 'x', the piece of unknown"),
    ("mistral", ["model", "merges", 0], ["a"], "two pieces"),
    ("mistral", ["model", "merges", 0], ["a", "zz"], "expected 'zz' among the pieces"),
    ("mistral", ["model", "vocab", "a"], 9999, "the ids 0 to"),
    ("mistral", ["decoder", "decoders", 3, "stop"], 1, "'stop': expected 0"),
    ("some bytes", ["model", "unk_token"], None, "unk=None: expected byte fallback"),
    ("llama", ["normalizer"], {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "x"},
     "no prepend_scheme 'first' after a normalizer"),
    ("llama", ["normalizer"], {"type": "Strip", "strip_left": True, "strip_right": False},
     "no prepend_scheme 'first' after a normalizer"),
    ("llama", ["pre_tokenizer", "prepend_scheme"], "last", "'prepend_scheme': expected one of")])
def test_a_wrong_or_unsupported_field_is_refused_by_name(kind, keys, to, message):
    with pytest.raises(FormatError, match=message):
        read(edited(kind, *keys, to=to))


# ---- conversions by transformers ----------------------------------------------------------------

def test_a_model_trained_by_sentencepiece_is_read_after_conversion(tmp_path):
    """transformers builds XLM-R's tokenizer from the .model; ours reads the file that it saves."""
    spm = pytest.importorskip("sentencepiece")
    transformers = pytest.importorskip("transformers")
    file = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["the unaffable cats sat low on newer mats"] * 20), vocab_size=40,
        model_writer=file, minloglevel=2, num_threads=1, hard_vocab_limit=False)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(file.getvalue())
    theirs = transformers.XLMRobertaTokenizer.from_pretrained(tmp_path)
    theirs.save_pretrained(tmp_path / "saved")
    ours = parse(Fields.read(tmp_path / "saved" / "tokenizer.json"))
    for text in ["The unaffable ﬁat,\tlow", "½ cat\u0301 <mask> mats", ""]:
        assert ours.encode(text).ids.tolist() == theirs(text)["input_ids"]
