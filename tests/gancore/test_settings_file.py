"""Files of settings are read as they look, and whatever is wrong with one is answered in one line, at once."""

import json
import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.example_settings import Whole

from gancore.errors import UnreadableError
from gancore.parsing import parse_config
from gancore.settings_file import MAX_VALUES, read_settings_file


def read(tmp_path, content: str | bytes, name: str = "a.yaml"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_settings_file(path)


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (LAUGHS, f"line 5: more than {MAX_VALUES:,} values"),
        (MERGES, f"more than {MAX_VALUES:,} values"),
        ("\n".join(f"key{n}: {n}" for n in range(20_000)), f"more than {MAX_VALUES:,} values"),
        ("[" * 10_000, "nested more than 100 levels deep"),
        ("- " * 10_000, "nested more than 100 levels deep"),
        ("a: &a [*a]", f"more than {MAX_VALUES:,} values"),
        ("a: *b", "line 1: found undefined alias"),
        ("? [a, b]\n: 3", "line 1: a key that is no word"),
        ("a:\n\tb: 3", "line 2: found character"),
        ("a: 3\nb: 4\n'a': 5", "line 3: duplicate key a"),
        ("data: 9" + "9" * 10**5, "4300 digits"),
        ("a: 3\n--- \nb: 4", "line 2: but found another document"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: could not determine a constructor"),
        ("a: !!int ''", "string index out of range"),
        ("a: \x00", "special characters are not allowed"),
        ("x" * (2**20 + 1), "longer than the 1,048,576 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "can't decode byte 0x89"),
        ("a: \u00e4".encode("latin-1"), "can't decode byte"),
    ],
)
def test_yaml_that_is_broken_or_larger_than_settings_are_is_one_short_line(tmp_path, content, complaint):
    with pytest.raises(UnreadableError) as raised:
        read(tmp_path, content)
    line = str(raised.value)
    assert line.startswith(f"cannot read {tmp_path / 'a.yaml'} as settings: ")
    assert complaint in line
    assert len(line) < 500


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": ' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested more than 100 levels deep"),
        ('{"a": ' + "9" * 10**5 + "}", "4300 digits"),
        ('{"a": 1, "b": 2, "a": 3}', "duplicate key a"),
        ('{"a": {"b": 2, "b": 3}}', "duplicate key b"),
        ("{a: 1}", "property name"),
        (b"PK\x03\x04\xff", "can't decode byte"),
    ],
)
def test_json_that_is_broken_or_larger_than_settings_are_is_one_short_line(tmp_path, content, complaint):
    with pytest.raises(UnreadableError) as raised:
        read(tmp_path, content, "a.json")
    assert str(raised.value).startswith(f"cannot read {tmp_path / 'a.json'} as settings: ")
    assert complaint in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_are_read_as_editors_save_them(tmp_path, name, encoding):
    content = '{"name": "f\u00fcr 1",\r\n "data": {"height": 3}}'.encode(encoding)
    assert read(tmp_path, content, name) == {"name": "f\u00fcr 1", "data": {"height": 3}}


def test_anchors_and_merges_of_a_few_values_are_unfolded(tmp_path):
    assert read(tmp_path, "a: &a {x: 1, y: [2]}\nb: *a\nc: {<<: *a, x: 3}") == {
        "a": {"x": 1, "y": [2]},
        "b": {"x": 1, "y": [2]},
        "c": {"x": 3, "y": [2]},
    }


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("010", "010"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("10", 10),
        ("-3", -3),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("True", True),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_only_words_that_are_numbers_in_json_too_are_numbers(tmp_path, word, value):
    assert read(tmp_path, f"a: {word}") == {"a": value}


def test_words_that_are_no_numbers_reach_their_key_as_they_are(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text("name: 2026-01-31\ndata: {height: 010, flip: yes, folder: on}")
    parsed = parse_config(Whole, ["--config", str(tmp_path / "a.yaml")])
    assert (parsed.name, parsed.data.height, parsed.data.flip, str(parsed.data.folder)) == (
        "2026-01-31",
        10,
        True,
        "on",
    )
    (tmp_path / "a.yaml").write_text("data: {height: 1:30}")
    with pytest.raises(SystemExit):
        parse_config(Whole, ["--config", str(tmp_path / "a.yaml")])
    assert "data.height should be int, not 1:30" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"data": {"size": [[[7] * 10_000] * 9]}}, "data.size should be tuple[int, int], not [[[7, 7, "),
        ({"k" * 100_000: 1}, "unknown key kkkk"),
        ({"name": ["\x1b[31m\r\n"]}, "name should be str, not ['\\x1b[31m\\r\\n']"),
        ({"\x1b[2J\x9b": 1}, "unknown key \\x1b[2J\\x9b"),
        ({"data": {"height": 2**63}}, "data.height should be int, not 9223372036854775808"),
        ({"data": {"height": float("inf")}}, "data.height should be int, not inf"),
        ({"train": {"rate": float("nan")}}, "train.rate should be float, not nan"),
        ({"train": {"steps": 1}, "train.steps": 2}, "duplicate key train.steps"),
        (["data"] * 10_000, "the file should hold keys and values"),
    ],
)
def test_a_mistake_in_large_or_strange_content_is_one_short_line_without_control_characters(
    tmp_path, capsys, content, complaint
):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit):
        parse_config(Whole, ["--config", str(path)])
    line = capsys.readouterr().err
    assert complaint in line
    assert len(line) < 1000
    assert line.rstrip("\n").isprintable()


def test_only_a_file_holds_settings(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    for path, complaint in {tmp_path / "a.yaml": "a pipe", tmp_path: "a folder", "/dev/zero": "a pipe"}.items():
        with pytest.raises(UnreadableError, match=complaint):
            read_settings_file(type(tmp_path)(path))
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_settings_file(tmp_path / "b.yaml")


SEEDS = [
    b"data: {height: 3, size: [4, 5]}\ntrain:\n  betas: &b [0.5, .9]\n  check: {flip: yes}\nname: 'a b'\n",
    b'{"data": {"height": 3, "size": [4, 5]}, "train": {"rate": 1e-4, "steps": null}, "name": "\\u00fc"}',
]
PIECES = [
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!int ",
    b"!!binary ",
    b"\t",
    b"\x00",
    b"\xff",
    b"[",
    b"{",
    b"? ",
    b"- ",
    b"---\n",
    b"%YAML",
]


@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=3) | st.sampled_from(PIECES)), max_size=8
    ),
    suffix=st.sampled_from([".yaml", ".json"]),
)
def test_mutated_settings_are_read_or_refused_in_one_line(tmp_path_factory, seed, changes, suffix):
    content = bytearray(seed)
    for place, length, piece in changes:
        content[place : place + length] = piece
    path = tmp_path_factory.getbasetemp() / f"mutated{suffix}"
    path.write_bytes(content)
    with suppress(ValueError):
        parse_config.__wrapped__(Whole, ["--config", str(path)])
