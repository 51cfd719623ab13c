"""A model that knows what words mean solves each task from its texts: the upper bound."""
from collections import Counter
from functools import cache

import numpy as np
import pytest

from scratch_embed.worlds.bounds import chance_average_precision
from scratch_embed.worlds.facts import NAMES, WORDS, facts
from scratch_embed.worlds.labelled import LABELS, TOPICS, texts
from scratch_embed.worlds.second_language import bitext
from scratch_embed.worlds.taxonomy import PATHS
from scratch_embed.worlds.toy_mteb import change, most_frequent, toy_mteb

VALUE_OF = {word: (slot, value) for slot, values in enumerate(WORDS)
            for value, words in enumerate(values) for word in words}


@cache
def toy(seed=0):
    return toy_mteb(seed)


@cache
def tasks():
    return {task.name: task for task in toy().tasks}


def read(text):
    """What a text says: a set of (slot, value) for each of its sentences."""
    return [{VALUE_OF[word] for word in sentence.split() if word in VALUE_OF}
            for sentence in text.split(" . ")]


def same(one, other):
    """In how many slots two sentences agree."""
    return len(read(one)[0] & read(other)[0])


# ---- all of them --------------------------------------------------------------------------------

def test_there_is_a_task_of_every_type():
    types = Counter(type(task).__name__ for task in toy().tasks)
    assert types == {"Retrieval": 3, "InstructionRetrieval": 1, "Reranking": 1, "STS": 1,
                     "PairClassification": 1, "Classification": 2, "MultilabelClassification": 1,
                     "Clustering": 1, "BitextMining": 1, "Summarization": 1}
    assert len(tasks()) == 13


def test_the_upper_bound_is_1_without_wrong_labels_and_chance_is_far_below_it():
    for task in toy().tasks:
        assert task.upper_bound == 1.0 or task.name == "ToyReviews"
        assert 0 <= task.chance < 0.55 * task.upper_bound


def test_the_same_seed_makes_the_same_tasks_and_its_reports_are_those_of_the_world():
    assert repr(toy_mteb(0)) == repr(toy())
    assert tasks()["ToyFacts"].queries == facts(0).queries != facts(1).queries
    names = [task.name for task in toy(1).tasks if repr(task) == repr(tasks()[task.name])]
    assert not names, "these do not depend on the seed"
    assert toy(1).tasks[11].sentence2 == bitext(1, prototypes=facts(1).prototypes).foreign


def texts_of(task):
    """All texts that an encoder is given, without instructions."""
    kind = type(task).__name__
    if kind in ("Retrieval", "InstructionRetrieval", "Reranking"):
        return [*task.corpus.values(), *task.queries.values()]
    if kind in ("Classification", "MultilabelClassification"):
        return task.train.text + task.test.text
    if kind == "Clustering":
        return task.sentences
    if kind == "Summarization":
        return task.text + sum(task.human_summaries + task.machine_summaries, [])
    return task.sentence1 + task.sentence2


def test_there_are_about_16_000_texts():
    assert round(sum(len(texts_of(task)) for task in toy().tasks), -3) == 16_000


def test_every_word_of_a_task_except_codes_is_in_the_training_text():
    known = {word for sentence in toy().text for word in sentence} | {"."}
    for task in toy().tasks:
        new = {word for text in texts_of(task) for word in text.split()} - known
        if task.name == "ToyCodes":
            assert {word for word in new if word[-1].isdigit()} >= new - {",", "file", "open"}
            assert not any(word[-1].isdigit() for word in known)
        else:
            assert not new, (task.name, new)


# ---- searching ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["ToyFacts", "ToyCodes", "ToyBindings", "ToyInstructions"])
def test_the_qrels_are_about_the_queries_and_documents_and_each_query_has_an_answer(name):
    task = tasks()[name]
    assert set(task.relevant_docs) == set(task.queries)
    for gains in task.relevant_docs.values():
        assert gains and set(gains) <= set(task.corpus) and set(gains.values()) <= {1, 2}
    if name == "ToyInstructions":
        assert set(task.instructions) == set(task.queries)


def test_the_candidates_to_rerank_agree_in_three_slots_or_in_two():
    task = tasks()["ToyReranking"]
    assert len(task.queries) == 100 and set(task.relevant_docs) == set(task.queries)
    places = Counter()
    for query, candidates in task.top_ranked.items():
        assert len(set(candidates)) == len(candidates) == 20 and set(candidates) <= set(task.corpus)
        agree = {d: same(task.queries[query], task.corpus[d]) for d in candidates}
        assert Counter(agree.values()) == {3: 4, 2: 16}
        assert task.relevant_docs[query] == {d: 1 for d, n in agree.items() if n == 3}
        places.update(i for i, d in enumerate(candidates) if agree[d] == 3)
    assert min(places[i] for i in range(20)) > 3                  # of 20 on average: no order
    assert task.chance == chance_average_precision(4, 20)


