"""Senses found by the nearest mean; a small BERT learns to represent them by masked LM alone."""
import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Config
from scratch_embed.transformer.masked_lm import train
from scratch_embed.why.contexts import (
    masking,
    most_frequent_sense,
    packed,
    rows_of,
    sense_accuracy,
    states_of_words,
    whole_words,
)
from scratch_embed.why.contextual_tour import (
    AROUND,
    LEFT_ONLY,
    MODEL,
    PARTS,
    UNTRAINED,
    UPPER_BOUND,
    compute_states,
    same_word_cosines,
    sense_accuracies,
    train_bert,
    upper_bound,
)
from scratch_embed.worlds.senses import NAMES, Occurrence, Senses, senses

HAND = Senses([["bank", "cash"], ["river", "bank"], ["bank", "loan"], ["bank", "boat"]],
              ["money", "river", "money", "river"],
              [Occurrence(0, 0, "bank", "money"), Occurrence(1, 1, "bank", "river")],
              [Occurrence(2, 0, "bank", "money"), Occurrence(3, 0, "bank", "river")])


def test_the_nearest_mean_worked_by_hand():
    """Words 0 and 3 are for training, with states 0 and 10; words 4 and 6 are tested."""
    assert rows_of(HAND, HAND.train).tolist() == [0, 3]
    assert rows_of(HAND, HAND.test).tolist() == [4, 6]

    def accuracy(first, second):
        x = np.zeros((8, 1))
        x[[0, 3, 4, 6], 0] = 0, 10, first, second
        return sense_accuracy(HAND, x)
    assert accuracy(4, 6) == 1 and accuracy(6, 6) == 0.5 and accuracy(6, 4) == 0
    assert accuracy(5, 6) == 0.75                                  # a tie counts ½


def test_equal_states_have_accuracy_one_half_and_the_true_topic_has_accuracy_1():
    world = senses(1, 400)
    words = sum(map(len, world.sentences))
    assert sense_accuracy(world, np.full((words, 3), 0.1, np.float32)) == 0.5
    truth = np.repeat([NAMES.index(topic) for topic in world.topics], 9)[:, None].astype(float)
    assert sense_accuracy(world, truth) == 1
    assert 0.35 < most_frequent_sense(world) < 0.65
    assert sense_accuracy(world, np.random.default_rng(0).standard_normal((words, 3))) < 0.65


def test_words_are_not_split_and_their_states_are_in_text_order():
    known = train_bert(1, sentences=20, steps=1)
    sentence = ["bank", "money", "loan"]
    tokenizer = whole_words([sentence])
    batch = packed(tokenizer, [sentence, sentence[::-1]])
    assert [tokenizer.pieces[i] for i in batch.ids] == [
        "[CLS]", *sentence, "[SEP]", "[CLS]", *sentence[::-1], "[SEP]"]
    assert masking(tokenizer, share=0.3).share == 0.3
    world = known.parts["anywhere"]
    batch = packed(known.tokenizer, world.sentences)
    tables = states_of_words(batch, known.model)
    eighth = packed(known.tokenizer, world.sentences[7:8])          # 9 words per sentence
    for table, alone in zip(tables, states_of_words(eighth, known.model), strict=True):
        np.testing.assert_allclose(table[63:72], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.campaign)
                                       for seed in (2, 3))])
def test_the_last_layer_of_a_masked_LM_distinguishes_senses_and_its_embeddings_do_not(seed):
    world = senses(seed, 2000)
    tokenizer = whole_words(world.sentences)
    corpus, config = packed(tokenizer, world.sentences), Config(len(tokenizer), 32, 2, 2, 64, 11, 1)
    trained = train(corpus, config, masking(tokenizer), steps=600, batch_size=32,
                    optim=Optim(3e-3), dropout=0, options=RunOptions(seed=seed))
    accuracies = [sense_accuracy(world, x) for x in states_of_words(corpus, trained.model)]
    assert accuracies[0] < 0.65 and accuracies[2] > 0.9


def test_the_tours_table_has_baselines_and_upper_bounds():
    """BERT has only two training steps here; the baselines and bounds do not depend on it."""
    known = train_bert(1, sentences=300, steps=2)
    seen = compute_states(known)
    found = sense_accuracies(known, seen)
    assert all(row.shape == (len(PARTS),) for row in found.values())
    assert {MODEL, UNTRAINED, AROUND, UPPER_BOUND, LEFT_ONLY} < set(found)
    assert set(found["word2vec, its one vector"]) == {50}
    assert found[UPPER_BOUND][0] > 99 and upper_bound() > 99.99
    assert found[LEFT_ONLY][1:].tolist() == [100, 50]
    for sentence, other, cosine in same_word_cosines(known, seen):
        assert "bank" in sentence.split() and "bank" in other.split() and -1 <= cosine <= 1
