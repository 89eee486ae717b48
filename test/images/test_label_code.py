"""What label pixels mean, and that every other pixel is an error with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from data_trees import write_png

from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import decode_mask
from vss_ros.images.label_code import any_code, colour_code, id_code

if TYPE_CHECKING:
    from pathlib import Path

CITYSCAPES_TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
"""cityscapesScripts' helpers/labels.py; every other id has train id 255, license plate (-1) has -1."""


def test_cityscapes_label_ids_become_train_ids() -> None:
    code = id_code(load_classes('cityscapes19'), 'cityscapes34')
    values = np.arange(34, dtype=np.uint8)[None]
    expected = [CITYSCAPES_TRAIN_IDS.get(value, 19) for value in range(34)]
    assert code.from_grey(values, 'x').tolist() == [expected]


def test_the_tables_are_cityscapes_scripts() -> None:
    labels = pytest.importorskip('cityscapesscripts.helpers.labels', reason='needs cityscapesScripts').labels
    written, trained = load_classes('cityscapes34'), load_classes('cityscapes19')
    ids = trained.ids_of(written)
    theirs = {label.id: label for label in labels if 0 <= label.id <= 33}
    assert sorted(theirs) == list(range(34))
    for number, label in theirs.items():
        assert written.names[number] == label.name
        assert tuple(written.colours[number]) == label.color
        assert (255 if ids[number] == len(trained) else ids[number]) == label.trainId
        if label.trainId != 255:
            assert trained.names[label.trainId] == label.name
            assert tuple(trained.colours[label.trainId]) == label.color


def test_segnet_merges_camvids_classes_and_leaves_some_out() -> None:
    table, source = load_classes('camvid11'), load_classes('camvid32')
    ids = table.ids_of(source)
    assert len(source) == 31  # and Void
    names = (*table.names, 'void')
    merged = {name: names[number] for name, number in zip(source.names, ids, strict=True)}
    assert {name for name, owner in merged.items() if owner == 'void'} == {
        'Animal', 'Archway', 'Bridge', 'CartLuggagePram', 'Child', 'OtherMoving', 'TrafficCone',
    }  # fmt: skip
    assert [merged[n] for n in ('RoadShoulder', 'LaneMkgsDriv', 'Wall', 'Truck_Bus')] == [
        'road', 'road', 'building', 'car',
    ]  # fmt: skip
    assert [merged[n] for n in ('TrafficLight', 'Misc_Text', 'VegetationMisc')] == ['sign', 'sign', 'tree']
    assert set(ids.tolist()) == set(range(12))


def test_camvids_colours_merge_into_segnets_own_files(SHARED: Path) -> None:  # noqa: N803
    """Cross-tabulate the same frames in 32 colours, merged by the table, and as SegNet publishes them.

    Those are half as large, so that borders differ; a class that went elsewhere would agree nowhere.
    """
    coloured, segnet = SHARED / 'data/camvid_720/val_labels32', SHARED / 'data/camvid/valannot'
    if not (coloured.is_dir() and segnet.is_dir()):
        pytest.skip(f"needs CamVid's val in both forms, {coloured} and {segnet}")
    code = colour_code(load_classes('camvid11'), 'camvid32')
    counts = np.zeros(144, int)
    for file in sorted(coloured.glob('*_L.png'))[::10]:
        theirs = decode_mask((segnet / file.name.replace('_L', '')).read_bytes())
        merged = cv2.resize(code.read(file), theirs.shape[::-1], interpolation=cv2.INTER_NEAREST)
        counts += np.bincount(theirs.ravel() * 12 + np.asarray(merged).ravel(), minlength=144)
    table = counts.reshape(12, 12)
    shares = np.diag(table) / (table.sum(axis=0) + table.sum(axis=1) - np.diag(table))
    assert shares.min() > 0.8, shares.round(3).tolist()


@pytest.mark.parametrize(
    ('table', 'source'), [('camvid32', 'camvid32'), ('camvid11', 'camvid32'), ('uavid8', 'uavid8')]
)
def test_every_colour_is_read_as_its_class(table: str, source: str, tmp_path: Path) -> None:
    classes, written = load_classes(table), load_classes(source)
    path = write_png(tmp_path / 'a.png', np.concatenate((written.colours, written.void_colours))[None])
    expected = classes.ids_of(written).tolist() + [len(classes)] * len(written.void_colours)
    assert colour_code(classes, source).read(path).tolist() == [expected]


