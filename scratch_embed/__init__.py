"""scratch_embed: embeddings from scratch in NumPy and Numba, written to be read.

The floors; a file imports only from floors below its own, or from its own room.

    6  cli/         the command line, one file a group of commands; tour
    5  why/         what each trick of a method is worth, measured
    4  sentences/   encode(texts) -> (N, D): means of word vectors, transformers, SimCSE
    3  words/       word2vec, GloVe, FastText, its classifier; word vectors and their files
       transformer/ the encoder, BERT, pooling; model folders
    2  losses/      InfoNCE
       evaluate/    analogies and word pairs, ranking metrics, STS, probes, clusters, MTEB's tasks
       retrieve/    search by words (BM25) and by vectors, joining searches, reranking
    1  text/        a text as numbers: corpus, vocabulary, WordPiece, packed sequences
       space/       similarity, neighbours, analogies, geometry, smaller codes
       nn/          layers with their gradients, attention, AdamW, the check of gradients
       worlds/      the generators of the toy corpora, and where those are
    0  numerics/    the kernel decorator, functions, random numbers, errors, files, threads

Nothing is imported here: a room is loaded when it is used.
"""
__version__ = "0.1.0"
