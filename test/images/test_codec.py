"""What the codec says of frames: I-frames, vectors, and where they lead; files and packets alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from video_parts import Decoded, kind, packets, panned, write_video

from vss_ros.errors import VssError
from vss_ros.images.video_decoding import MOST_IN_VAIN, VideoDecoder, VideoPacket
from vss_ros.images.video_encoding import VideoEncoder
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.engine.frames import CodecFrame
    from vss_ros.images.image_error import ImageError


def codec_frames(path: Path) -> list[CodecFrame]:
    """Return what the codec says of a source's frames."""
    with open_source(path) as source:
        return [frame.codec for frame, _ in source if frame.codec is not None]


def shown(decoded: Decoded, images: list[NDArray[np.uint8]]) -> list[int]:
    """Return which of the images each picture shows."""
    return [
        int(np.argmin([np.abs(picture.image.astype(int) - image).mean() for image in images]))
        for picture in decoded.pictures
        if picture is not None
    ]


def test_a_file_tells_its_i_frames_and_vectors(tmp_path: Path) -> None:
    frames = codec_frames(write_video(tmp_path / 'pan.mkv', panned(26, (2, 1)), 'mpeg4'))
    assert [i for i, frame in enumerate(frames) if frame.is_key] == [0, 12, 24]
    for frame in frames:
        assert (frame.vectors is None) is frame.is_key
        if frame.vectors is not None:
            assert frame.vectors.dtype == np.float32
            assert frame.vectors[:, :2].min() == 0
            assert set(frame.vectors[:, 2]) <= {8, 16}
            assert np.median(frame.vectors[:, 4:], 0).tolist() == [2, 1]


@pytest.mark.parametrize(
    ('encoder', 'options'),
    [('mpeg4', {}), ('libx264', {'x264-params': 'b-adapt=0:scenecut=0:keyint=16:ref=1'})],
)
def test_vectors_across_b_frames_are_of_one_frame(
    encoder: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = write_video(tmp_path / 'pan.mkv', panned(13), encoder, bf='2', **options)
    with av.open(str(path)) as container:
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(video=0)]
    assert kinds[:7] == ['I', 'B', 'B', 'P', 'B', 'B', 'P']
    frames = codec_frames(path)
    for frame, letter in zip(frames, kinds, strict=True):
        assert (frame.vectors is not None) is (letter == 'P')
        if frame.vectors is not None:
            assert np.median(frame.vectors[:, 4:], 0).tolist() == [3, 2]


def test_what_is_made_from_a_damaged_frame_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'pan.mp4', panned(15), 'libx264', bf='0', refs='1')
    with av.open(str(path)) as container:
        damaged = [bytes(packet) for packet in container.demux(video=0) if packet.size][5]
    octets = path.read_bytes()
    # The first bytes of a packet are the length of what follows; Matroska's checksums would tell of them.
    path.write_bytes(octets.replace(damaged, b'\xff' * 8 + damaged[8:]))
    with open_source(path, on_reject=lambda *_: None) as source:
        frames = [frame.codec for frame, _ in source]
        assert source.rejected == 7
    assert ''.join('I' if frame is not None and frame.is_key else 'p' for frame in frames) == 'IppppIpp'


@pytest.mark.parametrize('name', ['mpeg4', 'h264'])
def test_packets_one_by_one(name: str) -> None:
    images = panned(15)
    decoded = Decoded(packets(images, name))
    assert decoded.kinds == 'IPPPPPPPPPPPIPP'
    assert decoded.rejected == []
    assert shown(decoded, images) == list(range(15))


@pytest.mark.parametrize('name', ['mpeg4', 'h264'])
def test_a_stream_joined_in_the_middle_waits_for_its_first_i_frame(name: str) -> None:
    decoded = Decoded(packets(panned(15), name)[4:])
    assert decoded.kinds == '-' * 8 + 'IPP'
    assert decoded.rejected == []
    assert decoded.waited == 8


