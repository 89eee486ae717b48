"""Rays, clouds and the ground: against geometry worked out by other means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.images.cloud import POINT, depth_of, fill_cloud, points_from_depth, points_of
from vss_ros.images.ground import FREE, OCCUPIED, UNKNOWN, GroundView, Pose, kinds_of, shares
from vss_ros.images.pinhole import Pinhole

NAMES = ('sky', 'road', 'pavement', 'car')
KINDS = kinds_of(NAMES, [1])
CAMERA = Pinhole((60, 80), (70.0, 70.0), (39.5, 29.5))
POSE = Pose.level(1.2, 0.1)


def info(**changes: Any) -> Any:
    """Return what a CameraInfo has."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    fields = {
        'height': 480, 'width': 640, 'k': [500.0, 0, 320, 0, 510, 240, 0, 0, 1], 'd': [0.0] * 5,
        'p': [400.0, 0, 310, 0, 0, 400, 230, 0, 0, 0, 1, 0], 'distortion_model': 'plumb_bob', 'roi': roi,
        'binning_x': 0, 'binning_y': 0,
    }  # fmt: skip
    return SimpleNamespace(**(fields | changes))


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', [0.0] * 5),
        ('plumb_bob', [-0.2, 0.05, 1e-3, -1e-3, 0]),
        ('equidistant', [0.05, 0.01, 0, 0]),
    ],
)
def test_what_a_ray_meets_is_projected_to_its_pixel(model: str, distortion: list[float]) -> None:
    camera = Pinhole.of(info(distortion_model=model, d=distortion)).scaled((120, 160))
    rays = camera.rays()
    rows, columns = np.mgrid[5:115:10, 5:155:10].reshape(2, -1)
    points = (
        np.concatenate([rays[rows, columns], np.ones((len(rows), 1))], 1)
        * np.linspace(1, 20, len(rows))[:, None]
    )
    np.testing.assert_allclose(camera.project(points), np.stack([columns, rows], 1), atol=0.02)
    assert np.isnan(camera.project(-points)).all()


def test_a_camera_info_of_a_part_or_a_rectified_image_is_understood() -> None:
    whole = Pinhole.of(info())
    roi = SimpleNamespace(x_offset=100, y_offset=40, height=240, width=320)
    part = Pinhole.of(info(roi=roi, binning_x=2, binning_y=2))
    assert part.size == (120, 160)
    # Pixel (x, y) of the part is the middle of the four pixels from (100 + 2 x, 40 + 2 y) of the whole.
    mean = whole.rays()[40 + 20 : 40 + 22, 100 + 60 : 100 + 62].mean((0, 1))
    np.testing.assert_allclose(part.rays()[10, 30], mean, atol=1e-6)
    assert Pinhole.of(info(d=[0.1] * 5), rectified=True) == Pinhole((480, 640), (400, 400), (310, 230))
    with pytest.raises(VssError, match='expected a camera_info with size'):
        Pinhole.of(info(k=[0.0] * 9))


@pytest.mark.parametrize(('encoding', 'order'), [('16UC1', '<'), ('16UC1', '>'), ('32FC1', '<')])
def test_depth_is_metres_with_nothing_where_there_is_none(encoding: str, order: str) -> None:
    values = np.array([[1500, 0, 2], [65535, 40, 7]], f'{order}u2')
    if encoding == '32FC1':
        values = np.array([[1.5, np.nan, 2e-3], [65.535, 0.04, 7e-3]], '<f4')
    padded = np.pad(values.view(np.uint8), ((0, 0), (0, 3)))
    message = SimpleNamespace(
        encoding=encoding,
        is_bigendian=order == '>',
        height=2,
        width=3,
        step=padded.shape[1],
        data=padded.tobytes(),
    )
    expected = [[1.5, np.nan, 0.002], [65.535, 0.04, 0.007]]
    np.testing.assert_allclose(depth_of(message), expected, rtol=1e-6)
    message.data = message.data[:-5]
    with pytest.raises(VssError, match='expected 2 rows of 3 depths'):
        depth_of(message)


def test_a_cloud_has_the_labels_colours_and_places_of_its_pixels() -> None:
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 255, (60, 80, 3), np.uint8), rng.integers(0, 4, (60, 80), np.uint8)
    depth = rng.uniform(1, 9, (30, 40)).astype(np.float32)
    cloud = np.empty((60, 80), POINT)
    fill_cloud(cloud, points_from_depth(depth, CAMERA, CAMERA.rays()), image, labels, labels * 85)
    assert cloud.tobytes()[16:20] == bytes([labels[0, 0], 0, 0, 0])
    assert np.array_equal(cloud['label'], labels)
    assert np.array_equal(cloud['rgb'] >> 16, image[..., 0])
    assert np.array_equal(cloud['rgb'] & 255, image[..., 2])
    np.testing.assert_allclose(cloud['confidence'], labels / 3, atol=1e-6)
    points = np.stack([cloud[name] for name in 'xyz'], -1).reshape(-1, 3)
    rows, columns = np.mgrid[:60, :80].reshape(2, -1)
    np.testing.assert_allclose(CAMERA.project(points), np.stack([columns, rows], 1), atol=1e-3)
    assert np.array_equal(cloud['z'][::2, ::2], depth)


