"""Where the committed corpora are, in a checkout and in an installed package alike.

corpora/ lies beside the package in a checkout (so also in an editable install) and inside it in a
wheel, where setup.cfg maps it to scratch_embed.corpora.  The inner folder goes first: beside an
installed package there may be anybody's corpora/.
"""
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def corpus_path(name: str, package: str | os.PathLike = PACKAGE) -> Path:
    """The path of a committed corpus, by its file's name: corpus_path("words-easy.txt").

    package: the folder of scratch_embed itself.  A name that is not there is a FileNotFoundError
    that lists those that are.

    >>> corpus_path("words-easy.txt").name
    'words-easy.txt'
    """
    folders = [Path(package) / "corpora", Path(package).parent / "corpora"]
    there = [path for folder in folders if folder.is_dir()
             for path in sorted(folder.iterdir()) if path.is_file()]
    for path in there:
        if path.name == name:
            return path
    raise FileNotFoundError(f"no corpus {name!r} in {folders[0]} or {folders[1]}; there is: "
                            + (", ".join(path.name for path in there) or "nothing"))
