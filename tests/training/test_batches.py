"""Batches and chunks: no example twice in an epoch; a resumed run sees the same batches."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.training.batches import batches, chunks, linear_decay


def test_batches_worked_by_hand():
    """7 examples, batch size 2: an epoch has three batches and leaves out one example."""
    found = list(batches(7, 2, 8, seed=0))
    assert [step for step, _ in found] == list(range(1, 9))
    epochs = [np.concatenate([batch for _, batch in found[3 * e:3 * e + 3]]) for e in range(2)]
    assert all(len(set(epoch)) == 6 for epoch in epochs) and (epochs[0] != epochs[1]).any()


@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 40), st.integers(0, 99), st.data())
def test_batches_are_full_and_do_not_depend_on_the_start_step(N, batch_size, steps, seed, data):
    found = list(batches(N, batch_size, steps, seed))
    assert [step for step, _ in found] == list(range(1, steps + 1))
    assert all(len(set(batch)) == min(batch_size, N) and 0 <= batch.min() <= batch.max() < N
               for _, batch in found)
    start = data.draw(st.integers(0, steps))
    resumed = batches(N, batch_size, steps, seed, start)
    for (step, batch), (resumed_step, resumed_batch) in zip(found[start:], resumed):
        assert step == resumed_step and (batch == resumed_batch).all()
    assert len(list(batches(N, batch_size, steps, seed, start))) == steps - start


@pytest.mark.parametrize("N, batch_size", [(0, 3), (3, 0), (3, -1)])
def test_no_examples_and_an_empty_batch_are_rejected(N, batch_size):
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        next(batches(N, batch_size, 5, 0))


def test_chunks_worked_by_hand():
    """Sentences of 2, 3, 1 and 4 words in text order, about four words per chunk."""
    offsets = np.array([0, 2, 5, 6, 10])
    found = [(chunk.number, chunk.before, chunk.sentences.tolist(), chunk.words)
             for chunk in chunks(offsets, 0, 1, size=4, shuffle=False)]
    assert found == [(0, 0, [0, 1], 5), (1, 5, [2, 3], 5)]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 3), st.integers(0, 99),
       st.integers(1, 40), st.booleans())
def test_every_sentence_is_in_exactly_one_chunk_of_an_epoch(lengths, epoch, seed, chunk_size,
                                                            shuffle):
    offsets = np.cumsum([0, *lengths])
    found = list(chunks(offsets, epoch, seed, chunk_size, shuffle))
    order = np.concatenate([chunk.sentences for chunk in found])
    assert sorted(order) == list(range(len(lengths))) and (shuffle or (np.diff(order) == 1).all())
    assert [chunk.number for chunk in found] == list(range(len(found)))
    before = 0
    for chunk in found:
        assert chunk.before == before and chunk.epoch == epoch
        assert chunk.words == sum(lengths[s] for s in chunk.sentences)
        before += chunk.words
    assert before == offsets[-1]


def test_sentences_are_shuffled_within_blocks():
    """200,000 sentences are four blocks of at most 65,536: the blocks come one after another."""
    found = np.concatenate([chunk.sentences for chunk in chunks(np.arange(200_001), 0, 1, 1000)])
    block = found // (1 << 16)
    assert len(set(found)) == 200_000 and (np.diff(block) != 0).sum() == 3
    assert (np.diff(found) != 1).mean() > 0.99


def test_the_learning_rate_falls_linearly_to_its_smallest_value():
    assert [linear_decay(0.4, done) for done in (0, 0.25, 1)] == [0.4, 0.30000000000000004, 0]
    assert linear_decay(0.4, 0.99995, 1e-4) == linear_decay(0.4, 1, 1e-4) == 0.4e-4
