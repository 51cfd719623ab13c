"""Say how much memory is needed before it is asked for."""
import os


def require_memory(size: int, what: str) -> None:
    """Raise MemoryError if `size` bytes, for `what`, are more than this machine has.

    The system would promise them all the same, and kill the process when it uses them.
    """
    there = physical_memory()
    if there is not None and size > there:
        raise MemoryError(f"{what} takes {size / 2**30:.1f} GiB of memory, and this machine has "
                          f"{there / 2**30:.1f} GiB")


def physical_memory() -> int | None:
    """The machine's memory in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):      # not a POSIX system
        return None
