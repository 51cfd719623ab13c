"""A field that is not what it should be is named, with its file."""
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, parse, read_json, show, write_json

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(st.none() | st.booleans() | st.integers() | texts
                      | st.floats(allow_nan=False, allow_infinity=False),
                      lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)


@given(value=st.dictionaries(texts, values) | st.lists(values))
def test_what_is_written_is_read(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path, type(value)) == value


def test_the_bytes_are_utf8_indented_and_end_a_line(tmp_path):
    write_json(tmp_path / "x.json", {"a": "où", "b": [1]})
    assert (tmp_path / "x.json").read_text("utf-8") == (
        '{\n  "a": "où",\n  "b": [\n    1\n  ]\n}\n')


def test_what_has_no_form_in_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {})
    for value in ({"a": float("nan")}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, value)
    assert read_json(path) == {} and os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("data, found", [
    (b"", "Expecting value"), (b'{"a": 1', "Expecting ',' delimiter"), (b"[]", r"\[\]$"),
    (b"{}{}", "Extra data"), (b'{"a": 1, "a": 1}', "the name 'a' twice in one object"),
    (b'{"a": NaN}', "NaN, which is no JSON"), (b'[-Infinity]', "-Infinity, which is no JSON"),
    (b'{"\\ud800": 1}', "the name .* with half a letter"), (b'{"\xff": 1}', "'utf-8' codec"),
    (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM|Expecting value"),
    (b"[" * 100_000, "brackets nested too deep")])
def test_what_is_no_object_is_refused(data, found):
    with pytest.raises(FormatError, match=found) as error:
        parse("x.json", "the file", data)
    assert str(error.value).startswith("x.json: the file: expected a JSON object in UTF-8, found ")


def test_a_list_where_an_object_is_wanted_and_none_where_a_list_is(tmp_path):
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
                "module 2, ")


@pytest.mark.parametrize("kind, good", [
    ("whole", ["one"]), ("positive", ["one", "half"]), ("flag", ["true"]), ("text", ["text"]),
    ("object", ["object"])])
def test_a_kind_takes_its_own_and_no_other(kind, good):
    for name, value in FIELDS.values.items():
        if name in good:
            assert getattr(FIELDS, kind)(name) == value
        else:
            with pytest.raises(FormatError) as error:
                getattr(FIELDS, kind)(name)
            assert f"x.json: module 2, field {name!r}: expected " in str(error.value)
            assert str(error.value).endswith(f", found {show(value)}")


def test_a_missing_field_is_its_default_or_is_named():
    assert FIELDS.whole("two", default=7) == 7 and FIELDS.text("two", default=None) is None
    with pytest.raises(FormatError, match="field 'two': expected true or false, found no such fie"):
        FIELDS.flag("two")
    assert "one" in FIELDS and "two" not in FIELDS


def test_a_value_of_another_type_is_another_value():
    assert FIELDS.one_of("one", [1, 2]) == 1 and FIELDS.one_of("null", [None, "a"]) is None
    for name, options in [("true", [1]), ("one", [True]), ("zero", [False, None])]:
        with pytest.raises(FormatError):
            FIELDS.one_of(name, options)
    with pytest.raises(FormatError, match='expected one of "a", null, 3, found 1'):
        FIELDS.one_of("one", ["a", None, 3])


def test_a_field_that_nobody_knows_is_named():
    FIELDS.no_others(FIELDS.values)
    with pytest.raises(FormatError, match="field 'null': expected only one, true, half, text;"):
        FIELDS.no_others(("one", "true", "half", "text"))


def test_a_message_stays_short():
    assert len(show("x" * 10**6)) < 200 and len(show(list(range(10**6)))) < 200
    assert json.loads(show("x")[1:-1].join('""')) == "x"
