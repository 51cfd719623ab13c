"""The tasks of the toy MTEB: each gold answer follows from what the texts state."""
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
    """A set of (slot, value) for each sentence of a text."""
    return [{VALUE_OF[word] for word in sentence.split() if word in VALUE_OF}
            for sentence in text.split(" . ")]


def equal_slots(first, second):
    """The number of slots in which two sentences agree."""
    return len(read(first)[0] & read(second)[0])


# ---- all tasks ----------------------------------------------------------------------------------

def test_there_are_13_tasks_with_at_least_one_of_every_type():
    types = Counter(type(task).__name__ for task in toy().tasks)
    assert types == {"Retrieval": 3, "InstructionRetrieval": 1, "Reranking": 1, "STS": 1,
                     "PairClassification": 1, "Classification": 2, "MultilabelClassification": 1,
                     "Clustering": 1, "BitextMining": 1, "Summarization": 1}
    assert len(tasks()) == 13


def test_the_upper_bound_is_1_except_for_ToyReviews_and_chance_is_far_below_it():
    for task in toy().tasks:
        assert task.upper_bound == 1.0 or task.name == "ToyReviews"
        assert 0 <= task.chance < 0.55 * task.upper_bound


def test_a_seed_determines_all_tasks():
    assert repr(toy_mteb(0)) == repr(toy())
    assert tasks()["ToyFacts"].queries == facts(0).queries != facts(1).queries
    equal = [task.name for task in toy(1).tasks if repr(task) == repr(tasks()[task.name])]
    assert not equal, "these tasks do not depend on the seed"
    assert toy(1).tasks[11].sentence2 == bitext(1, prototypes=facts(1).prototypes).foreign


def texts_of(task):
    """All texts of a task that are encoded, without instructions."""
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


# ---- retrieval ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["ToyFacts", "ToyCodes", "ToyBindings", "ToyInstructions"])
def test_every_query_has_relevant_documents_of_the_corpus(name):
    task = tasks()[name]
    assert set(task.relevant_docs) == set(task.queries)
    for gains in task.relevant_docs.values():
        assert gains and set(gains) <= set(task.corpus) and set(gains.values()) <= {1, 2}
    if name == "ToyInstructions":
        assert set(task.instructions) == set(task.queries)


def test_reranking_candidates_match_in_three_slots_if_relevant_and_else_in_two():
    task = tasks()["ToyReranking"]
    assert len(task.queries) == 100 and set(task.relevant_docs) == set(task.queries)
    relevant_at = Counter()
    for query, candidates in task.top_ranked.items():
        assert len(set(candidates)) == len(candidates) == 20 and set(candidates) <= set(task.corpus)
        matches = {d: equal_slots(task.queries[query], task.corpus[d]) for d in candidates}
        assert Counter(matches.values()) == {3: 4, 2: 16}
        assert task.relevant_docs[query] == {d: 1 for d, n in matches.items() if n == 3}
        relevant_at.update(i for i, d in enumerate(candidates) if matches[d] == 3)
    assert min(relevant_at[i] for i in range(20)) > 3             # 20 on average: random order
    assert task.chance == chance_average_precision(4, 20)


# ---- pairs --------------------------------------------------------------------------------------

def test_the_STS_score_is_the_number_of_slots_that_agree():
    task = tasks()["ToySTS"]
    pairs = zip(task.sentence1, task.sentence2, strict=True)
    assert task.score == [equal_slots(*pair) for pair in pairs]
    assert Counter(task.score) == {score: 100 for score in range(6)}


def test_paraphrases_agree_in_all_5_slots_and_other_pairs_in_4():
    task = tasks()["ToyParaphrases"]
    for first, second, label in zip(task.sentence1, task.sentence2, task.labels, strict=True):
        assert equal_slots(first, second) == (5 if label else 4)
    assert sum(task.labels) == 300 and len(task.labels) == 600


def test_change_replaces_only_the_given_slots_and_always_by_another_value():
    rng = np.random.Generator(np.random.PCG64(0))
    changed = [change((0, 1, 2, 3, 4), [1, 4], rng) for _ in range(400)]
    assert {fact[:1] + fact[2:4] for fact in changed} == {(0, 2, 3)}
    assert {fact[1] for fact in changed} == set(range(8)) - {1}
    assert {fact[4] for fact in changed} == set(range(8)) - {4}


def test_each_translation_can_be_recognised_by_its_pattern_of_equal_letters():
    """In reverse word order it has the pattern of the sentence, and all 500 patterns differ."""
    task = tasks()["ToyBitext"]

    def pattern(words):                          # letters numbered by their first occurrence
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
    task, true_label = tasks()["ToyReviews"], {text.words: text.label for _, text in texts()}
    right = [true_label[text] == label for text, label in zip(task.test.text, task.test.label)]
    assert np.mean(right) == task.upper_bound and 0.9 < task.upper_bound < 1
    assert set(task.train.label) == set(LABELS) and len(LABELS) == 2 * len(TOPICS)


def test_the_labels_of_a_ToyPeople_story_are_the_people_in_it():
    slot, sizes = NAMES.index("who"), Counter()
    for part in tasks()["ToyPeople"][1:3]:
        for text, labels in zip(part.text, part.label, strict=True):
            sizes[len(labels)] += 1
            assert labels == sorted(set(labels))
            assert {dict(stated)[slot] for stated in read(text)} == {VALUE_OF[x][1] for x in labels}
    assert set(sizes) == {1, 2, 3} and min(sizes.values()) > 200


def test_training_texts_use_synonyms_0_to_2_and_test_texts_1_to_3():
    for name in ("ToyPlaces", "ToyPeople"):
        task = tasks()[name]
        for synonyms, part in zip(({0, 1, 2}, {1, 2, 3}), task[1:3]):
            words = {word for text in part.text for word in text.split()}
            assert {i for values in WORDS for value in values for i in range(4)
                    if value[i] in words} == synonyms


def test_the_labels_of_ToyTaxonomy_are_realm_and_family():
    family_of = {kind: [realm, family] for realm, family, kind in PATHS}
    task = tasks()["ToyTaxonomy"]
    for text, label in zip(task.sentences, task.labels, strict=True):
        kind, = set(text.split()) & set(family_of)
        assert label == family_of[kind]


def test_most_frequent_is_the_share_of_the_most_frequent_label():
    assert most_frequent(["a", "b", "a", "c"]) == 0.5
    assert most_frequent([["a"], ["a", "b"], ["a"]]) == 2 / 3


# ---- summaries ----------------------------------------------------------------------------------

def test_the_rating_of_a_summary_is_the_number_of_facts_that_it_states_correctly():
    task = tasks()["ToySummaries"]
    for text, human, machine, ratings in zip(*task[1:5], strict=True):
        stated = read(text)
        assert len(stated) == 4 and all(read(summary) == stated for summary in human)
        assert sorted(ratings) == [0, 1, 2, 3, 4]
        for summary, rating in zip(machine, ratings, strict=True):
            equal = [len(a & b) for a, b in zip(stated, read(summary), strict=True)]
            assert sorted(equal) == [0] * (4 - rating) + [5] * rating
