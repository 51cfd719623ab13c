"""plot(): which words it shows, where they stand, and that no name overlaps another one."""
import itertools

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.plotting import close_words, coordinates

WORDS = ["the", "king", "queen", "cat", "dog", "1", ",", "of"]
VECTORS = np.float32([[0, 0, 1, 0.2], [3, 1, 0, 0], [3, 1.2, 0, 0], [0, 1, 0, 3], [0, 1.3, 0, 3],
                      [9, 3, 0, 0], [-1, 0, 0.1, 0], [0, -1, 0.5, 0]])


@pytest.fixture
def vectors():
    return se.WordVectors(WORDS, VECTORS)


@pytest.fixture
def ax():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure
    return Figure(figsize=(6, 4), layout="constrained").add_subplot()


# ---- which words --------------------------------------------------------------------------------

def test_without_words_the_closest_groups_are_shown_and_not_the_most_frequent_words(vectors):
    """1 is the nearest word to king, but no word; the, of and the comma have no close word."""
    groups = close_words(vectors, groups=2, size=2)
    assert {frozenset(group) for group in groups} == {frozenset(["king", "queen"]),
                                                      frozenset(["cat", "dog"])}


def test_a_small_vocabulary_gives_what_it_has():
    few = se.WordVectors(["1", "2", "3"], np.eye(3))
    assert len(close_words(few, groups=8, size=8)) == 1
    with pytest.raises(ValueError, match="at least 2 words, got 1"):
        close_words(se.WordVectors(["a"], [[1, 2]]), 2, 2)


def test_neighbours_of_words_and_named_groups(vectors, ax):
    se.plot(vectors, near=["king", "cat"], topn=1, ax=ax)
    assert [len(part.get_offsets()) for part in ax.collections] == [2, 2]
    ax.clear()
    se.plot(vectors, {"royal": ["king", "queen"], "pets": ["cat", "dog", "king"]}, ax=ax)
    assert [len(part.get_offsets()) for part in ax.collections] == [2, 2]      # king is drawn once
    colours = [tuple(part.get_facecolor()[0]) for part in ax.collections]
    assert colours[0] != colours[1]
    named = {text.get_text(): text.get_color() for text in ax.texts}
    assert named["king"] == named["queen"] != named["cat"]


# ---- where --------------------------------------------------------------------------------------

def test_coordinates_and_shares_worked_by_hand():
    """Scaled to norm 1 these are ±e₁ and ±e₂: half of the variance is along each axis."""
    square = se.WordVectors(["a", "b", "c", "d"], [[5, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -3, 0]])
    xy, shares = coordinates(square, ["a", "b", "c", "d"])
    np.testing.assert_allclose(shares, [0.5, 0.5])
    np.testing.assert_allclose(np.linalg.norm(xy, axis=1), 1)
    cube = se.WordVectors(list("abcdef"), np.concatenate([np.eye(3), -np.eye(3)]))
    np.testing.assert_allclose(coordinates(cube, list("abcdef"))[1], [1 / 3, 1 / 3])
    line = se.WordVectors(["a", "b", "c"], [[1, 0, 0], [-1, 0, 0], [0, 0.0, 0]])
    np.testing.assert_allclose(coordinates(line, ["a", "b", "c"])[1], [1, 0], atol=1e-12)


def test_axes_have_equal_scales_and_state_the_share_of_the_variance(vectors, ax):
    assert se.plot(vectors, ["king", "queen", "cat", "dog"], title="$4 words", ax=ax) is ax
    ax.figure.draw_without_rendering()
    (x0, y0), (x1, y1) = ax.transData.transform([[0, 0], [1, 1]])
    assert x1 - x0 == pytest.approx(y1 - y0, rel=6e-3)     # matplotlib adjusts from 0.5 %
    _, shares = coordinates(vectors, ["king", "queen", "cat", "dog"])
    assert ax.get_xlabel() == (f"first principal component ({100 * shares[0]:.0f} % of the "
                               "variance)")
    assert ax.get_title() == "$4 words"


def test_names_do_not_overlap(ax):
    rng = np.random.default_rng(1)
    words = [f"word{n}" for n in range(40)]
    se.plot(se.WordVectors(words, rng.standard_normal((40, 8))), words, ax=ax)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) >= 30
    for a, b in itertools.combinations(boxes, 2):
        assert min(a.x1, b.x1) - max(a.x0, b.x0) < 0.01 or (
            min(a.y1, b.y1) - max(a.y0, b.y0) < 0.01)
    assert all(ax.get_window_extent().padded(0.01).containsx(box.x0) for box in boxes)


def test_words_without_room_are_counted_in_a_warning(ax):
    words = [f"{n} long long long word" for n in range(200)]
    rng = np.random.default_rng(1)
    with pytest.warns(UserWarning, match="of 200 words have no room for their name"):
        se.plot(se.WordVectors(words, rng.standard_normal((200, 4))), words, ax=ax)


def test_without_ax_a_new_figure_is_made(vectors):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot
    ax = se.plot(vectors)
    assert ax.figure is pyplot.gcf()
    pyplot.close(ax.figure)


def test_wrong_arguments(vectors, ax):
    for arguments, message in (
            (dict(words=["king", "cat"], near="king"), "one of them, got both"),
            (dict(words="king"), "expected a list of words, got one str"),
            (dict(words=["king"]), "at least 2 words and 2 dimensions, got 1 words"),
            (dict(groups=0), "groups=0"), (dict(topn=1), "topn=1")):
        with pytest.raises(ValueError, match=message):
            se.plot(vectors, ax=ax, **arguments)
    with pytest.raises(KeyError, match="kang"):
        se.plot(vectors, ["king", "kang"], ax=ax)


def test_a_word_that_is_not_utf8_is_drawn_with_a_replacement_character(ax):
    word = b"caf\xe9".decode("utf-8", "surrogateescape")
    se.plot(se.WordVectors(["king", word], np.eye(2)), ["king", word], ax=ax)
    assert {text.get_text() for text in ax.texts} - {""} == {"king", "caf\ufffd"}
