"""Read JSON files with checked fields: an error names the file, the field and what was expected.

Bytes     UTF-8: one object {name: value}, or one list
Differs   Errors here, but accepted by Python's json: a name twice in one object (the last value
          wins); NaN and Infinity, which are not valid JSON; lone surrogates in names and in the
          strings that Fields reads ("\\ud800", half of a pair, has no UTF-8 form).
Read next transformer/checkpoint.py (a config.json), text/tokenizer_json.py (a tokenizer.json),
          numerics/safetensors.py (a header)

Why check types?  A value of the wrong type rarely fails where it is read: "12" in place of 12 fails
far from there, true in place of 1 never.  So each field is read by its name and expected type.
"""
import json
import os
import re
import reprlib
import stat
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write

LONGEST = 1 << 28                  # bytes of a JSON file; the largest tokenizers have 30 MB
MOST_FLOAT = sys.float_info.max    # 1.8e308; an integer in JSON may exceed it
LARGEST = 2**31 - 1                # the largest int32, the type of most indices
MOST_LISTED = 16                   # names that a message lists
REQUIRED = object()                # in place of a default: the field must be present
NULL = type(None)
KINDS = {bool: "true or false", str: "a string of Unicode text", list: "a list",
         dict: "an object", NULL: "null"}
_short = reprlib.Repr()
_short.maxstring = 100


def show(value: Any) -> str:
    """The repr of a value for a message, abbreviated if it is long."""
    return _short.repr(value)


def is_text(value: Any) -> bool:
    """Whether `value` is a str without lone surrogates, such as "\\ud800", half of a pair."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def parse(path: str | os.PathLike, place: str, data: bytes, kind: type = dict) -> Any:
    """Parse a JSON object; with kind=list, a JSON list.

    Raises FormatError for `place` in `path`; a syntax error is reported with its line and column,
    invalid UTF-8 with its byte.
    """
    what = "a JSON object in UTF-8" if kind is dict else "a JSON list in UTF-8"
    try:
        value = json.loads(data.decode(), object_pairs_hook=_without_repeats,
                           parse_constant=_reject_constant)
    except UnicodeDecodeError as error:
        problem = f"invalid UTF-8 at byte {error.start} ({error.reason})"
    except json.JSONDecodeError as error:
        problem = (f"a syntax error at line {error.lineno}, column {error.colno} ({error.msg})"
                   + "; was the file truncated?" * (error.pos >= len(error.doc)))
    except RecursionError:
        problem = "brackets that are nested too deep"
    except ValueError as error:                    # a name twice, NaN, a number too long
        problem = error
    else:
        if isinstance(value, kind):
            return value
        problem = show(value)
    raise FormatError(path, place, f"expected {what}, found {problem}")


def _without_repeats(pairs):
    found = {}
    for name, value in pairs:
        if name in found or not is_text(name):
            raise ValueError(f"the name {show(name)} " + (
                "twice in one object" if name in found else "with a lone surrogate"))
        found[name] = value
    return found


def _reject_constant(constant):
    raise ValueError(f"{constant}, which is not valid JSON")


# ---- files ------------------------------------------------------------------------------------

def read_json(path: str | os.PathLike, kind: type = dict) -> Any:
    """Read a file with a JSON object (kind=list: a list).

    Raises FormatError, also if there is no such file, or one longer than LONGEST, or if it is not a
    regular file: a pipe or a device may have no end.
    """
    try:
        data = read_regular(path, LONGEST)
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(path, "the file", "expected JSON, found no such file") from None
    return parse(path, "the file", data, kind)


def read_regular(path: str | os.PathLike, longest: int) -> bytes:
    """The bytes of a regular file of at most `longest` bytes.  FormatError for any other."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise FormatError(path, "the file", "expected a regular file, found a folder, a pipe or a "
                                            "device")
    if found.st_size > longest:
        raise FormatError(path, "the file", f"expected at most {longest:,} bytes, found "
                                            f"{found.st_size:,}")
    with open(path, "rb") as file:
        return file.read(longest)


