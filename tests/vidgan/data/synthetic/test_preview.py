"""A sheet shows as many clips as it is asked for."""

import pytest
from PIL import Image

from vidgan.data.synthetic.cut_outs import CutOutClips
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.preview import write_sheet


def test_a_sheet_has_four_clips_a_row_and_some_frames_of_each(tmp_path):
    clips = CutOutClips(ProceduralPatches(), split="train", height=16, width=24, clip_frames=4, channels=1)
    write_sheet(tmp_path / "new" / "sheet.webp", clips, count=6, frames=3)
    with Image.open(tmp_path / "new" / "sheet.webp") as sheet:
        assert sheet.size == (4 * 3 * 26 - 2, 2 * 18 - 2)
    with pytest.raises(ValueError, match=r"a sheet is a \.webp, not sheet\.png"):
        write_sheet(tmp_path / "sheet.png", clips)
