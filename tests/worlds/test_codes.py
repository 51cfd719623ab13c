"""Reports with codes: the codes are unique, and each query has its relevant documents."""
import re

import numpy as np
import pytest

from scratch_embed.worlds.codes import draw_codes, with_codes, with_shared_codes
from scratch_embed.worlds.facts import facts

WORLD = facts(1, 200, 20, sentences=0, pairs=0)


def test_every_document_is_a_report_followed_by_a_unique_code():
    coded = with_codes(WORLD)
    assert len(set(coded.code.values())) == len(coded.code) == 200
    for document, text in coded.corpus.items():
        assert text == f"{WORLD.corpus[document]} , file {coded.code[document]}"
        assert re.fullmatch("[a-z]{2}-[1-9][0-9]{2}", coded.code[document])


def test_a_query_by_code_names_the_code_of_its_only_relevant_document():
    coded = with_codes(WORLD, lookups=50)
    assert sum(coded.by_code.values()) == 50 and len(coded.queries) == 70
    for query, text in coded.queries.items():
        if coded.by_code[query]:
            (document, gain), = coded.qrels[query].items()
            assert gain == 1 and text.split()[-1] == coded.code[document]
        else:
            assert text == WORLD.queries[query] and coded.qrels[query] == WORLD.qrels[query]
    relevant = [set(coded.qrels[query]) for query, by_code in coded.by_code.items() if by_code]
    assert len(set.union(*relevant)) == 50


def test_all_202500_codes_can_be_drawn():
    codes = draw_codes(202_500, np.random.Generator(np.random.PCG64(0)))
    assert len(set(codes)) == 202_500
    with pytest.raises(ValueError, match="expected at most 202500 codes, got 202501"):
        draw_codes(202_501, np.random.Generator(np.random.PCG64(0)))


def test_the_seed_determines_the_codes_and_the_world_is_not_changed():
    before = repr(WORLD)
    assert with_codes(WORLD, 3) == with_codes(WORLD, 3) != with_codes(WORLD, 4)
    assert repr(WORLD) == before


@pytest.mark.parametrize("lookups", [-1, 201])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(lookups):
    with pytest.raises(ValueError, match="expected 0 to 200"):
        with_codes(WORLD, lookups=lookups)


def test_with_shared_codes_neither_the_code_nor_the_words_name_the_relevant_reports():
    shared = with_shared_codes(WORLD, 1, reports=10)
    codes = list(shared.code.values())
    assert {codes.count(code) for code in set(codes)} == {10} and len(set(codes)) == 20
    for query, text in shared.queries.items():
        described, code = text.split(" in the file ")
        assert described == WORLD.queries[query]
        stating = {document for document, gain in WORLD.qrels[query].items() if gain == 2}
        filed = {document for document, of in shared.code.items() if of == code}
        assert set(shared.qrels[query]) == stating & filed and stating & filed
    relevant = np.mean([len(gains) for gains in shared.qrels.values()])
    assert relevant < 2 < np.mean([sum(gain == 2 for gain in gains.values())
                                   for gains in WORLD.qrels.values()])


def test_the_last_shared_code_may_have_fewer_reports():
    codes = list(with_shared_codes(WORLD, 1, reports=150).code.values())
    assert sorted(map(codes.count, set(codes))) == [50, 150]
