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
    from scratch_embed.loading import OTHER_MODEL, hint, kind_of
    from scratch_embed.recognition import is_text
    from scratch_embed.transformer.adapter_folder import ADAPTER
    from scratch_embed.transformer.model_folder import has_adapter
    path = arguments.file
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"{path}: expected a file or folder, got a pipe or a device")
    kind, found = kind_of(path)
    facts, inside, why, damage = size_of(path), {}, None, None
    if kind is None:
        why = "this kind is not known"
    else:
        why = hint(kind, path) or None
        try:
            inside = from_header(found)
            if why is None:
                facts |= facts_of(kind.read(path))
                if os.path.isdir(path) and has_adapter(path):
                    facts["adapter"] = f"the LoRA of {ADAPTER}, added to the weights"
            elif is_text(found):
                facts |= text_facts(path)
        except (ValueError, KeyError, OSError, MemoryError) as error:
            why, damage = "see the message", error
    answer = {"path": path, "kind": found.described if kind in (None, OTHER_MODEL) else kind.name,
              "loads": why is None, "why": str(damage) if damage else why,
              "facts": facts | inside}
    if arguments.json:
        print_json(answer)
    else:
        print_facts({**answer, "loads": "yes" if why is None else f"no: {why}"})
    if damage:
        raise damage


def print_facts(answer):
    """Print a line per fact: what, then the value; the facts of a dict are indented below it."""
    rows = [*rows_of({name: answer[name] for name in ("path", "kind", "loads")} | answer["facts"])]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        print(f"{name:{width}}{value}".rstrip())


def rows_of(facts, indent=""):
    """Yield (what, value as text) of the facts; a dict is a row without a value, then its facts."""
    for name, value in facts.items():
        nested = isinstance(value, dict) and value
        yield indent + name, "" if nested else shown(value)
        if nested:
            yield from rows_of(value, indent + "  ")


def shown(value):
    """A value as one line of text."""
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str) and (value != value.strip() or "\n" in value or not value):
        return repr(value)                             # a prompt: its spaces and lines count
    return "none" if value in (None, {}) else str(value)
