"""info: what a file or folder is, its sizes and settings, and whether it loads."""
import os

from scratch_embed.cli.parsing import add_command, add_json
from scratch_embed.cli.printing import print_json


def add_commands(commands):
    """Add `info`."""
    info = add_command(commands, "info", "print what a file or folder is and whether it loads",
                       "scratch-embed info words.vec", run=run_info,
                       details="The kind is recognised by the content, not by the name.  A kind "
                               "that can be loaded is read completely, so that damage is found; "
                               "then the exit code is 1.")
    info.add_argument("file", metavar="FILE", help="a file or folder: word vectors, a model, an "
                      "index, a corpus, a checkpoint or any other")
    add_json(info, '{"path", "kind", "loads": true or false, "why": text or null, "facts": {what: '
                   "value}}")


def run_info(arguments):
    """Recognise, load and describe; a damaged file is described, and its error raised after."""
    from scratch_embed.cli.facts import facts_of, from_header, size_of, text_facts
    from scratch_embed.loading import hint, is_text, kind_of
    path = arguments.file
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"{path}: expected a file or folder, got a pipe or a device")
    kind, found = kind_of(path)
    facts, why, damage = size_of(path), None, None
    if kind is None:
        why = "this kind is not known"
    else:
        why = hint(kind, path) or None
        try:
            facts |= from_header(found)
            if why is None:
                facts |= facts_of(kind.read(path))
            elif is_text(found):
                facts |= text_facts(path)
        except (ValueError, KeyError, OSError, MemoryError) as error:
            why, damage = "see the message", error
    answer = {"path": path, "kind": kind.name if kind else found.described,
              "loads": why is None, "why": str(damage) if damage else why, "facts": facts}
    if arguments.json:
        print_json(answer)
    else:
        print_facts({**answer, "loads": "yes" if why is None else f"no: {why}"})
    if damage:
        raise damage


def print_facts(answer):
    """Print a line per fact: what, then the value."""
    rows = {name: answer[name] for name in ("path", "kind", "loads")} | answer["facts"]
    width = max(map(len, rows)) + 2
    for name, value in rows.items():
        print(f"{name:{width}}{shown(value)}")


def shown(value):
    """A value as one line of text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "none" if value is None else str(value)
