"""How glove.json was made: by the C programs of GloVe, from the text glove.txt.

    python tests/golden/make_glove.py FOLDER      FOLDER: the programs that GloVe's `make` builds

The file contains the words with their counts; the cells, in the order in which one thread trains on
them; and all parameters before training and after each of three iterations.  The parameters have
the layout of the C program: V rows of words, then V rows of contexts, each D weights and a bias.
Numbers are written by float.hex, so they are not rounded.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WINDOW, DIM, X_MAX, ITERATIONS = 4, 3, 2, 3
CELL = np.dtype([("row", "<i4"), ("col", "<i4"), ("x", "<f8")])


def main(tools):
    """Run the four programs in a temporary folder, and write their results to glove.json."""
    with tempfile.TemporaryDirectory() as folder:
        def run(name, options, source=None, target="unused"):
            with open(Path(folder) / target, "wb") as out:
                subprocess.run([Path(tools).resolve() / name, "-verbose", "0", *options.split()],
                               cwd=folder, stdin=open(source, "rb") if source else None,
                               stdout=out, check=True)
        run("vocab_count", "-min-count 1", HERE / "glove.txt", "vocab")
        run("cooccur", f"-window-size {WINDOW} -memory 1 -vocab-file vocab", HERE / "glove.txt",
            "cells")
        run("shuffle", "-memory 1 -seed 1", Path(folder) / "cells", "shuffled")
        run("glove", f"-input-file shuffled -vocab-file vocab -save-file v -vector-size {DIM} "
            f"-x-max {X_MAX} -iter {ITERATIONS} -threads 1 -binary 1 -checkpoint-every 1 "
            "-save-init-param 1 -seed 1 -write-header 0")
        words = [line.split() for line in open(Path(folder) / "vocab", encoding="utf-8")]
        cells = np.fromfile(Path(folder) / "shuffled", CELL)
        tables = [np.fromfile(path, "<f8") for path in sorted(Path(folder).glob("v.0*.bin"))]
    assert len(tables) == ITERATIONS + 1
    frozen = {"window": WINDOW, "dim": DIM, "x_max": X_MAX,
              "words": [word for word, _ in words], "counts": [int(n) for _, n in words],
              "rows": (cells["row"] - 1).tolist(), "cols": (cells["col"] - 1).tolist(),
              "x": [x.hex() for x in cells["x"].tolist()],
              "parameters": [[x.hex() for x in table.tolist()] for table in tables]}
    (HERE / "glove.json").write_text(json.dumps(frozen, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
