"""The k best of scores that keep coming: a heap for each row, with the worst of the kept on top.

Equation  a heap of k scores: parent i is worse than its children 2i + 1 and 2i + 2, so [0] is the
          worst of all.  "Worse": lower, or equal with a higher id; nan is lower than all numbers.
Shapes    scores (N, width) of the columns start, start + 1 ...; ids, values (N, k)
Cost      O(width) comparisons a row, many at a time; O(log k) for each score that enters, of which
          there are about k log(M/k) of M in random order, and M of M if each beats all before it.
NumPy     neighbours.merge_sorted, which keeps each row sorted, worst first: that is a heap too
Read next space/neighbours.py, top_k_in_blocks(..., merge=merge_heaps)

After the first thousands of columns nearly every score is worse than the k kept.  So a strip of
scores is first only compared with the worst of these, without a branch, which a processor does
for sixteen at a time; one by one they are looked at only where a strip holds a better one.
"""
from scratch_embed.numerics.kernel import kernel

STRIP = 256


@kernel
def merge_heaps(scores, start, ids, values):
    """merge_sorted for heaps: of each row the worst stands first, the others in a heap's order."""
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
    """Is one of the scores above the worst that is kept, or a nan there?"""
    found = False
    for j in range(len(s)):                                  # no branch: many at a time
        found |= not s[j] <= worst
    return found


@kernel
def outranks(x, i, y, j):
    """Does score x of column i come before score y of column j?  nan is below all numbers."""
    if x == y or (x != x and y != y):
        return i < j
    return x > y or y != y


@kernel
def replace_worst(heap, ids, x, i):
    """Put (x, i) in the place of the worst, heap[0], and mend the heap from there downwards."""
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
