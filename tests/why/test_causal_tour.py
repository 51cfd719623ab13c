"""The tour on causal models: which token has read what, and where the sense of a word is."""
import numpy as np
import pytest

from scratch_embed.text.packed import pack
from scratch_embed.why.causal_tour import (
    BERT_WORD,
    GPT_END,
    GPT_LAST,
    GPT_MEAN,
    GPT_WORD,
    SIZES,
    new_gpt,
    pairs,
    sense_accuracies,
    sentence_scores,
    states,
)
from scratch_embed.why.contextual_tour import UPPER_BOUND, train_bert
from scratch_embed.worlds.senses import LENGTH


@pytest.fixture(scope="module")
def known():
    return train_bert(1, sentences=400, steps=1)


def test_a_pair_is_two_sentences_about_one_topic(known):
    """Each sentence of the text is in one pair, but for the odd one of a topic."""
    topic_of = {}
    for world in known.parts.values():
        for sentence, topic in zip(world.sentences, world.topics):
            topic_of.setdefault(tuple(sentence), set()).add(topic)
    found = pairs(known)
    words = [known.tokenizer.id_to_token(id) for id in found.ids]
    rows = np.array(words).reshape(-1, 2 * LENGTH + 3)
    assert set(rows[:, 0]) == {"[CLS]"} and set(rows[:, [LENGTH + 1, -1]].ravel()) == {"[SEP]"}
    for row in rows[::7]:
        first, second = tuple(row[1:LENGTH + 1]), tuple(row[LENGTH + 2:-1])
        assert topic_of[first] & topic_of[second]
    assert 1200 - 12 <= 2 * len(rows) <= 1200


def test_the_states_of_a_sentence_are_repeated_for_each_of_its_words():
    gpt = new_gpt(20, SIZES, seed=3)
    ids = np.random.default_rng(0).integers(0, 20, (3, LENGTH + 2))
    found = states(pack(ids), gpt)
    for n, row in enumerate(ids):
        x, part = gpt.infer(pack([row])), slice(n * LENGTH, (n + 1) * LENGTH)
        for name, expected in {GPT_WORD: x[1:-1], GPT_LAST: x[-2], GPT_END: x[-1],
                               GPT_MEAN: x[1:-1].mean(axis=0)}.items():
            np.testing.assert_allclose(found[name][part], np.broadcast_to(expected, (LENGTH, 64)),
                                       atol=1e-5)


@pytest.mark.parametrize("steps", [1, pytest.param(1000, marks=pytest.mark.campaign)])
def test_a_causal_state_is_at_chance_if_the_cue_is_behind_and_the_end_token_is_not(known, steps):
    """After one step too: attention with initial weights is a mean of the tokens before."""
    if steps > 1:
        known = train_bert(1)
    scores = sense_accuracies(known, steps=steps)
    _, _, at_word = scores[GPT_WORD]
    _, _, at_end = scores[GPT_END]
    assert 35 < at_word < 65 and at_end > (80 if steps == 1 else 98)
    assert scores["upper bound, left context"][2] == 50 and scores[UPPER_BOUND][2] == 100
    if steps > 1:
        assert scores[BERT_WORD].min() > 98 and scores[GPT_WORD][1] > 90


def test_every_pooling_is_scored_beside_the_untrained_model():
    scores = sentence_scores(1, documents=60, sentences=150, steps=2)
    for pool in "mean", "weighted", "last token":
        assert scores[f"GPT, {pool}"].shape == (2,)
        assert (scores[f"GPT, {pool}"] != scores[f"untrained, {pool}"]).any()
    assert scores["word2vec, mean"][0] > scores["random vectors"][0]
