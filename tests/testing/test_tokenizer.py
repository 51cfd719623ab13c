"""check_tokenizer: faulty tokenizers and this package's WordPiece."""
import random
from functools import partial

import pytest

from scratch_embed.testing import TOKENIZER, check_tokenizer
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from tests.testing.broken_functions import assert_broken


def encode(text):
    return list(text.encode())


def decode(ids):
    return bytes(ids).decode(errors="replace")


def batch(texts):
    return [encode(text) for text in texts]


def padded(texts):
    max_length = max(map(len, batch(texts)), default=0)
    return [ids + [0] * (max_length - len(ids)) for ids in batch(texts)]


def offsets(text):
    return [(i, i + 1) for i, c in enumerate(text) for _ in c.encode()]


def offsets_in_bytes(text):
    """Faulty offsets: they count bytes, not characters."""
    return [(i, i + 1) for i in range(len(text.encode()))]


def encode_special(text):
    """The bytes between two special tokens, 256 and 257."""
    return [256, *text.encode(), 257]


def decode_special(ids):
    return decode([i for i in ids if i < 256])


def cut(text, max_length):
    whole = encode_special(text)
    return whole if len(whole) <= max_length else [*whole[:max_length - 1], 257]


OPTIONAL = dict(encode_batch=batch, encode_cut=lambda text, n: encode(text)[:n], offsets=offsets)


@pytest.mark.parametrize("tokenize, detokenize, vocab_size, options, names", [
    (encode, decode, 100, OPTIONAL, "ids_in_range"),
    (lambda text: list(text.encode("ascii")), decode, 256, {},
     "ids_in_range deterministic settled lossless"),
    (lambda text: encode(text.lower()), decode, 256, {}, "lossless"),
    (lambda text: encode(text) or [65], decode, 256, {}, "empty_text lossless"),
    (encode, decode, 256, OPTIONAL | dict(encode_batch=padded), "batch"),
    (encode, decode, 256, OPTIONAL | dict(encode_cut=lambda text, n: encode(text)[-n:]), "cut"),
    (encode, decode, 256, OPTIONAL | dict(encode_cut=lambda text, n: encode(text)), "cut"),
    (encode, decode, 256, OPTIONAL | dict(offsets=offsets_in_bytes), "offsets_in_text"),
    (encode, lambda ids: decode(ids) + "." * bool(ids), 256, {}, "settled lossless"),
    (lambda text: random.sample(encode(text), len(text.encode())), decode, 256, {},
     "deterministic settled lossless")])
def test_the_broken_invariants_of_a_faulty_function_are_found(tokenize, detokenize, vocab_size,
                                                              options, names):
    assert_broken(names, partial(check_tokenizer, **options), TOKENIZER, tokenize, detokenize,
           vocab_size)


@pytest.mark.parametrize("tokenize, detokenize, options", [
    (encode, decode, OPTIONAL), (encode_special, decode_special, dict(encode_cut=cut))])
def test_byte_tokenizers_with_and_without_special_tokens_pass(tokenize, detokenize, options):
    check_tokenizer(tokenize, detokenize, 258, **options)


def test_a_cut_may_drop_the_closing_token_but_not_the_first_characters():
    check = partial(check_tokenizer, encode_special, decode_special, 258)
    check(encode_cut=lambda text, n: encode_special(text)[:n])
    with pytest.raises(AssertionError, match="'cut'"):
        check(encode_cut=lambda text, n: encode_special(text[1:])[:n])


def test_our_wordpiece_satisfies_all_invariants_except_lossless_and_offsets():
    tokenizer = WordPiece([*SPECIAL, *"abcdefghijklmnopqrstuvwxyz.'", "king", "un", "##aff",
                           "##able", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz")])

    def one_by_one(texts):
        packed = tokenizer.encode_batch(texts)
        return [packed.ids[start:end].tolist()
                for start, end in zip(packed.offsets, packed.offsets[1:])]
    check_tokenizer(lambda text: tokenizer.encode(text).ids, tokenizer.decode, len(tokenizer),
                    encode_batch=one_by_one,
                    encode_cut=lambda text, n: tokenizer.encode(text, max_length=n).ids,
                    without=("lossless",))
