import pytest

from scratch_embed.numerics import memory
from scratch_embed.numerics.memory import physical_memory, require_memory


def test_what_the_machine_has_not_is_refused_with_both_numbers(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: 2**31)
    require_memory(2**31, "a table")
    with pytest.raises(MemoryError, match="a table takes 3.0 GiB of memory, .* has 2.0 GiB"):
        require_memory(3 * 2**30, "a table")


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    assert require_memory(2**80, "a table") is None


def test_this_machine_has_more_than_a_mebibyte_and_less_than_an_exbibyte():
    there = physical_memory()
    assert there is None or 2**20 < there < 2**60
