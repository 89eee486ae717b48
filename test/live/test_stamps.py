"""Headers cut out of serialised messages, against rosbags' own serialisation."""

from __future__ import annotations

import numpy as np
import pytest

from vss_ros.live.stamps import header_bytes
from vss_ros.recordings.bags import COMPRESSED_VIDEO, HEADER, IMAGE, deserialise, message_types
from vss_ros.recordings.messages import header, raw_image

STAMP = 12 * 10**9 + 345


@pytest.mark.parametrize('frame_id', ['', 'a', 'cam', 'front', 'camera_optical_frame', 'Kamera vorn ä'])
def test_header_of_an_image(frame_id: str) -> None:
    message = raw_image(np.ones((3, 5, 3), np.uint8), STAMP, frame_id)
    data = bytes(message_types().serialize_cdr(message, IMAGE))
    assert header_bytes(data) == bytes(message_types().serialize_cdr(header(STAMP, frame_id), HEADER))


def test_big_endian() -> None:
    message = raw_image(np.ones((3, 5, 3), np.uint8), STAMP, 'camera')
    data = bytes(message_types().serialize_cdr(message, IMAGE, little_endian=False))
    cut = deserialise(header_bytes(data), HEADER)
    assert (cut.stamp.sec, cut.stamp.nanosec, cut.frame_id) == (12, 345, 'camera')


def test_messages_that_spell_the_header_out() -> None:
    types = message_types()
    stamp = types.types['builtin_interfaces/msg/Time'](sec=12, nanosec=345)
    message = types.types[COMPRESSED_VIDEO](stamp, 'camera', np.arange(9, dtype=np.uint8), 'h264')
    data = bytes(types.serialize_cdr(message, COMPRESSED_VIDEO))
    assert header_bytes(data) == bytes(types.serialize_cdr(header(STAMP, 'camera'), HEADER))
