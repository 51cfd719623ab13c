"""Documents that have the same words and state different facts."""
import pytest

from scratch_embed.worlds.bindings import (
    ACT,
    THING,
    WHO,
    bag_of_words_upper_bound,
    bindings,
    synonyms_alone,
)
from scratch_embed.worlds.bounds import discounts
from scratch_embed.worlds.facts import WORDS

WORLD = bindings()
VALUE_OF = {word: (slot, value) for slot, values in enumerate(WORDS)
            for value, words in enumerate(values) for word in words}


def groups():
    """The document ids of each group."""
    members = {}
    for document, g in WORLD.group.items():
        members.setdefault(g, []).append(document)
    return list(members.values())


def test_documents_of_a_group_have_equal_bags_of_words_and_no_common_fact():
    assert len(WORLD.corpus) == 300 and {len(group) for group in groups()} == {3}
    for group in groups():
        assert len({WORLD.corpus[d] for d in group}) == 3
        assert len({tuple(sorted(WORLD.corpus[d].split())) for d in group}) == 1
        facts = [(f[WHO], f[ACT], f[THING]) for d in group for f in WORLD.document_facts[d]]
        assert len(set(facts)) == 9


def test_each_sentence_states_its_fact():
    for document, text in WORLD.corpus.items():
        for sentence, fact in zip(text.split(" . "), WORLD.document_facts[document], strict=True):
            stated = dict(VALUE_OF[word] for word in sentence.split() if word in VALUE_OF)
            assert stated == {slot: fact[slot] for slot in (WHO, ACT, THING)}


def test_a_document_is_relevant_if_one_of_its_facts_matches_all_slots_of_the_query():
    for query, named in WORLD.query_slots.items():
        stated = dict(VALUE_OF[word] for word in WORLD.queries[query].split() if word in VALUE_OF)
        assert stated == named and set(named) == {WHO, ACT, THING}
        relevant = set()
        for document, facts in WORLD.document_facts.items():
            for fact in facts:
                if (fact[WHO], fact[ACT], fact[THING]) == (named[WHO], named[ACT], named[THING]):
                    relevant.add(document)
        assert WORLD.qrels[query] == dict.fromkeys(relevant, 1) and relevant


def test_with_one_group_a_bag_of_words_ranks_three_documents_at_random():
    bound = bag_of_words_upper_bound(bindings(1, groups=1))
    assert bound == pytest.approx(discounts(3).mean(), rel=1e-14)


def test_the_upper_bound_of_a_bag_of_words_is_far_below_1():
    for seed in range(5):
        assert 0.6 < bag_of_words_upper_bound(bindings(seed)) < 0.72


def test_the_same_seed_draws_the_same_world():
    assert bindings(3, 5, 5) == bindings(3, 5, 5) != bindings(4, 5, 5)


@pytest.mark.parametrize("wrong", [dict(groups=0), dict(queries=0)])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong):
    with pytest.raises(ValueError, match="^(groups|queries)=0: expected a whole number, 1 to"):
        bindings(**wrong)


def test_synonyms_alone_rank_all_groups_with_the_words_of_the_query_in_random_order():
    """One group: as the bound.  Many: another group may have all words of the query, too."""
    one = bindings(1, groups=1)
    assert synonyms_alone(one) == pytest.approx(bag_of_words_upper_bound(one), rel=1e-14)
    many = bindings(1)
    assert 0.2 < synonyms_alone(many) < bag_of_words_upper_bound(many) - 0.1
