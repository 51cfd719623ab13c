"""Check that a model's path is a local folder; for a Hugging Face Hub name, say how to get it.

Nothing is downloaded: a program that reads files should not use the network unexpectedly.
"""
import difflib
import os
import re

NEAR = 0.75                        # similarity of a name (difflib) that is suggested for another
# BAAI/bge-small-en-v1.5 or all-MiniLM-L6-v2, but not words.vec, ./encoder or models/encoder/
MODEL_NAME = re.compile(r"([^\W_][\w.-]*/)?[^\W_][\w-]*(\.\d+)?")


def require_local_folder(path: str | os.PathLike) -> None:
    """Raise FileNotFoundError or NotADirectoryError unless `path` is a folder."""
    if not os.path.exists(path):
        raise FileNotFoundError(missing_model(path))
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{path}: expected a model's folder, got a file; load() reads "
                                 "files of word vectors")


def missing_model(path: str | os.PathLike, read_by: str = "SentenceTransformer") -> str:
    """The message about a model that does not exist; for the name of a model, how to get it.

    A file of a similar name in the same folder is suggested instead.  A name without a slash does
    not say whose model it is on the Hub, and no organisation is guessed.

    read_by: the class of sentence-transformers that gets it, or "CrossEncoder"

    >>> print(missing_model("words.vec"))
    words.vec: there is no such file or folder
    """
    name = os.fspath(path)
    missing = missing_path(name)
    if missing.endswith("?") or not MODEL_NAME.fullmatch(name):
        return missing
    folder = os.path.basename(name)
    repository = name if "/" in name else f"ORGANISATION/{name}"
    return (f"{missing}, and nothing is downloaded; get it by "
            f"hf download {repository} --local-dir {folder}, or by Python's "
            f'{read_by}("{name}").save("{folder}")')


def missing_path(path: str | os.PathLike) -> str:
    """The message about a path that does not exist, with the nearest name in the same folder."""
    name = os.fspath(path)
    above, last = os.path.split(name.rstrip(os.sep))
    missing = f"{name}: there is no such file or folder"
    try:
        close = difflib.get_close_matches(last, os.listdir(above or os.curdir), 1, NEAR)
    except OSError:                                # the folder does not exist either
        close = []
    return f"{missing}; did you mean {os.path.join(above, close[0])}?" if close else missing
