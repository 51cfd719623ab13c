"""The toy words: the text, the analogies and the exact P(w, c) agree with each other."""
from collections import Counter
from functools import cache

import numpy as np
import pytest

from scratch_embed.worlds.grammar import expected_cooccurrence, pair_distribution
from scratch_embed.worlds.words import (
    ATTRIBUTES,
    FILLERS,
    HELD_OUT,
    TABLES,
    easy,
    hard,
    tiny,
    write,
)
from tests.rounding import gamma, u64

WORLDS = [easy, hard, tiny]


@cache
def world_of(make):
    return make()


def rng(seed):
    return np.random.Generator(np.random.PCG64(seed))


def gamma_of(world):
    """The rounding bound γ(n) of P(c | w), where n bounds the additions for one entry of P."""
    n = sum(len(f) ** 2 for f in world.grammar.frames) + 4 * len(world.grammar.slots) + 9
    n += len(world.words) ** 2                           # the sum of the normalisation
    return gamma(n, u64)


def share_solved(vectors, world):
    """The share of analogies that 3CosAdd solves over all words except the three given words."""
    index = {word: i for i, word in enumerate(world.words)}
    E = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    solved = []
    for _, questions in world.analogies:
        for question in questions:
            a, b, c, d = (index[word] for word in question)
            score = E @ (E[b] - E[a] + E[c])
            score[[a, b, c]] = -np.inf
            solved.append(score.argmax() == d)
    return np.mean(solved)


# ---- the text -----------------------------------------------------------------------------------

@pytest.mark.parametrize("make", WORLDS)
def test_the_text_depends_on_its_seed_and_not_on_the_global_generator(make):
    np.random.seed(1)
    first = make(seed=3, sentences=50)
    np.random.seed(2)
    assert make(seed=3, sentences=50).sentences == first.sentences
    assert make(seed=4, sentences=50).sentences != first.sentences


def test_the_easy_text_has_about_102_000_tokens_of_233_words():
    world = world_of(easy)
    assert len(world.sentences) == 12_000 and len(world.words) == 233
    lengths = np.array([len(frame) for frame in world.grammar.frames])
    mean = world.grammar.probabilities @ lengths
    sigma = np.sqrt(12_000 * (world.grammar.probabilities @ (lengths - mean) ** 2))
    assert abs(12_000 * mean - 102_000) < 500                    # the exact expectation
    assert abs(sum(map(len, world.sentences)) - 12_000 * mean) < 6 * sigma


@pytest.mark.parametrize("make", WORLDS)
def test_the_vocabulary_is_the_set_of_words_of_the_text(make):
    world = world_of(make)
    assert len(set(world.words)) == len(world.words)
    assert {word for sentence in world.sentences for word in sentence} == set(world.words)


def test_in_the_easy_text_the_article_a_never_precedes_a_vowel():
    for sentence in world_of(easy).sentences:
        assert not [w for v, w in zip(sentence, sentence[1:]) if v == "a" and w[0] in "aeiou"]


def test_no_slot_of_a_template_is_left_unfilled():
    assert not [word for word in world_of(easy).words if word != word.lower()]


def test_the_probabilities_of_the_words_of_a_slot_are_proportional_to_1_over_rank():
    world = world_of(easy)
    wise, old = (world.words.index(word) for word in ("wise", "old"))
    both = world.grammar.slots[:, wise] > 0
    np.testing.assert_allclose(world.grammar.slots[both][:, [wise, old]], [[2 / 3, 1 / 3]],
                               rtol=4 * u64)
    world = world_of(hard)
    columns = [world.words.index(word) for word in FILLERS]
    slot = world.grammar.slots[:, columns].min(1).argmax()       # the slot of all fillers
    probabilities = (world.grammar.slots[slot, columns] - 0.1 / len(world.words)) / 0.9
    zipf = 1 / np.arange(1, 101)
    np.testing.assert_allclose(probabilities, zipf / zipf.sum(), rtol=1e3 * u64)


@pytest.mark.parametrize("make", WORLDS)
def test_every_word_has_the_frequency_that_the_grammar_expects(make):
    """Bernstein's inequality with t = 18, about six sigma for each word."""
    world = world_of(make)
    words, slots, frames, probabilities = world.grammar
    expected = sum(p * slots[frame].sum(0) for frame, p in zip(frames, probabilities))
    index, n, t = {word: i for i, word in enumerate(words)}, len(world.sentences), 18
    X = np.zeros((n, len(words)))
    for row, sentence in zip(X, world.sentences):
        np.add.at(row, [index[word] for word in sentence], 1)
    bound = np.sqrt(2 * X.var(0) * t / n) + 2 * X.max() * t / (3 * n)
    assert (np.abs(X.mean(0) - expected) <= bound).all()


