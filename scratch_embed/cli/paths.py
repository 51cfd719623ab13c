"""The files and folders that a command names: checks before the work, and what a wrong one is.

What an argument is for follows from its name: TEXT is read as a text, -o is written.  So every
command, also a new one, is checked in the same way, before it reads anything.
Read next loading.py (the kinds of files and folders, recognised by their content)
"""
import os
from typing import NamedTuple

from scratch_embed.cli.parsing import require_folder, require_writable
from scratch_embed.cli.texts import require_words

STDIO = "-"                        # standard input, or for `phrases` standard output
# arguments that name a text of sentences; `predict` also reads blank lines, as fastText does
SENTENCES = {"corpus", "texts", "input", "labelled", "held_out", "queries"}
WRITTEN = {"-o", "--checkpoint", "--on-disk", "--run-out", "--results-folder",
           "--adapter-out"}
READ = {"TEXT": "text", "LABELLED": "text", "QRELS": "text", "RUN": "text", "VECTORS": "vectors",
        "MODEL": "encoder", "INDEX": "index",          # metavar of an argument: what it must be
        "FILE": "any", "IN": "any"}


class Expected(NamedTuple):
    """What an argument must be: in words, and the roles of files that can be it."""

    words: str
    roles: frozenset


FILES_OF_WORDS = {"vectors", "fasttext", "classifier"}
TEXTS = frozenset({"text", "run", "qrels", "json"})
EXPECTED = {
    "any": Expected("a file or folder", frozenset()),  # its command says what it is
    "vectors": Expected("word vectors", frozenset(FILES_OF_WORDS)),
    "encoder": Expected("a folder with a transformer, or word vectors",
                        frozenset({"encoder", "model", *FILES_OF_WORDS})),
    "any encoder": Expected("a folder with a model, or word vectors", frozenset(
        {"encoder", "model", "senses", "whisper", *FILES_OF_WORDS})),
    "transformer": Expected("a folder with a transformer", frozenset({"encoder", "model"})),
    "any transformer": Expected("a folder with a transformer or a cross-encoder",
                                frozenset({"encoder", "model", "cross-encoder"})),
    "classifier": Expected("a classifier, of `train classifier` or of fastText",
                           frozenset({"classifier"})),
    "fasttext": Expected("a .bin of fastText or of `train fasttext`",
                         frozenset({"fasttext", "classifier"})),
    "index": Expected("an index, of `index`", frozenset({"index"})),
    "cross-encoder": Expected("a folder with a cross-encoder", frozenset({"cross-encoder"})),
    "any index": Expected("an index, of `index` or Index.save",
                          frozenset({"index", "vector index"})),
    "text or files": Expected("a text", TEXTS | {"media"}),      # or a folder of files
    "text": Expected("a text", TEXTS)}

# role of a file: what takes it
TAKES = {"vectors": "`similar`, `encode` and `index --model` take it",
         "fasttext": "`similar`, `ngrams --model` and `encode` take it",
         "classifier": "`predict` and `evaluate classifier` take it",
         "encoder": "`encode`, `index --model` and `evaluate` take it",
         "model": "`fill`, `encode` and `train simcse --model` take it",
         "cross-encoder": "`rerank --model` and `search --rerank` take it",
         "whisper": "`encode`, `index --model` and `train whisper --model` take it",
         "senses": "`encode` and `index --model` take it",
         "media": "`encode` and `index` take it, with a model of images or sounds",
         "index": "`search` and `neighbours` take it",
         "text": "`train`, `phrases` and `index` take it",
         "run": "`evaluate run` takes it", "qrels": "`evaluate run` takes them",
         "json": "`evaluate retrieval` takes a collection of texts as JSON lines",
         "checkpoint": "`train` takes it, as --checkpoint with --resume",
         "pickle": "no command does, because it can run any code",
         "vector index": "`neighbours` takes it",
         "other model": "no command does; `info` says why",
         "other index": "no command does; in Python, load() reads it",
         "corpus": "no command does; in Python, load() reads it"}
ROLES = {                          # the kinds of loading.py, by the beginning of their names
    "a fastText classifier": "classifier", "a fastText model": "fasttext",
    "a search index with its texts": "index", "a search index": "vector index",
    "a folder with a model of another type": "other model",
    "an index of": "other index", "a training checkpoint": "checkpoint",
    "word vectors": "vectors", "a pickle": "pickle",
    "a run": "run", "relevance judgements": "qrels", "JSON": "json", "a labelled text": "text",
    "a text": "text", "a corpus": "corpus", "a sentence-transformers folder": "encoder",
    "a cross-encoder": "cross-encoder", "a Whisper": "whisper",
    "a CLIP": "senses", "a CLAP": "senses", "an ImageBind": "senses",
    "a PNG picture": "media", "a WAV recording": "media"}


