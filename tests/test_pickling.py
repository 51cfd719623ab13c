"""Every public class can be copied, pickled and sent to another process.

A pool of processes sends its arguments, its results and its exceptions as pickles.  An exception
that cannot be unpickled makes multiprocessing.Pool wait for ever.
"""
import copy
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil

import numpy as np
import pytest

import scratch_embed
from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
from scratch_embed.multimodal import clip, imagebind, vit
from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clap_verdict import untrained
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.image_processor import ImageProcessor, Square
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.whisper import Config as WhisperConfig
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.nn.optim import AdamW
from scratch_embed.nn.params import Constant, Normal, Params, Uniform, init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.errors import FormatError, TrainingDiverged
from scratch_embed.numerics.interrupt import HeldInterrupt
from scratch_embed.numerics.json_files import Fields
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.retrieve.sparse import SparseIndex
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.bge_m3_index import M3Index
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static import StaticEncoder, WordCounts, sif_weights
from scratch_embed.sentences.static_folder import TokenTable
from scratch_embed.testing.invariants import Broken
from scratch_embed.text.basic_tokenizer import Table
from scratch_embed.text.bpe import BPE
from scratch_embed.text.bpe_training import train_clip_bpe
from scratch_embed.text.precompiled import Precompiled
from scratch_embed.text.reader import DecodedWords, empty_words
from scratch_embed.text.sentencepiece import SentencePiece
from scratch_embed.text.sentencepiece_bpe import SentencePieceBPE
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.text.unigram import Unigram
from scratch_embed.text.vocab import Vocab
from scratch_embed.text.word_cache import WordCache
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.training.session import Session
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.transformer.model import Transformer
from scratch_embed.words import supervised
from scratch_embed.words.bags import Features
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.labelled import read_labelled
from scratch_embed.words.tables import WordReader
from scratch_embed.words.vectors import MissingWord, WordVectors
from scratch_embed.worlds.scenes import Scenes, draw_scenes

WORDS = WordVectors(["a", "red", "cat"], np.arange(12, dtype=np.float32).reshape(3, 4))
TEXTS = ["a red cat", "a cat"]


def tiny_encoder():
    config = Config(vocab=8, dim=4, layers=2, heads=2, ff=8)
    return SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat"]),
                           Bert(config, init_params(tensors(config), seed=1)))


def m3_vectors():
    return BgeM3.new(tiny_encoder()).encode(TEXTS, return_sparse=True, return_multi_vector=True)


def tiny_clip():
    tokenizer = train_clip_bpe(TEXTS * 2, 515)
    trunk = Trunk(dim=4, layers=1, heads=2, ff=4)
    config = clip.Config(vit.Config(4, 2, 3, trunk), clip.TextConfig(
        len(tokenizer), 20, len(tokenizer) - 1, trunk._replace(causal=True)), dim=3)
    return Clip(config, init_params(clip.tensors(config), seed=1), tokenizer,
                ImageProcessor(size=4, crop=Square(4, 4)))


def tiny_imagebind():
    senses = {"imu": imagebind.Sense((2, 8), 4, 4, imagebind.trunk(4, 1, 2), 5.0)}
    return ImageBind(tiny_clip(), senses, init_params(imagebind.tensors(senses, 3), seed=1))


def tiny_classifier():
    lines = read_labelled(["__label__x a red", "__label__y cat"])
    return supervised.train(lines, dim=4, epochs=1, min_count=1).classifier


def params():
    p = Params({"w": (2, 3), "b": (2,)})
    p.flat[:] = np.arange(8)
    return p


def text_index():
    index = TextIndex(4, {})
    index.add(TEXTS, StaticEncoder(WORDS).encode)
    return index


EXAMPLES = {
    AdamW: lambda: AdamW(params()), BM25: lambda: BM25([["a", "cat"], ["red"]]),
    BPE: lambda: BPE([*"redcat", "ca"], [("c", "a")]),
    BagOfWords: lambda: BagOfWords(TEXTS), Bert: lambda: tiny_encoder().model,
    BgeM3: lambda: BgeM3.new(tiny_encoder()), Broken: lambda: Broken("found x"),
    Clap: lambda: untrained(TEXTS), Clip: tiny_clip, Constant: lambda: Constant(1.0),
    CrossEncoder: lambda: CrossEncoder.warm_start(tiny_encoder()),
    DecodedWords: lambda: DecodedWords(empty_words(2), 0),
    FastTextVectors: lambda: FastTextVectors(["a"], np.ones((9, 4), np.float32), 3, 6),
    Features: lambda: tiny_classifier().features, Fields: lambda: Fields("file", {"a": 1}),
    FormatError: lambda: FormatError("file", "line 1", "expected a word"),
    HeldInterrupt: HeldInterrupt, ImageBind: tiny_imagebind,
    Index: lambda: Index.from_vectors(np.eye(2), ["x", "y"]),
    M3Index: lambda: M3Index(m3_vectors()),
    MissingWord: lambda: MissingWord("cats", ["a", "cat"]), Normal: lambda: Normal(0.02),
    MultiVectorIndex: lambda: MultiVectorIndex(*m3_vectors().multi),
    Params: params, Precompiled: lambda: Precompiled.from_keys({"a": "b"}),
    RandomVectors: lambda: RandomVectors(4), SentenceEncoder: tiny_encoder,
    Scenes: lambda: draw_scenes(3),
    SentencePieceBPE: lambda: SentencePieceBPE(["<unk>", "▁", "r", "▁r"], [("▁", "r")]),
    SparseIndex: lambda: SparseIndex(m3_vectors().sparse),
    StaticEncoder: lambda: StaticEncoder(WORDS, sif_weights({"a": 0.1})),
    TokenTable: lambda: TokenTable(np.eye(2, dtype=np.float32)),
    Table: lambda: Table(str.upper), TextIndex: text_index, Uniform: lambda: Uniform(0.5),
    TrainingDiverged: lambda: TrainingDiverged("step 3", 0.1),
    Unigram: lambda: Unigram(["<unk>", "▁", "red"], [0.0, -1.0, -2.0]),
    Vocab: lambda: Vocab(["a"], [3]), WordCache: WordCache,
    WhisperEncoder: lambda: WhisperEncoder.new(
        WhisperConfig(mels=4, dim=4, positions=50), WhisperAudio(mels=4, seconds=1)),
    WordCounts: WordCounts, WordPiece: lambda: tiny_encoder().tokenizer,
    WordReader: lambda: WordReader("w.vec"),
    WordVectors: lambda: WORDS,
    supervised.Classifier: tiny_classifier}
