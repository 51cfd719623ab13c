"""Check that the machine has enough memory before a large allocation."""
import os


def require_memory(size: int, what: str) -> None:
    """Raise MemoryError if `size` bytes, for `what`, are more than this machine has.

    Linux would grant the allocation, and kill the process when it writes to it.
    """
    there = physical_memory()
    if there is not None and size > there:
        raise MemoryError(f"{what} takes {size / 2**30:.1f} GiB of memory, and this machine has "
                          f"{there / 2**30:.1f} GiB")


def physical_memory() -> int | None:
    """The machine's memory in bytes; None if the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):      # not a POSIX system
        return None
