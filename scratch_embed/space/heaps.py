"""Top-k over scores that arrive in blocks: one binary heap per row.

Equation  a heap of k scores: entry i is worse than its children 2i + 1 and 2i + 2, so entry 0 is
          the worst of all.  "Worse": lower, or equal with a higher id; nan is below all numbers.
Shapes    scores (N, width) of the columns start, start + 1, ...; ids, values (N, k)
Cost      O(width) comparisons per row, which are vectorised, and O(log k) for each score that
          replaces another: about k ln(M/k) of M scores in random order, all M in rising order
NumPy     neighbours.merge_sorted.  It keeps each row sorted, worst first, and such a row is a heap.
Read next space/neighbours.py, top_k_in_blocks(..., merge=merge_heaps)

Why strips?  After a few thousand columns nearly every score is worse than the k that are kept.  So
a strip of 256 scores is first compared with the worst of these in a loop without a branch, which
the processor runs on many numbers at once.  Only if a strip contains a better score are its scores
compared one by one.
"""
from scratch_embed.numerics.kernel import kernel

STRIP = 256


@kernel
def merge_heaps(scores, start, ids, values):
    """neighbours.merge_sorted for rows that are heaps.  Shapes as there.

    The scores of a strip are compared one by one only if any_above() finds one.
    """
    for i in range(len(scores)):
        s, heap = scores[i], values[i]
        for low in range(0, len(s), STRIP):
            high = min(low + STRIP, len(s))
            if any_above(s[low:high], heap[0]):
                for j in range(low, high):
                    if outranks(s[j], start + j, heap[0], ids[i, 0]):
                        replace_worst(heap, ids[i], s[j], start + j)


@kernel
def any_above(s, worst):
    """Whether a score of s is above `worst`, or nan, or `worst` is nan.  s: (≤ STRIP,) -> bool."""
    found = False
    for j in range(len(s)):                                  # no branch, so it is vectorised
        found |= not s[j] <= worst
    return found


@kernel
def outranks(x, i, y, j):
    """Whether score x of column i ranks before score y of column j; nan is below all numbers."""
    if x == y or (x != x and y != y):
        return i < j
    return x > y or y != y


@kernel
def replace_worst(heap, ids, x, i):
    """Replace the worst entry, heap[0], by (x, i) and restore the heap's order (sift down)."""
    at, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and outranks(heap[child], ids[child],
                                              heap[child + 1], ids[child + 1]):
            child += 1                                       # the worse of the two
        if not outranks(x, i, heap[child], ids[child]):
            break
        heap[at], ids[at] = heap[child], ids[child]
        at, child = child, 2 * child + 1
    heap[at], ids[at] = x, i
