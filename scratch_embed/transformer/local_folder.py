"""Check that a model's path is a local folder; for a Hugging Face Hub name, say how to get it.

Nothing is downloaded: a program that reads files should not use the network unexpectedly.
"""
import os
import re

# BAAI/bge-small-en-v1.5 or all-MiniLM-L6-v2, but not words.vec, ./encoder or models/encoder/
MODEL_NAME = re.compile(r"([^\W_][\w.-]*/)?[^\W_][\w-]*(\.\d+)?")


def require_local_folder(path: str | os.PathLike) -> None:
    """Raise FileNotFoundError or NotADirectoryError unless `path` is a folder."""
    if not os.path.exists(path):
        raise FileNotFoundError(missing_model(path))
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{path}: expected a model's folder, got a file; load() reads "
                                 "files of word vectors")


def missing_model(path: str | os.PathLike) -> str:
    """The message about a model that does not exist; for the name of a model, how to get it.

    >>> print(missing_model("words.vec"))
    words.vec: there is no such file or folder
    """
    name = os.fspath(path)
    missing = f"{name}: there is no such file or folder"
    if not MODEL_NAME.fullmatch(name):
        return missing
    repository = name if "/" in name else f"sentence-transformers/{name}"
    folder = os.path.basename(name)
    return (f"{missing}; give a local folder, nothing is downloaded.  Two ways to get one:  "
            f"hf download {repository} --local-dir {folder}  (of the package huggingface_hub), or  "
            f'SentenceTransformer("{name}").save("{folder}")  (in Python, of '
            "sentence-transformers)")
