"""Train word vectors in one call: read a text, train, and return the vectors.

Read next words/word2vec.py, words/glove.py, words/fasttext.py (the methods, and their other
          arguments: CBOW, hierarchical softmax)

The source is the path of a text, plain or gzip, with one sentence per line; or an iterable of
sentences, each a list of str.  It is read once.  The defaults are those of `scratch-embed train`.
"""
from scratch_embed.text.corpus import FILE_TYPES, Source
from scratch_embed.text.reader import read_corpus
from scratch_embed.text.word_tokenizer import WORDS, WordTokenizer
from scratch_embed.training.session import RunOptions
from scratch_embed.words import fasttext, glove, word2vec
from scratch_embed.words.cooccurrence import count_cells
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams, default_buckets
from scratch_embed.words.vectors import WordVectors


def train_word2vec(source: Source, dim: int = 100, window: int = 5, negatives: int = 5,
                   sample: float = 1e-3, lr: float = 0.025, epochs: int = 5, min_count: int = 5,
                   options: RunOptions = RunOptions(),
                   tokenizer: WordTokenizer = WORDS) -> WordVectors:
    """Train word2vec: skip-gram with negative sampling (Mikolov et al. 2013).

    source      a path, or sentences that are lists of str
    dim         the dimension D of the vectors
    window      the largest distance of a context word, in words
    negatives   K, the number of negatives drawn for each pair; 0 for hierarchical softmax
    sample      subsampling: an occurrence of a word with the share f of the text is kept with
                probability (√(f/t) + 1) t/f, at most 1, t = sample (words/word2vec.py); 0: all
    lr          the initial learning rate
    min_count   words with fewer occurrences get no vector
    options     workers, seed, checkpoint, progress.  With one worker, the same source and seed give
                the same bits; with several workers, only the quality is the same
    tokenizer   how the text of a file is split into words: by default runs of letters and digits,
                lower-cased; WordTokenizer("spaces") for a text already tokenized.  The result has
                it as its attribute `tokenizer`; None if the source is sentences
    Raises      ValueError for a text without words, or settings that are out of range

    >>> sentences = [["the", "king", "rules"], ["the", "queen", "rules"]] * 50
    >>> train_word2vec(sentences, dim=8, options=RunOptions(workers=2))
    WordVectors(4 words x 8 dimensions)
    """
    vocab, corpus = read_corpus(source, min_count, tokenizer=tokenizer)
    trained = word2vec.train(corpus, vocab, dim=dim, window=window, negatives=negatives,
                             sample=sample, lr=lr, epochs=epochs, options=options)
    return WordVectors(vocab.words, trained.W, _used(tokenizer, source))


def train_glove(source: Source, dim: int = 100, window: int = 10, x_max: float | None = None,
                alpha: float = 0.75, lr: float = 0.05, epochs: int = 25, min_count: int = 5,
                options: RunOptions = RunOptions(),
                tokenizer: WordTokenizer = WORDS) -> WordVectors:
    """Train GloVe on co-occurrence counts; the result is W + U (Pennington et al. 2014).

    x_max       pairs with this co-occurrence count or more have weight 1; None: 10, for a text of
                more than 100 million words 100
    alpha       below x_max the weight is (count / x_max)^alpha; 0 gives all pairs weight 1
    The other arguments and the errors are those of train_word2vec.

    >>> sentences = [["the", "king", "rules"], ["the", "queen", "rules"]] * 50
    >>> train_glove(sentences, dim=8)
    WordVectors(4 words x 8 dimensions)
    """
    vocab, corpus = read_corpus(source, min_count, tokenizer=tokenizer)
    cells = count_cells(corpus, len(vocab), window)
    trained = glove.train(
        cells, len(vocab), dim=dim, alpha=alpha, lr=lr, epochs=epochs, options=options,
        x_max=glove.default_x_max(len(corpus.ids)) if x_max is None else x_max)
    return WordVectors(vocab.words, trained.vectors, _used(tokenizer, source))


def train_fasttext(source: Source, dim: int = 100, window: int = 5, negatives: int = 5,
                   sample: float = 1e-4, lr: float = 0.05, epochs: int = 5, min_count: int = 5,
                   ngrams: NGrams | None = None, options: RunOptions = RunOptions(),
                   tokenizer: WordTokenizer = WORDS) -> FastTextVectors:
    """Train FastText: skip-gram vectors of words and of their n-grams (Bojanowski et al. 2017).

    ngrams      the lengths of the n-grams, and the number of buckets into which they are hashed;
                each bucket takes 4 · dim bytes; None: 3 to 6, and twice as many buckets as the
                words have different n-grams, at most 2,000,000
    The other arguments and the errors are those of train_word2vec.

    >>> sentences = [["the", "king", "rules"], ["the", "queen", "rules"]] * 50
    >>> vectors = train_fasttext(sentences, dim=8, sample=0, ngrams=NGrams(buckets=1000))
    >>> vectors["kings"].shape                      # a word that is not in the text
    (8,)
    """
    vocab, corpus = read_corpus(source, min_count, tokenizer=tokenizer)
    if ngrams is None:
        ngrams = NGrams(buckets=default_buckets(vocab.words, *NGrams()[:2]))
    trained = fasttext.train(corpus, vocab, dim=dim, window=window, negatives=negatives,
                             sample=sample, lr=lr, epochs=epochs, ngrams=ngrams, options=options)
    return FastTextVectors(vocab.words, trained.W, ngrams.min_n, ngrams.max_n,
                           _used(tokenizer, source))


def _used(tokenizer, source):
    """The tokenizer that split the source; None for sentences, which were split by the caller."""
    return tokenizer if isinstance(source, FILE_TYPES) else None
