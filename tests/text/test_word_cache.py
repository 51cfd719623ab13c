"""A cache of words' ids: what it keeps, its memory, and that it is not pickled."""
import copy
import pickle
import random
import tracemalloc

import pytest

from scratch_embed.text import word_cache
from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.word_cache import LONGEST_KNOWN, WordCache
from scratch_embed.text.wordpiece import SPECIAL, WordPiece

TEXTS = ["a low slow owl", "so low a wolf"] * 2
BPE = train_bpe(TEXTS, 270)
BERT = WordPiece([*SPECIAL, *"alows", *(f"##{letter}" for letter in "alows")])


def test_a_word_is_kept_unless_it_is_long():
    cache = WordCache()
    cache.store("low", [4, 2])
    cache.store("l" * LONGEST_KNOWN, [1])
    cache.store("l" * (LONGEST_KNOWN + 1), [1])
    assert [*cache.ids] == ["low", "l" * LONGEST_KNOWN]


def test_a_full_cache_is_emptied_and_the_dict_that_a_thread_may_read_is_not(monkeypatch):
    monkeypatch.setattr(word_cache, "KNOWN_BYTES", 500)
    cache = WordCache()
    cache.store("low", [4, 2])
    known = cache.ids
    cache.store("slow", [3])
    assert cache.ids == {"slow": [3]} and known == {"low": [4, 2]}


@pytest.mark.parametrize("limit", [1 << 18, 1 << 20])
def test_the_memory_of_a_cache_is_what_it_counts(limit, monkeypatch):
    """At the most within a sixth of KNOWN_BYTES, as measured while 40,000 words are stored."""
    monkeypatch.setattr(word_cache, "KNOWN_BYTES", limit)
    rng, most = random.Random(1), 0
    tracemalloc.start()
    try:
        cache, empty = WordCache(), tracemalloc.get_traced_memory()[0]
        for number in range(40_000):
            cache.store(f"word {number}", [rng.randrange(300, 30_000) for _ in range(number % 5)])
            if number % 10 == 0:
                most = max(most, tracemalloc.get_traced_memory()[0] - empty)
    finally:
        tracemalloc.stop()
    assert 5 / 6 < most / limit < 7 / 6


@pytest.mark.parametrize("tokenizer", [BPE, BERT], ids=["BPE", "WordPiece"])
def test_every_kind_uses_it_and_a_pickle_or_deep_copy_starts_empty(tokenizer):
    ids = tokenizer.token_ids(TEXTS[0])
    assert len(tokenizer._cache.ids) == 4
    for other in pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer):
        assert other._cache.ids == {} and other.token_ids(TEXTS[0]) == ids
        assert len(tokenizer._cache.ids) == len(other._cache.ids) == 4


@pytest.mark.parametrize("tokenizer", [BPE, BERT], ids=["BPE", "WordPiece"])
def test_ids_do_not_depend_on_a_cache_that_is_emptied_within_a_text(tokenizer, monkeypatch):
    expected = [tokenizer.token_ids(text) for text in TEXTS]
    monkeypatch.setattr(word_cache, "KNOWN_BYTES", 400)
    new = copy.deepcopy(tokenizer)
    assert [new.token_ids(text) for text in TEXTS] == expected
    assert len(new._cache.ids) < 4
