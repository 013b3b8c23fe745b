"""Recipes are found by name from anywhere, and say what they are for."""

from pathlib import Path

import pytest

from gancore.parsing import parse_config
from vidgan.config import VideoConfig
from vidvox.cli import main
from vidvox.recipes import find_recipe, find_recipes, read_summary

ROOT = Path(__file__).resolve().parents[2]


def test_every_recipe_has_a_full_name_and_a_short_one_within_its_half():
    for half in ("video", "voxels"):
        files = {path.stem: path for path in (ROOT / "configs" / half).glob("*.yaml")}
        assert len(files) > 5
        assert find_recipes(half) == files | {f"{half}/{name}": path for name, path in files.items()}


def test_a_short_name_that_several_tasks_share_belongs_to_none():
    assert find_recipe("folder_64") == find_recipe("video/folder_64")
    assert "tiny" not in find_recipes()
    with pytest.raises(ValueError, match="several recipes are named tiny: video/tiny and voxels/tiny"):
        find_recipe("tiny")
    with pytest.raises(ValueError, match=r"unknown recipe foldr_64; did you mean folder_64\?"):
        find_recipe("foldr_64")


@pytest.mark.parametrize("name", ["tiny", "video/tiny", str(ROOT / "configs" / "video" / "tiny.yaml")])
def test_a_recipe_is_read_by_name_or_by_path_from_another_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = parse_config(VideoConfig, ["--config", name], recipes=find_recipes("video"))
    assert (config.run, config.train.steps) == (Path("runs/tiny"), 20)


@pytest.mark.parametrize("path", find_recipes().values(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_summary_of_a_recipe_is_one_sentence(path):
    summary = read_summary(path)
    assert 20 < len(summary) < 300
    assert summary[0].isupper() or summary[0].isdigit()
    assert not summary.endswith(".")


def test_the_list_names_every_recipe_and_show_prints_one(capsys):
    main(["recipes"])
    listed = capsys.readouterr().out
    assert all(f"  {path.stem} " in listed for path in find_recipes().values())
    main(["show", "voxels/tiny"])
    assert capsys.readouterr().out == (ROOT / "configs" / "voxels" / "tiny.yaml").read_text()
