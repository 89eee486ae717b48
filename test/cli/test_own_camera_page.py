"""The commands of docs/own_camera.md, one after the other as they stand there, on a small scale."""

from __future__ import annotations

import re
import shlex
import shutil
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import torch
from data_trees import write_png

from vss_ros.cli.main import main
from vss_ros.engine.model_card import read_card
from vss_ros.recordings.open import open_source
from vss_ros.training import calibrate, fast_track, finetune

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = {
    'pick': ['-n', '11', '--every', '2'],
    '--finetune': ['--steps', '2'],
    '--fast-track-for': ['--steps', '1'],
    '--calibrate': [],
    'segment': ['--no-video'],
}
"""What makes each command of the page short."""


@pytest.fixture
def place(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a drive, in which the commands are run."""
    with open_source(project_root / 'test/data/street') as source:
        for frame, _ in islice(source, 0, None, 7):
            write_png(tmp_path / f'frames/{frame.index:03}.png', frame.image)
    assert main(['bag', 'make', str(tmp_path / 'frames'), '-o', str(tmp_path / 'bag')]) == 0
    (written,) = (tmp_path / 'bag').glob('*.mcap')
    shutil.copy(written, tmp_path / 'drive.mcap')
    for module, name, value in (
        (finetune, 'EPOCHS', 2), (finetune, 'BATCH', 2), (finetune, 'MOST_CROP', (32, 64)),
        (fast_track, 'EPOCHS', 1), (fast_track, 'BATCH', 2), (fast_track, 'MOST_CROP', (64, 96)),
        (calibrate, 'STILLS', 2),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_the_page_can_be_followed(
    place: Path, project_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (project_root / 'docs/own_camera.md').read_text(encoding='utf-8')
    lines = re.findall(r'^    vss (.*?)(?: {2,}#.*)?$', page, re.MULTILINE)
    ran = set()
    for words in map(shlex.split, lines):
        kind = next((name for name in SMALL if name in words[:2]), None)
        if kind is None:  # minutes of their own, with tests of their own
            continue
        assert main([*words, *SMALL[kind], '--threads', '1']) == 0, words
        ran.add(kind)
        if kind == 'pick':  # the labelling: our answers are right
            (place / 'to_label/prelabels/ids').rename(place / 'to_label/labels')
    assert ran == SMALL.keys()
    said = capsys.readouterr().out
    card = read_card('models/efficientnet_lite0_fpn_to_label.yaml')
    miou, before = card.scores['mine_val_miou'], card.scores['before']['mine_val_miou']
    assert f'mIoU {100 * miou:.1f}, before {100 * before:.1f}' in said
    assert before > 0.9  # of what it answered itself
    assert card.calibration
    assert read_card('models/efficientnet_lite0_fpn_to_label.warp_and_repair.yaml').base_sha256 == card.sha256
