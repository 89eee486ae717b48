"""Whatever a labelling tool exports, the same ids come out of it."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from data_trees import picture, write_png

from vss_ros.datasets.exported import find_exported, table_of, write_plain, write_table
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import decode_mask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = ('floor', 'wall', 'door')
SIZE = (24, 32)
IDS = np.zeros(SIZE, np.uint8)
IDS[4:20, 4:28] = 1
IDS[8:16, 8:20] = 2  # a door in a wall
IDS[:2] = 255
COLOURS = {0: (10, 20, 30), 1: (200, 0, 0), 2: (0, 200, 0), 255: (0, 0, 0)}
POLYGONS = {0: [0, 2, 31, 2, 31, 23, 0, 23], 1: [4, 4, 27, 4, 27, 19, 4, 19], 2: [8, 8, 19, 8, 19, 15, 8, 15]}


def write_images(folder: Path, count: int = 1) -> Path:
    for number in range(count):
        write_png(folder / f'images/{number}.png', picture(number, SIZE))
    return folder


def in_colour(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    drawn = np.zeros((*ids.shape, 3), np.uint8)
    for label, colour in COLOURS.items():
        drawn[ids == label] = colour
    return drawn


def write_indexed(path: Path, ids: NDArray[np.uint8]) -> None:
    """Write a PNG with a palette of 256 greys, backwards, so that colours mean nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', ids.shape[1], ids.shape[0], 8, 3, 0, 0, 0)
    palette = bytes(255 - grey for grey in range(256) for _ in range(3))
    rows = b''.join(b'\0' + row.tobytes() for row in ids)
    path.parent.mkdir(parents=True)
    data = chunk(b'IHDR', header) + chunk(b'PLTE', palette) + chunk(b'IDAT', zlib.compress(rows))
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + data + chunk(b'IEND', b''))


def coco(segmentation: Any, *, order: tuple[int, ...] = (0, 1, 2)) -> str:
    outlines = {label: segmentation(label) for label in order}
    areas = {label: int(np.equal(IDS, label).sum()) + 300 * (2 - label) for label in order}
    entries = [
        {'image_id': 7, 'category_id': label + 1, 'area': areas[label], 'segmentation': outline}
        for label, outline in outlines.items()
    ]
    categories = [{'id': label + 1, 'name': name} for label, name in enumerate(NAMES)]
    images = [{'id': 7, 'file_name': 'somewhere/0.jpg'}]
    return json.dumps({'images': images, 'annotations': entries, 'categories': categories})


def run_lengths(label: int, *, text: bool) -> dict[str, Any]:
    """Return COCO's run lengths of a class, down the columns, beginning with what is not it."""
    flat = np.equal(IDS, label).T.ravel()
    changes = np.flatnonzero(np.diff(flat.astype(int))) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    counts = [0, *counts] if flat[0] else counts
    return {'size': list(SIZE), 'counts': written(counts) if text else counts}


def written(counts: list[int]) -> str:
    """Return run lengths as text, as pycocotools' rleToString does."""
    letters = ''
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        while True:
            part, value = value & 31, value >> 5
            more = value != -1 if part & 16 else value != 0
            letters += chr((part | 32 if more else part) + 48)
            if not more:
                break
    return letters


def exported(folder: Path, form: str) -> Path:
    write_images(folder)
    table = table_of(NAMES)
    labels = folder / 'labels/0.png'
    if form.startswith('coco'):
        outline: Any = {
            'coco polygons': lambda label: [POLYGONS[label]],
            'coco runs': lambda label: run_lengths(label, text=False),
            'coco text': lambda label: run_lengths(label, text=True),
        }[form]
        (folder / 'annotations').mkdir()
        (folder / 'annotations/instances_default.json').write_text(coco(outline))
        return folder
    if form == 'cvat':
        lines = [f'{name}:{",".join(map(str, COLOURS[n]))}::' for n, name in reversed([*enumerate(NAMES)])]
        (folder / 'labelmap.txt').write_text('\n'.join(['# label:color_rgb', 'background:0,0,0::', *lines]))
        write_png(folder / 'SegmentationClass/0.png', in_colour(IDS))
        write_png(folder / 'SegmentationObject/0.png', in_colour(IDS)[::-1].copy())
    elif form == 'csv beside':
        (folder / 'images/_classes.csv').write_text('Pixel Value, Class\n1, wall\n2, door\n0, floor\n')
        write_png(folder / 'images/0_mask.png', IDS)
        return folder
    elif form == 'indexed':
        write_indexed(labels, IDS)
    elif form == 'table colours':
        write_png(labels, table.colourise(IDS))
    else:
        write_png(labels, IDS)
    write_table(table, folder / 'classes.yaml')
    return folder


