"""Objects on a page are turned by hand in a real browser, with no script but the page's own."""

from base64 import b64decode
from io import BytesIO

import lxml.html
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from support.browser import faults

from gancore.reporting.page import Media, Mesh3D, ObjectGallery, encode_png_uri, write_page

CUBE = trimesh.creation.box()


@pytest.fixture
def objects(tmp_path):
    """A page of two objects, the first red, the second with a picture."""
    red = np.tile(np.uint8([250, 20, 20]), (len(CUBE.vertices), 1))
    meshes = [
        Mesh3D("a red cube", CUBE.vertices, CUBE.faces, red),
        Mesh3D(
            "<b>a cube</b>",
            CUBE.vertices,
            CUBE.faces,
            still=Media("a picture", encode_png_uri(torch.zeros(3, 4, 6, dtype=torch.uint8))),
        ),
    ]
    write_page(tmp_path / "objects.html", title="T", subtitle="", sections=[ObjectGallery("Objects", meshes)])
    return tmp_path / "objects.html"


SHOWN = """
new Promise(done => {
  const look = () => document.documentElement.dataset.objects ? requestAnimationFrame(done) : setTimeout(look, 20);
  look();
})
"""
PAINTED = "new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(painted)))"
CANVAS = "document.querySelector('canvas').toDataURL()"


def faults_but_slowness(shown) -> list[str]:
    """Without a graphics card WebGL says that it is slow."""
    return [fault for fault in faults(shown) if "GPU stall" not in fault]


def test_an_object_is_turned_by_mouse_and_by_keys(browser, objects):
    with browser.opened(objects) as shown:
        shown.value(SHOWN)
        assert shown.value("[...document.querySelectorAll('canvas')].map(canvas => canvas.hidden)") == [False, False]
        assert shown.value("document.images[0].offsetParent") is None
        views = [shown.value(CANVAS)]
        for turn in (lambda: shown.drag("canvas", right=60), lambda: shown.press("ArrowUp")):
            turn()
            shown.value(PAINTED)
            views.append(shown.value(CANVAS))
        assert faults_but_slowness(shown) == []
    with Image.open(BytesIO(b64decode(views[0].partition(",")[2]))) as drawn:
        red, _, _, opaque = (np.asarray(channel) for channel in drawn.split())
    assert 0.2 < (opaque == 255).mean() < 0.9
    assert red[opaque == 255].max() > 150
    assert len(set(views)) == 3


def test_without_webgl_an_object_is_its_picture(browser, objects):
    with browser.opened(objects) as shown:
        shown.before("HTMLCanvasElement.prototype.getContext = () => null")
        shown.go(objects)
        assert faults(shown) == []
        assert shown.value("[...document.querySelectorAll('canvas')].map(canvas => canvas.hidden)") == [True, True]
        assert shown.value("document.images[0].offsetParent !== null")
        assert "where the browser has WebGL" in shown.value("document.body.innerText")


def test_a_page_of_objects_runs_its_own_scripts_and_no_other(browser, objects, tmp_path):
    text = objects.read_text(encoding="utf-8")
    document = lxml.html.fromstring(text)
    (policy,) = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rest = policy.removeprefix("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ")
    assert len(rest.split()) == len(document.xpath("//script")) == 2
    assert all(source.startswith("'sha256-") for source in rest.split())
    assert not document.xpath("//script/@src")
    (tmp_path / "changed.html").write_text(text.replace("<main>", "<main><script>window.ran = true</script>"))
    with browser.opened(tmp_path / "changed.html") as shown:
        assert shown.value("window.ran") is None
        assert any("Content Security Policy" in complaint for complaint in shown.complaints())
