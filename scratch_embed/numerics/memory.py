"""Check that the machine has enough memory before a large allocation."""
import os


def require_memory(size: int, what: str) -> None:
    """Raise MemoryError if `what` takes more than the machine's memory.  size: in bytes.

    Linux may grant such an allocation, and kill the process when it writes to that memory.
    """
    memory = physical_memory()
    if memory is not None and size > memory:
        raise MemoryError(f"{what} takes {size / 2**30:.1f} GiB of memory, and this machine has "
                          f"{memory / 2**30:.1f} GiB")


def physical_memory() -> int | None:
    """The machine's memory in bytes; None if the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):      # not a POSIX system
        return None
