"""The tasks on out-of-vocabulary words, and why GloVe fails on the easy text."""
import numpy as np
import pytest

from scratch_embed.evaluate.words import Section, score_analogies
from scratch_embed.text.vocab import index_sentences
from scratch_embed.why.ablations import Text
from scratch_embed.why.tour import (
    METHODS,
    TASKS,
    cooccurring_pairs,
    easy_text,
    glove_words,
    held_out_forms,
    random_vectors,
    score_unknown_words,
    share_ngrams,
    task_scores,
)
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.words import HELD_OUT, attributes_of, hard


@pytest.fixture(scope="module")
def text():
    return easy_text()


def test_held_out_forms_are_not_in_the_text_and_their_context_words_occur_only_with_the_stem(text):
    forms = {form.word: form for form in held_out_forms()}
    assert set(forms) == HELD_OUT and HELD_OUT.isdisjoint(text.vocab.words)
    rabbits = forms["rabbits"]
    assert rabbits.stem == "rabbit" and rabbits.context == {"burrow", "carrots"}
    assert ("mouse", "mice") in rabbits.rows and len(rabbits.rows) == 7
    for form in forms.values():
        known = {form.stem, *form.context, *(word for row in form.rows for word in row)}
        assert known <= set(text.vocab.words)
        (only,) = {word for sentence in sentences_with(text, form.context) for word in sentence
                   if word in attributes_of(["plural", "past-tense", "comparative"])}
        assert only == form.stem                                   # no other word of the tables


def sentences_with(text, words):
    """Yield the sentences that contain one of the words."""
    ids = {text.vocab.index[word] for word in words}
    for first, end in zip(text.corpus.offsets, text.corpus.offsets[1:]):
        sentence = text.corpus.ids[first:end].tolist()
        if not ids.isdisjoint(sentence):
            yield [text.vocab.words[i] for i in sentence]


def vectors_where(text, make):
    """Random vectors, some of them replaced: make(form, random vectors) -> {word: vector}."""
    table = random_vectors(text)
    rows = table.vectors.copy()
    for form in held_out_forms():
        for word, vector in make(form, table).items():
            rows[table.key_to_index[word]] = vector
    return WordVectors(table.index_to_key, rows)


@pytest.mark.parametrize("task, make", [
    ("stem", lambda form, v: {form.word: 2 * v[form.stem]}),
    ("context", lambda form, v: {form.word: v[sorted(form.context)[0]]}),
    ("analogy", lambda form, v: {form.word: v[form.stem] + 9, **{
        right: v[left] + 9 for left, right in form.rows}}),
    ("number", lambda form, v: {form.word: sum(
        (v[right] - v[left]) * (-1 if share_ngrams(form.word, left, right) else 1)
        for left, right in form.rows)})])
def test_each_task_is_solved_by_vectors_made_for_it_and_not_by_random_vectors(task, make, text):
    column = list(TASKS).index(task)
    assert task_scores(vectors_where(text, make))[column] == 100
    by_chance = np.mean([task_scores(random_vectors(text._replace(seed=seed)))[column]
                         for seed in range(10)])
    assert 35 < by_chance < 65 if task == "number" else by_chance < 15


def test_number_is_0_if_every_form_is_nearer_to_the_left_column(text):
    def make(form, v):
        left, right = (v[word] for word in form.rows[0])
        lefts, rights = zip(*form.rows)
        return {form.word: right + 3 * left, **dict.fromkeys(lefts, left),
                **dict.fromkeys(rights, right)}
    assert task_scores(vectors_where(text, make))[list(TASKS).index("number")] == 0


def test_every_form_except_louder_has_pairs_without_a_common_n_gram():
    assert share_ngrams("rabbits", "cats", "cat")                  # ts>
    assert not share_ngrams("rabbits", "mice", "mouse")
    assert share_ngrams("whistled", "baked", "bakes") and not share_ngrams("whistled", "sang")
    for form in held_out_forms():
        if form.word != "louder":                                  # all its pairs end in er>
            assert any(not share_ngrams(form.word, *row) for row in form.rows)


def test_the_scores_are_in_the_order_of_the_texts(text):
    corpus = text.corpus._replace(offsets=text.corpus.offsets[:500])
    texts = [text._replace(corpus=corpus, seed=seed) for seed in (3, 1, 2)]
    found = score_unknown_words(texts)["random"]
    np.testing.assert_array_equal(found, [task_scores(random_vectors(t)) for t in texts])


def test_every_method_gives_each_word_a_vector(text):
    small = Text(text.vocab, text.corpus._replace(offsets=text.corpus.offsets[:500]), [], 1)
    shapes = {method(small).shape for method in METHODS.values()}
    assert shapes == {(len(text.vocab), 50)}


def test_glove_solves_analogies_only_if_most_pairs_of_words_co_occur():
    """The hard world without fillers; the second time a tenth of its words is random."""
    solved, cooccurring = [], []
    for noise in (0, 0.1):
        world = hard(0, sentences=12_000, fillers=0, noise=noise)
        vocab, corpus = index_sentences(world.sentences, min_count=1)
        sections = [Section(*section) for section in world.analogies]
        toy = Text(vocab, corpus, sections, 1)
        solved.append(score_analogies(vocab.index, glove_words(toy), sections).overall.accuracy)
        cooccurring.append(cooccurring_pairs(toy))
    assert cooccurring[0] < 0.2 and cooccurring[1] > 0.7
    assert solved[0] < 0.5 and solved[1] > 0.75
