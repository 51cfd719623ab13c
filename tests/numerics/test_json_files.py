"""JSON files: round trips, and errors that name the file, the field and what was expected."""
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import NULL, Fields, parse, read_json, show, write_json

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(st.none() | st.booleans() | st.integers() | texts
                      | st.floats(allow_nan=False, allow_infinity=False),
                      lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)


@given(value=st.dictionaries(texts, values) | st.lists(values))
def test_reading_gives_the_value_that_was_written(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path, type(value)) == value


def test_the_file_is_utf8_indented_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "x.json", {"a": "où", "b": [1]})
    assert (tmp_path / "x.json").read_text("utf-8") == (
        '{\n  "a": "où",\n  "b": [\n    1\n  ]\n}\n')


def test_a_value_that_json_cannot_store_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {})
    for value in ({"a": float("nan")}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, value)
    assert read_json(path) == {} and os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("data, found", [
    (b"", r"a syntax error at line 1, column 1 .*; was the file truncated\?$"),
    (b"[]", r"found \[\]$"),
    (b'{"a": 1', r"line 1, column 8 \(Expecting ',' delimiter\); was the file truncated\?$"),
    (b'{"a":\n x}', r"a syntax error at line 2, column 2 \(Expecting value\)$"),
    (b"{}{}", r"a syntax error at line 1, column 3 \(Extra data\)$"),
    (b'{"a": 1, "a": 1}', "the name 'a' twice in one object"),
    (b'{"a": NaN}', "NaN, which is not valid JSON"),
    (b'[-Infinity]', "-Infinity, which is not valid JSON"),
    (b'{"\\ud800": 1}', "the name .* with a lone surrogate"),
    (b'{"\xff": 1}', "invalid UTF-8 at byte 2"),
    (b"\xef\xbb\xbf{}", "column 1 .*BOM|Expecting value"), (b"9" * 5000, "limit .* 5000 digits"),
    (b"[" * 100_000, "brackets that are nested too deep")])
def test_data_that_are_not_one_object_are_rejected(data, found):
    with pytest.raises(FormatError, match=found) as error:
        parse("x.json", "the file", data)
    assert str(error.value).startswith("x.json: the file: expected a JSON object in UTF-8, found ")


def test_read_json_rejects_a_value_of_another_type_and_a_missing_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(FormatError, match="x.json: the file: expected a JSON list in UTF-8, found"):
        read_json(path, list)
    with pytest.raises(FormatError, match="y.json: the file: expected JSON, found no such file"):
        read_json(tmp_path / "y.json")
    with pytest.raises(FormatError, match="no such file"):
        read_json(path / "below-a-file.json")


FIELDS = Fields("x.json", {"one": 1, "true": True, "half": 0.5, "text": "où", "null": None,
                           "object": {}, "list": [], "zero": 0, "broken": "\ud800", "1e999": 1e999},
                "module 2")


@pytest.mark.parametrize("method, accepted", [
    ("whole", ["one"]), ("positive", ["one", "half"]), ("flag", ["true"]), ("text", ["text"]),
    ("object", ["object"])])
def test_each_method_accepts_only_values_of_its_type(method, accepted):
    for name, value in FIELDS.values.items():
        if name in accepted:
            assert getattr(FIELDS, method)(name) == value
        else:
            with pytest.raises(FormatError) as error:
                getattr(FIELDS, method)(name)
            assert f"x.json: module 2, field {name!r}: expected " in str(error.value)
            assert str(error.value).endswith(f", found {show(value)}")


def test_a_missing_field_gives_the_default_or_an_error_that_names_it():
    assert FIELDS.whole("two", default=7) == 7 and FIELDS.text("two", default=None) is None
    with pytest.raises(FormatError, match="field 'two': expected true or false, found no such fie"):
        FIELDS.flag("two")
    assert "one" in FIELDS and "two" not in FIELDS


def test_one_of_distinguishes_values_of_different_types():
    assert FIELDS.one_of("one", [1, 2]) == 1 and FIELDS.one_of("null", [None, "a"]) is None
    for name, options in [("true", [1]), ("one", [True]), ("zero", [False, None])]:
        with pytest.raises(FormatError):
            FIELDS.one_of(name, options)
    with pytest.raises(FormatError, match='expected one of "a", null, 3, found 1'):
        FIELDS.one_of("one", ["a", None, 3])


def test_the_method_of_accepts_each_of_several_types_and_its_error_names_all():
    types = (str, bool, NULL)
    assert [FIELDS.of(name, *types) for name in ("text", "true", "null")] == ["où", True, None]
    assert FIELDS.of("list", list) == [] and FIELDS.of("two", list, NULL, default=None) is None
    for name, found in [("one", "1"), ("list", r"\[\]"), ("broken", "'.ud800'")]:
        with pytest.raises(FormatError, match=f"field '{name}': expected a string of Unicode text "
                                              f"or true or false or null, found {found}$"):
            FIELDS.of(name, *types)


INNER = Fields("x.json", {"a": {"b": {"size": "1"}}, "list": [{"n": 1}, {"n": 2}], "mixed": [{}, 3],
                          "kind": {"type": "A", "n": 1}, "bare": {}, "null": None})


def test_errors_in_nested_objects_name_the_path_of_the_field():
    with pytest.raises(FormatError, match="^x.json: a.b, field 'size': expected a whole number"):
        INNER.inside("a").inside("b").whole("size")
    with pytest.raises(FormatError, match="^x.json: a, field 'c': expected an object, found no su"):
        INNER.inside("a").inside("c")
    assert not INNER.inside("nowhere", {}).values and INNER.each("nowhere", []) == []
    assert [item.whole("n") for item in INNER.each("list")] == [1, 2]
    with pytest.raises(FormatError, match=r"^x.json: list\[1\], field 'n': expected true or false"):
        INNER.each("list")[1].flag("n")
    with pytest.raises(FormatError, match=r"^x.json: mixed\[1\]: expected an object, found 3$"):
        INNER.each("mixed")


def test_part_accepts_an_object_of_a_known_type_or_null_if_optional():
    assert INNER.part("kind", ["A", "B"]).whole("n") == 1
    assert INNER.part("null", ["A"], optional=True) is None
    assert INNER.part("nowhere", ["A"], optional=True) is None
    for name, optional, message in [
            ("kind", False, "is B or C, found the type 'A'$"), ("null", False, "C, found None$"),
            ("bare", True, "C, or null, found one without a type$"),
            ("list", True, r"C, or null, found \["), ("nowhere", False, "C, found no such field")]:
        with pytest.raises(FormatError, match=f"field '{name}': expected an object .*{message}"):
            INNER.part(name, ["B", "C"], optional)


def test_the_error_of_no_others_names_an_unknown_field():
    FIELDS.no_others(FIELDS.values)
    with pytest.raises(FormatError, match="field 'null': expected only one, true, half, text;"):
        FIELDS.no_others(("one", "true", "half", "text"))
    with pytest.raises(FormatError, match="field 'null': expected only 40 fields that are known;"):
        FIELDS.no_others((*"true one half text list object".split(), *map(str, range(34))))


def test_show_abbreviates_long_values():
    assert len(show("x" * 10**6)) < 200 and len(show(list(range(10**6)))) < 200
    assert json.loads(show("x")[1:-1].join('""')) == "x"
