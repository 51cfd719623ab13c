"""assert_broken(): assert that a checker reports the invariants that a faulty function breaks."""
from scratch_embed.testing.invariants import broken


def assert_broken(names, check, invariants, *arguments):
    """Assert that the invariants in `names` break.

    names: separated by spaces.  If it is a single name, all other invariants must hold.  If there
    are several names, the invariants before the first of them, in the checker's order, must hold;
    the rest is not tried, because one fault often breaks several (a wrong value is also wrong at
    every scale).
    arguments: of the checker, such as the faulty function
    """
    names = names.split()
    before = list(invariants)[:list(invariants).index(names[0])]
    tried = list(invariants) if len(names) == 1 else [*before, *names]
    found = broken(check, invariants, *arguments, without=set(invariants) - set(tried))
    assert list(found) == [name for name in invariants if name in names], (
        "\n\n".join(found.values()) or "nothing breaks")
    for name, message in found.items():
        assert f"the invariant {name!r} is broken: {invariants[name].statement}" in message
        assert "\n  found     " in message and "\n  expected  " in message
