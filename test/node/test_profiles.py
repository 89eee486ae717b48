"""Each profile is decoded as its consumer does it, by the rules of their sources as of November 2026."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph, image_message
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from experiments.robot import clip as clip_images
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import Frame
from vss_ros.engine.labels import resize_labels
from vss_ros.engine.options import NodeConfig, node_config
from vss_ros.errors import VssError
from vss_ros.node.outputs.profiles import profile_of
from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SMALL = {'size': '96x128', 'propagation': 'none', 'track': 'blocking', 'threads': 1}
SENSOR_DATA = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
LABEL_INFO = load_message_type('vision_msgs/msg/LabelInfo')


def listen(graph: Graph, topic: str, kind: Any, qos: Any = SENSOR_DATA) -> list[Any]:
    """Subscribe as a consumer does; returns the list that messages come into."""
    received: list[Any] = []
    graph.client.create_subscription(kind, topic, received.append, qos)
    graph.wait(lambda: graph.client.count_publishers(topic) == 1, f'a publisher of {topic}')
    return received


def found_by_node(graph: Graph, *topics: str) -> None:
    """Wait until the node sees a subscriber of each topic."""
    graph.wait(lambda: all(graph.node.count_subscribers(topic) for topic in topics), str(topics))


def plain(message: Image) -> NDArray[np.uint8]:
    """Return the class ids of a mono8 mask by index, as the layer reads them: row · width + column."""
    assert (message.encoding, message.step) == ('mono8', message.width)
    assert len(message.data) == message.height * message.width
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)


def test_nav2_pixel_by_pixel_with_confidence_of_the_same_stamp(start: Callable[..., Graph]) -> None:
    graph = start(outputs=('key_frame',), profile='nav2' if LABEL_INFO else 'plain', **SMALL)
    mask = listen(graph, '/segmentation/mask', Image)
    confidence = listen(graph, '/segmentation/confidence', Image)
    found_by_node(graph, '/segmentation/mask', '/segmentation/confidence')
    graph.send(image_message(clip_images(1)[0], 5 * 10**9))
    graph.wait(lambda: bool(mask and confidence), 'mask and confidence')
    assert mask[0].header == confidence[0].header
    assert plain(mask[0]).shape == plain(confidence[0]).shape == (360, 480)
    assert plain(mask[0]).max() < 11
    classes = listen(graph, '/segmentation/classes', String, LATCHED)
    graph.wait(lambda: bool(classes), 'classes, latched')
    assert json.loads(classes[0].data)['classes'][3] == {'id': 3, 'name': 'road', 'colour': [128, 64, 128]}
    if LABEL_INFO is None:
        pytest.skip('~/label_info needs vision_msgs; all else was tested')
    labels = listen(graph, '/segmentation/label_info', LABEL_INFO, LATCHED)
    graph.wait(lambda: bool(labels), 'label_info, latched')
    assert {entry.class_name: entry.class_id for entry in labels[0].class_map}['pavement'] == 4


@pytest.mark.skipif(LABEL_INFO is not None, reason='vision_msgs is installed: nothing is missing')
def test_nav2_without_label_info_is_refused(
    start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = start(start=False, profile='nav2', **SMALL)
    assert graph.node.trigger_configure().name == 'FAILURE'
    assert 'install ros-$ROS_DISTRO-vision-msgs' in capfd.readouterr().err


AUTOWARE = [
    'UNKNOWN', 'BUILDING', 'WALL', 'OBSTACLE', 'TRAFFIC_LIGHT', 'TRAFFIC_SIGN', 'PERSON', 'VEHICLE', 'BIKE',
    'ROAD', 'SIDEWALK', 'ROAD_PAINT', 'CURBSTONE', 'CROSSWALK', 'VEGETATION', 'SKY',
]  # fmt: skip


def run_length_decoded(message: Image) -> NDArray[np.uint8]:
    """Decode as the fusion does: records of a byte and a little-endian int32, without gaps, row after row."""
    data, pixels = bytes(message.data), np.zeros(message.height * message.width, np.uint8)
    assert len(data) % 5 == 0
    at = 0
    for place in range(0, len(data), 5):
        length = int.from_bytes(data[place + 1 : place + 5], 'little', signed=True)
        assert length > 0
        pixels[at : at + length] = data[place]
        at += length
    assert at == len(pixels)
    return pixels.reshape(message.height, message.width)


def test_autoware_runs_of_its_labels(start: Callable[..., Graph]) -> None:
    image = clip_images(1)[0]
    config = replace(node_config(SMALL).segmenter, runtime='torch', precision='f32')
    with closing(build_segmenter(config).segmenter) as segmenter:
        found = segmenter.step(Frame(image, 10**9, 0)).labels
    expected = resize_labels(found, (360, 480))

    graph = start(outputs=('key_frame',), profile='autoware', **SMALL)
    mask = listen(
        graph, '/segmentation/mask', Image, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    found_by_node(graph, '/segmentation/mask')
    graph.send(image_message(image, 10**9))
    graph.wait(lambda: bool(mask), 'the mask')
    assert (mask[0].height, mask[0].width, mask[0].encoding) == (360, 480, 'mono8')
    assert mask[0].header.frame_id == 'camera_optical_frame'
    labels = run_length_decoded(mask[0])
    for camvid, autoware in ((0, 'SKY'), (1, 'BUILDING'), (3, 'ROAD'), (4, 'SIDEWALK'), (5, 'VEGETATION')):
        assert np.array_equal(labels == AUTOWARE.index(autoware), expected == camvid)
    classes = listen(graph, '/segmentation/classes', String, LATCHED)
    graph.wait(lambda: bool(classes), 'classes')
    assert [entry['name'] for entry in json.loads(classes[0].data)['classes']] == AUTOWARE


def test_isaac_raw_and_coloured_masks_on_its_topics(start: Callable[..., Graph]) -> None:
    graph = start(outputs=('key_frame',), profile='isaac', class_map='{way: [road, pavement]}', **SMALL)
    topics = '/unet/raw_segmentation_mask', '/unet/colored_segmentation_mask'
    raw, coloured = (listen(graph, topic, Image, QoSProfile(depth=1)) for topic in topics)
    found_by_node(graph, *topics)
    graph.send(image_message(clip_images(1)[0], 10**9))
    graph.wait(lambda: bool(raw and coloured), 'both masks')
    labels = plain(raw[0])
    assert set(np.unique(labels)) == {0, 1}
    assert (coloured[0].encoding, coloured[0].step) == ('rgb8', 3 * 480)
    colours = np.frombuffer(coloured[0].data, np.uint8).reshape(360, 480, 3)
    assert (colours[labels == 0] == (128, 64, 128)).all()
    assert raw[0].header == coloured[0].header


def test_a_parameter_that_does_not_fit_the_model_is_refused(
    start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = start(start=False, drivable='road, lawn', **SMALL)
    assert graph.node.trigger_configure().name == 'FAILURE'
    assert 'drivable: expected classes of the model' in capfd.readouterr().err


def test_an_encoding_that_the_profile_does_not_know_is_refused() -> None:
    with pytest.raises(VssError, match='expected mask_encoding mono8 with profile isaac'):
        profile_of(NodeConfig(profile='isaac', mask_encoding='16UC1'))
