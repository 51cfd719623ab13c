"""The machinery of the checkers: their order, messages, seeds, comparisons and options."""
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import strategies as st

from scratch_embed import testing
from scratch_embed.testing.invariants import (
    Broken,
    Invariant,
    broken,
    close,
    equal,
    named,
    run,
    smallest_failure,
)

INVARIANTS = {"check_similarity": testing.SIMILARITY, "check_top_k": testing.TOP_K,
              "check_ranking_measure": testing.RANKING_MEASURE,
              "check_contrastive_loss": testing.CONTRASTIVE_LOSS, "check_encoder": testing.ENCODER,
              "check_gradient": testing.GRADIENT, "check_quantiser": testing.QUANTISER,
              "check_tokenizer": testing.TOKENIZER}


def small(f, x):
    """f(x) is below 10.

    Bound: none.
    """
    assert f(x) < 10, "too large"


def whole(f, x):
    """f(x) is a whole number."""
    equal("f(x)", f(x) % 1, 0)


NUMBERS = named(*(Invariant(holds, st.tuples(st.integers(0, 1000))) for holds in (small, whole)))


def check_number(f, *, without=(), max_examples=None, seed=0):
    run("check_number", NUMBERS, f, without, max_examples, seed)


def test_a_function_that_satisfies_all_invariants_passes():
    check_number(lambda x: 3)
    assert broken(check_number, NUMBERS, lambda x: 3) == {}


def test_the_message_names_the_invariant_and_shows_the_smallest_example():
    with pytest.raises(AssertionError) as error:
        check_number(lambda x: x)
    assert str(error.value) == """\
check_number: the invariant 'small' is broken: f(x) is below 10.
  found     AssertionError: too large
assert 10 < 10
 +  where 10 = <function test_the_message_names_the_invariant_and_shows_the_smallest_example.\
<locals>.<lambda> at """ + str(error.value).split(" at ")[1]
    assert "\n    x = 10\n" in str(error.value) and 'without=("small",)' in str(error.value)
    with pytest.raises(AssertionError, match=r"'whole'(.|\n)*f\(x\) = 0.5\n  expected  0\n"):
        check_number(lambda x: 0.5)


def test_an_exception_of_the_function_breaks_the_invariant():
    with pytest.raises(AssertionError, match=r"'small'(.|\n)*ZeroDivisionError(.|\n)*x = 0\n"):
        check_number(lambda x: 1 / x)


def test_without_leaves_invariants_out_and_refuses_unknown_names():
    check_number(lambda x: x, without=("small",))
    check_number(lambda x: x, without="small")
    with pytest.raises(ValueError, match=r"without=\['smal'\].*check_number.*small, whole"):
        check_number(lambda x: 3, without=("smal",))


def test_broken_tries_every_invariant_alone():
    found = broken(check_number, NUMBERS, lambda x: x + 10.5)
    assert list(found) == ["small", "whole"] and "'whole' is broken" in found["whole"]
    assert list(broken(check_number, NUMBERS, lambda x: x + 10.5, without=["small"])) == ["whole"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_draws_the_same_examples(seed):
    seen = []

    def f(x):
        seen.append(x)
        return 3
    check_number(f, seed=seed, max_examples=20, without="whole")
    check_number(f, seed=seed, max_examples=20, without="whole")
    assert len(seen) == 40 and seen[:20] == seen[20:]


def test_a_function_that_fails_only_sometimes_is_reported():
    rng = np.random.default_rng(0)
    failure = smallest_failure(NUMBERS["small"], lambda x: rng.integers(0, 20), 100, 0)
    assert failure is not None and isinstance(failure[1], AssertionError)


def test_close_compares_with_the_bound_and_refuses_nan():
    close("x", [1.0, 2.0], [1.0, 2.25], 0.25)
    for found, bound in ((2.5, 0.25), (np.nan, np.inf)):
        with pytest.raises(Broken, match=r"x\[1\] = .*\n  expected  2.0, within"):
            close("x", [1.0, found], [1.0, 2.0], bound)
    with pytest.raises(Broken, match=r"shape \(2,\)\n  expected  shape \(3,\)"):
        close("x", [1, 2], [1, 2, 3], 0)
    equal("x", np.nan, np.nan)
    with pytest.raises(Broken):
        equal("x", np.array([1, 2]), np.array([1, 3]))


@pytest.mark.parametrize("checker", INVARIANTS)
def test_every_invariant_documents_its_statement_and_bound(checker):
    for name, invariant in INVARIANTS[checker].items():
        assert invariant.statement.endswith(".") and len(invariant.statement) < 160, name
        assert "Bound: " in invariant.holds.__doc__, name


@pytest.mark.parametrize("checker", INVARIANTS)
def test_every_checker_can_leave_out_all_its_invariants(checker):
    arguments = {"check_quantiser": (None, None, [0.0], [1.0]), "check_gradient": (None, 1.0),
                 "check_tokenizer": (None, None, 1)}.get(checker, (None,))
    check = getattr(testing, checker)              # None is not a function: any call would fail
    assert check(*arguments, without=list(INVARIANTS[checker])) is None


def test_without_hypothesis_the_import_error_names_the_package_to_install():
    code = """
import sys
sys.modules["hypothesis"] = None                       # as if it were not installed
import scratch_embed, scratch_embed.space.similarity
try:
    import scratch_embed.testing
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "not installed; run  python -m pip install hypothesis" in done.stdout, done.stderr
