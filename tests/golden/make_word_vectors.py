"""How word_vectors.txt and word_vectors.bin were made: by gensim 4.4.0, from this table.

    python tests/golden/make_word_vectors.py

The numbers are float32 values that are difficult for a reader: 1/3, the largest, the smallest
normal and the smallest subnormal number, −0, and integers.  The letters of the words have one to
four bytes.
"""
from pathlib import Path

import numpy as np

WORDS = ["</s>", "king", "naïve", "日本", "🙂"]
VECTORS = np.array([[0.0, -0.0, 1.0, -2.0],
                    [1 / 3, -0.1, 0.0625, 123456.79],
                    [3.4028235e38, -1.1754944e-38, 1e-45, 16777216.0],
                    [-7.5e-05, 0.0001, 1e16, -9999999.0],
                    [0.024321035, -0.9182736, 2.718282, -3.1415927]], np.float32)


def main():
    from gensim.models import KeyedVectors
    table = KeyedVectors(vector_size=4)
    table.add_vectors(WORDS, VECTORS)
    folder = Path(__file__).parent
    table.save_word2vec_format(str(folder / "word_vectors.txt"))
    table.save_word2vec_format(str(folder / "word_vectors.bin"), binary=True)


if __name__ == "__main__":
    main()
