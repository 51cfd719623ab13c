"""require_memory: allocations larger than the machine's memory are rejected."""
import pytest

from scratch_embed.numerics import memory
from scratch_embed.numerics.memory import physical_memory, require_memory


def test_more_than_the_memory_is_rejected_and_the_message_has_both_sizes():
    memory_size = physical_memory()
    if memory_size is None:
        pytest.skip("this system does not report its memory")
    require_memory(memory_size, "a table")
    twice, once = 2 * memory_size / 2**30, memory_size / 2**30               # in GiB
    with pytest.raises(MemoryError, match=f"a table takes {twice:.1f} GiB .* has {once:.1f} GiB"):
        require_memory(2 * memory_size, "a table")


def test_nothing_is_rejected_if_the_system_does_not_report_its_memory(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    assert require_memory(2**80, "a table") is None


def test_physical_memory_is_between_one_mebibyte_and_one_exbibyte():
    memory_size = physical_memory()
    assert memory_size is None or 2**20 < memory_size < 2**60
