"""Read and write the files of version_0_1/ (make_version_0_1.py).

    ANSWERS     {name of a file: answer(folder) -> {key: array}}, the contents and answers of a file
    WRITERS     {name of a file: write(folder, to)}, which must write the same bytes again
    save_first  trains the models and writes the files for the first time

Read next make_version_0_1.py, ../test_version_0_1.py
"""
import contextlib
import functools
import io
import json
import os
import shutil
import tempfile

import numpy as np
from version_0_1_trainings import (
    BERT,
    LABELLED,
    SIMCSE,
    TEXT,
    TRAININGS,
    bert_model,
    classifier_model,
    config,
    fasttext_model,
    first_params,
    lines,
    simcse_model,
    tokenizer,
    weights,
    word2vec_model,
    words,
)

from scratch_embed.cli.loading import digest_of
from scratch_embed.cli.main import main
from scratch_embed.nn.params import Params
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences import simcse
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.sentences.static import StaticEncoder, sif_weights, zipf_frequencies
from scratch_embed.text import tokenizer_files
from scratch_embed.text.corpus_folder import open_corpus
from scratch_embed.text.phrases import find_phrases, join_phrases
from scratch_embed.text.reader import read_corpus
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.fill import fill_mask
from scratch_embed.transformer.pooling import cls
from scratch_embed.words import fasttext, glove, supervised, word2vec
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.cooccurrence import count_cells
from scratch_embed.words.fasttext_files import Settings, read_bin, word_model, write_bin, write_vec
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vector_files import write_glove_text
from scratch_embed.words.vectors import WordVectors

SENTENCES = ["the tenor sang a song", "milk for a cat", "a cat", "the car was driven with care",
             "Quite unknown: a Zebra!"]
QUERIES = ["cat milk", "sang a song", "with great care"]
CHANGED = 1_700_000_000            # modification time of a corpus folder's text, in seconds


# ---- contents and answers of files --------------------------------------------------------------

def nearest(vectors, word):
    """The five nearest words of a word, and their cosines."""
    found = vectors.most_similar(word, topn=5)
    return {f"like {word}": np.array([word for word, _ in found]),
            f"cosines with {word}": np.array([cosine for _, cosine in found])}


def word_vectors(folder, name):
    vectors = WordVectors.load(folder / name)
    return {"words": np.array(vectors.index_to_key), "vectors": vectors.vectors,
            **nearest(vectors, "cat")}


def fasttext_bin(folder):
    vectors = FastTextVectors.load(folder / "fasttext.bin")
    return {"words": np.array(vectors.words.index_to_key), "vectors": vectors.vectors,
            "unknown": vectors[["catlike", "sango"]], **nearest(vectors, "catlike")}


def classifier_bin(folder, name):
    classifier = Classifier.load(folder / name)
    texts = ["the soup was superb at our table", "the battery was useless in my pocket"]
    found = classifier.predict(texts, k=2)
    return {"labels": np.array([[label for label, _ in line] for line in found]),
            "chances": np.array([[p for _, p in line] for line in found]),
            "all chances": classifier.probabilities(texts), "vectors": classifier.encode(texts),
            "quality": np.array(classifier.test(LABELLED), np.float64)}


def corpus_folder(folder):
    vocab, corpus = open_corpus(folder / "corpus")
    return {"words": np.array(vocab.words), "counts": vocab.counts, "ids": corpus.ids,
            "offsets": corpus.offsets}


def text_index(folder):
    index = TextIndex.load(folder / "text.index")
    encoder = StaticEncoder(WordVectors.load(folder / "words.vec"))
    numbers, scores = index.search(encoder.encode(QUERIES), 3)
    bm25_search, word_scores = index.bm25_search(str.split)(QUERIES, 3)
    return {"lines": numbers, "cosines": scores, "lines by words": bm25_search,
            "scores by words": word_scores, "of": np.array([index.lines, len(index)])}


def search_command(folder):
    """The output of `scratch-embed search`, which requires the model that made the index."""
    answer = {}
    for how in ("vectors", "bm25", "hybrid"):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            failed = main(["search", str(folder / "text.index"), *QUERIES, "-k", "2", "--model",
                           str(folder / "words.vec"), "--json",
                           "--dense" if how == "vectors" else f"--{how}"])
        assert not failed, f"scratch-embed search ended with {failed}"
        found = [row for line in out.getvalue().splitlines() for row in json.loads(line)["results"]]
        answer[how] = np.array([[str(row["rank"]), str(row["line"]), row["text"]] for row in found])
    return answer