# a running training, whose checkpoint is the way to keep it; classes whose kinds are examples
NOT_DATA = {SentencePiece, Session, Tokenizer}


def public_classes():
    """The classes that modules of the package define, but for NamedTuples and Protocols.

    Of the families of models only Bert: they differ in functions, which are not pickled.
    """
    for module in pkgutil.walk_packages(scratch_embed.__path__, "scratch_embed."):
        if ".cli." not in f"{module.name}." and not module.name.endswith("__main__"):
            for name, found in vars(importlib.import_module(module.name)).items():
                if (inspect.isclass(found) and found.__module__ == module.name
                        and not (name.startswith("_") or issubclass(found, tuple)
                                 or (issubclass(found, Transformer) and found is not Bert)
                                 or getattr(found, "_is_protocol", False))):
                    yield found


def test_every_public_class_has_an_example():
    assert {*public_classes()} - NOT_DATA == {*EXAMPLES}


def described(value):
    """What of an object must survive: its text, and the vectors that it computes."""
    parts = [type(value).__name__, sorted(vars(value)) if hasattr(value, "__dict__") else []]
    if type(value).__repr__ is not object.__repr__:
        parts.append(str(value))
    if isinstance(value, Transformer):
        parts.append(value.infer(tiny_encoder().tokenize(TEXTS)).tolist())
    elif isinstance(value, BgeM3):
        parts.append(value.encode(TEXTS).dense.tolist())
    elif isinstance(value, Clip):
        parts += [value.encode_texts(TEXTS).tolist(),
                  value.encode_images([np.eye(4, dtype=np.uint8)]).tolist()]
    elif isinstance(value, ImageBind):
        parts.append(value.encode("imu", np.ones((1, 2, 8))).tolist())
    elif isinstance(value, Clap):
        parts += [value.encode_texts(TEXTS).tolist(),
                  value.encode_sounds([(np.ones(100), 8000)]).tolist()]
    elif isinstance(value, WhisperEncoder):
        parts.append(value.encode([(np.ones(100), 8000)]).tolist())
    elif hasattr(value, "encode") and not isinstance(value, Tokenizer):
        parts.append(np.asarray(value.encode(TEXTS)).tolist())
    elif isinstance(value, CrossEncoder):
        parts.append(value.predict([("a red cat", "a cat")]).tolist())
    elif isinstance(value, Tokenizer):
        parts.append(value.encode(TEXTS[0]).ids.tolist())
    elif isinstance(value, Params):
        parts += [value.flat.tolist(), [np.shares_memory(value[name], value.flat)
                                        for name in value]]
    return parts


@pytest.mark.parametrize("name", sorted(example.__name__ for example in EXAMPLES))
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy,
                                    lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_the_same(name, copied):
    value = next(make for of, make in EXAMPLES.items() if of.__name__ == name)()
    assert described(copied(value)) == described(value)


def test_a_model_with_a_frozen_tensor_is_copied_with_it():
    p = params().freeze(["b"])
    q = copy.deepcopy(p)
    assert q.frozen == ("b",) and q["b"].tolist() == p["b"].tolist()
    q.flat[:] = 0
    assert p.flat.any()


# ---- other processes ----------------------------------------------------------------------------

def described_here(values):
    """Run in the other process: what arrives there, and the objects, which are sent back."""
    return [described(value) for value in values], values


def fail(name):
    """Run in the other process: raise the exception of this name."""
    raise next(make for of, make in EXAMPLES.items() if of.__name__ == name)()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_objects_and_exceptions_cross_a_pool_of_processes(method):
    """They arrive, and come back, as they were; an exception is raised in the caller."""
    values = [make() for of, make in EXAMPLES.items() if of is not HeldInterrupt]
    with multiprocessing.get_context(method).Pool(1) as pool:
        there, back = pool.apply_async(described_here, (values,)).get(timeout=60)
        assert there == [described(value) for value in values] == [*map(described, back)]
        for error in FormatError, TrainingDiverged, MissingWord:
            with pytest.raises(error) as raised:
                pool.apply_async(fail, (error.__name__,)).get(timeout=60)
            assert str(raised.value) == str(EXAMPLES[error]())
