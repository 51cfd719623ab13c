import pytest

from scratch_embed.numerics import memory
from scratch_embed.numerics.memory import physical_memory, require_memory


def test_what_the_machine_has_not_is_refused_with_both_numbers():
    there = physical_memory()
    if there is None:
        pytest.skip("this system does not tell how much memory it has")
    require_memory(there, "a table")
    twice, once = 2 * there / 2**30, there / 2**30
    with pytest.raises(MemoryError, match=f"a table takes {twice:.1f} GiB .* has {once:.1f} GiB"):
        require_memory(2 * there, "a table")


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    assert require_memory(2**80, "a table") is None


def test_this_machine_has_more_than_a_mebibyte_and_less_than_an_exbibyte():
    there = physical_memory()
    assert there is None or 2**20 < there < 2**60
