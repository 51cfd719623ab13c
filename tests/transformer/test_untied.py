"""An untied masked-LM head has its own decoder matrix instead of the embedding table."""
import numpy as np

from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.params import init_params
from scratch_embed.text.packed import pack
from scratch_embed.transformer.bert import (
    DECODER,
    TABLE,
    Config,
    head_tensors,
    mlm_head,
    tensors,
)
from scratch_embed.transformer.masked_lm import Masking, train

CONFIG = Config(vocab=11, dim=4, layers=1, heads=2, ff=6, positions=8, types=1)


def parameters(tied, dtype=np.float64):
    return init_params(tensors(CONFIG, std=1.0) | head_tensors(CONFIG, tied, std=1.0), 1, dtype)


def test_the_untied_head_has_one_more_tensor_and_the_others_are_equal():
    tied, untied = parameters(True), parameters(False)
    assert set(untied) - set(tied) == {DECODER} and untied[DECODER].shape == untied[TABLE].shape
    for name in tied:
        np.testing.assert_array_equal(tied[name], untied[name])


def test_with_equal_tables_both_heads_give_the_same_logits():
    x = np.random.default_rng(0).standard_normal((3, 4))
    tied, untied = parameters(True), parameters(False)
    untied[DECODER][...] = untied[TABLE]
    np.testing.assert_array_equal(mlm_head(x, tied, CONFIG)[0], mlm_head(x, untied, CONFIG)[0])


def test_only_the_table_that_computes_the_logits_gets_a_gradient():
    x = np.random.default_rng(2).standard_normal((3, 4))
    for tied, used, other in ((True, TABLE, None), (False, DECODER, TABLE)):
        p = parameters(tied)
        check_parameters(lambda x, p: mlm_head(x, p, CONFIG), x, p)
        g = p.like()
        mlm_head(x, p, CONFIG)[1](np.ones((3, 11)), g)
        assert g[used].any() and (other is None or not g[other].any())


def test_training_changes_the_untied_decoder():
    corpus = pack(np.random.default_rng(3).integers(3, 11, (20, 5)))
    p = parameters(False, np.float32)
    before = p[DECODER].copy()
    trained_params = train(corpus, CONFIG, Masking(2, (0, 1)), steps=3, batch_size=4, p=p).model.p
    assert np.isfinite(trained_params.flat).all() and (trained_params[DECODER] != before).any()
