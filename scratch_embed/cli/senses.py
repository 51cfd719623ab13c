"""encode, index and search with files of images or sounds in place of lines of text.

An index of files is one of texts whose lines are the paths of the files, and whose `made_by` has
the sense.  So its vectors, digests and --add are those of any index; but it has no words for BM25.
Read next cli/media_files.py (which files), cli/sense_encoder.py (their vectors)
"""
import os

from scratch_embed.cli.messages import say
from scratch_embed.numerics.wording import counted

INPUT = ('one text per line, plain or gzip, "-" is stdin; or, for a model of images or sounds, a '
         "PNG or WAV file or a folder of them, which are read in the order of their names")
NAMED = 3                          # files of other kinds that a message names


# ---- options -------------------------------------------------------------------------------------

def add_sense(command, what):
    """Add --sense.  what: the files that it is about"""
    command.add_argument("--sense", metavar="NAME",
                         help=f"what {what} show, with an ImageBind that has towers for depth or "
                              "thermal images: image, depth or thermal (default: image for PNG, "
                              "audio for WAV)")


def add_file_query(command):
    """Add --file, and --sense for it, to `search`."""
    option = command.add_argument(
        "--file", metavar="FILE", help="search by a PNG or WAV file; with QUERY, by the sum of "
        "both at norm 1: a sound plus \"red\" is near red things that sound so; QUERY or --file "
        "is required (default: none)")
    option.read_as = "any"
    add_sense(command, "PNG files")


# ---- the input of encode and index ---------------------------------------------------------------

def sense_input(path, model, encoder, sense=None):
    """(the encoder of the input's sense, its paths), or None if the input is a text.

    model: the path of the model, for messages; sense: of --sense
    Raises ValueError or OSError for files that the model does not encode, or for no files.
    """
    from scratch_embed.cli.media_files import find_media, require_no_names, sense_of
    from scratch_embed.cli.sense_encoder import SenseEncoder
    if not isinstance(encoder, SenseEncoder):
        if sense is not None:
            raise ValueError(f"--sense: expected with an ImageBind, and {model} encodes texts")
        is_file = os.path.isfile(path) and sense_of(path)
        if is_file or os.path.isdir(path):
            what = {None: "a folder", "image": "a PNG picture", "audio": "a WAV recording"}[
                is_file or None]
            raise ValueError(f"{path}: expected a text, because {model} encodes texts, found "
                             f"{what}; CLIP, CLAP, Whisper and ImageBind encode pictures or sounds")
        return None
    found = find_media(path) if os.path.exists(path) else None            # "-" does not exist
    if found is None:
        require_sense(model, encoder, "text", path)
        require_no_names(path)
        if sense is not None:
            raise ValueError(f"--sense: expected with PNG or WAV files, got the text {path}")
        return None
    if found.others:
        names = ", ".join(found.others[:NAMED]) + ", ..." * (len(found.others) > NAMED)
        say(f"{path}: {counted(len(found.others), 'file')} left out, neither PNG nor WAV: {names}")
    return encoder.of(chosen_sense(found.sense, sense, model, encoder, path)), found.paths


def chosen_sense(found, sense, model, encoder, path):
    """The sense of files: of --sense, or by their format.

    found: "image" for PNG, "audio" for WAV
    """
    readable = {"audio"} if found == "audio" else {*encoder.senses} & {"image", "depth", "thermal"}
    if sense is not None and sense not in readable:
        raise ValueError(f"--sense: expected {', '.join(sorted(readable)) or 'none'}, a sense "
                         f"of {model} that {path} can be, got {sense!r}")
    require_sense(model, encoder, sense or found, path)
    return sense or found


def require_sense(model, encoder, sense, path):
    """Raise ValueError if a model does not have the sense of the input `path`."""
    from scratch_embed.cli.media_files import FORMATS
    if sense not in encoder.senses:
        what = {"text": "a text", **{name: f"{form} files" for name, form in FORMATS.items()}}
        raise ValueError(f"{path}: expected input for {model}, which encodes "
                         f"{' and '.join(encoder.senses)}, found {what[sense]}")


def require_same_sense(index, path, encoder):
    """Raise ValueError unless an index is of the sense of `encoder`.  path: of the index"""
    held, added = (sense or "text" for sense in (index.made_by.get("sense"), sense_name(encoder)))
    if held != added:
        raise ValueError(f"{path}: expected what it already has, {held}, got {added}; make "
                         "another index")


def sense_name(encoder):
    """The sense of an encoder of files; None for one of texts."""
    sense = getattr(encoder, "sense", "text")
    return None if sense == "text" else sense


# ---- search --------------------------------------------------------------------------------------

def of_files(index):
    """Whether an index holds files, not lines of text."""
    return "sense" in index.made_by


def check_file_search(index, arguments):
    """Raise ValueError for options that need words, with an index of files or with --file."""
    if arguments.sense is not None and not arguments.file:
        raise ValueError("--sense: expected with --file, which it is about; leave it out")
    if not (of_files(index) or arguments.file):
        return
    if not arguments.queries and (arguments.prompt_name, arguments.query_prompt) != (None, None):
        raise ValueError("--query-prompt, --instruction, --prompt-name: expected with a QUERY, "
                         "before which the prompt is put; leave it out")
    what = (f"{arguments.index} is an index of files" if of_files(index) else
            f"{arguments.file} is a file")
    for option, reason in (("bm25", "has no words for BM25"), ("hybrid", "has no words for BM25"),
                           ("rerank", "has no text for a cross-encoder")):
        if getattr(arguments, option):
            raise ValueError(f"--{option}: {what}, which {reason}; leave it out")


def file_search(index, encoder, prompt, arguments):
    """The search by the model alone: a function (queries, k) -> (numbers (N, k), scores (N, k)).

    The queries are texts; with --file, each is added to the file; without texts, they are [FILE].
    """
    from scratch_embed.cli.sense_encoder import SenseEncoder
    name, file = index.made_by["model"], arguments.file
    if not file:
        if isinstance(encoder, SenseEncoder):
            require_query(name, encoder)
        return lambda queries, k: index.search(encoder.encode(queries, prompt=prompt), k)
    found = sense_input(file, name, encoder, arguments.sense)
    if found is None or os.path.isdir(file):
        raise ValueError(f"--file: expected a PNG or WAV file, got {file}")
    of_file, paths = found
    vector = of_file.encode(paths, normalize_embeddings=True)
    if arguments.queries:
        require_query(name, encoder)

    def search(queries, k):
        from scratch_embed.multimodal.imagebind import add_vectors
        if not arguments.queries:
            return index.search(vector, k)
        texts = encoder.encode(queries, prompt=prompt)
        return index.search(add_vectors(vector.repeat(len(texts), axis=0), texts), k)
    return search


def require_query(model, encoder):
    """Raise ValueError if a model does not encode texts, so that only --file can be searched."""
    if "text" not in encoder.senses:
        raise ValueError(f"QUERY: {model} encodes {' and '.join(encoder.senses)}, and no texts; "
                         "search by --file FILE")


def print_files(query, found, several):
    """Print a line per result: rank, score, path.  found: rows (score, number, path)"""
    if several:
        print(f"query: {query}")
    for rank, (score, _, path) in enumerate(found, 1):
        print(f"{rank}\t{score:.4f}\t{path}")
    if several:
        print()