def write_json(path: str | os.PathLike, value: Mapping | list) -> None:
    """Write the value to `path` atomically, indented by two spaces, with a final newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")


# ---- fields -----------------------------------------------------------------------------------

class Fields:
    """The fields of one JSON object in a file, read with checks of their types.

    For a missing field the methods return `default`; without a default they raise FormatError.
    For a value of another type they raise FormatError.
    place: where in the file the object is, for messages: "module 2", "model.vocab"; "": the root
    """

    def __init__(self, path: str | os.PathLike, values: Mapping[str, Any], place: str = "") -> None:
        self.path, self.values, self.place = path, values, place
        if not isinstance(values, Mapping):
            raise FormatError(path, place or "the file", f"expected an object, found "
                                                         f"{show(values)}")

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Fields":
        """The fields of the root object of a file."""
        return cls(path, read_json(path))

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def fault(self, name: str, expected: str, found: str) -> FormatError:
        """Return the error for a field, so that the caller can raise it."""
        return FormatError(self.path, self._at(name), f"expected {expected}, found {found}")

    def get(self, name: str, default: Any, expected: str, fits: Callable[[Any], bool]) -> Any:
        """A value for which fits(value) is true; `expected` describes such values in messages."""
        if name not in self.values:
            if default is REQUIRED:
                raise self.fault(name, expected, f"no such field among {show([*self.values])}")
            return default
        value = self.values[name]
        if not fits(value):
            raise self.fault(name, expected, show(value))
        return value

    # ---- single values

    def of(self, name: str, *kinds: type, default: Any = REQUIRED) -> Any:
        """A value of one of these types: bool, str, list, dict, NULL."""
        return self.get(name, default, " or ".join(KINDS[kind] for kind in kinds),
                        lambda v: type(v) in kinds and (type(v) is not str or is_text(v)))

    def whole(self, name: str, least: int = 1, default: Any = REQUIRED, most: int = LARGEST
              ) -> Any:
        """A whole number from `least` to `most`; true and 1.0 are not accepted."""
        expected = (f"a whole number of at least {least}" if most == LARGEST else
                    f"a whole number, {least} to {most}")
        return self.get(name, default, expected,
                        lambda v: type(v) is int and least <= v <= most)

    def number(self, name: str, default: Any = REQUIRED) -> Any:
        """A finite number; 1e999, which Python reads as infinity, is not accepted."""
        return self.get(name, default, "a finite number",
                        lambda v: type(v) in (int, float) and -MOST_FLOAT <= v <= MOST_FLOAT)

    def positive(self, name: str, default: Any = REQUIRED) -> Any:
        """A finite number above 0."""
        return self.get(name, default, "a number above 0",
                        lambda v: type(v) in (int, float) and 0 < v <= MOST_FLOAT)

    def flag(self, name: str, default: Any = REQUIRED) -> Any:
        """true or false."""
        return self.of(name, bool, default=default)

    def text(self, name: str, default: Any = REQUIRED) -> Any:
        """A string."""
        return self.of(name, str, default=default)

    def object(self, name: str, default: Any = REQUIRED) -> Any:
        """An object."""
        return self.of(name, dict, default=default)

    def one_of(self, name: str, options: Collection, default: Any = REQUIRED) -> Any:
        """One of these values; 1 is distinguished from true, 0 from false."""
        listed = ", ".join(json.dumps(option) for option in options)
        return self.get(name, default, listed if len(options) == 1 else f"one of {listed}",
                        lambda v: any(type(v) is type(o) and v == o for o in options))

    # ---- nested objects

    def inside(self, name: str, default: Any = REQUIRED) -> "Fields":
        """The fields of the object `name`."""
        return Fields(self.path, self.object(name, default), self._below(name))

    def each(self, name: str, default: Any = REQUIRED) -> list["Fields"]:
        """The fields of each object of the list `name`."""
        return [Fields(self.path, value, f"{self._below(name)}[{number}]")
                for number, value in enumerate(self.of(name, list, default=default))]

    def part(self, name: str, types: Collection[str], optional: bool = False) -> Any:
        """The fields of the object `name`, whose "type" must be one of `types`.

        optional: if the object is null or missing, return None.
        """
        expected = f'an object whose "type" is {" or ".join(types)}' + ", or null" * optional
        value = self.get(name, None if optional else REQUIRED, expected,
                         lambda v: isinstance(v, dict) or optional and v is None)
        if value is None:
            return None
        if value.get("type") not in types:
            found = f"the type {show(value['type'])}" if "type" in value else "one without a type"
            raise self.fault(name, expected, found)
        return self.inside(name)

    def _at(self, name):
        return f"{self.place}, field {name!r}" if self.place else f"field {name!r}"

    def _below(self, name):
        return f"{self.place}.{name}" if self.place else name

    def no_others(self, known: Collection[str]) -> None:
        """Raise FormatError for an unknown field: it may change the meaning of the others."""
        for name in self.values:
            if name not in known:
                expected = (f"only {', '.join(known)}" if len(known) <= MOST_LISTED else
                            f"only {len(known)} fields that are known")
                raise FormatError(self.path, self._at(name), f"expected {expected}; this field is "
                                  "unknown: remove it if it does not change the result")
