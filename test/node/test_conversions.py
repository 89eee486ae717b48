"""Image messages that are filled again and again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from vss_ros.engine.labels import resize_labels
from vss_ros.node.conversions import ImageMessage

LABELS = np.random.default_rng(0).integers(0, 255, (36, 48), np.uint8)


@pytest.mark.parametrize(('encoding', 'kind'), [('mono8', np.uint8), ('16UC1', np.dtype('<u2'))])
def test_a_mask_is_unpadded_and_as_large_as_the_camera(encoding: str, kind: np.dtype[np.uint16]) -> None:
    message = ImageMessage(encoding)
    for size in ((72, 96), (36, 48), (90, 100)):
        sent = message.fill(LABELS, size, Header(frame_id=str(size)))
        got = deserialize_message(serialize_message(sent), Image)
        assert (got.header.frame_id, got.encoding, got.is_bigendian) == (str(size), encoding, 0)
        assert (got.height, got.width, got.step) == (*size, size[1] * np.dtype(kind).itemsize)
        assert np.array_equal(np.frombuffer(got.data, kind).reshape(size), resize_labels(LABELS, size))


def test_colours_are_copied_and_memory_is_used_again() -> None:
    message = ImageMessage('rgb8')
    colours = np.random.default_rng(1).integers(0, 255, (36, 48, 3), np.uint8)
    memory = message.fill(colours, (36, 48), Header()).data
    sent = message.fill(colours[::-1].copy(), (36, 48), Header())
    assert sent.data is memory
    assert sent.step == 3 * 48
    assert np.array_equal(np.frombuffer(sent.data, np.uint8).reshape(colours.shape), colours[::-1])
