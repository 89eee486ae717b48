"""Colour masks read back by the data sets' own readers, class tables against cityscapesScripts' labels."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import trainId2label

from vss_ros.errors import VssError
from vss_ros.evaluation.export import EXPORTERS, OTHER, THINGS, categories
from vss_ros.images.classes import load_classes
from vss_ros.images.label_code import colour_code, id_code

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.evaluation.export import Exporter


def mask(classes: int) -> NDArray[np.uint8]:
    ids = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) % classes
    return ids.astype(np.uint8)


def test_camvid_colours_are_read_back(tmp_path: Path) -> None:
    table = load_classes('camvid11')
    labels = mask(11)
    labels[0] = 11  # void
    path = EXPORTERS['camvid'](tmp_path, table).write('0016E5_07959', labels)
    assert path.name == '0016E5_07959_L.png'
    assert np.array_equal(colour_code(table, 'camvid32').read(path), labels)
    image = cv2.imread(str(path))
    assert image is not None
    assert image[1, 5, ::-1].tolist() == [0, 0, 192]  # (32 + 5) % 11 = 4: pavement, which is Sidewalk
    assert image[0, 0].tolist() == [0, 0, 0]


def test_uavid_colours_are_read_back(tmp_path: Path) -> None:
    table = load_classes('uavid8')
    exporter = EXPORTERS['uavid'](tmp_path, table)
    path = exporter.write('seq16/000100', mask(8))
    assert path == tmp_path / 'seq16' / 'Labels' / '000100.png'
    assert exporter.write('uavid_val/seq17/Images/000100', mask(8)).parts[-3:-1] == ('seq17', 'Labels')
    assert np.array_equal(colour_code(table, 'uavid8').read(path), mask(8))
    with pytest.raises(VssError, match='UAVid'):
        exporter.write('000100', mask(8))


@pytest.mark.parametrize('name', ['camvid', 'uavid'])
def test_other_classes_have_no_such_colours(name: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match='merged_from'):
        EXPORTERS[name](tmp_path / 'none', load_classes('cityscapes19'))
    assert not (tmp_path / 'none').exists()


def test_coco_table_and_ids(tmp_path: Path) -> None:
    table = load_classes('cityscapes19')
    labels = mask(19)
    labels[3] = 200
    path = EXPORTERS['coco'](tmp_path, table).write('day/7', labels)
    assert path == tmp_path / '7.png'
    assert np.array_equal(id_code(table).read(path), np.where(labels == 200, 19, labels))
    listed = json.loads((tmp_path / 'categories.json').read_text())['categories']
    assert [set(entry) for entry in listed] == [{'id', 'name', 'supercategory', 'color', 'isthing'}] * 19
    theirs = [trainId2label[number] for number in range(19)]
    assert [entry['id'] for entry in listed] == list(range(19))
    assert [entry['name'] for entry in listed] == [label.name for label in theirs]
    assert [entry['supercategory'] for entry in listed] == [label.category for label in theirs]
    assert [entry['isthing'] for entry in listed] == [int(label.hasInstances) for label in theirs]
    assert [entry['color'] for entry in listed] == [list(label.color) for label in theirs]


def test_every_class_of_the_shipped_tables_has_a_group() -> None:
    groups = {
        name: {entry['name']: entry['supercategory'] for entry in categories(load_classes(name))}
        for name in ('camvid11', 'uavid8')
    }
    assert OTHER not in groups['camvid11'].values()
    assert [name for name, group in groups['uavid8'].items() if group == OTHER] == ['clutter']
    assert [name for name, group in groups['camvid11'].items() if group in THINGS] == [
        'car',
        'pedestrian',
        'bicyclist',
    ]


def exporters(folder: Path) -> list[tuple[Exporter, str]]:
    tables = {'camvid': 'camvid11', 'cityscapes': 'cityscapes19', 'coco': 'camvid11', 'uavid': 'uavid8'}
    assert set(tables) == set(EXPORTERS)
    frames = {'cityscapes': 'ulm_000000_000019', 'uavid': 'seq1/000100'}
    return [
        (EXPORTERS[name](folder / name, load_classes(table)), frames.get(name, 'run/0001'))
        for name, table in tables.items()
    ]


def test_files_are_whole_or_not_there_and_each_frame_has_one(tmp_path: Path) -> None:
    for exporter, frame in exporters(tmp_path):
        path = exporter.write(frame, mask(8))
        before = path.read_bytes()
        with pytest.raises(VssError, match='second'):
            exporter.write(frame, mask(8))
        again = type(exporter)(exporter.folder, exporter.table)  # a run that was stopped begins again
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # as on a full disk
        try:
            with pytest.raises(VssError, match='too large'):
                again.write(frame, mask(7))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert not list(tmp_path.rglob('.*'))


@pytest.mark.parametrize('name', ['../x', 'a/../../x', '/x', ''])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    for exporter, _ in exporters(tmp_path):
        with pytest.raises(VssError, match='inside the export folder'):
            exporter.write(name, mask(8))
