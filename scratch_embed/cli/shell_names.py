"""Error messages in the names of the shell: `sample=0` becomes `--sample 0`.

The functions of the package name their arguments, because that is what a caller in Python has
typed.  At the shell the same setting is an option.  It is translated here, at the edge: every error
and warning that a command prints comes through message_of() or shell_names().
"""
import re

# arguments of functions that are called otherwise than the destination of their option
OTHER = {"size": "vocab_size", "topn": "top", "k": "top", "folder": "on_disk", "pool": "pooling",
         "poolings": "pooling", "prompt": "prompts", "max_seq_length": "max_length",
         "method": "mode", "level": "relevance_level"}
VALUE = r"""(?P<value>"[^"]*"|'[^']*'|[^\s,;:)]+)"""
ALONE = r"(?<![\w/.'\"=-])"                            # not a part of a path or of a quoted text
ASSIGNED = re.compile(rf"{ALONE}(?P<name>[a-z]\w*)={VALUE}")                   # sample=0
STARTS = re.compile(r"(?P<before>^|, )(?P<name>[a-z]\w*)(?=: expected| was )")   # heads: expected
CHANGED = re.compile(r"(?P<before>\b(?:larger|smaller|higher|lower) )(?P<name>[a-z]\w*)\b")
UNDERSCORED = re.compile(rf"(?P<before>{ALONE})(?P<name>[a-z]+(?:_[a-z]+)+)(?![\w./=(-])")
NO_ERRORS = re.compile(r",? or choose errors=.*$|; errors=.*$")


def message_of(error, arguments=None):
    """The message of an error, on one line, in the names of the command that was typed."""
    from scratch_embed.numerics.errors import FormatError
    if isinstance(error, FormatError):                 # the names in a file are not translated
        path, place, problem = error.parts
        return f"{path}: {place}: {errors_option(problem, arguments)}"
    if isinstance(error, FileExistsError) and error.filename is not None:      # by makedirs
        return f"{error.filename}: expected the name of a folder, got a file; choose another"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    # str(KeyError) would put its message in quotes
    message = error.args[0] if type(error) is KeyError and error.args else error
    return shell_names(str(message), arguments) or type(error).__name__


def shell_names(message, arguments):
    """The message, with the options of the command in place of the arguments of functions."""
    names = option_names(arguments)

    def assigned(match):
        value = match["value"]
        if match["name"] not in names:
            return match[0]
        option = names[match["name"]]
        return option if value in ("True", "False") else f"{option} {unquoted(value)}"

    def named(match):
        return match["before"] + names.get(match["name"], match["name"])
    message = ASSIGNED.sub(assigned, errors_option(message, arguments))
    for pattern in STARTS, CHANGED, UNDERSCORED:
        message = pattern.sub(named, message)
    return message


def errors_option(message, arguments):
    """The message with --errors for errors=; without that advice if the command has no --errors."""
    if "errors" not in option_names(arguments):
        return NO_ERRORS.sub("", message)
    return re.sub(rf"{ALONE}errors={VALUE}",
                  lambda match: f"--errors {unquoted(match['value'])}", message)


def unquoted(value):
    """A value as it is typed at the shell."""
    return value.strip("\"'") or "''"


def option_names(arguments):
    """{argument of a function: the option of the running command, or the value of its argument}."""
    command = getattr(arguments, "command", None)
    if command is None:
        return {}
    names = {}
    for action in command._actions:
        value = getattr(arguments, action.dest, None)
        if action.option_strings and action.dest != "help":
            names[action.dest] = action.option_strings[-1]
        elif isinstance(value, str):                   # TEXT: the file that was named
            names[action.dest] = value
    return names | {python: names[dest] for python, dest in OTHER.items()
                    if dest in names and python not in names}
