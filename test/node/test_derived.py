"""Clouds, the ground, CameraInfo and pictures, made over real DDS of the node's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from node_graph import Graph, image_message
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from experiments.robot import clip as clip_images
from vss_ros.images.cloud import POINT
from vss_ros.msg import SceneSummary
from vss_ros.node.conversions import ns_to_stamp, stamp_to_ns
from vss_ros.node.outputs.inputs import info_topic
from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SMALL = {'size': '96x128', 'propagation': 'none', 'track': 'blocking', 'threads': 1}
TRANSFORMS = load_message_type('tf2_msgs/msg/TFMessage')
FOCAL, CENTRE = 400.0, (239.5, 179.5)
DEPTH = np.random.default_rng(0).integers(500, 9000, (360, 480), np.uint16)


class Robot(Graph):
    """A camera with its info and its depth, besides what a graph has."""

    def __init__(self, **parameters: Any) -> None:
        wanted: dict[str, Any] = {'depth_topic': '/depth'} | SMALL | parameters
        super().__init__(**wanted)
        self.info = self.client.create_publisher(CameraInfo, '/camera_info', 10)
        self.depth = self.client.create_publisher(Image, '/depth', 10)

    def listen(self, **kinds: Any) -> dict[str, list[Any]]:
        """Subscribe to outputs by name; waits until what they need is subscribed to."""
        found: dict[str, list[Any]] = {name: [] for name in kinds}
        for name, kind in kinds.items():
            topic = f'/segmentation/{name.replace("__", "/")}'
            self.client.create_subscription(kind, topic, found[name].append, 10)
            self.wait(lambda topic=topic: self.node.count_subscribers(topic) == 1, topic)  # type: ignore[misc]
        return found

    def subscribed(self, *publishers: Any) -> None:
        """Wait until the node has subscribed."""
        self.wait(lambda: all(p.get_subscription_count() for p in publishers), 'the node to subscribe')

    def say(self, stamp_ns: int, size: tuple[int, int] = (360, 480)) -> None:
        """Publish the camera's info."""
        info = CameraInfo(height=size[0], width=size[1], distortion_model='plumb_bob', d=[0.0] * 5)
        scale = size[0] / 360
        f, (x, y) = FOCAL * scale, ((centre + 0.5) * scale - 0.5 for centre in CENTRE)
        info.k = [f, 0.0, x, 0.0, f, y, 0.0, 0.0, 1.0]
        info.p = [f, 0.0, x, -40.0 * scale, 0.0, f, y, 0.0, 0.0, 0.0, 1.0, 0.0]
        info.header.stamp = ns_to_stamp(stamp_ns)
        self.info.publish(info)

    def measure(self, stamp_ns: int) -> None:
        """Publish a depth image."""
        message = Image(height=360, width=480, encoding='16UC1', step=960, data=DEPTH.tobytes())
        message.header.stamp = ns_to_stamp(stamp_ns)
        self.depth.publish(message)


@pytest.fixture
def robots(ros_domain: dict[str, str]) -> Any:
    """Return a function that starts a robot; it is closed after the test."""
    started: list[Robot] = []

    def make(**parameters: Any) -> Robot:
        started.append(Robot(**parameters))
        return started[-1]

    yield make
    for robot in started:
        robot.close()


def points(message: PointCloud2) -> NDArray[np.void]:
    """Decode a cloud by its fields."""
    names = [field.name for field in message.fields]
    formats = [{7: '<f4', 6: '<u4'}[field.datatype] for field in message.fields]
    kind = np.dtype({
        'names': names, 'formats': formats, 'offsets': [field.offset for field in message.fields],
        'itemsize': message.point_step,
    })  # fmt: skip
    assert message.row_step == message.width * message.point_step
    return np.frombuffer(message.data, kind).reshape(message.height, message.width)


