"""check_tokenizer: tokenizers that are wrong in one way each, and ours."""
import random
from functools import partial

import pytest

from scratch_embed.testing import TOKENIZER, check_tokenizer
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from tests.testing.broken_functions import expect


def encode(text):
    return list(text.encode())


def decode(ids):
    return bytes(ids).decode(errors="replace")


def batch(texts):
    return [encode(text) for text in texts]


def padded(texts):
    longest = max(map(len, batch(texts)), default=0)
    return [ids + [0] * (longest - len(ids)) for ids in batch(texts)]


def offsets(text):
    return [(i, i + 1) for i, c in enumerate(text) for _ in c.encode()]


def in_bytes(text):
    return [(i, i + 1) for i in range(len(text.encode()))]


def framed(text):
    return [256, *text.encode(), 257]


def unframed(ids):
    return decode([i for i in ids if i < 256])


def cut(text, max_length):
    whole = framed(text)
    return whole if len(whole) <= max_length else [*whole[:max_length - 1], 257]


FULL = dict(encode_batch=batch, encode_cut=lambda text, n: encode(text)[:n], offsets=offsets)


@pytest.mark.parametrize("f, back, size, more, names", [
    (encode, decode, 100, FULL, "ids_in_range"),
    (lambda text: list(text.encode("ascii")), decode, 256, {},
     "ids_in_range deterministic settled lossless"),
    (lambda text: encode(text.lower()), decode, 256, {}, "lossless"),
    (lambda text: encode(text) or [65], decode, 256, {}, "empty_text lossless"),
    (encode, decode, 256, FULL | dict(encode_batch=padded), "batch"),
    (encode, decode, 256, FULL | dict(encode_cut=lambda text, n: encode(text)[-n:]), "cut"),
    (encode, decode, 256, FULL | dict(encode_cut=lambda text, n: encode(text)), "cut"),
    (encode, decode, 256, FULL | dict(offsets=in_bytes), "offsets_in_text"),
    (encode, lambda ids: decode(ids) + "." * bool(ids), 256, {}, "settled lossless"),
    (lambda text: random.sample(encode(text), len(text.encode())), decode, 256, {},
     "deterministic settled lossless")])
def test_what_is_wrong_is_named(f, back, size, more, names):
    expect(names, partial(check_tokenizer, **more), TOKENIZER, f, back, size)


@pytest.mark.parametrize("f, back, more", [
    (encode, decode, FULL), (framed, unframed, dict(encode_cut=cut))])
def test_bytes_with_or_without_a_frame_keep_all(f, back, more):
    check_tokenizer(f, back, 258, **more)


def test_a_cut_that_loses_the_end_of_the_frame_is_allowed_and_one_from_the_middle_is_not():
    check_tokenizer(framed, unframed, 258, encode_cut=lambda text, n: framed(text)[:n])
    with pytest.raises(AssertionError, match="'cut'"):
        check_tokenizer(framed, unframed, 258, encode_cut=lambda text, n: framed(text[1:])[:n])


def test_ours_keeps_all_but_what_lower_casing_takes():
    tokenizer = WordPiece([*SPECIAL, *"abcdefghijklmnopqrstuvwxyz.'", "king", "un", "##aff",
                           "##able", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz")])

    def one_by_one(texts):
        packed = tokenizer.encode_batch(texts)
        return [packed.ids[a:b].tolist() for a, b in zip(packed.offsets, packed.offsets[1:])]
    check_tokenizer(lambda text: tokenizer.encode(text).ids, tokenizer.decode, len(tokenizer),
                    encode_batch=one_by_one,
                    encode_cut=lambda text, n: tokenizer.encode(text, max_length=n).ids,
                    without=("lossless",))
