"""Damaged and cut videos: nothing wrong passes for right, and masks keep their frames."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
from video_parts import panned, write_video

from vss_ros.recordings.open import open_source
from vss_ros.recordings.video_file import VideoFile
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 36
TRIALS = 30
CONTAINERS = {
    'drive.mkv': 'libx264',
    'drive.ts': 'libx264',
    'drive.h264': 'libx264',
    'drive.mp4': 'mpeg4',
    'drive.avi': 'mpeg4',
    'drive.mpg': 'mpeg2video',
}


def read(path: Path) -> tuple[list[bytes], VideoFile]:
    with VideoFile(path, on_reject=lambda *_: None) as source:
        return [frame.image.tobytes() for frame, _ in source], source


@pytest.mark.parametrize('name', CONTAINERS)
def test_eight_wrong_bytes_are_noticed(name: str, tmp_path: Path) -> None:
    options = {'crf': '23'} if CONTAINERS[name] == 'libx264' else {}
    with open_source(resource('test', 'data', 'street')) as street:
        images = [frame.image for frame, _ in islice(street, FRAMES)]
    path = write_video(tmp_path / name, images, CONTAINERS[name], **options)
    whole, source = read(path)
    assert (len(whole), source.rejected, source.partial) == (FRAMES, 0, None)
    blob, noticed, places = path.read_bytes(), 0, 0
    for trial in range(TRIALS):
        chance = random.Random(trial)
        wrong = bytearray(blob)
        start = chance.randrange(len(blob) // 5, len(blob) * 49 // 50)
        for i in range(start, start + 8):
            wrong[i] ^= chance.randrange(1, 256)
        path.write_bytes(wrong)
        shown, source = read(path)
        noticed += bool(source.rejected or source.partial) or shown == whole
        # Each frame that is shown after the damage is still called by its own number.
        places += not shown or shown[-1] != whole[-1] or len(shown) + source.rejected == FRAMES
    # Nine in ten and more of 120; a sample of 30, from an encoder that varies by run, has its spread.
    assert noticed >= 0.8 * TRIALS
    assert places == TRIALS or name == 'drive.h264'  # which has no stamps


@pytest.mark.parametrize(
    ('name', 'encoder', 'options', 'trials', 'least'),
    [
        ('drive.mkv', 'libvpx', {'deadline': 'realtime'}, 6, 6),  # FFmpeg's checksum of a cluster
        ('drive.mkv', 'libx265', {'x265-params': 'log-level=none'}, 6, 6),
        ('drive.mp4', 'libx265', {'x265-params': 'log-level=none:hash=1'}, 6, 6),  # hashes of the pictures
        ('drive.webm', 'libvpx-vp9', {'deadline': 'realtime', 'cpu-used': '8'}, 12, 4),
    ],
)
def test_damage_of_which_pictures_can_be_made(
    name: str, encoder: str, options: dict[str, str], trials: int, least: int, tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, panned(FRAMES), encoder, **options)
    whole, source = read(path)
    assert (len(whole), source.rejected, source.partial) == (FRAMES, 0, None)
    blob, noticed, after = path.read_bytes(), 0, 0
    for trial in range(trials):
        chance = random.Random(trial)
        wrong = bytearray(blob)
        start = chance.randrange(len(blob) // 5, len(blob) // 2)
        for i in range(start, start + 8):
            wrong[i] ^= chance.randrange(1, 256)
        path.write_bytes(wrong)
        shown, source = read(path)
        noticed += bool(source.rejected or source.partial)
        after += whole[-1] in shown
    assert noticed >= least
    assert after >= trials / 2, 'the next I-frame ends the damage'


@pytest.mark.parametrize('share', [0.6, 0.9])
@pytest.mark.parametrize('name', [*CONTAINERS, 'drive.webm'])
def test_cut_video_says_so(name: str, share: float, tmp_path: Path) -> None:
    options = {'deadline': 'realtime'} if name == 'drive.webm' else {}
    path = write_video(tmp_path / name, panned(FRAMES), CONTAINERS.get(name, 'libvpx'), **options)
    if name == 'drive.mp4':  # with the index first, or it does not open at all
        path = remuxed(path, tmp_path / 'first.mp4', options={'movflags': 'faststart'})
    blob = path.read_bytes()
    path.write_bytes(blob[: round(share * len(blob))])
    shown, source = read(path)
    assert len(shown) < FRAMES
    assert source.partial or source.rejected


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path: Path) -> None:
    whole = write_video(tmp_path / 'whole.mp4', panned(24), 'libx264')
    shown, source = read(remuxed(whole, tmp_path / 'trimmed.mp4', first=12))
    assert (source.frame_count, len(shown), source.partial, source.rejected) == (12, 12, None, 0)


def remuxed(path: Path, target: Path, *, first: int = 0, options: dict[str, str] | None = None) -> Path:
    """Copy a video's packets into another file that begins to show them at the ``first``."""
    with av.open(str(path)) as source, av.open(str(target), 'w', options=options or {}) as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        assert stream.time_base is not None
        ticks = round(first / 15 / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, copy
                container.mux(packet)
    return target


def test_masks_keep_their_frames_after_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'drive.avi', panned(FRAMES), 'mpeg4')
    for i in range(FRAMES):
        cv2.imwrite(str(tmp_path / f'{i:03d}.png'), np.full((144, 192), i, np.uint8))
    whole, _ = read(path)
    blob = bytearray(path.read_bytes())
    for i in range(len(blob) // 4, len(blob) // 4 + 40):
        blob[i] ^= 0x5A
    path.write_bytes(blob)
    with VideoFile(path, masks=tmp_path, on_reject=lambda *_: None) as source:
        shown = [(frame.image.tobytes(), mask) for frame, mask in source]
        assert 0 < source.rejected < FRAMES
    for image, mask in shown:
        assert mask is not None
        assert image == whole[mask[0, 0]]
