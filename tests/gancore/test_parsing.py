"""Dataclasses, files and flags become one configuration, and every mistake one line."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.example_settings import Data, Predict, Train, Whole

from gancore import parsing

Run = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Run:
    """The one line with which a command line is refused, without the program's name."""

    def run(*argv: str, config_class: type = Whole, **options: Any) -> str:
        with pytest.raises(SystemExit) as leaving:
            parsing.parse_config(config_class, argv, **options)
        written = capsys.readouterr()
        assert leaving.value.code == 2
        assert written.out == ""
        assert written.err.count("\n") == 1
        assert written.err.endswith("\n")
        return written.err.strip().partition(": error: ")[2]

    return run


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_without_arguments_the_defaults_stand() -> None:
    assert parsing.parse_config(Whole, []) == Whole()


def test_a_nested_default_keeps_what_its_factory_chose() -> None:
    parsed = parsing.parse_config(Whole, ["--train.check.flip", "true"])
    assert parsed.train.check == Data(height=8, flip=True)


def test_flags_of_every_type_are_understood() -> None:
    argv = "--data.folder clips --data.height 16 --data.size [3,4] --data.kind frames --data.flip --train.rate -1e-3"
    parsed = parsing.parse_config(
        Whole, [*argv.split(), "--train.betas=.5,.9", "--train.steps", "7", "--train.mixed", "2"]
    )
    assert parsed.data == Data(folder=Path("clips"), height=16, size=(3, 4), kind="frames", flip=True)
    assert parsed.train == Train(rate=-1e-3, betas=(0.5, 0.9), steps=7, mixed=2.0)


def test_brackets_around_a_tuple_may_be_left_out() -> None:
    bare, bracketed = (parsing.parse_config(Whole, ["--data.size", words]) for words in ("3,4", "[3, 4]"))
    assert bare == bracketed == Whole(data=Data(size=(3, 4)))


def test_quotes_around_an_item_keep_its_commas() -> None:
    for words in ('["a, b", c d, O\'Neil]', "'a, b', \"c d\",O'Neil", '"a, b",c d,O\'Neil'):
        assert parsing.parse_config(Names, ["--names", words]).names == ("a, b", "c d", "O'Neil")
    assert parsing.parse_config(Names, ["--names", "a,,b"]).names == ("a", "", "b")
    assert parsing.parse_config(Names, ["--names", "[]"]).names == ()


@pytest.mark.parametrize("word", ["null", "none", "None", ""])
def test_null_none_and_an_empty_value_give_none_to_an_optional_key(tmp_path: Path, word: str) -> None:
    file = write(tmp_path / "a.yaml", "train: {steps: 5}\ndata: {folder: clips}")
    given = parsing.parse_config(Whole, ["--config", file])
    assert (given.train.steps, given.data.folder) == (5, Path("clips"))
    emptied = parsing.parse_config(Whole, ["--config", file, "--train.steps", word, f"--data.folder={word}"])
    assert (emptied.train.steps, emptied.data.folder) == (None, None)


def test_in_a_file_only_null_is_none_so_that_every_path_and_text_comes_back(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "data: {folder: none}\nname: 'null'")
    given = parsing.parse_config(Whole, ["--config", file])
    assert (given.data.folder, given.name) == (Path("none"), "null")
    file = write(tmp_path / "b.yaml", "data: {folder: null}")
    assert parsing.parse_config(Whole, ["--config", file]).data.folder is None


def test_a_text_that_may_not_be_none_is_taken_as_it_is() -> None:
    assert parsing.parse_config(Whole, ["--name", "none"]).name == "none"
    assert parsing.parse_config(Whole, ["--name", ""]).name == ""
    assert parsing.parse_config(Whole, ["--train.betas", ""]).train.betas == ()


