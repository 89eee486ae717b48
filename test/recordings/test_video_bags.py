"""Bags with compressed video topics: made, read, and damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from video_parts import SIZE, packets, panned, write_video

from vss_ros.cli.main import main
from vss_ros.images.video_decoding import VideoPacket
from vss_ros.recordings.bags import COMPRESSED_VIDEO, FFMPEG_PACKET, BagWriter, message_types
from vss_ros.recordings.messages import header, video_packet
from vss_ros.recordings.open import open_source
from vss_ros.recordings.playback import open_playback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vss_ros.engine.frames import Frame

FRAME_NS = 66_666_667


def video_bag(path: Path, stream: Sequence[VideoPacket]) -> Path:
    """Write a bag with one message a packet."""
    with BagWriter(path) as writer:
        writer.add_topic('/camera/image_raw/video', 'sensor_msgs/msg/CompressedImage')
        for i, packet in enumerate(stream):
            message = video_packet(bytes(packet.data), packet.format, 10**9 + i * FRAME_NS)
            writer.write('/camera/image_raw/video', 10**9 + i * FRAME_NS, message)
    return path


def frames_of(path: Path) -> list[Frame]:
    """Return the frames of a source."""
    with open_source(path, on_reject=lambda *_: None) as source:
        return [frame for frame, _ in source]


@pytest.mark.parametrize('name', ['mpeg4', 'h264'])
def test_made_from_a_video_and_read_with_what_the_codec_says(name: str, tmp_path: Path) -> None:
    video = write_video(tmp_path / 'pan.mp4', panned(14), 'mpeg4')
    (tmp_path / 'masks').mkdir()
    for i in range(14):
        cv2.imwrite(str(tmp_path / 'masks' / f'{i:02}.png'), np.full(SIZE, i, np.uint8))
    words = ['--format', name, '--gop', '5', '--masks', str(tmp_path / 'masks')]
    assert main(['bag', 'make', str(video), '-o', str(tmp_path / 'bag'), *words]) == 0
    with open_source(tmp_path / 'bag') as source:
        assert source.frame_count == 14
        pairs = list(source)
    assert [mask is not None and int(mask[0, 0]) for _, mask in pairs] == list(range(14))
    with open_source(video) as source:
        assert [f.stamp_ns + 10**9 for f, _ in source] == [f.stamp_ns for f, _ in pairs]
    codec = [frame.codec for frame, _ in pairs]
    assert [i for i, c in enumerate(codec) if c is not None and c.is_key] == [0, 5, 10]
    assert all(c is not None and (c.vectors is None) is c.is_key for c in codec)
    with open_playback(tmp_path / 'bag') as playback:
        cameras = [topic for topic in playback.topics if topic.is_camera]
    assert [(topic.name, topic.messages) for topic in cameras] == [('/camera/image_raw/video', 14)]


def test_an_odd_size_and_a_gop_of_zero_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / '0.png'), np.zeros((45, 64, 3), np.uint8))
    make = ['bag', 'make', str(tmp_path / 'images'), '-o', str(tmp_path / 'bag'), '--format', 'mpeg4']
    assert main(make) == 2
    assert main([*make, '--gop', '0']) == 2
    assert capsys.readouterr().err.count('\n') == 2
    assert not (tmp_path / 'bag').exists()


def foxglove(packet: VideoPacket, stamp_ns: int) -> Any:
    """Return a foxglove_msgs message."""
    stamp = header(stamp_ns, '').stamp
    kind = message_types().types[COMPRESSED_VIDEO]
    return kind(timestamp=stamp, frame_id='camera', data=np.frombuffer(packet.data, np.uint8), format='h264')


def ffmpeg(packet: VideoPacket, stamp_ns: int) -> Any:
    """Return a message of ffmpeg_image_transport."""
    return message_types().types[FFMPEG_PACKET](
        header=header(stamp_ns, 'camera'),
        width=SIZE[1],
        height=SIZE[0],
        encoding='h264;yuv420p;bgr8;bgr8',
        pts=0,
        flags=0,
        is_bigendian=False,
        data=np.frombuffer(packet.data, np.uint8),
    )


@pytest.mark.parametrize(('msgtype', 'make'), [(COMPRESSED_VIDEO, foxglove), (FFMPEG_PACKET, ffmpeg)])
def test_other_packages_video_messages(
    msgtype: str, make: Callable[[VideoPacket, int], Any], tmp_path: Path
) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera', msgtype)
        for i, packet in enumerate(packets(panned(4), 'h264')):
            writer.write('/camera', 10**9 + i, make(packet, 10**9 + i))
    frames = frames_of(tmp_path / 'bag')
    assert [frame.stamp_ns - 10**9 for frame in frames] == [0, 1, 2, 3]
    assert [frame.codec is not None and frame.codec.is_key for frame in frames] == [True, False, False, False]


def test_damage_costs_the_frames_up_to_the_next_i_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = packets(panned(15))
    stream[5] = VideoPacket(bytes(stream[5].data)[:100], 'mpeg4')
    with open_source(video_bag(tmp_path / 'bag', stream), on_reject=lambda *_: None) as source:
        frames = [frame for frame, _ in source]
        assert source.rejected == 1
    assert [(frame.stamp_ns - 10**9) // FRAME_NS for frame in frames] == [0, 1, 2, 3, 4, 12, 13, 14]
    assert [frame.index for frame in frames] == list(range(8))
    assert '6 packets left out' in caplog.text


def test_a_bag_that_begins_in_the_middle_of_a_group(tmp_path: Path) -> None:
    frames = frames_of(video_bag(tmp_path / 'bag', packets(panned(15))[4:]))
    assert [(frame.stamp_ns - 10**9) // FRAME_NS for frame in frames] == [8, 9, 10]