def test_all_words_of_the_tables_are_equally_frequent():
    world = world_of(easy)
    count = Counter(word for sentence in world.sentences for word in sentence)
    members = {word for *_, questions in world.analogies for q in questions for word in q}
    expected = 12_000 / 65                                       # 70 words without the 5 held out
    assert all(abs(count[word] - expected) < 6 * np.sqrt(expected) for word in members)


def test_over_forty_percent_of_the_hard_text_is_fillers():
    tokens = [word for sentence in world_of(hard).sentences for word in sentence]
    assert 0.40 < sum(word in set(FILLERS) for word in tokens) / len(tokens) < 0.50


def test_fillers_are_inserted_at_all_positions_and_template_words_keep_their_order():
    world = hard(sentences=1, noise=0.0)
    filler = {s for s, row in enumerate(world.grammar.slots) if row[world.words.index("babo")] > 0}
    is_filler = [[slot in filler for slot in frame] for frame in world.grammar.frames]
    ends = Counter((frame[0], frame[-1]) for frame in is_filler)
    assert len(ends) == 4 and min(ends.values()) > 0.05 * len(is_filler)    # fillers at both ends
    templates = {" ".join(world.words[world.grammar.slots[s].argmax()] for s in frame
                          if s not in filler) for frame in world.grammar.frames}
    assert "the wise king puts his crown in the palace" in templates
    assert len(templates) == 12 * 5 + 14 * 4 + 16 * 3 + 14 * 3 + 9 * 2        # words x templates


def test_the_hard_world_uses_only_the_first_context_word_of_a_slot():
    assert len(world_of(hard).words) == 290
    assert "old" in world_of(easy).words and "old" not in world_of(hard).words


def test_the_100_fillers_are_not_words_of_the_easy_world():
    assert len(set(FILLERS)) == 100
    assert not set(FILLERS) & set(world_of(easy).words)


def test_noise_replaces_a_tenth_of_the_words_of_the_hard_text():
    world = world_of(hard)
    top = world.grammar.slots.max(1)                             # 0.9 + 0.1/V in slots of one word
    single = (world.grammar.slots > 0.1 / len(world.words) * 1.5).sum(1) == 1
    assert single.sum() > 100
    np.testing.assert_allclose(top[single], 0.9 + 0.1 / len(world.words), rtol=1e-14)


# ---- its analogies, pairs and held-out forms ----------------------------------------------------

@pytest.mark.parametrize("make", [easy, hard])
def test_there_are_168_analogies_in_six_sections(make):
    sizes = {section: len(set(questions)) for section, questions in world_of(make).analogies}
    assert sizes == {"royalty": 12, "family": 30, "capital": 42, "plural": 42,
                     "past-tense": 30, "comparative": 12}
    assert ("king", "man", "queen", "woman") in dict(world_of(make).analogies)["royalty"]


@pytest.mark.parametrize("make", WORLDS)
def test_every_word_of_an_analogy_or_a_pair_is_in_the_text(make):
    world = world_of(make)
    named = {word for _, questions in world.analogies for q in questions for word in q}
    named |= {word for v, w, _ in world.pairs for word in (v, w)}
    named |= {stem for _, stem in world.held_out}
    assert named <= set(world.words)


def test_pairs_are_scored_by_their_shared_attributes():
    score = {(v, w): s for v, w, s in world_of(easy).pairs}
    assert score["king", "queen"] == 10 * 3 / 5                  # shared: family, adult, court
    assert score["king", "daughter"] == 10 * 1 / 7               # shared: family
    assert score["paris", "france"] == 10 * 2 / 4
    assert 0 in score.values() and len(score) == len(world_of(easy).pairs) == 614


def test_the_held_out_forms_are_never_in_a_text_and_their_stems_are():
    world = world_of(easy)
    assert dict(world.held_out) == {"rabbits": "rabbit", "squirrels": "squirrel",
                                    "whistled": "whistles", "juggled": "juggles", "louder": "loud"}
    assert not HELD_OUT & set(world.words)


def test_the_attributes_with_words_are_the_attributes_of_the_tables():
    used = {attribute for table in TABLES.values() for attribute in table.columns}
    used |= {a for table in TABLES.values() for row in table.rows for a in row.split()[2:]}
    assert used == set(ATTRIBUTES)


