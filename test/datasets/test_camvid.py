"""CamVid as published and as SegNet has it, on small trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from data_trees import blocks_of, picture, write_png

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (8, 8)


def split_names(split: str) -> list[str]:
    parts = yaml.safe_load(resource('config', 'splits', 'camvid.yaml').read_text())[split]
    return [p['name'].format(n) for p in parts for n in range(p['first'], p['last'] + 1, p['step'])]


@pytest.fixture(scope='module')
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return CamVid's folders with all frames of ``val``, a colour each."""
    root = tmp_path_factory.mktemp('camvid')
    table = load_classes('camvid32')
    colours = np.concatenate((table.colours, table.void_colours))
    for number, name in enumerate(split_names('val')):
        write_png(root / '701_StillsRaw_full' / f'{name}.png', picture(number, SMALL))
        mask = blocks_of(colours[number % 32][None], SMALL)
        write_png(root / 'LabeledApproved_full' / f'{name}_L.png', mask)
    lines = [
        f'{r} {g} {b}\t\t{name}' for (r, g, b), name in zip(colours, [*table.names, 'Void'], strict=True)
    ]
    (root / 'label_colors.txt').write_text('\n'.join(lines) + '\n')
    return root


def test_the_splits_are_segnets() -> None:
    names = {split: split_names(split) for split in ('train', 'val', 'test')}
    assert {split: len(set(found)) for split, found in names.items()} == {
        'train': 367,
        'val': 101,
        'test': 233,
    }
    assert len({name for found in names.values() for name in found}) == 701
    assert (names['train'][0], names['val'][-1], names['test'][-1]) == (
        '0001TP_006690', '0016E5_08159', 'Seq05VD_f05100',
    )  # fmt: skip


def test_all_32_classes_as_published(published: Path) -> None:
    data = load_data(published, DataOptions(split='val'), load_classes('camvid32'))
    assert [int(labels[0, 0]) for labels in data.labels][:33] == [*range(31), 31, 0]
    assert np.array_equal(data.images[3], picture(3, SMALL))
    assert data.names[3] == split_names('val')[3]


def test_the_same_merged_to_11(published: Path) -> None:
    data = load_data(
        published, DataOptions(layout='camvid', split='val'), load_classes('camvid11'), moving=True
    )
    table = load_classes('camvid11')
    found = [[*table.names, 'void'][int(labels[0, 0])] for labels in data.labels][:32]
    assert found[:5] == ['void', 'void', 'bicyclist', 'void', 'building']
    assert found[29:] == ['tree', 'building', 'void']
    assert isinstance(data, LabelledVideo)  # val is labelled at 15 Hz
    assert data.earlier[:2] == [0, 1]


def test_everything_that_is_missing_is_listed_at_once(published: Path) -> None:
    with pytest.raises(VssError) as caught:
        load_data(published, DataOptions(split='test'), load_classes('camvid32'))
    text = str(caught.value)
    assert '466 faults' in text
    assert '701_StillsRaw_full/0001TP_008550.png is missing' in text
    assert 'and 458 more' in text


def test_a_split_has_to_be_named(published: Path) -> None:
    with pytest.raises(VssError, match=r"split of CamVid \(train, val, test\), got ''"):
        load_data(published, DataOptions(), load_classes('camvid32'))


def test_other_label_colours_are_noticed(published: Path) -> None:
    colours = published / 'label_colors.txt'
    text = colours.read_text()
    colours.write_text(text.replace('64 0 128\t\tCar', '64 0 129\t\tCar'))
    with pytest.raises(VssError, match=r'label_colors.txt: 1 faults: line 6.*Car'):
        load_data(published, DataOptions(split='val'), load_classes('camvid32'))
    colours.write_text(text)


def segnet(root: Path) -> Path:
    """Write SegNet's folders and lists: ids 0 to 10, 11 for void."""
    for split in ('train', 'val', 'test'):
        lines = []
        for number in range(3):
            name = f'0001TP_00{number}.png'
            write_png(root / split / name, picture(number))
            write_png(root / f'{split}annot' / name, blocks_of(np.arange(12, dtype=np.uint8)))
            lines.append(f'/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}')
        (root / f'{split}.txt').write_text('\n'.join(lines[:2]) + '\n')
    return root


def test_segnets_folders(tmp_path: Path) -> None:
    data = load_data(segnet(tmp_path), DataOptions(split='val'), load_classes('camvid11'))
    assert len(data) == 3
    assert sorted(np.unique(data.labels[0])) == list(range(12))
    assert not isinstance(data, LabelledVideo)


def test_segnets_lists(tmp_path: Path) -> None:
    data = load_data(segnet(tmp_path), DataOptions(layout='lists', split='train'), load_classes('camvid11'))
    assert data.names == ['0001TP_000', '0001TP_001']
    assert np.array_equal(data.images[1], picture(1))


def test_lists_that_say_something_else(tmp_path: Path) -> None:
    segnet(tmp_path)
    with pytest.raises(VssError, match=r"expected a list all.txt, got .*'test', 'train', 'val'"):
        load_data(tmp_path, DataOptions(layout='lists', split='all'), load_classes('camvid11'))
    (tmp_path / 'train.txt').write_text('train/0001TP_000.png\n')
    with pytest.raises(VssError, match='line 1 has 1 words'):
        load_data(tmp_path, DataOptions(layout='lists', split='train'), load_classes('camvid11'))
    (tmp_path / 'train.txt').write_text('train/9.png trainannot/9.png\n')
    with pytest.raises(VssError, match=r'2 faults: train/9.png is missing; trainannot/9.png is missing'):
        load_data(tmp_path, DataOptions(layout='lists', split='train'), load_classes('camvid11'))