def test_points_of_another_cloud_are_read_by_its_fields() -> None:
    layout = np.dtype(
        {'names': ['z', 'x', 'y'], 'formats': ['<f4'] * 3, 'offsets': [0, 8, 4], 'itemsize': 20}
    )
    values = np.zeros((2, 3), layout)
    for number, name in enumerate('xyz'):
        values[name] = np.arange(6).reshape(2, 3) + 10 * number
    fields = [SimpleNamespace(name=name, offset=layout.fields[name][1], datatype=7) for name in 'xyz']  # type: ignore[index]
    rows = np.pad(values.view(np.uint8).reshape(2, 60), ((0, 0), (0, 4)))
    message = SimpleNamespace(
        fields=fields, height=2, width=3, point_step=20, row_step=64, is_bigendian=False, data=rows.tobytes()
    )
    assert points_of(message)[1, 2].tolist() == [5, 15, 25]
    message.height, message.width = 1, 6
    with pytest.raises(VssError, match='expected an organised cloud'):
        points_of(message)


def scene() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the labels of a road 4 m wide between pavements, with a car across it from 6 m to 8 m ahead."""
    rays = np.concatenate([CAMERA.rays(), np.ones((*CAMERA.size, 1))], -1) @ POSE.turn.T
    labels = np.zeros(CAMERA.size, np.uint8)
    for row, column in np.ndindex(CAMERA.size):
        ray = rays[row, column]
        at = -POSE.at[2] / ray[2] * ray if ray[2] < 0 else None
        if at is not None and at[0] < 50:
            labels[row, column] = 1 if abs(at[1]) < 2 else 2
        front = ray * 6 / ray[0]
        if abs(front[1]) < 1 and -1.2 < front[2] < 0.3:  # a box 1.5 m high: its front hides the rest
            labels[row, column] = 3
    return labels


def test_the_ground_is_free_occupied_or_hidden() -> None:
    view = GroundView(CAMERA, POSE, 15.0, 0.25)
    cells = view.cells(scene(), KINDS)
    assert cells.shape == (60, 60)
    assert tuple(view.origin) == (0.0, -7.5)

    def at(x: float, y: float) -> int:
        return int(cells[int((y + 7.5) / 0.25), int(x / 0.25)])

    assert at(4, 0) == at(5.5, 0) == at(9, 1.8) == FREE
    assert at(6, 2.5) == at(12, -3) == OCCUPIED  # pavement
    assert at(6.2, 0) == OCCUPIED
    assert at(7, 0) == at(9, 0) == UNKNOWN  # hidden
    assert at(0.5, 0) == at(1, 7) == UNKNOWN  # not in view
    x, y = (np.stack(np.nonzero(cells == FREE)[::-1]) + 0.5) * 0.25 + view.origin[:, None]
    assert (np.abs(y) < 2.3).all()
    assert ((np.abs(y) > 0.8) | (x < 6.3) | (x > 11)).all()


def test_outlines_run_counter_clockwise_and_holes_clockwise() -> None:
    view = GroundView(CAMERA, POSE, 15.0, 0.25)
    cells = np.full((60, 60), OCCUPIED, np.int8)
    cells[10:30, 20:50] = FREE
    cells[18:22, 30:36] = OCCUPIED
    cells[50:51, 5:6] = FREE  # too small
    outline, hole = view.outlines(cells)

    def area(line: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        x, y = line.T
        return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)

    assert area(outline) == pytest.approx(29 * 19 / 16)
    assert area(hole) < -1
    assert outline.min(0).tolist() == [5.125, -4.875]


def test_a_camera_that_looks_to_the_left_sees_the_ground_there() -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    view = GroundView(CAMERA, Pose(turn @ POSE.turn, POSE.at), 15.0, 0.25)
    assert view.origin.round(9).tolist() == [-7.5, 0.0]
    straight = GroundView(CAMERA, POSE, 15.0, 0.25).cells(scene(), KINDS)
    turned = view.cells(scene(), KINDS)
    assert (turned == straight.T[:, ::-1]).mean() > 0.98


def test_a_pose_from_a_quaternion_is_that_from_height_and_pitch() -> None:
    pitch = 0.1
    body = np.array([0, np.sin(pitch / 2), 0, np.cos(pitch / 2)])  # about y, to the left
    optical = np.array([-0.5, 0.5, -0.5, 0.5])  # REP-103: from a body frame to its optical one
    (ax, ay, az, aw), (bx, by, bz, bw) = body, optical
    product = (
        aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz,
    )  # fmt: skip
    assert Pose.turned(product, (0, 0, 1.2)).same(POSE)
    assert not Pose.level(1.25, pitch).same(POSE)


def test_shares_of_the_pixels() -> None:
    assert shares(np.array([[0, 1], [1, 7]], np.uint8), 3).tolist() == [0.25, 0.5, 0.0]
