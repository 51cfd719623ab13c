"""The bi-encoder of the toy world: what it is trained on, and what training changes."""
import inspect

import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.why.learned import BI_ENCODER, ndcgs, start, train_bi_encoder
from scratch_embed.why.sentences import draw, score
from scratch_embed.worlds.training_pairs import fact_triplets


@pytest.fixture(scope="module")
def world():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratch_embed.why.sentences.PAIRS", 60)
        return draw(1, documents=60, sentences=150)


def test_every_setting_is_an_argument_of_the_training_or_of_its_loss():
    assert set(BI_ENCODER) <= {*inspect.signature(sbert.train).parameters, *Optim._fields, "tau"}


def test_training_on_pairs_improves_the_search_and_does_not_change_the_start(world):
    """Twenty steps; none of the queries is a training query."""
    before = start(world)
    weights = before.model.p.flat.copy()
    texts = fact_triplets(world.world, 300, seed=1)[:2]
    assert not set(texts[0]) & set(world.search.queries.values())
    after = train_bi_encoder(world, before, texts, steps=20, batch_size=64)
    np.testing.assert_array_equal(before.model.p.flat, weights)
    assert score(world, after.encode).ndcg > score(world, before.encode).ndcg + 10


def test_the_baselines_stand_beside_the_given_encoders(world):
    found = ndcgs(world, {"constant": lambda texts: np.ones((len(texts), 2))})
    assert list(found) == ["BM25", "word2vec, SIF", "untrained", "constant"]
    assert found["untrained"] == score(world, start(world).encode).ndcg
