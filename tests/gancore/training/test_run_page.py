"""index.html of a run folder."""

import json
from pathlib import Path

from lxml import html
from support.game import trainer

from gancore.training.run_page import REFRESH_SECONDS, write_run_page


def write_lines(path: Path, *records: dict) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def page(run: Path):
    return html.fromstring((run / "index.html").read_text())


def test_the_page_of_an_empty_run_says_that_there_is_nothing_yet(tmp_path):
    write_run_page(tmp_path, steps=10)
    text = page(tmp_path).text_content()
    for line in ("has not logged anything yet", "No samples have been drawn yet", "None so far", "None yet"):
        assert line in text
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_the_page_shows_the_newest_samples_curves_alarms_and_numbers_and_reloads_itself(tmp_path):
    (tmp_path / "samples").mkdir()
    for name in ("step-00000005.png", "step-00000010.png", "step-00000010.mp4"):
        (tmp_path / "samples" / name).touch()
    (tmp_path / "curves.png").touch()
    write_lines(tmp_path / "alarms.jsonl", {"step": 8, "alarm": "mode_collapse", "evidence": "a < b", "advice": "wait"})
    write_lines(
        tmp_path / "stats.jsonl",
        {"step": 5, "held_out/psnr/mean": 20.0, "held_out/psnr/copy_last": 18.0, "held_out/crps/samples": 0.5},
        {"step": 8, "alarm/mode_collapse": 1},
        {
            "step": 10,
            "speed": 40.0,
            "generator/game": None,
            "held_out/crps/samples": 0.4,
            "held_out/crps/copy_last": 0.3,
        },
    )
    write_run_page(tmp_path, steps=40)
    document = page(tmp_path)
    assert document.xpath("//meta[@http-equiv='refresh']/@content") == [str(REFRESH_SECONDS)]
    assert document.xpath("//img/@src") == ["samples/step-00000010.png", "curves.png?10"]
    assert document.xpath("//video/@src") == ["samples/step-00000010.mp4"]
    for link in (*document.xpath("//img/@src"), *document.xpath("//a/@href"), *document.xpath("//video/@src")):
        assert (tmp_path / link.partition("?")[0]).is_file()
    cells = [cell.text_content() for cell in document.xpath("//section[@id='alarms']//tbody//*[self::th or self::td]")]
    assert cells == ["mode collapse", "8", "a < b", "wait"]
    assert [p.text for p in document.xpath("//header//p")] == [
        "Step 10 of 40 (25%), at 40 samples a second.",
        "Held-out psnr at step 5: 20, better than the baseline (last frame repeated, 18).",
        "Held-out crps at step 10: 0.4, worse than the baseline (last frame repeated, 0.3).",
    ]
    rows = [[cell.text for cell in row] for row in document.xpath("//section[@id='numbers']//tbody/tr")]
    assert ["held_out/crps/samples", "0.4", "10"] in rows
    assert not any("alarm" in row[0] for row in rows)


def test_a_training_keeps_its_page_up_to_date(tmp_path):
    def preview(generator, step, folder):
        assert not generator.training
        folder.mkdir(exist_ok=True)
        (folder / f"step-{step:08d}.png").touch()
        assert (tmp_path / "index.html").is_file()  # from the start

    trainer(tmp_path, looking={"preview": preview}, preview_every=3, steps=6).train()
    document = page(tmp_path)
    assert "Step 6 of 6 (100%)" in document.text_content()
    assert document.xpath("//img/@src") == ["samples/step-00000006.png"]
