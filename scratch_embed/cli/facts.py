"""What `info` says of an object that load() returned, and of a file that load() does not read.

Each function returns {what: value}, in the order in which it is printed; values are str, numbers,
lists and dicts, so that --json can print them too.
Read next cli/info.py, loading.py (the kinds)
"""
import json
import math
import os
from functools import singledispatch

import numpy as np

from scratch_embed.cli.m3_search import words_of
from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.imagebind_encoder import ImageBind
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.numerics.files import GZIP_MAGIC, open_binary
from scratch_embed.numerics.safetensors import DTYPES, read_header
from scratch_embed.recognition import NUMPY, Found, is_fasttext
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3_index import M3Index
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.word_tokenizer import deduced
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_files import HEADER, LOSSES, MODELS, Settings
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vectors import WordVectors

# ---- what is known without reading all of it ----------------------------------------------------

def size_of(path):
    """The bytes on disk, of a folder with the number of its files."""
    if not os.path.isdir(path):
        with open(path, "rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        return {"bytes": os.path.getsize(path)} | ({"compressed": "gzip"} if packed else {})
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return {"files": len(files), "bytes": sum(map(os.path.getsize, files))}


def from_header(found: Found):
    """Facts in the first bytes of a file: tensors and metadata, an array's shape, settings."""
    if found.metadata is not None:
        entries, _ = read_header(found.path)
        types = {np.dtype(DTYPES[entry.dtype]).name if entry.dtype in DTYPES else entry.dtype
                 for entry in entries.values()}
        numbers = sum(math.prod(entry.shape) for entry in entries.values())
        return {"tensors": len(entries), "numbers in them": numbers,
                "types of numbers": ", ".join(sorted(types)),
                "metadata": {name: _unpacked(value) for name, value in found.metadata.items()}}
    if found.start.startswith(NUMPY):
        array = np.load(found.path, mmap_mode="r", allow_pickle=False)
        return {"shape": list(array.shape), "type": str(array.dtype)}
    if is_fasttext(found):
        _, version, *numbers, sample, _, _, _, tokens, _ = HEADER.unpack(found.start[:HEADER.size])
        settings = Settings._make([*numbers, sample])._asdict()
        for name, names in ("loss", LOSSES), ("model", MODELS):
            if 1 <= settings[name] <= len(names):
                settings[name] = names[settings[name] - 1]
        return {"fastText version": version, "tokens of the text": tokens, "settings": settings}
    return {}


def _unpacked(value):
    """A metadata field; JSON in it is read."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def text_facts(path):
    """The lines of a text, and its words between white space."""
    lines = words = 0
    with open_binary(path) as (file, _):
        for line in file:
            lines, words = lines + 1, words + len(line.split())
    return {"lines": lines, "words between white space": words}


# ---- what load() returns ------------------------------------------------------------------------

@singledispatch
def facts_of(thing):
    """Facts about an object that load() returned."""
    return {}


@facts_of.register
def _(vectors: WordVectors):
    return {"words": len(vectors), "dimensions": vectors.vectors.shape[1],
            "first words": vectors.index_to_key[:5], **tokenizer_of(vectors)}


@facts_of.register
def _(vectors: FastTextVectors):
    return {"words": len(vectors), "dimensions": vectors.table.shape[1],
            "buckets": vectors.buckets, "n-grams": f"{vectors.min_n} to {vectors.max_n} letters",
            **tokenizer_of(vectors)}


def tokenizer_of(vectors):
    """How the training text was split into words, and how that is known."""
    if vectors.tokenizer is not None:
        return {"tokenizer": f"{vectors.tokenizer} (stored in the file)"}
    words = vectors.words if isinstance(vectors, FastTextVectors) else vectors
    return {"tokenizer": f"{deduced(words.index_to_key)} (deduced from the vocabulary)"}


@facts_of.register
def _(classifier: Classifier):
    model = classifier.model
    return {"labels": len(model.labels), "words": len(model.words),
            "dimensions": model.settings.dim, "first labels": model.labels[:5]}


@facts_of.register
def _(index: Index):
    return {"rows": len(index), "dimensions": index.dim,
            "score": "cosine" if index.normalise else "dot product"}


@facts_of.register
def _(index: TextIndex):
    model = index.made_by.get("model")
    found = "found" if os.path.exists(str(model)) else "not found: give its new path with --model"
    there = {"its model": f"{model} ({found})"} if isinstance(model, str) else {}
    kinds = {"kinds": list(words_of(index.index.kinds))} if isinstance(index.index, M3Index) else {}
    sense = index.made_by.get("sense")
    held = {"lines": len(index)} if sense is None else {"files": len(index), "sense": sense}
    return {**held, "dimensions": index.index.dim, **kinds, **there}


@facts_of.register
def _(encoder: SentenceEncoder):
    recipe = encoder.recipe
    steps = [pooling.__name__ for pooling in recipe.poolings]
    steps += [f"Dense to {len(p['linear.weight'])}" for p, _ in recipe.dense]
    steps += ["Normalize"] * recipe.normalize
    return {"dimensions": encoder.dim, **of_transformer(encoder),
            "after the model": ", ".join(steps),
            "tokens of a text, at most": recipe.max_seq_length,
            "prompts": dict(recipe.prompts), "default prompt": recipe.default_prompt_name,
            "similarity": recipe.similarity_fn_name}


@facts_of.register
def _(encoder: CrossEncoder):
    settings = encoder.settings
    return {"labels": list(settings.labels), **of_transformer(encoder),
            "activation": settings.activation.__name__,
            "tokens of a pair, at most": settings.max_seq_length,
            "prompts": dict(settings.prompts), "default prompt": settings.default_prompt_name}


def of_transformer(encoder):
    """The model and the tokenizer of an encoder."""
    model = encoder.model
    return {"model": repr(model), "parameters": model.p.flat.size,
            "settings": {name: value for name, value in model.config._asdict().items()
                         if isinstance(value, (int, float, str, bool))},
            "tokenizer": repr(encoder.tokenizer)}


@facts_of.register
def _(clip: Clip):
    return {"senses": ["image", "text"], **of_clip(clip)}


@facts_of.register
def _(model: ImageBind):
    towers = {name: {"input": list(sense.shape), "patch": sense.patch, "layers": sense.trunk.layers,
                     "1/temperature": sense.scale} for name, sense in model.senses.items()}
    return {"senses": ["image", "text", *model.senses], **of_clip(model.clip),
            "parameters of the other senses": model.p.flat.size, "their towers": towers}


def of_clip(clip):
    """The sizes of both towers of a CLIP."""
    pixels, patch, *_ = clip.config.image
    return {"dimensions": clip.dim, "parameters": clip.p.flat.size,
            "images": f"{pixels} x {pixels} pixels, patches of {patch}",
            "layers": f"{clip.config.image.trunk.layers} of images, "
                      f"{clip.config.text.trunk.layers} of texts",
            "tokens of a text, at most": clip.config.text.positions,
            "temperature": round(1 / clip.scale, 4), "tokenizer": repr(clip.tokenizer)}


@facts_of.register
def _(clap: Clap):
    return {"senses": ["audio", "text"], "dimensions": clap.dim, "parameters": clap.p.flat.size,
            "sounds": f"{clap.audio.seconds} s at {clap.audio.rate:,} Hz",
            "tokens of a text, at most": clap.config.text.max_length,
            "tokenizer": repr(clap.tokenizer)}


@facts_of.register
def _(whisper: WhisperEncoder):
    return {"senses": ["audio"], "dimensions": whisper.dim, "parameters": whisper.p.flat.size,
            "sounds": f"{whisper.audio.seconds} s at {whisper.audio.rate:,} Hz; longer ones in "
                      "parts", "layers": whisper.config.layers}


@facts_of.register
def _(corpus: tuple):
    vocab, corpus = corpus
    return {"words": len(corpus.ids), "different words": len(vocab.words),
            "sentences": len(corpus.offsets) - 1}
