"""The simulated street, and the clip that was made with it."""

from __future__ import annotations

import sys
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from simulator import Label, StreetFrame, render_drive
from simulator.actors import Cast
from simulator.conditions import draw_conditions
from simulator.drive import majority
from simulator.export import (
    CLIP_SEED,
    IMAGE_TOPIC,
    INFO_TOPIC,
    MASK_TOPIC,
    OPTICAL_FRAME,
    Stretch,
    write_bag,
    write_images,
)
from simulator.layout import Route, plan
from simulator.light import hazed, weather
from simulator.mesh import ball, box, tube
from vss_ros.errors import VssError
from vss_ros.images.cloud import POINT, fill_cloud, points_from_depth
from vss_ros.images.ground import FREE, OCCUPIED, GroundView, kinds_of
from vss_ros.recordings.bags import message_types, open_bag

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (90, 120)


def drive(seed: int, frames: int = 2, **options: Any) -> list[StreetFrame]:
    pytest.importorskip('pybullet', reason='needs pybullet: pip install pybullet')
    return list(render_drive(seed, frames, size=SMALL, **options))


@cache
def drive_one() -> tuple[StreetFrame, ...]:
    return tuple(drive(1, truth=True))


def test_frames_have_the_classes_of_a_street() -> None:
    frames = drive_one()
    for frame in frames:
        assert frame.image.shape == (*SMALL, 3)
        assert frame.image.dtype == frame.labels.dtype == np.uint8
        assert frame.labels.shape == SMALL
        assert {Label.SKY, Label.ROAD, Label.BUILDING} <= set(frame.labels.ravel().tolist()) <= set(range(12))
    assert [frame.stamp_ns for frame in frames] == [0, 66_666_667]


def test_points_from_its_exact_depth_are_where_they_are() -> None:
    frame = drive_one()[0]
    truth = frame.truth
    assert truth is not None
    points = points_from_depth(truth.depth, truth.camera, truth.camera.rays())
    right, up, ahead = truth.view.axes
    places = points.astype(float) @ np.stack([right, -up, ahead]) + truth.view.eye
    shown = np.isfinite(truth.depth)
    assert (~shown != (frame.labels == Label.SKY)).mean() < 0.02
    near = shown & (truth.depth < 40)
    assert near.mean() > 0.5
    assert np.linalg.norm(places - truth.places(), axis=-1)[near].max() < 0.02
    road = near & (cv2.erode((frame.labels == Label.ROAD).astype(np.uint8), np.ones((5, 5))) > 0)
    assert road.mean() > 0.1
    assert np.percentile(np.abs(places[road, 2]), 99) < 0.02  # the road is where z = 0
    cloud = np.empty(SMALL, POINT)
    fill_cloud(cloud, points, frame.image, frame.labels, None)
    assert np.array_equal(cloud['label'], frame.labels)


def test_the_ground_of_a_true_mask_agrees_with_the_map() -> None:
    kinds = kinds_of([label.name.lower() for label in Label], [Label.ROAD])
    for frame in drive_one():
        assert frame.truth is not None
        view = GroundView(frame.truth.camera, frame.truth.pose, 15.0, 0.1)
        cells = view.cells(frame.labels, kinds)
        assert (cells == FREE).mean() > 0.15
        assert frame.truth.agreement(view, cells) >= 0.9
        flipped = np.where(cells == FREE, OCCUPIED, FREE).astype(np.int8)
        assert frame.truth.agreement(view, flipped) < 0.5


