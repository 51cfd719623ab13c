"""The words of queries that a model or an index does not have, for the messages of `search`."""
import itertools
import unicodedata

MOST = 5                           # words that a message names


class UnknownWords:
    """Collects the words of queries that have no vector, in order; a transformer has none."""

    def __init__(self, encoder):
        from scratch_embed.sentences.static import StaticEncoder
        self.encoder = encoder if isinstance(encoder, StaticEncoder) else None
        self.words = {}

    def add(self, query):
        """Look up the words of a query; no more are needed than a message names, and one."""
        if self.encoder is None or len(self.words) > MOST:
            return
        for word in self.encoder.tokenize(query):
            if not has_vector(self.encoder.words, word):
                self.words[word] = True

    def __str__(self):
        """The words, at most MOST of them; empty if there are none."""
        return named(self.words)


def has_vector(words, word):
    """Whether a table of word vectors has or makes a vector of a word."""
    try:
        words[word]
    except KeyError:
        return False
    return True


def named(words):
    """At most MOST words, separated by commas; "..." for those left out."""
    some = list(itertools.islice(words, MOST + 1))
    return ", ".join(some[:MOST]) + ", ..." * (len(some) > MOST)


def why_nothing(query, texts, split):
    """Why nothing was found for a query.  texts: of the index; split: the tokenizer of BM25."""
    if not query.strip():
        return "it is blank"
    similar = other_accents(split(query), texts, split)
    return "it has no known word" + (f"; the index has {named(similar)}" if similar else "")


def other_accents(words, texts, split):
    """The words of the texts that differ from `words` only in accents or case, in order."""
    wanted = {plain(word) for word in words}
    return dict.fromkeys(word for text in texts for word in split(text)
                         if plain(word) in wanted and word not in words)


def plain(word):
    """A word in lower case and without accents: málaga and Malaga become malaga."""
    letters = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