# ---- what an argument is for ---------------------------------------------------------------------

def read_as(action):
    """What an argument of a parser is read as, a key of EXPECTED; None if it is not a path."""
    if hasattr(action, "read_as"):
        return action.read_as
    if not action.option_strings or action.metavar in ("MODEL", "INDEX"):
        return READ.get(action.metavar)
    reads = action.metavar in ("FILE", "RUN") and not writes(action)
    return "text" if reads else None


def has_sentences(action):
    """Whether an argument of a parser names a text of sentences, not of pairs or judgements."""
    return read_as(action) in ("text", "text or files") and action.dest in SENTENCES


def writes(action):
    """Whether an option of a parser names a file or folder to write."""
    return bool(WRITTEN.intersection(action.option_strings))


def paths_of(arguments, chosen):
    """(action, path) for every path in the arguments of a command whose action is chosen."""
    for action in arguments.command._actions:
        given = getattr(arguments, action.dest, None)
        if given is not None and chosen(action):
            yield from ((action, path) for path in (given if isinstance(given, list) else [given]))


# ---- before the work -----------------------------------------------------------------------------

def check_paths(arguments):
    """Raise OSError or ValueError if an output cannot be written or an input does not exist."""
    for action, path in paths_of(arguments, writes):
        if action.metavar == "FOLDER":
            require_folder(path)
        elif not (path == STDIO and "stdout" in (action.help or "")):
            require_writable(path)
    for action, path in paths_of(arguments, read_as):
        if path == STDIO:
            continue
        if not os.path.exists(path):
            raise FileNotFoundError(missing(path, read_as(action)))
        if os.path.isdir(path) and read_as(action) in ("text", "index", "any index"):
            raise IsADirectoryError(wrong_kind(path, read_as(action)))
        if os.path.isfile(path) and has_sentences(action):
            require_words(path)


def missing(path, expected):
    """The message about a path that does not exist; for the name of a model, how to get it."""
    from scratch_embed.transformer.local_folder import missing_model, missing_path
    if expected == "cross-encoder":
        return missing_model(path, "CrossEncoder")
    models = "encoder", "any encoder", "transformer", "any transformer"
    return (missing_model if expected in models else missing_path)(path)


# ---- after an error ------------------------------------------------------------------------------

def wrong_path_message(arguments):
    """What is wrong with a path of a command that has failed: it is another kind; else None."""
    for action, path in paths_of(arguments, read_as):
        if path != STDIO and (os.path.isfile(path) or os.path.isdir(path)):
            if problem := wrong_kind(path, read_as(action)):
                other = exchanged_with(arguments, action, path)
                return problem if other is None else wrong_kind(
                    path, read_as(action), f"{path} and {other} are swapped")
    return None


def exchanged_with(arguments, action, path):
    """The path that fits in the place of `path`, and `path` in its place; None without one."""
    for place, other in paths_of(arguments, read_as):
        if other != STDIO and fits(other, read_as(action)) and fits(path, read_as(place)):
            return other
    return None


def fits(path, expected):
    """Whether a path exists and is of a known kind that `expected` allows."""
    from scratch_embed import loading
    try:
        kind, _ = loading.kind_of(path)
    except (ValueError, OSError):
        return False
    return kind is not None and role_of(kind) in EXPECTED[expected].roles


def wrong_kind(path, expected, advice=None):
    """The message about a path that is of another kind than `expected`; None if it may be of it.

    advice: the end of the message; by default, which command takes such a file.
    """
    if expected == "any":
        return None
    from scratch_embed import loading
    try:
        kind, found = loading.kind_of(path)
    except (ValueError, OSError):                      # damaged: its reader says how
        return None
    if kind is None and (not os.path.isdir(path) or expected == "text or files"):
        return None
    role = role_of(kind) if kind else None
    if expected in ("text", "text or files") and role == "vectors" and loading.is_text(found):
        return None                                    # texts of words and numbers: see texts.py
    if role in EXPECTED[expected].roles or kind is None and found.model_type is not None:
        return None
    if kind is loading.OTHER_MODEL and {"model", "cross-encoder"} & EXPECTED[expected].roles:
        return None                                    # its reader names the model_type
    name = kind.name if kind else found.described
    advice = advice or TAKES.get(role) or (loading.hint(kind, path) if kind else "")
    return f"{path}: expected {EXPECTED[expected].words}, found {name}" + (advice and f"; {advice}")


def role_of(kind):
    """The role of a kind of loading.py, a key of TAKES; None for a kind that nothing takes."""
    from scratch_embed.loading import MODELS
    if kind in MODELS:
        return "model"
    return next((role for start, role in ROLES.items() if kind.name.startswith(start)), None)