def test_the_seed_decides() -> None:
    first, again, other = drive_one(), drive(1), drive(2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert (first[0].labels != other[0].labels).mean() > 0.1


def test_seeds_vary_haze_speed_traffic_turns_and_light() -> None:
    seconds, drawn = 1.6, [draw_conditions(seed, 0, 1.6) for seed in range(60)]
    assert drawn[3] == draw_conditions(3, 0, seconds)
    assert {met.turn for met in drawn} == {-1, 0, 1}
    for name, low, high in (('haze', 100, 900), ('speed', 0.1, 12), ('density', 0.5, 2), ('start', -60, -12)):
        values = [getattr(met, name) for met in drawn]
        assert min(values) < low, name
        assert max(values) > high, name
    turned = 0
    for seed, met in enumerate(drawn):
        route = Route(plan(np.random.default_rng(seed), met.turn, met.start))
        ways = route.ways(round(seconds * 15), 15.0, met.speed)
        assert ways[-1] - ways[0] <= met.speed * seconds * 1.05
        bend = route.at(ways[-1])[2] - route.at(ways[0])[2]
        turned += abs(bend) > 0.1
        assert abs(bend) < 1e-6 or np.sign(bend) == met.turn
    # Most of the 40 or so that turn at all do so within these 24 frames, unless they stand.
    assert turned > 15
    lights = [weather(np.random.default_rng(seed)) for seed in range(20)]
    assert max(light.sun for light in lights) > 0.6 > 0.3 > min(light.sun for light in lights)
    assert max(light.exposure for light in lights) > 1.5 * min(light.exposure for light in lights)


def test_fog_dims_the_sun_and_hides_the_sky_but_not_its_brightness() -> None:
    clear = weather(np.random.default_rng(0))
    thin, thick = hazed(clear, 1200), hazed(clear, 60)
    assert clear.sun > thin.sun > 2 * thick.sun
    spread = [float(light.sky[:-8].std()) for light in (clear, thin, thick)]
    assert spread[0] > spread[1] > 2 * spread[2]
    assert np.allclose(thick.fog, clear.fog, rtol=0.02)


def test_density_is_the_number_of_actors() -> None:
    layout = plan(np.random.default_rng(1), 0, -60.0)
    route = Route(layout)
    ways = route.ways(20, 15.0, 7.0)
    counts = [
        len(Cast(np.random.default_rng(2), layout, route, ways, 15.0, density).everyone())
        for density in (0.4, 1.0, 2.2)
    ]
    assert counts[0] < 0.7 * counts[1] < counts[1] < 0.7 * counts[2]


@pytest.mark.slow
def test_a_varied_drive_has_the_same_classes_and_looks_different() -> None:
    (frame,) = drive(1, 1, varied=True)
    assert frame.labels.max() < 12
    assert (frame.image != drive_one()[0].image).mean() > 0.5


@pytest.mark.slow
def test_a_scene_change_is_sudden() -> None:
    frames = drive(3, 4, scene_change_at=2)
    changed = [(a.labels != b.labels).mean() for a, b in pairwise(frames)]
    assert changed[1] > 2 * max(changed[0], changed[2])


@pytest.mark.slow
def test_every_skips_frames() -> None:
    whole, part = drive(1, 4), drive(1, 4, every=3)
    assert [frame.stamp_ns for frame in part] == [whole[0].stamp_ns, whole[3].stamp_ns]
    np.testing.assert_array_equal(part[1].labels, whole[3].labels)


@pytest.mark.slow
def test_images_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    pytest.importorskip('pybullet', reason='needs pybullet: pip install pybullet')
    target = tmp_path / 'drives'
    assert write_images(target, [1, 2], Stretch(3, 2, SMALL)) == 4
    names = ['seed0001_000000.png', 'seed0001_000002.png', 'seed0002_000000.png', 'seed0002_000002.png']
    assert sorted(path.name for path in (target / 'images').iterdir()) == names
    assert sorted(path.name for path in (target / 'labels').iterdir()) == names
    assert [path.name for path in tmp_path.iterdir()] == ['drives']
    with pytest.raises(VssError, match='expected a new folder'):
        write_images(target, [1], Stretch(1, 1, SMALL))


def test_bag_has_image_info_and_mask(tmp_path: Path) -> None:
    pytest.importorskip('pybullet', reason='needs pybullet: pip install pybullet')
    write_bag(tmp_path / 'bag', 1, Stretch(2, 1, SMALL))
    messages = read(tmp_path / 'bag')
    assert {topic: len(found) for topic, found in messages.items()} == dict.fromkeys(
        (IMAGE_TOPIC, INFO_TOPIC, MASK_TOPIC), 2
    )
    mask = cv2.imdecode(messages[MASK_TOPIC][1][1].data, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, drive_one()[1].labels)


def test_without_pybullet_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'pybullet', None)
    with pytest.raises(ImportError, match='pip install'):
        next(render_drive(1, 1, size=SMALL))


def test_majority_of_four() -> None:
    labels = np.array([[1, 2, 5, 6], [2, 2, 7, 5]], np.uint8)
    np.testing.assert_array_equal(majority(labels), [[2, 5]])


@pytest.mark.parametrize(
    'mesh', [box((0, 0, 1), (1, 2, 2)), ball((0, 0, 0), (1, 2, 3)), tube((0, 0, 0), (1, 2, 3), (1, 0.5))]
)
def test_wound_triangles_face_outwards(mesh: Any) -> None:
    turned = mesh.wound()
    a, b, c = (turned.points[turned.faces[:, k]] for k in range(3))
    assert ((np.cross(b - a, c - a) * turned.normals[turned.faces].sum(1)).sum(1) >= 0).all()


def read(bag: Path) -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    with open_bag(bag) as reader:
        for connection, time, data in reader.messages():
            message = message_types().deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time, message))
    return found


def test_the_clip(project_root: Path) -> None:
    folder = project_root / 'test' / 'data' / 'street'
    assert sorted(path.name for path in folder.iterdir()) == ['metadata.yaml', 'street.mcap']
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 5e6
    messages = read(folder)
    images, infos, masks = (messages[topic] for topic in (IMAGE_TOPIC, INFO_TOPIC, MASK_TOPIC))
    assert len(images) == len(infos) == len(masks) >= 150
    stamps = np.array([time for time, _ in images])
    np.testing.assert_allclose(np.diff(stamps), 1e9 / 15, atol=2)
    counts = np.zeros(12)
    for (time, image), (info_time, info), (mask_time, mask) in zip(images, infos, masks, strict=True):
        stamp = image.header.stamp
        assert time == info_time == mask_time == stamp.sec * 10**9 + stamp.nanosec
        assert image.header == info.header == mask.header
        assert image.header.frame_id == OPTICAL_FRAME
        assert (image.format, mask.format) == ('jpeg', 'png')
        labels = cv2.imdecode(mask.data, cv2.IMREAD_UNCHANGED)
        assert labels is not None
        assert labels.shape == (info.height, info.width) == (360, 480)
        counts += np.bincount(labels.ravel(), minlength=12)
    picture = cv2.imdecode(images[0][1].data, cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (360, 480, 3)
    assert (counts[:11] / counts.sum() > 0.0005).all()


@pytest.mark.slow
def test_the_clip_is_what_the_renderer_makes(project_root: Path) -> None:
    pytest.importorskip('pybullet', reason='needs pybullet: pip install pybullet')
    messages = read(project_root / 'test' / 'data' / 'street')
    frame = next(render_drive(CLIP_SEED, len(messages[IMAGE_TOPIC])))
    mask = cv2.imdecode(messages[MASK_TOPIC][0][1].data, cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert np.mean(mask == frame.labels) > 0.999