@pytest.mark.parametrize(
    'form',
    ['ids', 'indexed', 'cvat', 'csv beside', 'coco polygons', 'coco runs', 'coco text'],
)
def test_the_same_ids_come_out(tmp_path: Path, form: str) -> None:
    found = find_exported(exported(tmp_path, form))
    assert found.table.names == NAMES  # CVAT's own order is another
    ((image, ids),) = found.ids()
    assert image.name == '0.png'
    assert np.array_equal(ids, IDS)


def test_colours_of_the_table_are_read(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    table = load_classes('camvid11')
    ids = np.where(IDS == 255, 11, IDS).astype(np.uint8)
    write_png(folder / 'masks/0.png', table.colourise(ids))  # void is black, as the table says
    ((_, found),) = find_exported(folder, 'camvid11').ids()
    assert np.array_equal(found, IDS)


@pytest.mark.parametrize('high', [1, 255])
def test_two_classes_may_be_0_and_255(tmp_path: Path, high: int) -> None:
    folder = write_images(tmp_path)
    write_png(folder / 'masks/0.png', np.where(IDS == 2, high, 0).astype(np.uint8))
    write_table(table_of(['other', 'door']), folder / 'classes.yaml')
    ((_, found),) = find_exported(folder).ids()
    assert np.array_equal(found, IDS == 2)


def test_names_that_a_network_knows_have_its_order(tmp_path: Path) -> None:
    usual = table_of(['door', 'window', 'floor', 'wall'])
    found = find_exported(exported(tmp_path, 'coco polygons'), usual=usual)
    assert found.table is usual
    ((_, ids),) = found.ids()
    assert {int(ids[10, 10]), int(ids[5, 5]), int(ids[22, 1])} == {0, 3, 2}


def test_our_own_prelabels_are_no_truth(tmp_path: Path) -> None:
    folder = write_images(tmp_path / 'prelabels')  # the folder itself may be called so
    write_png(folder / 'prelabels/ids/0.png', IDS)
    write_table(table_of(NAMES), folder / 'classes.yaml')
    with pytest.raises(VssError, match=r'expected images with masks .* got 1 images and 0 masks'):
        find_exported(folder)


def test_refuses_what_it_cannot_know(tmp_path: Path) -> None:
    folder = write_images(tmp_path / 'a')
    write_png(folder / 'labels/0.png', IDS)
    with pytest.raises(VssError, match='state --classes TABLE'):
        find_exported(folder)
    write_table(table_of(NAMES[:2]), folder / 'classes.yaml')
    with pytest.raises(VssError, match=r'0.png: pixel \(x=8, y=8\) has 2, which is none of 2 classes'):
        list(find_exported(folder).ids())
    write_png(folder / 'labels/0.png', IDS[:20])
    with pytest.raises(VssError, match=r'expected the size of 0.png, \(24, 32\), got \(20, 32\)'):
        list(find_exported(folder, 'camvid11').ids())


def test_every_tenth_is_held_out(tmp_path: Path) -> None:
    folder = write_images(tmp_path / 'in', 20)
    for number in range(20):
        write_png(folder / f'labels/{number}.png', np.full(SIZE, number % 3, np.uint8))
    write_table(table_of(NAMES), folder / 'classes.yaml')
    out = tmp_path / 'out'
    assert write_plain(find_exported(folder), out, 10) == (18, 2)
    assert {p.name for p in (out / 'val').iterdir()} == {'5.png', '15.png'}
    assert decode_mask((out / 'valannot/5.png').read_bytes()).tolist() == np.full(SIZE, 2).tolist()
    assert len({p.name for p in (out / 'trainannot').iterdir()}) == 18
