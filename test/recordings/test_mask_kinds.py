"""Masks as tools export them, in folders and in bags: taken where they are unambiguous, else one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from vss_ros.cli.main import main
from vss_ros.files import write_png
from vss_ros.images.classes import load_classes
from vss_ros.recordings.bags import IMAGE, BagWriter
from vss_ros.recordings.messages import raw_image
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLE = load_classes('camvid11')
SIZE = (48, 64)
IDS = np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE) % 12  # 11: void


def palette(colours: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(IDS, 'P')
    picture.putpalette(colours.flatten().tolist())
    return picture


OWN = np.concatenate((TABLE.colours, TABLE.void_colours))
VOC = np.array([[255 - 3 * i, 7 * i, 200] for i in range(12)], np.uint8)
KINDS: dict[str, Any] = {
    'grey': Image.fromarray(IDS),
    'void 255': Image.fromarray(np.where(IDS == 11, np.uint8(255), IDS)),
    'three channels': Image.fromarray(np.repeat(IDS[..., None], 3, 2)),
    '16 bits': Image.fromarray(IDS.astype(np.uint16)),
    'colours': Image.fromarray(OWN[IDS]),
    'colours and alpha': Image.fromarray(np.dstack((OWN[IDS], np.full(SIZE, 255, np.uint8)))),
    "palette of the table's colours": palette(OWN),
    'palette of numbers': palette(VOC),
    'double size': Image.fromarray(IDS.repeat(2, 0).repeat(2, 1)),
}


def folder(root: Path, mask: Image.Image) -> Path:
    for name in ('images', 'labels'):
        (root / name).mkdir(parents=True)
    for i in range(2):
        write_png(root / 'images' / f'{i}.png', np.full((*SIZE, 3), i, np.uint8))
        mask.save(root / 'labels' / f'{i}.png')
    return root


@pytest.mark.parametrize('kind', KINDS)
def test_what_tools_write_is_taken(kind: str, tmp_path: Path) -> None:
    with open_source(folder(tmp_path, KINDS[kind]), table=TABLE) as source:
        assert [mask is not None and np.array_equal(mask, IDS) for _, mask in source] == [True, True]


@pytest.mark.parametrize(
    ('mask', 'said'),
    [
        (np.full(SIZE, 40, np.uint8), r'0\.png: pixel \(x=0, y=0\) has value 40, expected ids'),
        (
            np.full((*SIZE, 3), (1, 2, 3), np.uint8),
            r'has colour \(1, 2, 3\), expected ids or colours of camvid',
        ),
        (np.full(SIZE, 400, np.uint16), 'got 400 at pixel'),
    ],
)
def test_what_means_nothing_is_named_by_file_pixel_and_value(
    mask: NDArray[Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path, Image.fromarray(mask))
    with open_source(root, table=TABLE) as source:
        assert list(source) == []
    with pytest.raises(Exception, match=f'none of 2, the first because: .*{said}'):
        raise source.nothing
    assert main(['evaluate', str(root), '--threads', '1']) == 2
    assert 'none of 2, the first because: ' in capsys.readouterr().out


def bag(path: Path, masks: list[tuple[NDArray[Any], str]]) -> Path:
    """Write images with masks in an encoding."""
    with BagWriter(path) as writer:
        for topic in ('/image', '/mask'):
            writer.add_topic(topic, IMAGE)
        for stamp, (mask, encoding) in enumerate(masks, 1):
            writer.write('/image', stamp, raw_image(np.full((*SIZE, 3), stamp, np.uint8), stamp))
            message = raw_image(np.ascontiguousarray(mask.view(np.uint8)), stamp)
            message.encoding, message.height, message.width = encoding, *mask.shape[:2]
            message.step = message.data.size // message.height
            writer.write('/mask', stamp, message)
    return path


def test_masks_of_bags_may_be_coloured_or_of_16_bits(tmp_path: Path) -> None:
    half = cv2.resize(IDS, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST_EXACT)
    masks = [
        (IDS, 'mono8'),
        (OWN[IDS], 'rgb8'),
        (OWN[IDS][..., ::-1], 'bgr8'),
        (IDS.astype(np.uint16), '16UC1'),
    ]
    path = bag(tmp_path / 'bag', [*((np.ascontiguousarray(m), e) for m, e in masks), (half, '8UC1')])
    with open_source(path, table=TABLE) as source:
        found = [mask for _, mask in source]
    assert source.rejected == 0
    assert [mask is not None and np.array_equal(mask, IDS) for mask in found[:4]] == [True] * 4
    assert found[4] is not None
    assert found[4].shape == SIZE
    assert main(['bag', 'make', str(path), '-o', str(tmp_path / 'plain')]) == 1  # colours of no table
    assert main(['bag', 'make', str(path), '-o', str(tmp_path / 'ids'), '--classes', 'camvid11']) == 0
    with open_source(tmp_path / 'ids') as source:
        mask = next(iter(source)).mask
    assert mask is not None
    assert np.array_equal(mask, IDS)


def test_refused_masks_of_a_bag_have_their_first_reason_and_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bag(tmp_path / 'bag', [(np.full(SIZE, 300, np.uint16), '16UC1')] * 3)
    assert main(['evaluate', str(path), '--threads', '1']) in {1, 2}
    said = 'got none of 3, the first because: expected class ids up to 255, got 300'
    assert said in capsys.readouterr().out