def test_a_cloud_of_the_masks_labels_whenever_its_depth_comes(robots: Callable[..., Robot]) -> None:
    robot = robots()
    got = robot.listen(points=PointCloud2, confidence=Image)
    robot.subscribed(robot.info, robot.depth)
    image = clip_images(1)[0]
    robot.say(1)
    for number, early in ((1, True), (2, False)):
        stamp = number * 10**9
        if early:
            robot.measure(stamp)
        robot.send(image_message(image, stamp))
        if not early:
            robot.measure(stamp + 9_000_000)
        robot.wait(lambda n=number: len(got['points']) == n, 'the cloud')  # type: ignore[misc]
    robot.wait(lambda: len(robot.received['mask']) == 2 == len(got['confidence']), 'masks')
    for cloud, mask, sure in zip(got['points'], robot.received['mask'], got['confidence'], strict=True):
        found = points(cloud)
        assert cloud.header == mask.header
        assert (cloud.height, cloud.width) == (mask.height, mask.width)
        assert found['label'].tobytes() == np.frombuffer(mask.data, np.uint8).astype('<u4').tobytes()
        assert np.round(found['confidence'] * 255).astype(np.uint8).tobytes() == bytes(sure.data)
        packed = found['rgb'].copy().view('<u4')
        assert np.array_equal(np.stack([packed >> 16, packed >> 8, packed], -1) & 255, image)
        row, column = np.mgrid[:360, :480]
        z = DEPTH / np.float32(1000)
        expected = np.stack([(column - CENTRE[0]) / FOCAL * z, (row - CENTRE[1]) / FOCAL * z, z], -1)
        np.testing.assert_allclose(
            np.stack([found[name] for name in 'xyz'], -1), expected, rtol=1e-4, atol=1e-5
        )


def test_pairs_that_are_missing_are_counted_and_what_is_wrong_is_said(robots: Callable[..., Robot]) -> None:
    robot = robots()
    got = robot.listen(points=PointCloud2, camera_info=CameraInfo)
    robot.subscribed(robot.info, robot.depth)
    image = clip_images(1)[0]
    for number in range(1, 8):  # depth of another time: five wait, two are given up
        robot.measure(number * 10**9 + 20_000_000)
        robot.send(image_message(image, number * 10**9))
    robot.wait(lambda: robot.count('depth_missing') == 2, 'two pairs to be missed')
    failed = robot.count('outputs_failed')
    assert failed == 7  # each without a camera_info
    assert not got['points']
    robot.say(1, (360, 640))
    robot.wait(lambda: robot.stream.outputs._derived._info.newest() is not None, 'the info')
    robot.send(image_message(image, 9 * 10**9))
    robot.wait(lambda: robot.count('outputs_failed') == failed + 1, 'the info of another image to be refused')
    assert '480x360, got 640x360' in robot.received['diagnostics'][-1].status[0].message
    assert robot.count('errors') == 0
    assert len(robot.received['mask']) == 8


