"""E5-Mistral: instructions on queries only, the end token, LoRA, and folders with prompts."""
import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import e5_mistral
from scratch_embed.sentences.e5_mistral import (
    Stage,
    end_token,
    require_end_token,
    views_of,
    with_end_token,
    with_last_token,
    with_merged,
)
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.text.tokenizer import NO_TEMPLATE, Part, Template
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.lora import Lora, lora_layers
from scratch_embed.transformer.mistral import Config, Mistral, head_tensors, tensors
from scratch_embed.transformer.pooling import last_token

WORDS = [f"{side}{n}" for side in "qp" for n in range(8)]
TOKENIZER = WordPiece([*SPECIAL, "instruct", "query", ":", "deed", "place", *WORDS])
END = TOKENIZER.index["[SEP]"]
CONFIG = Config(len(TOKENIZER), dim=8, layers=2, heads=2, kv_heads=1, head_dim=4, ff=8,
                positions=12)
TINY = Stage(steps=3, batch_size=4, optim=Optim(lr=0.05, weight_decay=0.0))
TEXTS = [[f"q{n}" for n in range(6)], [f"p{n}" for n in range(6)],
         [f"p{(n + 1) % 6}" for n in range(6)]]
TASKS = ["deed", "place"] * 3


def encoder_of(tokenizer=TOKENIZER, **recipe):
    declared = tensors(CONFIG, std=0.3) | head_tensors(CONFIG)
    return SentenceEncoder(tokenizer, Mistral(CONFIG, init_params(declared, 1)),
                           Recipe(**{"max_seq_length": 12, **recipe}))


def with_template(*parts):
    """TOKENIZER with other special tokens: a template of ids, and None for the text."""
    single = tuple(Part(0, (), 0) if id is None else Part(None, (id,), 0) for id in parts)
    return WordPiece(TOKENIZER.pieces, template=Template(single, NO_TEMPLATE.pair))


# ---- the end token -------------------------------------------------------------------------------

def test_every_text_ends_with_the_end_token_also_a_truncated_one():
    encoder = encoder_of(max_seq_length=4)
    assert require_end_token(encoder) == end_token(encoder) == END
    for text in ("", "q1", "q1 q2", "q1 q2 q3 q4 q5"):
        ids = encoder.tokenize([text]).ids
        assert ids[-1] == END and len(ids) <= 4


@pytest.mark.parametrize("tokenizer", [
    WordPiece(TOKENIZER.pieces, template=NO_TEMPLATE), with_template(2, None),
    with_template(END, None)], ids=["no special tokens", "[CLS] only", "at the beginning"])
def test_a_tokenizer_without_an_end_token_is_refused(tokenizer):
    encoder = encoder_of(tokenizer)
    assert end_token(encoder) is None
    for use in (require_end_token, with_last_token,
                lambda encoder: e5_mistral.train(TASKS, TEXTS, encoder, stage=TINY)):
        with pytest.raises(ValueError, match="expected one that ends every text with the same"):
            use(encoder)


def test_another_tokenizer_that_has_no_eos_token_to_append_is_left_as_it_is():
    class Bare:
        """The two methods that an encoder needs."""

        def __init__(self, tokenizer):
            self.encode, self.encode_batch = tokenizer.encode, tokenizer.encode_batch
    for tokenizer in Bare(with_template(2, None)), with_template(2, None):
        encoder = encoder_of(tokenizer)
        assert with_end_token(encoder) is encoder and end_token(encoder) is None


def test_the_end_token_alone_is_enough():
    assert end_token(encoder_of(with_template(None, END))) == END


def test_a_texts_vector_is_that_of_its_end_token():
    encoder = with_last_token(encoder_of())
    ids = encoder.tokenize(["q1 q2 q3"])
    x = encoder.model.infer(ids)[-1]
    np.testing.assert_allclose(encoder.encode("q1 q2 q3"), x / np.linalg.norm(x), rtol=0, atol=1e-6)


# ---- instructions --------------------------------------------------------------------------------

def test_an_instruction_stands_before_the_query_and_not_before_passages():
    encoder = with_last_token(encoder_of())
    queries, passages = views_of(encoder, ["deed"], [["q1"], ["p1"]])
    assert encoder.tokenizer.decode(queries.texts.ids, False).split() == [
        "[CLS]", "instruct", ":", "deed", "query", ":", "q1", "[SEP]"]
    assert encoder.tokenizer.decode(passages.texts.ids, False).split() == ["[CLS]", "p1", "[SEP]"]


def test_prompts_are_the_instructions_by_name():
    encoder = with_last_token(encoder_of(), {"web": "place"})
    assert encoder.recipe.prompts == {"web": "Instruct: place\nQuery: "}
    by_name, by_hand = encoder.encode("q1", prompt_name="web"), encoder.encode(
        "Instruct: place\nQuery: q1")
    np.testing.assert_array_equal(by_name, by_hand)
    assert with_last_token(encoder).recipe.prompts == encoder.recipe.prompts