# ---- pairs --------------------------------------------------------------------------------------

def test_the_score_of_two_sentences_is_in_how_many_slots_they_agree():
    task = tasks()["ToySTS"]
    assert task.score == [same(*row) for row in zip(task.sentence1, task.sentence2, strict=True)]
    assert Counter(task.score) == {score: 100 for score in range(6)}


def test_paraphrases_agree_in_all_slots_and_the_others_in_all_but_one():
    task = tasks()["ToyParaphrases"]
    for one, other, label in zip(task.sentence1, task.sentence2, task.labels, strict=True):
        assert same(one, other) == (5 if label else 4)
    assert sum(task.labels) == 300 and len(task.labels) == 600


def test_a_change_is_always_to_another_value():
    rng = np.random.Generator(np.random.PCG64(0))
    seen = [change((0, 1, 2, 3, 4), [1, 4], rng) for _ in range(400)]
    assert {fact[:1] + fact[2:4] for fact in seen} == {(0, 2, 3)}
    assert {fact[1] for fact in seen} == set(range(8)) - {1}
    assert {fact[4] for fact in seen} == set(range(8)) - {4}


def test_a_translation_is_found_by_its_pattern_of_letters():
    """Letters exchanged one for one leave which letters are equal: reversed, patterns agree."""
    task = tasks()["ToyBitext"]

    def pattern(words):
        first = {}
        return tuple(first.setdefault(letter, len(first)) for letter in " ".join(words))
    english = [pattern(text.split()) for text in task.sentence1]
    assert english == [pattern(text.split()[::-1]) for text in task.sentence2]
    assert len(set(english)) == len(english) == 500 and task.chance == 1 / 500


# ---- labels -------------------------------------------------------------------------------------

def test_a_text_of_ToyPlaces_is_labelled_by_its_place():
    slot = NAMES.index("place")
    for part, size in zip(tasks()["ToyPlaces"][1:3], (300, 600)):
        assert len(part.text) == len(part.label) == size and len(set(part.label)) == 8
        for text, label in zip(part.text, part.label):
            assert dict(read(text)[0])[slot] == VALUE_OF[label][1]


def test_the_upper_bound_of_ToyReviews_is_the_share_of_right_labels():
    task, tells = tasks()["ToyReviews"], {text.words: text.label for _, text in texts()}
    right = [tells[text] == label for text, label in zip(task.test.text, task.test.label)]
    assert np.mean(right) == task.upper_bound and 0.9 < task.upper_bound < 1
    assert set(task.train.label) == set(LABELS) and len(LABELS) == 2 * len(TOPICS)


def test_a_story_of_ToyPeople_bears_all_its_people_and_no_other():
    slot, sizes = NAMES.index("who"), Counter()
    for part in tasks()["ToyPeople"][1:3]:
        for text, labels in zip(part.text, part.label, strict=True):
            sizes[len(labels)] += 1
            assert labels == sorted(set(labels))
            assert {dict(told)[slot] for told in read(text)} == {VALUE_OF[x][1] for x in labels}
    assert set(sizes) == {1, 2, 3} and min(sizes.values()) > 200


def test_train_and_test_texts_share_at_most_two_synonyms_of_four():
    for name in ("ToyPlaces", "ToyPeople"):
        task = tasks()[name]
        for of, part in zip(({0, 1, 2}, {1, 2, 3}), task[1:3]):
            words = {word for text in part.text for word in text.split()}
            assert {i for values in WORDS for some in values for i in range(4)
                    if some[i] in words} == of


def test_texts_of_the_tree_are_clustered_by_realm_and_by_family():
    family_of = {kind: [realm, family] for realm, family, kind in PATHS}
    task = tasks()["ToyTaxonomy"]
    for text, label in zip(task.sentences, task.labels, strict=True):
        kind, = set(text.split()) & set(family_of)
        assert label == family_of[kind]


def test_the_most_frequent_label():
    assert most_frequent(["a", "b", "a", "c"]) == 0.5
    assert most_frequent([["a"], ["a", "b"], ["a"]]) == 2 / 3


# ---- summaries ----------------------------------------------------------------------------------

def test_a_summary_is_rated_by_how_many_facts_it_tells_as_the_text_does():
    task = tasks()["ToySummaries"]
    for text, human, machine, ratings in zip(*task[1:5], strict=True):
        told = read(text)
        assert len(told) == 4 and all(read(summary) == told for summary in human)
        assert sorted(ratings) == [0, 1, 2, 3, 4]
        for summary, rating in zip(machine, ratings, strict=True):
            agree = [len(a & b) for a, b in zip(told, read(summary), strict=True)]
            assert Counter(agree) == Counter({5: rating, 0: 4 - rating} if 0 < rating < 4 else
                                             {5 if rating else 0: 4})
