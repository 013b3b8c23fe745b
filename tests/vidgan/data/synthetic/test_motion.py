"""Things move no faster than they may, and in all the ways that they should."""

import numpy as np

from vidgan.data.synthetic.affine import attach, identity, rotation, scaling, translation
from vidgan.data.synthetic.motion import draw_pace, draw_path, draw_scales, draw_turning, ease


def test_no_path_is_faster_than_its_top_speed():
    for seed in range(60):
        path = draw_path(np.random.default_rng(seed), 40, top_speed=2.5)
        assert path.shape == (40, 2)
        assert (path[0] == 0).all()
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() <= 2.5 + 1e-9


def test_paces_hold_stops_starts_and_reversals():
    paces = [draw_pace(np.random.default_rng(seed), 40) for seed in range(80)]
    assert all(np.abs(pace).max() <= 1 for pace in paces)
    assert any(pace[0] == 1 and pace[-1] == 0 for pace in paces)
    assert any(pace[0] == 0 and pace[-1] == 1 for pace in paces)
    assert any(pace[0] == 1 and pace[-1] == -1 for pace in paces)
    assert any((pace == 1).all() for pace in paces)


def test_easing_rises_from_0_to_1_within_its_duration():
    risen = ease(np.arange(11.0), centre=5.0, duration=4.0)
    assert (risen[:4] == 0).all()
    assert risen[5] == 0.5
    assert (risen[7:] == 1).all()
    assert (np.diff(risen) >= 0).all()


def test_turns_and_scales_begin_near_rest_and_stay_bounded():
    for seed in range(40):
        random = np.random.default_rng(seed)
        assert np.abs(np.diff(draw_turning(random, 30))).max() < 0.5
        scales = draw_scales(random, 30)
        assert scales.shape == (30, 2)
        assert 0.4 < scales.min() <= scales.max() < 2.5


def test_a_part_turns_about_its_joint():
    parent = translation(np.array([(10.0, 0), (20.0, 0)]))
    part = attach(parent, joint=(1.0, 2.0), angle=np.array([0.0, np.pi / 2]), pivot=(0.0, -5.0))
    np.testing.assert_allclose(part @ [0, -5, 1], [(11, 2, 1), (21, 2, 1)])  # the pivot stays on the joint
    np.testing.assert_allclose(part @ [0, 5, 1], [(11, 12, 1), (11, 2, 1)], atol=1e-9)  # down, then clockwise


def test_maps_are_what_their_names_say():
    np.testing.assert_array_equal(identity(2), [np.eye(3)] * 2)
    np.testing.assert_allclose(rotation(np.array([np.pi / 2]))[0] @ [1, 0, 1], [0, 1, 1], atol=1e-9)
    np.testing.assert_allclose(scaling(np.array([(2.0, 3.0)]))[0] @ [1, 1, 1], [2, 3, 1])