def test_an_instruction_that_leaves_no_room_for_a_query_is_refused():
    """With 6 tokens every query would become [CLS] instruct : deed query [SEP]."""
    with pytest.raises(ValueError, match="prompt: expected fewer than max_seq_length=6 tokens"):
        e5_mistral.train(TASKS, TEXTS, encoder_of(max_seq_length=6), stage=TINY)


def test_each_query_needs_an_instruction():
    with pytest.raises(ValueError):
        views_of(with_last_token(encoder_of()), TASKS[:-1], TEXTS)


# ---- training ------------------------------------------------------------------------------------

def test_lora_trains_its_matrices_and_leaves_the_decoder_as_it_was():
    start = encoder_of()
    before = start.model.p.flat.copy()
    trained = e5_mistral.train(TASKS, TEXTS, start, Lora(2, 4.0), stage=TINY)
    model = trained.encoder.model
    np.testing.assert_array_equal(start.model.p.flat, before)
    np.testing.assert_array_equal(model.p["layers.0.attn.q.weight"],
                                  start.model.p["layers.0.attn.q.weight"])
    assert len(lora_layers(model.p)) == 14 and model.p.flat.any()
    assert model.p["layers.1.mlp.down.lora_b"].any() and "lm_head.weight" not in model.p
    assert trained.encoder.recipe.poolings == (last_token,)
    assert len(trained.p.flat) == sum(2 * (O + I) for O, I in (
        (8, 8), (4, 8), (4, 8), (8, 8), (8, 8), (8, 8), (8, 8))) * 2


def test_without_lora_everything_is_trained():
    trained = e5_mistral.train(TASKS, TEXTS, encoder_of(), None, stage=TINY)
    assert trained.p.flat.size == sum(np.prod(t.shape) for t in tensors(CONFIG).values())
    assert not lora_layers(trained.encoder.model.p)


def test_at_a_learning_rate_of_zero_the_vectors_are_those_of_the_start():
    start = with_last_token(encoder_of())
    trained = e5_mistral.train(TASKS, TEXTS, start, stage=TINY._replace(
        optim=Optim(lr=0.0, weight_decay=0.0)))
    np.testing.assert_array_equal(trained.encoder.encode(TEXTS[0]), start.encode(TEXTS[0]))


def test_training_lowers_the_loss_of_the_training_texts():
    trained = e5_mistral.train(TASKS, TEXTS, encoder_of(), Lora(4, 8.0), tau=0.1,
                               stage=TINY._replace(steps=60, batch_size=6))
    assert trained.losses[-1] < trained.losses[0] / 2


def test_the_merged_encoder_has_the_same_vectors():
    trained = e5_mistral.train(TASKS, TEXTS, with_last_token(encoder_of(), {"query": "deed"}),
                               Lora(2, 4.0), stage=TINY).encoder
    merged = with_merged(trained)
    np.testing.assert_allclose(merged.encode(TEXTS[1]), trained.encode(TEXTS[1]), rtol=0, atol=1e-6)
    assert not lora_layers(merged.model.p) and merged.recipe == trained.recipe


# ---- folders -------------------------------------------------------------------------------------

def test_sentence_transformers_loads_the_folder_and_gets_the_same_vectors(tmp_path):
    """Queries by the prompt's name, passages without a prompt, texts that are truncated."""
    st = pytest.importorskip("sentence_transformers")
    start = with_last_token(encoder_of(), {"query": "deed"})
    ours = with_merged(e5_mistral.train(TASKS, TEXTS, start, Lora(2, 4.0), stage=TINY).encoder)
    ours.save(tmp_path)
    theirs = st.SentenceTransformer(str(tmp_path), device="cpu")
    texts = ["q1", "q1 q2 q3", "p1 p2 p3 p4 p5 p6 p7 p0 q1 q2 q3 q4 q5", ""]
    for name in (None, "query"):
        np.testing.assert_allclose(ours.encode(texts, prompt_name=name),
                                   theirs.encode(texts, prompt_name=name), rtol=0, atol=1e-5)


def test_a_folder_of_sentence_transformers_in_the_form_of_e5_mistral(tmp_path):
    """Transformer, last-token Pooling, Normalize, and prompts, as its authors publish it."""
    st = pytest.importorskip("sentence_transformers")
    with_last_token(encoder_of()).save(tmp_path / "decoder")
    transformer = st.models.Transformer(str(tmp_path / "decoder"), max_seq_length=10)
    theirs = st.SentenceTransformer(
        modules=[transformer, st.models.Pooling(8, "lasttoken"), st.models.Normalize()],
        prompts={"web_search_query": "Instruct: place\nQuery: "}, device="cpu")
    theirs.save(str(tmp_path / "e5"))
    ours = SentenceEncoder.load(tmp_path / "e5")
    assert require_end_token(ours) == END and ours.recipe.poolings == (last_token,)
    texts = ["q1", "p1 p2 p3 p4 p5 p6 p7 p0 q1 q2"]
    for name in (None, "web_search_query"):
        np.testing.assert_allclose(ours.encode(texts, prompt_name=name),
                                   theirs.encode(texts, prompt_name=name), rtol=0, atol=1e-5)
