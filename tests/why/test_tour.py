"""The tour measures what it says: its questions about unknown words, and why GloVe fails."""
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


def test_the_forms_are_those_that_no_text_held(text):
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
        assert only == form.stem                                   # nothing else keeps it company


def sentences_with(text, words):
    ids = {text.vocab.index[word] for word in words}
    for first, end in zip(text.corpus.offsets, text.corpus.offsets[1:]):
        sentence = text.corpus.ids[first:end].tolist()
        if not ids.isdisjoint(sentence):
            yield [text.vocab.words[i] for i in sentence]


def vectors_where(text, place):
    """Random vectors, but for some words: place(form) -> {word: vector}."""
    table = random_vectors(text)
    rows = table.vectors.copy()
    for form in held_out_forms():
        for word, vector in place(form, table).items():
            rows[table.key_to_index[word]] = vector
    return WordVectors(table.index_to_key, rows)


@pytest.mark.parametrize("question, place", [
    ("stem", lambda form, v: {form.word: 2 * v[form.stem]}),
    ("context", lambda form, v: {form.word: v[sorted(form.context)[0]]}),
    ("analogy", lambda form, v: {form.word: v[form.stem] + 9, **{
        right: v[left] + 9 for left, right in form.rows}}),
    ("number", lambda form, v: {form.word: sum(
        (v[right] - v[left]) * (-1 if share_ngrams(form.word, left, right) else 1)
        for left, right in form.rows)})])
def test_each_question_is_answered_by_vectors_made_to_answer_it(question, place, text):
    """And by random ones it is not, but for number: a coin."""
    asked = list(TASKS).index(question)
    assert task_scores(vectors_where(text, place))[asked] == 100
    by_chance = np.mean([task_scores(random_vectors(text._replace(seed=seed)))[asked]
                         for seed in range(10)])
    assert 35 < by_chance < 65 if question == "number" else by_chance < 15


def test_number_is_asked_of_the_form_and_not_of_its_stem(text):
    """It is near all of its kind, but nearer to the others."""
    def place(form, v):
        one, many = (v[word] for word in form.rows[0])
        lefts, rights = zip(*form.rows)
        return {form.word: many + 3 * one, **dict.fromkeys(lefts, one),
                **dict.fromkeys(rights, many)}
    assert task_scores(vectors_where(text, place))[list(TASKS).index("number")] == 0


def test_number_is_asked_only_where_no_n_gram_tells():
    assert share_ngrams("rabbits", "cats", "cat")                  # ts>
    assert not share_ngrams("rabbits", "mice", "mouse")
    assert share_ngrams("whistled", "baked", "bakes") and not share_ngrams("whistled", "sang")
    for form in held_out_forms():
        if form.word != "louder":                                  # all its rows end in er>
            assert any(not share_ngrams(form.word, *row) for row in form.rows)


def test_each_answer_stands_with_its_seed(text):
    corpus = text.corpus._replace(offsets=text.corpus.offsets[:500])
    texts = [text._replace(corpus=corpus, seed=seed) for seed in (3, 1, 2)]
    found = score_unknown_words(texts)["random"]
    np.testing.assert_array_equal(found, [task_scores(random_vectors(t)) for t in texts])


def test_every_method_gives_a_vector_a_word(text):
    small = Text(text.vocab, text.corpus._replace(offsets=text.corpus.offsets[:500]), [], 1)
    shapes = {method(small).shape for method in METHODS.values()}
    assert shapes == {(len(text.vocab), 50)}


def test_glove_learns_what_it_did_not_when_every_pair_meets():
    """The same world, without and with a tenth of its words replaced; nothing else is changed."""
    solved, meet = [], []
    for noise in (0, 0.1):
        world = hard(0, sentences=12_000, fillers=0, noise=noise)
        vocab, corpus = index_sentences(world.sentences, min_count=1)
        sections = [Section(*section) for section in world.analogies]
        toy = Text(vocab, corpus, sections, 1)
        solved.append(score_analogies(vocab.index, glove_words(toy), sections).overall.accuracy)
        meet.append(cooccurring_pairs(toy))
    assert meet[0] < 0.2 and meet[1] > 0.7
    assert solved[0] < 0.5 and solved[1] > 0.75
