"""Temperatures are found where they are known, and a card tells what was learned."""

from __future__ import annotations

from shutil import copy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from data_trees import picture, write_png

from vss_ros.cli.main import main
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.model_card import read_card, weights_path
from vss_ros.engine.options import SegmenterConfig
from vss_ros.training import calibrate as module

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 96)


def test_the_temperature_that_labels_were_drawn_at_is_found() -> None:
    torch.manual_seed(0)
    logits = 4 * torch.randn(1, 3, 100, 150)
    found = []
    for temperature in (0.7, 2.0):
        drawn = torch.multinomial(logits[0].flatten(1).T.div(temperature).softmax(1), 1).view(100, 150)
        sums = module._Squares(3)
        sums.count(1, drawn.numpy().astype(np.uint8), logits, (100, 150))
        found.append(module._lowest(sums.errors[1].sum(0)))
    assert found == pytest.approx([0.7, 2.0], rel=0.1)


@pytest.mark.slow
def test_a_card_gets_its_temperatures_and_the_engine_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, 'STILLS', 2)
    card = read_card('efficientnet_lite0_fpn')
    for file in (weights_path(card), weights_path(card).with_suffix('.yaml')):
        copy(file, tmp_path / file.name)
    for split in ('train', 'val'):
        for number in range(3):
            write_png(tmp_path / f'data/{split}/{number:02}.png', picture(number, SIZE))
            labels = np.full(SIZE, number, np.uint8)
            write_png(tmp_path / f'data/{split}annot/{number:02}.png', labels)
    path = tmp_path / f'{card.name}.yaml'
    assert main(['train', '--calibrate', str(path), '--data', f'camvid={tmp_path / "data"}']) == 0
    learned = read_card(path).calibration
    assert list(learned) == ['flow_warp']  # the other propagation's weights are not there
    assert learned['flow_warp'].scores['camvid_val_ece'].keys() == {'key', 'propagated', 'late'}
    assert 'flow_warp: camvid_val_ece key ' in capsys.readouterr().out
    built = build_segmenter(SegmenterConfig(model=str(path), runtime='torch', slow_delay=1))
    logits = torch.randn(1, 11, 8, 12)
    plain = build_segmenter(SegmenterConfig(runtime='torch', slow_delay=1)).segmenter.confidence
    calibrated = built.segmenter.confidence
    assert not np.array_equal(calibrated.of(logits, SIZE, 0), plain.of(logits, SIZE, 0))
