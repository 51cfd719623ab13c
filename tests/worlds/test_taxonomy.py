"""The taxonomy: a tree of categories, and texts with the traits of their categories."""
from collections import Counter

import pytest

from scratch_embed.worlds.taxonomy import PATHS, REALM, TRAITS, TREE, levels_shared, taxonomy

WORLD = taxonomy()


def test_the_tree_has_4_realms_16_families_and_64_kinds_with_different_names():
    assert [len({path[:depth] for path in PATHS}) for depth in (1, 2, 3)] == [4, 16, 64]
    assert len({family for _, family, _ in PATHS}) == 16        # a family is in one realm only
    assert len({kind for *_, kind in PATHS}) == 64
    assert {len(families) for families in TREE.values()} == {4}


def test_every_realm_and_family_has_four_traits_of_its_own():
    assert set(TRAITS) == set(TREE) | {family for _, family, _ in PATHS} and set(REALM) == set(TREE)
    traits = [trait for category in TRAITS.values() for trait in category]
    assert len(set(traits)) == len(traits) == 4 * 20


def test_a_text_names_its_kind_two_traits_of_its_family_and_two_of_its_realm():
    kinds = {kind for *_, kind in PATHS}
    for text, (realm, family, kind) in zip(WORLD.texts, WORLD.labels, strict=True):
        assert set(text.split()) & kinds == {kind} and REALM[realm] in text
        named = Counter(category for category, traits in TRAITS.items() for trait in traits
                        if f" {trait} " in f" {text} ")
        assert named[family] == 2 and named[realm] == 2


def test_texts_are_different_and_every_kind_has_equally_many():
    assert len(set(WORLD.texts)) == len(WORLD.texts) == 1024
    assert set(Counter(WORLD.labels).values()) == {16} and set(WORLD.labels) == set(PATHS)


def test_a_number_of_texts_out_of_range_raises_an_error():
    with pytest.raises(ValueError, match="expected 1 to 27648"):
        taxonomy(texts=27_649)
    with pytest.raises(ValueError, match="expected 1 to 27648"):
        taxonomy(texts=0)


def test_the_same_seed_draws_the_same_texts():
    assert taxonomy(3, 70) == taxonomy(3, 70) != taxonomy(4, 70)


def test_levels_shared_by_hand():
    owl = ("animal", "bird", "owl")
    assert levels_shared(owl, owl) == 3
    assert levels_shared(owl, ("animal", "bird", "swan")) == 2
    assert levels_shared(owl, ("animal", "fish", "eel")) == 1
    assert levels_shared(owl, ("plant", "tree", "oak")) == 0
