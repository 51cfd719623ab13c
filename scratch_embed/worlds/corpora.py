"""The paths of the committed corpora, in a checkout and in an installed package.

In a checkout (and an editable install) corpora/ lies beside the package.  In a wheel it lies inside
the package, where setup.cfg maps it to scratch_embed.corpora.  The folder inside the package is
searched first, because the folder beside an installed package may belong to another project.
"""
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def corpus_path(name: str, package: str | os.PathLike = PACKAGE) -> Path:
    """The path of a committed corpus, given the name of its file.

    package: the folder of scratch_embed itself.
    Raises FileNotFoundError, with a list of the corpora, if there is no file of this name.

    >>> corpus_path("words-easy.txt").name
    'words-easy.txt'
    """
    folders = [Path(package) / "corpora", Path(package).parent / "corpora"]
    corpora = [path for folder in folders if folder.is_dir()
               for path in sorted(folder.iterdir()) if path.is_file()]
    for path in corpora:
        if path.name == name:
            return path
    raise FileNotFoundError(f"no corpus {name!r} in {folders[0]} or {folders[1]}; found: "
                            + (", ".join(path.name for path in corpora) or "none"))
