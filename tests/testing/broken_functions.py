"""expect: a checker finds in a function the invariants that it is known to break."""
from scratch_embed.testing.invariants import broken


def expect(names, check, invariants, *subject):
    """Assert that these invariants break, the first of them first; if it is one, no other breaks.

    One fault often breaks several: a wrong value is also wrong at every scale.
    """
    names = names.split()
    first = names[:1] if len(names) == 1 else list(invariants)[:list(invariants).index(names[0])]
    tried = list(invariants) if len(names) == 1 else [*first, *names]
    found = broken(check, invariants, *subject, without=set(invariants) - set(tried))
    assert list(found) == [name for name in invariants if name in names], (
        "\n\n".join(found.values()) or "nothing breaks")
    for name, message in found.items():
        assert f"the invariant {name!r} is broken: {invariants[name].statement}" in message
        assert "\n  found     " in message and "\n  expected  " in message
