"""The command says the prediction, then the effect, for every trick; then methods, closed form."""
import re

import pytest

from scratch_embed.cli.main import main
from scratch_embed.why.word2vec import METHODS, TRICKS


@pytest.fixture(scope="module")
def printed():
    import contextlib
    import io
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["why", "word2vec", "--seeds", "2", "--sentences", "150"]) == 0
    return out.getvalue()


def test_each_trick_has_its_prediction_and_then_a_line_for_all_that_may_replace_it(printed):
    at = 0
    for trick in TRICKS:
        heads = [f"\n{trick.name}\n", f"    Prediction: {trick.prediction[:40]}"]
        lines = [rf"    {re.escape(instead)} +\d+\.\d +\d+\.\d +[+-]\d+\.\d ± +\d+\.\d   "
                 r"(helps|hurts|cannot be told apart) +(as predicted|predicted: \w+)"
                 for instead in trick.without]
        for pattern in [*map(re.escape, heads), *lines]:
            found = re.compile(pattern).search(printed, at)
            assert found, pattern
            at = found.end()


def test_it_counts_the_predictions_that_held(printed):
    total = sum(len(trick.without) for trick in TRICKS)
    held = printed.count("as predicted")
    assert f"{held} of {total} predictions held." in printed


def test_each_method_has_a_line_with_its_spread_and_those_like_it(printed):
    for number, name in enumerate(METHODS, 1):
        assert re.search(rf"^    {number}  {re.escape(name)} +\d+\.\d ± +\d+\.\d   (none|[\d ]+)$",
                         printed, re.M), name


def test_the_closed_form_comes_last_with_both_forms(printed):
    last = printed[printed.index("3  The closed form"):]
    assert len(re.findall(r"^    log P\(m,n\) .+ 0\.\d{4} ± 0\.\d{4} +0\.\d{3} ± 0\.\d{3}$", last,
                          re.M)) == 2


def test_no_line_is_wider_than_a_hundred_characters(printed):
    assert max(map(len, printed.splitlines())) <= 100


def test_one_seed_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["why", "word2vec", "--seeds", "1"])
    assert ended.value.code == 2 and "at least 2" in capsys.readouterr().err