@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("window", [1, 5])
def test_both_pairs_of_an_analogy_have_the_same_difference_of_P_c_given_w(make, window):
    world = world_of(make)
    P = pair_distribution(world.grammar, window)
    P = P / P.sum(1, keepdims=True)                              # P(c | w)
    index = {word: i for i, word in enumerate(world.words)}
    a, b, c, d = (np.array([index[q[i]] for _, questions in world.analogies for q in questions])
                  for i in range(4))
    bound = 2 * gamma_of(world) * (P[a] + P[b] + P[c] + P[d])
    assert (np.abs((P[a] - P[b]) - (P[c] - P[d])) <= bound).all()
    finite = (P[a] > 0) & (P[b] > 0) & (P[c] > 0) & (P[d] > 0)
    log = np.log(P, where=P > 0, out=np.zeros_like(P))
    if make is easy:                                             # with noise log P differs
        assert (np.abs((log[a] - log[b]) - (log[c] - log[d]))[finite] <= 9 * gamma_of(world)).all()


@pytest.mark.parametrize("make", [easy, hard])
def test_the_exact_ppmi_solves_every_analogy(make):
    P = pair_distribution(world_of(make).grammar, 5)
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(np.log(P / np.outer(P.sum(1), P.sum(0))), 0)
    assert share_solved(ppmi, world_of(make)) == 1.0


@pytest.mark.parametrize("make", [easy, hard])
def test_random_vectors_solve_almost_no_analogy(make):
    world = world_of(make)
    shares = [share_solved(rng(s).standard_normal((len(world.words), 50)), world) for s in range(5)]
    assert max(shares) < 0.05


def test_gensim_solves_every_easy_analogy():
    word2vec = pytest.importorskip("gensim.models").Word2Vec
    assert gensim_share(word2vec, world_of(easy), seed=1, epochs=5) == 1.0


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_gensim_solves_every_easy_analogy_but_not_every_hard_analogy(seed):
    word2vec = pytest.importorskip("gensim.models").Word2Vec
    assert gensim_share(word2vec, world_of(easy), seed, epochs=5) == 1.0
    assert 0.5 < gensim_share(word2vec, world_of(hard), seed, epochs=10) < 0.95


def gensim_share(word2vec, world, seed, epochs):
    model = word2vec(world.sentences, vector_size=50, window=5, min_count=1, sg=1, negative=5,
                     sample=0, epochs=epochs, workers=1, seed=seed)
    return share_solved(np.array([model.wv[word] for word in world.words]), world)


# ---- P(w, c) ------------------------------------------------------------------------------------

def test_if_every_word_is_noise_all_pairs_are_equally_likely():
    world = tiny(sentences=1, noise=1.0)
    P = pair_distribution(world.grammar, 3)
    np.testing.assert_allclose(P, 1 / len(P) ** 2, rtol=2 * gamma_of(world))


@pytest.mark.parametrize("make", WORLDS)
def test_the_distribution_is_symmetric_and_sums_to_1(make):
    P = pair_distribution(world_of(make).grammar, 5)
    np.testing.assert_array_equal(P, P.T)
    assert P.shape == (len(world_of(make).words),) * 2 and (P >= 0).all()
    assert abs(P.sum() - 1) <= gamma_of(world_of(make))


def test_in_the_tiny_world_every_pair_occurs():
    # in 20,000 sentences with window 5 the rarest pair has an expected count of 121
    world = world_of(tiny)
    assert len(world.words) == 41
    assert 20_000 * expected_cooccurrence(world.grammar, np.arange(5, 0, -1) / 5).min() > 100


# ---- the files, and errors ----------------------------------------------------------------------

def test_the_written_files_have_the_text_the_analogies_and_the_pairs(tmp_path):
    write(tmp_path, seed=1)
    world = easy(1)
    text = (tmp_path / "words-easy.txt").read_bytes()
    assert [line.split() for line in text.decode().splitlines()] == world.sentences
    assert text.endswith(b"\n") and b"\r" not in text

    sections = (tmp_path / "words-easy.analogies.txt").read_text().split(": ")[1:]
    read = [(lines[0], [tuple(line.split()) for line in lines[1:]])
            for lines in (section.splitlines() for section in sections)]
    assert read == world.analogies

    rows = (tmp_path / "words-easy.pairs.tsv").read_text().splitlines()
    assert rows[0].startswith("# ")
    assert [(v, w, float(s)) for v, w, s in (row.split("\t") for row in rows[1:])] == [
        (v, w, round(s, 2)) for v, w, s in world.pairs]


@pytest.mark.parametrize("call, message", [
    (lambda: easy(sentences=0), "sentences=0: expected a whole number, 1 to"),
    (lambda: hard(noise=1.5), "noise=1.5: expected a finite number, from 0 to 1"),
    (lambda: hard(fillers=-1), "fillers=-1: expected a finite number, at least 0"),
])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()