def test_an_organised_cloud_gives_its_points_in_its_own_frame(robots: Callable[..., Robot]) -> None:
    robot = robots()
    robot.client.destroy_publisher(robot.depth)
    robot.depth = robot.client.create_publisher(PointCloud2, '/depth', 10)
    got = robot.listen(points=PointCloud2)
    robot.subscribed(robot.depth)
    places = np.random.default_rng(1).normal(size=(360, 480, 3)).astype('<f4')
    fields = [PointField(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate('xyz')]
    cloud = PointCloud2(
        height=360, width=480, fields=fields, point_step=12, row_step=5760, data=places.tobytes()
    )
    cloud.header.stamp, cloud.header.frame_id = ns_to_stamp(10**9), 'lidar'
    robot.depth.publish(cloud)
    robot.send(image_message(clip_images(1)[0], 10**9))
    robot.wait(lambda: bool(got['points']), 'the cloud')
    assert got['points'][0].header.frame_id == 'lidar'
    found = points(got['points'][0])
    assert np.array_equal(np.stack([found[name] for name in 'xyz'], -1), places)


def test_the_ground_its_summary_the_info_and_the_picture(robots: Callable[..., Robot]) -> None:
    robot = robots(
        camera_height=1.4, ground_cell=0.2, ground_frame='base_link', drivable='road, pavement',
        class_map='{way: [road, pavement]}',
    )  # fmt: skip
    got = robot.listen(
        ground=OccupancyGrid, scene=SceneSummary, camera_info=CameraInfo, overlay__compressed=CompressedImage
    )
    robot.subscribed(robot.info)
    assert robot.depth.get_subscription_count() == 0  # nobody wants a cloud
    robot.say(1, (720, 960))  # twice as large as the images
    robot.wait(lambda: robot.stream.outputs._derived._info.newest() is not None, 'the info')
    robot.send(image_message(clip_images(1)[0], 10**9))
    robot.wait(lambda: all(got.values()), 'all outputs')
    assert {stamp_to_ns(messages[0].header.stamp) for messages in got.values()} == {10**9}

    info = got['camera_info'][0]
    assert (info.height, info.width, info.header.frame_id) == (360, 480, 'camera_optical_frame')
    assert info.k[:3].tolist() == info.p[:3].tolist() == [FOCAL, 0, CENTRE[0]]
    assert info.p[3] == -40

    grid, scene = got['ground'][0], got['scene'][0]
    assert grid.header.frame_id == scene.header.frame_id == 'base_link'
    assert (grid.info.width, grid.info.height) == (75, 75)
    assert (grid.info.origin.position.x, grid.info.origin.position.y) == (0, -7.5)
    cells = np.array(grid.data, np.int8).reshape(75, 75)
    assert set(np.unique(cells)) == {-1, 0, 100}
    ahead = cells[35:40, 40:60]  # a street: 8 to 12 m ahead it is mostly drivable
    assert (ahead == 0).mean() > 0.5
    assert (cells[:, :5] == -1).all()  # below the image
    assert list(scene.class_names) == ['way', 'other']
    mask = np.frombuffer(robot.received['mask'][0].data, np.uint8)
    np.testing.assert_allclose(scene.shares, np.bincount(mask) / mask.size, atol=0.01)
    outline = np.array([(point.x, point.y) for point in scene.drivable[0].points])
    assert cv2.pointPolygonTest(outline.astype(np.float32), (10.0, 0.0), measureDist=False) > 0

    picture = cv2.imdecode(np.frombuffer(got['overlay__compressed'][0].data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (360, 480, 3)
    assert POINT.itemsize == 24


def send_and_say(robot: Robot) -> None:
    robot.subscribed(robot.info)
    robot.say(1)
    robot.wait(lambda: robot.stream.outputs._derived._info.newest() is not None, 'the info')
    robot.send(image_message(clip_images(1)[0], 10**9))


@pytest.mark.skipif(TRANSFORMS is not None, reason='tf2_ros is installed: nothing is missing')
def test_without_tf2_it_is_said_what_the_ground_needs_and_shares_come_all_the_same(
    robots: Callable[..., Robot],
) -> None:
    robot = robots()
    got = robot.listen(ground=OccupancyGrid, scene=SceneSummary)
    send_and_say(robot)
    robot.wait(lambda: robot.count('outputs_failed') == 1 and bool(got['scene']), 'the summary')
    assert 'expected tf2_ros' in robot.diagnostics['last_trouble']
    assert sum(got['scene'][0].shares) == pytest.approx(1)
    assert not got['scene'][0].drivable
    assert not got['ground']


def test_tf2_says_where_the_camera_is(robots: Callable[..., Robot]) -> None:
    if TRANSFORMS is None:
        pytest.skip('needs tf2_ros, which is not among the wheels: source a ROS 2 distribution')
    robot = robots(ground_frame='base')
    got = robot.listen(ground=OccupancyGrid)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = robot.client.create_publisher(TRANSFORMS, '/tf_static', latched)
    placed = TransformStamped(child_frame_id='camera_optical_frame')
    placed.header.frame_id = 'base'
    place, turn = placed.transform.translation, placed.transform.rotation
    place.x, place.z = 0.5, 1.4
    turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5  # REP-103: looks ahead
    static.publish(TRANSFORMS(transforms=[placed]))
    robot.subscribed(static)
    robot.wait(lambda: robot.stream.outputs._derived._pose._buffer.all_frames_as_yaml() != '{}', 'tf')
    send_and_say(robot)
    robot.wait(lambda: bool(got['ground']), 'the ground')
    info = got['ground'][0].info
    assert (info.origin.position.x, info.origin.position.y) == (0.5, -7.5)
    cells = np.array(got['ground'][0].data, np.int8).reshape(info.height, info.width)
    assert (cells[70:80, 80:120] == 0).mean() > 0.5
    names = {name for name, _ in robot.client.get_service_names_and_types_by_node('segmentation', '/')}
    assert '/tf2_frames' not in names


@pytest.mark.parametrize(
    ('images', 'info'),
    [
        ('/cam/image_raw', '/cam/camera_info'),
        ('/cam/image_raw/compressed', '/cam/camera_info'),
        ('/image', '/camera_info'),
        ('image_raw', 'camera_info'),
    ],
)
def test_camera_info_is_beside_the_images(images: str, info: str) -> None:
    assert info_topic(images) == info
