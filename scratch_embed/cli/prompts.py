"""A model's prompts: the texts that `index`, `search` and `evaluate retrieval` put before others.

Many models are trained with "query: " before each query and "passage: " before each document; such
texts are stored in the model's folder, by name.  Others are trained with an instruction before each
query (sentences/e5.py), which says what is asked for; it is not stored.
"""
from typing import NamedTuple

from scratch_embed.cli.messages import say

QUERY, DOCUMENT = ("query",), ("document", "passage", "corpus")    # names that models use
QUERY_DEFAULT = 'the model\'s prompt "query", else its default prompt, else none'
DOCUMENT_DEFAULT = ('the model\'s prompt "document", "passage" or "corpus", else its default '
                    "prompt, else none")


class Prompts(NamedTuple):
    """The text before each query and before each document; None: what encode() does by itself."""

    query: str | None = None
    document: str | None = None


def add_query_prompts(command, default=QUERY_DEFAULT):
    """Add --prompt-name and --query-prompt, of which at most one may be given."""
    _add(command, "--query-prompt", "every query", default, name_too=True)


def add_document_prompts(command):
    """Add --prompt-name and --document-prompt, of which at most one may be given."""
    _add(command, "--document-prompt", "every line", DOCUMENT_DEFAULT, name_too=True)


def add_query_prompt(command):
    """Add --query-prompt, for later searches."""
    _add(command, "--query-prompt", "every query, in later searches", QUERY_DEFAULT)


def add_document_prompt(command):
    """Add --document-prompt."""
    _add(command, "--document-prompt", "every document", DOCUMENT_DEFAULT)


def _add(command, option, what, default, name_too=False):
    group = command.add_mutually_exclusive_group()
    if name_too:
        group.add_argument("--prompt-name", metavar="NAME",
                           help=f"put the model's prompt of this name before {what} "
                                f"(default: {default})")
    if option == "--query-prompt":
        add_instruction(group, "query_prompt", what)
    group.add_argument(option, metavar="STRING", help=f'put this text before {what}; "": no prompt '
                       f"(default: {default})")


def add_instruction(group, dest, what):
    """Add --instruction, which stores a prompt in the arguments as `dest`.

    Call it before the option of this name is added, whose name messages then use.
    """
    group.add_argument("--instruction", type=prompt_of_instruction, dest=dest, metavar="STRING",
                       help=f'put "Instruct: STRING", a new line and "Query: " before {what}, as '
                            "models expect that are trained with instructions (default: no "
                            "instruction)")


def prompt_of_instruction(text):
    """The prompt of an instruction."""
    from scratch_embed.sentences.e5 import instruct
    return instruct(text)


def chosen_prompts(encoder, name, query=None, document=None, query_name=None, document_name=None):
    """The Prompts of an encoder, which are printed.  name: of the model, for messages.

    query, document: these texts; query_name, document_name: the model's prompts of these names.
    Without them: the model's prompt "query"; its prompt "document", "passage" or "corpus"; or else
    its default prompt.  Raises ValueError for a name that the model does not have.
    """
    recipe = getattr(encoder, "recipe", None)
    known = getattr(encoder, "prompts", {}) if recipe is None else recipe.prompts
    default = None if recipe is None else recipe.default_prompt_name
    found = Prompts(_choose(name, known, default, QUERY, query, query_name),
                    _choose(name, known, default, DOCUMENT, document, document_name))
    say_prompts(name, found, known)
    return found


def _choose(model, known, default, names, text, name):
    """The prompt of one kind of texts."""
    if text is not None:
        return text
    if name is None:
        return next((known[kind] for kind in names if kind in known), known.get(default))
    if name not in known:
        listed = f"one of {', '.join(map(repr, known))}" if known else "none, it has no prompts"
        raise ValueError(f"--prompt-name: expected a prompt of {model}, {listed}; got {name!r}")
    return known[name]


def say_prompts(name, prompts, known):
    """Print what is put before texts, if a prompt is used or if the model has one."""
    if any(prompts) or any(known.values()):
        said = [f"{what} {text!r}" if text else f"{what} none" for what, text in
                zip(("of queries", "of documents"), prompts)]
        say(f"{name}: prompt {', prompt '.join(said)}")


def say_default(encoder, name, advice=""):
    """Print the default prompt of an encoder, which encode() puts before each text, if it has one.

    If it has only others, these are printed, with the advice how to use them.
    """
    recipe = getattr(encoder, "recipe", None)
    known = {} if recipe is None else {kind: text for kind, text in recipe.prompts.items() if text}
    if not known:
        return
    text = known.get(recipe.default_prompt_name)
    say(f"{name}: default prompt {text!r}" if text else
        f"{name}: no prompt is used, and the model has {named(known)}{advice}")


def named(prompts):
    """The prompts of a model, by name, as text."""
    return ", ".join(f"{kind} {text!r}" for kind, text in prompts.items())


def say_truncated(encoder, name, what):
    """Print how many texts were truncated since the last call, if any.  what: the texts are."""
    truncated = getattr(encoder, "truncated", 0)
    if truncated:
        most = encoder.recipe.max_seq_length if hasattr(encoder, "recipe") else encoder.max_tokens
        say(f"{name}: truncated {truncated:,} of the {what} to {most} "
            "tokens, the most that the model takes")
        encoder.truncated = 0