def rows_index(folder):
    index = Index.load(folder / "rows.index")
    ids, scores = index.search(np.stack([index["cat"], index["song"]]), 4)
    return {"ids": ids.astype(str), "dot products": scores}


def sentence_encoder(folder):
    encoder = SentenceEncoder.load(folder / "encoder")
    return {"vectors": encoder.encode(SENTENCES),
            "as queries": encoder.encode(SENTENCES, prompt_name="query", truncate_dim=4),
            "alike": encoder.similarity(*[encoder.encode(SENTENCES)] * 2)}


def bert_folder(folder):
    model = Bert.load(folder / "bert")
    pieces = tokenizer_files.load(folder / "bert")
    batch = pieces.encode_batch(["the [MASK] sang a song", "a cat has some [MASK]"])
    masked = np.flatnonzero(batch.ids == pieces.token_to_id("[MASK]"))
    ids, chances = fill_mask(batch, masked, model, 3)
    return {**weights(model.p), "gaps": ids, "chances": chances}


def tokens(folder):
    pieces = tokenizer_files.load(folder / "bert")
    batch = pieces.encode_batch(SENTENCES, SENTENCES[::-1], max_length=14)
    return {"pieces": np.array(pieces.pieces), "learnt": np.array(tokenizer().pieces),
            "ids": batch.ids, "offsets": batch.offsets, "types": batch.types,
            "text": np.array([pieces.decode(pieces.encode(text).ids) for text in SENTENCES])}


def first_weights(folder):
    """Initial weights of BERT with its heads, word2vec, FastText and SimCSE's head."""
    W, U = word2vec.initial_weights(20, 4, seed=1)
    both = {**weights(first_params(1, std=0.02)), "word2vec W": W, "word2vec U": U,
            "FastText W": fasttext.initial_rows(20, 4, seed=1)}
    headed = simcse.add_head(Bert(config(), first_params(1, std=0.02)), seed=1).p
    return both | {f"SimCSE {tensor.stream}": headed[name]
                   for name, tensor in simcse.head_tensors(config().dim).items()}


def phrases(folder):
    vocab, corpus = read_corpus(TEXT, min_count=1)
    found = find_phrases(corpus, vocab, min_count=2, threshold=8.0)
    joined = join_phrases(corpus, vocab, found)
    return {"pairs": np.array([[vocab.words[a], vocab.words[b]] for a, b in found.pairs]),
            "scores": found.scores, "text": np.array([" ".join(sentence) for sentence in joined])}


def static_encoder(folder):
    kv = WordVectors.load(folder / "words.vec")
    sif = StaticEncoder(kv, sif_weights(zipf_frequencies(kv.index_to_key)))
    return {"means": StaticEncoder(kv).encode(SENTENCES),
            "SIF": sif.without_common(lines()).encode(SENTENCES)}


ANSWERS = {
    "words.vec": functools.partial(word_vectors, name="words.vec"),
    "words.bin": functools.partial(word_vectors, name="words.bin"),
    "words.safetensors": functools.partial(word_vectors, name="words.safetensors"),
    "glove.txt": functools.partial(word_vectors, name="glove.txt"),
    "fasttext.vec": functools.partial(word_vectors, name="fasttext.vec"),
    "fasttext.bin": fasttext_bin,
    "softmax.bin": functools.partial(classifier_bin, name="softmax.bin"),
    "hs.bin": functools.partial(classifier_bin, name="hs.bin"),
    "corpus": corpus_folder,
    "text.index": text_index,
    "scratch-embed search": search_command,
    "rows.index": rows_index,
    "encoder": sentence_encoder,
    "bert": bert_folder,
    "tokens": tokens,
    "first weights": first_weights,
    "phrases": phrases,
    "static encoder": static_encoder,
}


# ---- writing files again ------------------------------------------------------------------------

def write_word_vectors(folder, to, name):
    WordVectors.load(folder / name).save(to / name)


def write_glove(folder, to):
    kv = WordVectors.load(folder / "glove.txt")
    write_glove_text(to / "glove.txt", kv.index_to_key, kv.vectors)


def write_fasttext(folder, to):
    write_bin(to / "fasttext.bin", read_bin(folder / "fasttext.bin"))


def write_fasttext_words(folder, to):
    kv = WordVectors.load(folder / "fasttext.vec")
    write_vec(to / "fasttext.vec", kv.index_to_key, kv.vectors)