def test_later_files_win_over_earlier_ones_and_flags_over_both_wherever_they_stand(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", "data: {height: 1, flip: true}\ntrain: {rate: 1e-3}\nname: first\n")
    second = write(tmp_path / "b.yaml", "data:\n  height: 2\n  size: [5, 6]\nname: second\n")
    parsed = parsing.parse_config(Whole, ["--name", "flag", "--config", first, "--config", second])
    assert parsed == Whole(
        data=Data(height=2, flip=True, size=(5, 6)), train=Train(rate=1e-3, check=Data(height=8)), name="flag"
    )


def test_an_empty_file_and_an_empty_section_change_nothing(tmp_path: Path) -> None:
    empty, section = write(tmp_path / "a.yaml", "# nothing\n"), write(tmp_path / "b.yaml", "data:\n  # height: 3\n")
    assert parsing.parse_config(Whole, ["--config", empty, "--config", section]) == Whole()


def test_positional_fields_need_no_flag_and_a_switch_swallows_none_of_them() -> None:
    argv = ["--compare", "a.mp4", "b.mp4", "c.mp4", "--model", "m"]
    parsed = parsing.parse_config(Predict, argv, positional=("clip", "others"))
    others = (Path("b.mp4"), Path("c.mp4"))
    assert parsed == Predict(clip=Path("a.mp4"), others=others, model="m", compare=True)


def test_a_positional_key_can_be_given_by_its_flag_too_and_may_lie_in_a_section() -> None:
    for argv in (["clips", "--name=a"], ["--name=a", "clips"], ["--data.folder=clips", "--name", "a"]):
        parsed = parsing.parse_config(Whole, argv, positional=["data.folder"])
        assert (parsed.data.folder, parsed.name) == (Path("clips"), "a")


def test_after_two_dashes_every_word_is_positional() -> None:
    parsed = parsing.parse_config(Predict, ["-m", "m", "--", "--a.mp4", "-b.mp4"], positional=("clip", "others"))
    assert parsed == Predict(clip=Path("--a.mp4"), others=(Path("-b.mp4"),), model="m")


def test_short_options_stand_for_their_keys(refused: Run) -> None:
    assert parsing.parse_config(Predict, ["a", "-m", "b"], positional=["clip"]).model == "b"
    assert parsing.parse_config(Predict, ["a", "-m=b"], positional=["clip"]).model == "b"
    assert parsing.parse_config(
        Whole, ["-k", "frames", "-f", "a"], short={"-k": "data.kind", "-f": "data.folder"}
    ) == Whole(data=Data(kind="frames", folder=Path("a")))
    assert refused("-m", "a") == "unknown key -m"
    assert refused("--clip", "-m", config_class=Predict) == "--clip needs a value"


def test_a_recipe_is_found_by_name_or_by_path(refused: Run, tmp_path: Path) -> None:
    recipes = {"small_64": Path(write(tmp_path / "a.yaml", "name: a"))}
    other = write(tmp_path / "b.yaml", "name: b")
    assert parsing.parse_config(Whole, ["--config", "small_64"], recipes=recipes).name == "a"
    assert parsing.parse_config(Whole, ["--config=small_64", "--config", other], recipes=recipes).name == "b"
    assert refused("--config", "smal_64", recipes=recipes) == "unknown recipe smal_64; did you mean small_64?"
    assert refused("--config", "absent.yaml", recipes=recipes) == "no such file: absent.yaml"


def test_defaults_that_depend_on_what_was_given_lie_below_files_and_flags(refused: Run, tmp_path: Path) -> None:
    seen = {}

    def defaults(given: Mapping[str, Any]) -> dict[str, Any]:
        seen.update(given)
        return {"data": {"height": 1, "size": [1, 1], "flip": True}, "name": "default"}

    file = write(tmp_path / "a.yaml", "data: {height: 2, size: [2, 2]}")
    parsed = parsing.parse_config(Whole, ["--config", file, "--data.size=3,3"], defaults=defaults)
    assert seen == {"data.height": 2, "data.size": (3, 3)}
    assert parsed == Whole(data=Data(height=2, size=(3, 3), flip=True), name="default")
    assert parsing.parse_config(Predict, [], defaults=lambda _: {"clip": "a", "model": "b"}) == Predict(
        clip=Path("a"), model="b"
    )
    assert refused(defaults=lambda _: {"nmae": "a"}) == "unknown key nmae; did you mean name?"


def test_a_missing_value_is_named(refused: Run) -> None:
    assert refused(config_class=Predict, positional=("clip",)) == "CLIP is required"
    assert refused("a.mp4", config_class=Predict, positional=("clip",)) == "--model is required"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--data.hieght", "3"], "unknown key --data.hieght; did you mean --data.height?"),
        (["--data.hei=3"], "unknown key --data.hei; did you mean --data.height?"),
        (["--qqqq", "3"], "unknown key --qqqq"),
        (["--steps", "3"], "unknown key --steps; did you mean --train.steps?"),
        (["--height=3"], "unknown key --height; did you mean --data.height or --train.check.height?"),
        (["--hlep"], "unknown key --hlep; did you mean --help?"),
        (["-5"], "unknown key -5"),
        (["--data.size", "1,2,3"], "data.size should be tuple[int, int], not 1,2,3"),
        (["--train.rate", "nan"], "train.rate should be float, not nan"),
        (["--train.mixed", "manual"], "train.mixed should be float | auto, not manual"),
        (["--data.height", "tall"], "data.height should be int, not tall"),
        (["--data.height", "3.5"], "data.height should be int, not 3.5"),
        (["--data.flip=maybe"], "data.flip should be bool, not maybe"),
        (["--data.kind", "avi"], "data.kind should be mp4 | frames, not avi"),
        (["--train.steps", "many"], "train.steps should be int | null, not many"),
        (["--data.height", "0"], "data.height must be at least 1"),
        (["--train.check.kind", "frames"], "train.check: frames need a folder"),
        (["--config", "absent.yaml"], "no such file: absent.yaml"),
        (["stray"], "unexpected argument stray"),
        (["--name"], "--name needs a value"),
    ],
)
def test_a_mistaken_flag_is_one_line_that_names_it(refused: Run, argv: list[str], line: str) -> None:
    assert refused(*argv) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("data: {hieght: 3}", "unknown key data.hieght; did you mean data.height?"),
        ("steps: 3", "unknown key steps; did you mean train.steps?"),
        ("data: {folder: ''}", 'data.folder should be Path | null, not ""'),
        ("dat: {height: 3}", "unknown key dat; did you mean data?"),
        ("data: {height: tall}", "data.height should be int, not tall"),
        ("data: {height: null}", "data.height should be int, not null"),
        ("data: {height: true}", "data.height should be int, not true"),
        ("data: {height: {is: 3}}", "data.height should be int, not {'is': 3}"),
        ("data: {size: [1, 2, 3]}", "data.size should be tuple[int, int], not [1, 2, 3]"),
        ("train: {check: {flip: 3}}", "train.check.flip should be bool, not 3"),
        ("data: 3", "data should hold keys and values, not 3"),
        ("- data", "the file should hold keys and values, not ['data']"),
        ("name: a\nname: b", "duplicate key name"),
        ("data: [", "expected the node content, but found '<stream end>'"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_file_and_key(
    refused: Run, tmp_path: Path, text: str, line: str
) -> None:
    file = write(tmp_path / "a.yaml", text)
    said = refused("--config", file)
    assert said.removeprefix("cannot read ").startswith(file)
    assert said.endswith(f": {line}")


def test_a_file_that_is_not_text_is_named(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    assert refused("--config", str(tmp_path / "a.yaml")).startswith(f"cannot read {tmp_path / 'a.yaml'} as settings: ")


@pytest.mark.parametrize("key", ["data", "data.folder", "name", "train.mixed"])
def test_no_string_in_a_file_chooses_code_by_its_import_path(refused: Run, tmp_path: Path, key: str) -> None:
    nested: object = {"class_path": "pathlib.Path", "init_args": {}}
    for part in reversed(key.split(".")):
        nested = {part: nested}
    assert key in refused("--config", write(tmp_path / "a.json", json.dumps(nested)))


numbers = st.floats(allow_nan=False)
integers = st.integers(-(2**63) + 1, 2**63 - 1)
data = st.builds(
    Data,
    folder=st.sampled_from([None, Path("a b"), Path("/ü/#1: x")]),
    height=st.integers(1, 2**63 - 1),
    size=st.tuples(integers, integers),
    flip=st.booleans(),
)
wholes = st.builds(
    Whole,
    data=data,
    train=st.builds(
        Train,
        rate=numbers,
        betas=st.lists(numbers, max_size=3).map(tuple),
        steps=st.none() | integers,
        mixed=numbers | st.just("auto"),
        check=data,
    ),
    name=st.text(st.characters(codec="utf-8")),
)


@given(whole=wholes)
def test_a_configuration_survives_json_and_back(whole: Whole) -> None:
    mapping = json.loads(json.dumps(parsing.to_dict(whole)))
    untouched = json.dumps(mapping)
    assert parsing.from_dict(Whole, mapping) == whole
    assert json.dumps(mapping) == untouched


def test_a_saved_configuration_can_be_given_back(tmp_path: Path) -> None:
    whole = Whole(data=Data(folder=Path("clips"), size=(1, 2)), train=Train(rate=1e-5), name="\x7fé😀")
    parsing.save_config(Whole(), tmp_path / "config.json")
    parsing.save_config(whole, tmp_path / "config.json")
    assert parsing.parse_config(Whole, ["--config", str(tmp_path / "config.json")]) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    parsing.save_config(Whole(), tmp_path / "config.json")
    with pytest.raises(UnicodeEncodeError):
        parsing.save_config(Whole(name="\ud800"), tmp_path / "config.json")
    assert parsing.parse_config(Whole, ["--config", str(tmp_path / "config.json")]) == Whole()
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("mapping", "line"),
    [
        ({"data": {"hieght": 3}}, "unknown key data.hieght; did you mean data.height?"),
        ({"data": {"height": "tall"}}, "data.height should be int, not tall"),
        ({"data": {"height": 0}}, "data.height must be at least 1"),
    ],
)
def test_from_dict_names_the_key_at_fault(mapping: dict[str, dict[str, object]], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        parsing.from_dict(Whole, mapping)


@dataclass(frozen=True)
class Names:
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Awkward:
    """Names that Python or a shell has opinions on."""

    class_: str = ""
    """A word of Python."""
    size_mm: float = 1.0
    """Two words."""


def test_a_field_may_be_a_word_of_python_and_its_flag_may_have_hyphens():
    made = parsing.parse_config(Awkward, ["--class=chair", "--size-mm", "-2.5"])
    assert made == Awkward(class_="chair", size_mm=-2.5)
    assert parsing.to_dict(made) == {"class": "chair", "size_mm": -2.5}
    assert parsing.from_dict(Awkward, parsing.to_dict(made)) == made
