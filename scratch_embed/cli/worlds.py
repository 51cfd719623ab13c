"""world: write a toy world as files: texts for retrieval, scenes for several senses, or speech."""
import os

from scratch_embed.cli.parsing import add_command, require_writable, whole
from scratch_embed.cli.training import say

FILES = "corpus.jsonl", "queries.jsonl", "qrels.tsv", "text.txt"


def add_commands(commands):
    """Add `world`."""
    command = add_command(
        commands, "world", "write a toy world: texts, images, sounds, speech",
        "scratch-embed world facts -o toy", run=run_world,
        details="A collection for retrieval has documents, queries and relevance judgements.  The "
                "scenes have an image, a depth image, a thermal image, a sound, the signal of a "
                "motion sensor, and captions; the speech has a syllable for every 10 ms and a "
                "speaker.")
    command.add_argument("name", metavar="NAME", choices=[*WORLDS, *SENSED],
                         help=HELP + SENSED_HELP)
    command.add_argument("-o", "--output", required=True, metavar="FOLDER",
                         help="the folder, created if it is missing.  For retrieval: corpus.jsonl, "
                              "queries.jsonl and qrels.tsv in BEIR's format, and text.txt to "
                              "train on, which also has the words of `evaluate mteb`; for scenes "
                              "and speech: PNG and WAV files, captions.tsv, and the truth in "
                              "scenes.jsonl or speech.jsonl")
    command.add_argument("--examples", type=whole(1), metavar="N",
                         help="number of scenes or of utterances (default: 500 for those two "
                              "worlds)")
    add_seed(command)


def add_seed(command):
    """Add --seed, the seed of a toy world."""
    command.add_argument("--seed", type=whole(0), default=0, metavar="N",
                         help="seed of the toy world (default: %(default)s)")


def run_world(arguments):
    """Write the files; messages go to stderr."""
    if arguments.name in SENSED:
        write_sensed(arguments)
        return
    if arguments.examples is not None:
        arguments.usage_error(f"--examples: expected with {' or '.join(SENSED)}, got "
                              f"{arguments.name}, whose size is fixed; leave it out")
    from scratch_embed.evaluate.collection import write_collection
    from scratch_embed.numerics.files import atomic_write
    from scratch_embed.worlds.toy_mteb import toy_mteb
    os.makedirs(arguments.output, exist_ok=True)
    for name in FILES:                                       # an error comes before the work
        require_writable(os.path.join(arguments.output, name))
    collection, text = world(arguments.name, arguments.seed), toy_mteb(arguments.seed).text
    write_collection(arguments.output, collection)
    with atomic_write(os.path.join(arguments.output, "text.txt")) as file:
        file.writelines(f"{' '.join(sentence)}\n".encode() for sentence in text)
    say(f"{len(collection.documents):,} documents, {len(collection.queries):,} queries, a text of "
        f"{len(text):,} sentences; wrote corpus.jsonl, queries.jsonl, qrels.tsv and text.txt to "
        f"{arguments.output}")


def write_sensed(arguments):
    """Write the scenes or the speech."""
    from scratch_embed.multimodal import scene_files
    files, write, what = {
        "scenes": (scene_files.SCENE_FILES, scene_files.write_scenes,
                   "scenes; wrote images, depth, thermal, sounds, imu.npy, captions.tsv, "
                   "sounds.tsv, scenes.jsonl and text.txt"),
        "speech": (scene_files.SPEECH_FILES, scene_files.write_speech,
                   "utterances; wrote sounds and speech.jsonl")}[arguments.name]
    os.makedirs(arguments.output, exist_ok=True)
    for name in files:
        require_writable(os.path.join(arguments.output, name))
    n = EXAMPLES if arguments.examples is None else arguments.examples
    require_all_replaced(arguments.output, files[0], n)
    write(arguments.output, n, arguments.seed)
    say(f"{n:,} {what} to {arguments.output}")


def require_all_replaced(folder, listing, n):
    """Raise ValueError if images or sounds of another world would stay beside the new ones.

    listing: scenes.jsonl or speech.jsonl; n: the examples that are written
    """
    for name in {"scenes.jsonl", "speech.jsonl"} - {listing}:
        if os.path.exists(os.path.join(folder, name)):
            raise ValueError(f"{folder}: expected a folder without {name}, whose sounds would be "
                             "replaced; choose another folder")
    sounds = os.path.join(folder, "sounds")
    held = len(os.listdir(sounds)) if os.path.isdir(sounds) else 0
    if held > n:
        raise ValueError(f"{sounds}: expected at most {n:,} files, which are replaced, found "
                         f"{held:,}; choose another folder, or remove this one")


# ---- the worlds ---------------------------------------------------------------------------------

HELP = ("facts: short reports, and queries in other words; codes: facts, and as many queries for "
        "rare codes; bindings: documents with the same words, which differ in who did what; "
        "instructions: relevance depends on the instruction before the query; long: documents of "
        "41 sentences, one of which states the fact")
SENSED_HELP = ("; scenes: things with a shape, a colour and so on, seen, described, heard and "
               "felt; speech: syllables spoken by several voices")


def world(name, seed):
    """The Collection of a toy world."""
    from scratch_embed.evaluate.collection import Collection
    return Collection(*WORLDS[name](seed))


def facts(seed):
    """(documents, queries, qrels) of worlds/facts.py."""
    from scratch_embed.worlds import facts
    found = facts.facts(seed)
    return found.corpus, found.queries, found.qrels


def codes(seed):
    """(documents, queries, qrels) of worlds/codes.py."""
    from scratch_embed.worlds.codes import with_codes
    from scratch_embed.worlds.facts import facts
    found = with_codes(facts(seed), seed)
    return found.corpus, found.queries, found.qrels


def bindings(seed):
    """(documents, queries, qrels) of worlds/bindings.py."""
    from scratch_embed.worlds.bindings import bindings
    found = bindings(seed)
    return found.corpus, found.queries, found.qrels


def instructions(seed):
    """(documents, queries, qrels) of worlds/instructions.py, each query after its instruction."""
    from scratch_embed.sentences.e5 import instruct
    from scratch_embed.worlds.instructions import instructions
    found = instructions(seed)
    queries = {name: instruct(found.instructions[name]) + text
               for name, text in found.queries.items()}
    return found.corpus, queries, found.qrels


def long(seed):
    """(documents, queries, qrels) of worlds/long_documents.py."""
    from scratch_embed.worlds.facts import facts
    from scratch_embed.worlds.long_documents import lengthen
    found = lengthen(facts(seed), seed)
    return found.corpus, found.queries, found.qrels


SENSED, EXAMPLES = ("scenes", "speech"), 500
WORLDS = {"facts": facts, "codes": codes, "bindings": bindings, "instructions": instructions,
          "long": long}
