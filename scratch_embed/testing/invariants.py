"""How a checker works: named invariants, each tried on drawn examples, and the message on failure.

An invariant is a function invariant(subject, *example).  The subject is what the user passed to the
checker; the example is drawn by a hypothesis strategy of tuples.  The function compares by equal()
or close(), and these raise Broken.  An error that the user's own function raises also breaks the
invariant.  hypothesis then shrinks: it looks for a smaller example that breaks it too.

The docstring of an invariant is also data: the message quotes its first paragraph, the statement;
the text after "Bound: " gives the bound and the reason for it.

A run can be repeated: the same seed, code and version of hypothesis draw the same examples, and no
failure is stored between runs.

Read next similarity.py (twelve invariants)
"""
import copy
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

# ---- an invariant -------------------------------------------------------------------------------

class Invariant(NamedTuple):
    """A statement about the user's function, and the examples on which it is tried."""

    holds: Callable[..., None]               # holds(subject, *example) raises if broken
    examples: st.SearchStrategy[tuple]

    @property
    def statement(self) -> str:
        """One sentence that says what should hold."""
        return " ".join((self.holds.__doc__ or "").split("\n\n")[0].split())

    @property
    def bound(self) -> str:
        """How much the two sides may differ, and why."""
        return " ".join((self.holds.__doc__ or "").partition("Bound: ")[2].split())

    def example(self, values: tuple) -> str:
        """The example as text, one line per value, with the parameters' names."""
        names = list(inspect.signature(self.holds).parameters)[1:]
        with np.printoptions(threshold=40, floatmode="unique"):
            return "\n".join(f"    {name} = {value!r}" for name, value in zip(names, values))


def named(*invariants: Invariant) -> dict[str, Invariant]:
    """{name: invariant}, in this order; the name is the function's."""
    return {invariant.holds.__name__: invariant for invariant in invariants}


# ---- comparing ----------------------------------------------------------------------------------

class Broken(AssertionError):
    """An invariant does not hold; the message gives the found and the expected value."""


def require(held: bool, found: str, expected: str) -> None:
    """Raise Broken unless held.  found, expected: for the message, such as "f(a, b) = nan"."""
    if not held:
        raise Broken(f"  found     {found}\n  expected  {expected}")


def equal(what: str, found: Any, expected: Any) -> None:
    """Raise Broken unless found == expected, exactly; for numbers, arrays, lists and text.

    Two nan are equal.

    >>> equal("f(1)", 2, 2)
    >>> equal("f([1, 2])", [1, 2], [1, 3])
    Traceback (most recent call last):
    scratch_embed.testing.invariants.Broken:   found     f([1, 2]) = [1, 2]
      expected  [1, 3]
    """
    same = (np.array_equal(found, expected) if isinstance(found, np.ndarray)
            else found == expected or (found != found and expected != expected))
    require(bool(same), f"{what} = {found!r}", f"{expected!r}")


def close(what: str, found: Any, expected: Any, bound: Any) -> None:
    """Raise Broken unless |found − expected| ≤ bound for every element; nan raises, and inf − inf.

    >>> close("f(1)", 2.0, 2.25, bound=0.5)
    >>> close("f(1)", 2.0, 3.0, bound=0.5)
    Traceback (most recent call last):
    scratch_embed.testing.invariants.Broken:   found     f(1) = 2.0
      expected  3.0, within 0.5
    """
    found, expected = np.asarray(found), np.asarray(expected)
    require(found.shape == expected.shape, f"{what} of shape {found.shape}",
            f"shape {expected.shape}")
    bounds = np.broadcast_to(bound, found.shape)
    found64, expected64 = found.astype(np.float64), expected.astype(np.float64)
    wrong = ~(abs(found64 - expected64) <= bounds)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = str(list(at)) if at else ""
        require(False, f"{what}{place} = {found[at]}", f"{expected[at]}, within {bounds[at]:.3g}")


# ---- running ------------------------------------------------------------------------------------

def run(checker: str, invariants: Mapping[str, Invariant], subject: Any,
        without: Collection[str], max_examples: int | None, seed: int | None) -> None:
    """Try all invariants except those in `without`; raise AssertionError at the first that breaks.

    max_examples: examples for each invariant; None: the number in hypothesis's profile, by default
    100.  seed: None draws different examples in each run.
    Raises ValueError if `without` contains a name that is not in `invariants`.
    """
    without = [without] if isinstance(without, str) else without
    unknown = set(without) - set(invariants)
    if unknown:
        raise ValueError(f"without={sorted(unknown)}: expected names of {checker}'s invariants, "
                         f"{', '.join(invariants)}")
    for name, invariant in invariants.items():
        if name in without:
            continue
        failure = smallest_failure(invariant, subject, max_examples, seed)
        if failure is not None:
            example, error = failure
            raise AssertionError(
                f"{checker}: the invariant {name!r} is broken: {invariant.statement}\n"
                f"{_what_happened(error)}\n  example\n{invariant.example(example)}\n"
                f'To leave it out on purpose: without=("{name}",)') from error


def smallest_failure(invariant: Invariant, subject: Any, max_examples: int | None,
                     seed: int | None) -> tuple[tuple, Exception] | None:
    """The smallest example found that breaks the invariant, and its error; None if none does."""
    last_failure: list[tuple[tuple, Exception]] = []

    def attempt(example):
        try:
            with np.errstate(all="ignore"):
                invariant.holds(subject, *copy.deepcopy(example))
        except HypothesisException:                  # such as assume(): the example is skipped
            raise
        except Exception as error:
            last_failure[:] = [(example, error)]
            raise
    attempt = given(example=invariant.examples)(attempt)
    attempt = settings(
        max_examples=settings().max_examples if max_examples is None else max_examples,
        deadline=None, database=None, derandomize=False, report_multiple_bugs=False,
        print_blob=False, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck))(attempt)
    if seed is not None:
        attempt = seeded(seed)(attempt)
    try:
        attempt()
    except Exception:
        if not last_failure:                         # hypothesis itself failed, not the subject
            raise
        return last_failure[0]
    return None


def broken(check: Callable[..., None], invariants: Mapping[str, Invariant], *subject: Any,
           without: Iterable[str] = (), max_examples: int | None = None, seed: int | None = 0
           ) -> dict[str, str]:
    """Try every invariant of a checker alone.  -> {name: message} of the invariants that break.

    subject: the positional arguments of the checker, as in broken(check_similarity, SIMILARITY, f).
    For its keyword arguments pass functools.partial(check, name=value) as `check`.

    >>> from scratch_embed.testing.top_k import TOP_K, check_top_k
    >>> list(broken(check_top_k, TOP_K, lambda scores, k: scores.argsort()[::-1][:k]))
    ['ties', 'nan_last']
    """
    messages = {}
    for name in invariants:
        if name not in without:
            try:
                check(*subject, without=[other for other in invariants if other != name],
                      max_examples=max_examples, seed=seed)
            except AssertionError as error:
                messages[name] = str(error)
    return messages


def _what_happened(error):
    """The message of a Broken; the type and message of any other error."""
    if isinstance(error, Broken):
        return str(error)
    return f"  found     {type(error).__name__}: {error}\n  expected  no error"