def test_a_palette_png_is_read_by_its_colours(tmp_path: Path) -> None:
    # cv2 writes no palettes; this one has two entries, black and (128, 0, 0), and the pixels 1 0.
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    path = tmp_path / 'a.png'
    head = struct.pack('>IIBBBBB', 2, 1, 8, 3, 0, 0, 0)
    parts = chunk(b'IHDR', head) + chunk(b'PLTE', bytes([0, 0, 0, 128, 0, 0]))
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + parts + chunk(b'IDAT', zlib.compress(b'\0\1\0')) + chunk(b'IEND', b'')
    )
    assert colour_code(load_classes('uavid8'), 'uavid8').read(path).tolist() == [[1, 0]]


def test_a_colour_in_no_table_names_file_pixel_and_colour(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[2, 3] = pixels[3, 1] = (1, 2, 3)
    path = write_png(tmp_path / 'mask_L.png', pixels)
    with pytest.raises(
        VssError, match=r'mask_L.png: pixel \(x=3, y=2\) has colour \(1, 2, 3\).*camvid32; 2 such'
    ):
        colour_code(load_classes('camvid11'), 'camvid32').read(path)


def test_an_id_in_no_table_names_file_pixel_and_id(tmp_path: Path) -> None:
    path = write_png(tmp_path / 'mask.png', np.array([[0, 11], [12, 10]], np.uint8))
    with pytest.raises(
        VssError, match=r'mask.png: pixel \(x=0, y=1\) has value 12, expected ids or colours of camvid11'
    ):
        any_code(load_classes('camvid11')).read(path)


def test_void_is_read_as_the_number_of_classes(tmp_path: Path) -> None:
    grey = write_png(tmp_path / 'grey.png', np.array([[255, 18]], np.uint8))
    assert any_code(load_classes('cityscapes19')).read(grey).tolist() == [[19, 18]]


def test_grey_where_colours_belong_and_the_other_way_round(tmp_path: Path) -> None:
    grey = write_png(tmp_path / 'grey.png', np.zeros((2, 2), np.uint8))
    colour = write_png(tmp_path / 'colour.png', np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(VssError, match=r'grey.png: expected colours of uavid8'):
        colour_code(load_classes('uavid8'), 'uavid8').read(grey)
    with pytest.raises(VssError, match=r'colour.png: expected ids of cityscapes34'):
        id_code(load_classes('cityscapes19'), 'cityscapes34').read(colour)


def test_what_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    code = any_code(load_classes('camvid11'))
    damaged, jpeg = write_png(tmp_path / 'a.png', np.zeros((9, 9), np.uint8)), tmp_path / 'b.png'
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert cv2.imwrite(str(tmp_path / 'c.jpg'), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / 'c.jpg').rename(jpeg)
    for path, said in (
        (damaged, 'a.png'),
        (jpeg, 'b.png'),
        (tmp_path / 'none.png', 'none.png: cannot be read'),
    ):
        with pytest.raises(VssError, match=said):
            code.read(path)


def test_tables_that_do_not_belong_together() -> None:
    with pytest.raises(VssError, match=r'expected classes camvid32, or a table merged_from it.*got uavid8'):
        colour_code(load_classes('uavid8'), 'camvid32')
    with pytest.raises(VssError, match='each colour once in cityscapes34'):
        colour_code(load_classes('cityscapes34'), 'cityscapes34')


@pytest.mark.parametrize('parts', ['[Sky], [Sky]', '[Sky], [Heaven]'])
def test_a_table_with_wrong_parts(parts: str, tmp_path: Path) -> None:
    first, second = parts.split(', ')
    path = tmp_path / 'mine.yaml'
    path.write_text(
        'name: mine\nvoid_id: 255\nmerged_from: camvid32\nclasses:\n'
        f'  - {{name: a, colour: [1, 1, 1], of: {first}}}\n  - {{name: b, colour: [2, 2, 2], of: {second}}}\n'
    )
    with pytest.raises(VssError, match='part of mine'):
        colour_code(load_classes(path), 'camvid32')