@pytest.mark.parametrize('damage', ['truncated', 'flipped', 'empty', 'noise'])
@pytest.mark.parametrize('name', ['mpeg4', 'h264'])
def test_a_damaged_packet_costs_the_pictures_to_the_next_i_frame(name: str, damage: str) -> None:
    images, rng = panned(15), np.random.default_rng(3)
    stream = packets(images, name)
    octets = bytearray(bytes(stream[5].data))
    if damage == 'truncated':
        octets = octets[: len(octets) // 2]
    elif damage == 'flipped':
        octets[30:60] = rng.bytes(30)
    else:
        octets = bytearray(rng.bytes(500)) if damage == 'noise' else bytearray()
    stream[5] = VideoPacket(bytes(octets), name)
    decoded = Decoded(stream)
    assert decoded.kinds == 'IPPPP-------IPP'
    assert decoded.rejected == [(5, 'data')]
    assert decoded.waited == 6
    assert shown(decoded, images) == [0, 1, 2, 3, 4, 12, 13, 14]


def test_several_packets_give_the_newest_picture() -> None:
    images = panned(15)
    stream = packets(images)
    rejected: list[tuple[int, ImageError]] = []
    decoder = VideoDecoder(lambda place, error: rejected.append((place, error)))
    batches = (stream[:1], stream[1:2], stream[2:5], stream[5:6], stream[10:14], stream[14:])
    kinds, places = '', []
    for batch in batches:
        picture = decoder.decode(batch)
        assert picture is not None
        kinds += kind(picture)
        places.append(picture.packet)
    # An I-frame among several is not forgotten; nobody's vectors lead across pictures that were not returned.
    assert kinds == 'IPpPIP'
    assert places == [0, 0, 2, 0, 3, 0]
    assert rejected == []
    damaged = [*packets(images)[:3], VideoPacket(b'', 'mpeg4')]
    last = decoder.decode(damaged)
    assert last is not None
    assert last.packet == 2
    assert [(place, error.reason) for place, error in rejected] == [(3, 'data')]


def test_nothing_rests_on_lost_packets_or_leads_to_unused_pictures() -> None:
    stream = packets(panned(15))
    decoder = VideoDecoder(lambda *_: None)
    assert kind(decoder.decode(stream[:1])) == 'I'
    decoder.skip()
    assert [kind(decoder.decode([packet])) for packet in stream[1:3]] == ['p', 'P']
    decoder.lost()
    assert ''.join(kind(decoder.decode([packet])) for packet in stream[4:]) == '--------IPP'


def test_what_is_no_live_video_is_refused(tmp_path: Path) -> None:
    assert Decoded([VideoPacket(b'123', 'jpeg')]).rejected == [(0, 'format')]
    path = write_video(tmp_path / 'b.h264', panned(12), 'libx264', bf='2')
    with av.open(str(path)) as container:
        stream = [VideoPacket(bytes(packet), 'h264') for packet in container.demux(video=0) if packet.size]
    decoded = Decoded(stream)
    assert decoded.rejected
    assert {reason for _, reason in decoded.rejected} == {'format'}


def test_what_cannot_be_encoded_is_said() -> None:
    with pytest.raises(VssError, match='even'):
        VideoEncoder('mpeg4').encode(np.zeros((45, 64, 3), np.uint8))
    with pytest.raises(VssError, match='mpeg4, h264'):
        VideoEncoder('mjpeg')


def test_a_stream_that_never_gives_a_picture_is_refused_with_the_decoders_reason() -> None:
    stream = packets(panned(4), 'h264')
    wrong = Decoded([packet._replace(format='hevc') for packet in (stream * 20)[: MOST_IN_VAIN + 2]])
    assert wrong.waited == MOST_IN_VAIN
    assert wrong.rejected == [(MOST_IN_VAIN, 'format'), (MOST_IN_VAIN + 1, 'format')]
    # as MP4 and RTP have it: a length in place of each start code
    assert stream[0].data[:4] == b'\0\0\0\1'
    prefixed = stream[0]._replace(data=len(stream[0].data[4:]).to_bytes(4) + bytes(stream[0].data[4:]))
    assert Decoded([prefixed]).rejected == [(0, 'format')]
