"""A cache of the ids of words: texts repeat their words, so most are tokenized once.

Cost      about KNOWN_BYTES of memory at most; a look-up in a dict for each word
Read next text/tokenizer.py (which has one), text/bpe.py (which tokenizes all missing words at once)

When the cache is full it starts again, empty: the frequent words are back after a few texts, and no
order of use has to be kept.  It gets a new dict then, so that a thread that still reads the old one
finds in it what it had found before.
"""
import sys

KNOWN_BYTES = 1 << 25              # the memory of a cache
LONGEST_KNOWN = 1000               # characters; longer words are not cached
INTEGER = sys.getsizeof(1 << 20)   # bytes of an id, an object of its own unless below 257


class WordCache:
    """The ids of words that were tokenized recently.

    ids: {word: its ids}, to look words up.  A pickled cache is empty when it is read.

    >>> cache = WordCache()
    >>> cache.store("low", [4, 2])
    >>> cache.ids
    {'low': [4, 2]}
    """

    def __init__(self) -> None:
        self.ids: dict[str, list[int]] = {}
        self._bytes = 0            # of the words and their ids; sys.getsizeof has the dict's own

    def store(self, word: str, ids: list[int]) -> None:
        """Keep the ids of a word; a cache that they do not fit into is emptied first."""
        if len(word) > LONGEST_KNOWN:
            return
        size = sys.getsizeof(word) + sys.getsizeof(ids) + INTEGER * len(ids)
        if self._bytes + size + sys.getsizeof(self.ids) > KNOWN_BYTES:
            self.ids, self._bytes = {}, 0
        self.ids[word] = ids
        self._bytes += size

    def __reduce__(self):
        return WordCache, ()
