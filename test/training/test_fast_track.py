"""A fast track for a network of the user's own, from a recording without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from engine_parts import frame
from network_files import CLASSES, add, export, plain

from vss_ros.cli.main import main
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy
from vss_ros.engine.model_card import read_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.propagation.warp_and_repair import WarpAndRepair

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_users_network_gets_a_fast_track_from_unlabelled_frames(tmp_path: Path, project_root: Path) -> None:
    card = add(export(plain(), tmp_path / 'mine.onnx', dynamic=True), '--size', '64x96')
    words = [
        '--data',
        str(project_root / 'test/data/street'),
        '--runs',
        str(tmp_path / 'runs'),
        '--steps',
        '1',
    ]
    out = tmp_path / 'out'
    assert main(['train', '--fast-track-for', str(card), *words, '-o', str(out), '--threads', '1']) == 0
    made = read_card(out / 'mine.warp_and_repair.yaml')
    assert (made.kind, made.base, made.base_sha256) == ('propagation', 'mine', read_card(card).sha256)
    config = SegmenterConfig(
        str(out / 'mine.yaml'), 'warp_and_repair', 'fixed_interval', interval=3, device='cpu'
    )
    stream = build_segmenter(config).segmenter
    moves = stream.parts.propagation
    assert isinstance(moves, WarpAndRepair)
    assert bool(moves.repair.weight.any())  # it has learned
    results = [stream.step(frame(index, size=(64, 96))) for index in range(3)]
    assert results[1].track is AnsweredBy.PROPAGATED
    assert results[1].labels.max() < CLASSES
    assert torch.isfinite(next(moves.parameters())).all()


def test_a_network_of_one_odd_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = add(export(plain(), tmp_path / 'fixed.onnx'))
    words = ['--data', str(tmp_path), '-o', str(tmp_path / 'out'), '--runs', str(tmp_path / 'runs')]
    assert main(['train', '--fast-track-for', str(card), *words]) == 2
    assert 'of 48x64 alone; export it with dynamic sizes' in capsys.readouterr().err
