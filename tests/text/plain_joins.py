"""BPE's join in the plainest form, for the tests of training: one word, read from the left."""
from collections.abc import Sequence
from typing import Any


def replace_pair(word: Sequence[Any], pair: tuple[Any, Any], new: Any) -> list[Any]:
    """The pieces of a word in which each occurrence of the pair is replaced by `new`.

    >>> replace_pair("aaab", ("a", "a"), "aa")
    ['aa', 'a', 'b']
    """
    found, i = [], 0
    while i < len(word):
        is_pair = tuple(word[i:i + 2]) == pair
        found.append(new if is_pair else word[i])
        i += 2 if is_pair else 1
    return found
