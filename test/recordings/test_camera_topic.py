"""Which topic a recording is played on, and how the node has to listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluation_parts import bag, clip

from vss_ros.errors import VssError
from vss_ros.recordings.bags import COMPRESSED_IMAGE, IMAGE, BagWriter
from vss_ros.recordings.playback import CameraTopic, find_camera

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'), frames=3)


@pytest.mark.parametrize(
    ('form', 'topic', 'msgtype', 'transport'),
    [
        ('raw', '/front/image_raw', IMAGE, 'raw'),
        ('png', '/front/image_raw/compressed', COMPRESSED_IMAGE, 'compressed'),
        ('mpeg4', '/front/image_raw/video', COMPRESSED_IMAGE, 'video'),
    ],
)
def test_bags(images: Path, tmp_path: Path, form: str, topic: str, msgtype: str, transport: str) -> None:
    made = bag(images, tmp_path / 'bag', '--topic', '/front/image_raw', '--format', form)
    assert find_camera(made) == CameraTopic(topic, msgtype, transport, 3)


def test_folders_are_played_as_raw_images(images: Path) -> None:
    assert find_camera(images) == CameraTopic('/camera/image_raw', IMAGE, 'raw', 3)


def test_a_choice_that_is_unclear(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        for topic in ('/left/image', '/right/image', '/left/mask', '/truth'):
            writer.add_topic(topic, IMAGE)
        writer.add_topic('/left/image/compressedDepth', COMPRESSED_IMAGE)
    with pytest.raises(VssError, match=r'exactly one topic with camera images, got /left/image, .*name the'):
        find_camera(tmp_path / 'bag')
    assert find_camera(tmp_path / 'bag', '/right/image').name == '/right/image'
    with pytest.raises(VssError, match='images on /rear/image'):
        find_camera(tmp_path / 'bag', '/rear/image')


def test_a_topic_that_is_told_to_hold_masks_is_no_camera(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        for topic in ('/image', '/truth'):
            writer.add_topic(topic, IMAGE)
    assert find_camera(tmp_path / 'bag', but='/truth').name == '/image'