def write_classifier(folder, to, name):
    Classifier.load(folder / name).save(to / name)


def write_corpus(folder, to):
    """Write the corpus folder of the text, with a fixed modification time of the text."""
    with tempfile.TemporaryDirectory() as temporary:
        text = shutil.copy(TEXT, temporary)
        os.utime(text, (CHANGED, CHANGED))
        read_corpus(text, min_count=3, folder=to / "corpus")


def write_index(folder, to, name, kind):
    kind.load(folder / name).save(to / name)


def write_encoder(folder, to):
    SentenceEncoder.load(folder / "encoder").save(to / "encoder")


def write_bert_folder(folder, to):
    Bert.load(folder / "bert").save(to / "bert")
    tokenizer_files.save(to / "bert", tokenizer_files.load(folder / "bert"), 16)


WRITERS = {
    "words.vec": functools.partial(write_word_vectors, name="words.vec"),
    "words.bin": functools.partial(write_word_vectors, name="words.bin"),
    "words.safetensors": functools.partial(write_word_vectors, name="words.safetensors"),
    "glove.txt": write_glove,
    "fasttext.bin": write_fasttext,
    "fasttext.vec": write_fasttext_words,
    "softmax.bin": functools.partial(write_classifier, name="softmax.bin"),
    "hs.bin": functools.partial(write_classifier, name="hs.bin"),
    "corpus": write_corpus,
    "text.index": functools.partial(write_index, name="text.index", kind=TextIndex),
    "rows.index": functools.partial(write_index, name="rows.index", kind=Index),
    "encoder": write_encoder,
    "bert": write_bert_folder,
}


# ---- training models and writing their files ----------------------------------------------------

def save_first(to):
    """Write all files to the folder `to`."""
    save_words(to)
    save_indexes(to)
    save_models(to)
    write_corpus(None, to)


def save_words(to):
    """Word vectors in each format, FastText's and the classifier's models."""
    vocab, corpus = words()
    trained = word2vec_model(**TRAININGS["skip-gram, fixed window"].keywords)
    for name in ("words.vec", "words.bin", "words.safetensors"):
        WordVectors(vocab.words, trained.W).save(to / name)
    cells = count_cells(corpus, len(vocab), 5)
    write_glove_text(to / "glove.txt", vocab.words,
                     glove.train(cells, len(vocab), dim=8, epochs=4).vectors)
    trained = fasttext_model(dim=6, buckets=80, min_n=3, max_n=4)
    about = Settings(dim=6, min_count=3, min_n=3, max_n=4, sample=1e-4)
    write_bin(to / "fasttext.bin", word_model(vocab, trained.W, trained.U, about))
    write_vec(to / "fasttext.vec", vocab.words,
              FastTextVectors(vocab.words, trained.W, 3, 4).words.vectors)
    for name, method in (("softmax", supervised.softmax_chunk),
                        ("hs", supervised.hierarchical_softmax_chunk)):
        classifier_model(method=method, dim=6, lr=0.5, epochs=10, min_count=3, word_ngrams=2,
                         buckets=60).classifier.save(to / f"{name}.bin")


def save_indexes(to):
    """text.index, as `scratch-embed index` writes it, with a relative path; and rows.index."""
    kv = WordVectors.load(to / "words.vec")
    made_by = {"model": "words.vec", "digest": digest_of(to / "words.vec"), "sif": None,
               "tokens": "spaces"}
    encoder = StaticEncoder(kv)
    texts, rows = TextIndex(encoder.dim, made_by), Index(encoder.dim, normalise=False)
    texts.add(lines(), encoder.encode)
    texts.save(to / "text.index")
    rows.add(kv.index_to_key, kv.vectors)
    rows.save(to / "rows.index")


def save_models(to):
    """A BERT with its heads, and a sentence encoder with a dense layer."""
    bert_model(**BERT, start=4, workers=1).model.save(to / "bert")
    tokenizer_files.save(to / "bert", tokenizer(), 16)
    model = simcse_model(**SIMCSE, workers=1).model
    head = Params({"linear.weight": (8, 8), "linear.bias": (8,)})
    for name in head:
        head[name][...] = model.p[name.replace("linear", "head")]
    recipe = Recipe((cls,), dense=(Dense(head),), max_seq_length=12, prompts={"query": "the "})
    SentenceEncoder(tokenizer(), simcse.remove_head(model), recipe).save(to / "encoder")
