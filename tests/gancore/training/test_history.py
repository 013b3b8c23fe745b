"""What a run has logged is read as JSON lines are, and kept in bounded memory."""

import json
import logging

import pytest
from support.game import settings

from gancore.training.history import MAX_ALARMS, MAX_POINTS, RunHistory, iter_json_lines
from gancore.training.run_log import RunLog
from gancore.training.trackers import JsonLinesTracker


def test_damaged_lines_are_skipped_and_counted_and_others_kept(tmp_path, caplog):
    path = tmp_path / "stats.jsonl"
    good = [{"step": 1, "a\u2028b": "x\u2028y"}, {"step": 2, "a": 3.0}]
    bad = ["", "x", "[1]", "{}", '{"step": "1"}', '{"step": true}', "[" * 9999, '{"step": 2, "half']
    text = "\n".join([json.dumps(good[0], ensure_ascii=False), *bad[:-1], json.dumps(good[1]), bad[-1]])
    path.write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert list(iter_json_lines(path)) == good
    assert f"{len(bad)} damaged lines were skipped" in caplog.text
    path.write_bytes(b"\xff\n")
    assert list(iter_json_lines(path)) == []


def test_a_run_goes_on_whatever_stands_in_its_log(tmp_path):
    lines = ['{"step": 1, "a/b": "text", "c": true, "d": [1], "e": 1.5}', '{"step": 2, "a/b": 1' + "0" * 400 + "}", "{"]
    (tmp_path / "stats.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "alarms.jsonl").write_text('{"step": 1, "alarm": 5}\nx\n')
    log = RunLog(tmp_path, settings(), step=2)
    log.draw_curves(last=True)
    log.write_page()
    assert set(log.history.latest) == {"e"}
    assert [alarm["alarm"] for alarm in log.history.alarms] == ["5"]


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"])
def test_a_line_whose_text_cannot_be_drawn_is_damaged(tmp_path, half):
    lines = [b'{"step": %d, "a/%s": 1.5}\n{"step": %d, "\\u00b2": 2.5}\n' % (step, half, step) for step in (1, 2, 3)]
    (tmp_path / "stats.jsonl").write_bytes(b"".join(lines))
    log = RunLog(tmp_path, settings(), step=3)
    log.draw_curves(last=True)
    assert set(log.history.latest) == {"²"}


def test_the_memory_for_curves_and_alarms_is_bounded():
    history = RunHistory()
    for step in range(5 * MAX_POINTS):
        history.add({"step": step, "a/b": float(step)})
        history.add_alarm({"step": step})
    steps, values = history.panels()["a"]["b"]
    assert MAX_POINTS / 2 <= len(steps) <= MAX_POINTS
    assert values == [float(step) for step in steps]
    assert steps[0] == 0
    assert steps[-1] >= 5 * MAX_POINTS - 8
    assert (len(history.alarms), history.alarm_count) == (MAX_ALARMS, 5 * MAX_POINTS)
    assert history.latest["a/b"].step == 5 * MAX_POINTS - 1


def test_a_log_with_nothing_to_drop_is_not_written_anew(tmp_path):
    tracker = JsonLinesTracker(tmp_path / "stats.jsonl")
    tracker.log(1, {"a": 1})
    inode = (tmp_path / "stats.jsonl").stat().st_ino
    tracker.log(2, {"a": 1})
    tracker.truncate_after(1)
    assert (tmp_path / "stats.jsonl").read_text() == '{"step": 1, "a": 1}\n'
    assert (tmp_path / "stats.jsonl").stat().st_ino == inode
