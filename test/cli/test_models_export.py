"""`vss models export`: other software computes the same from the files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import openvino
import pytest
import torch

from vss_ros.cli.main import main
from vss_ros.engine.build import build_module
from vss_ros.engine.model_card import read_card
from vss_ros.engine.preprocess import Normalisation, normalise, scaled
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

AGREEMENT = 0.995
SIZE = (192, 320)
"""SwiftNet's grids have other columns than at the card's aspect ratio."""


@pytest.mark.parametrize('given', ['pixels', 'image'])
@pytest.mark.parametrize('name', ['efficientnet_lite0_fpn', 'swiftnet_r18'])
def test_files_give_the_same_labels(name: str, given: str, tmp_path: Path) -> None:
    pytest.importorskip('onnxscript', reason='exporting to ONNX needs onnxscript')
    size, report = 'x'.join(map(str, SIZE)), tmp_path / 'report.json'
    options = ['--size', size, '--input', given, '-o', str(tmp_path), '--json', str(report)]
    assert main(['models', 'export', name, *options]) == 0
    said = json.loads(report.read_text())
    assert {path.name for path in tmp_path.iterdir()} == {
        'report.json', f'{name}.onnx', f'{name}.xml', f'{name}.bin'
    }  # fmt: skip
    with open_source(resource('test', 'data', 'street')) as source:
        frame = next(iter(source))[0]
    card = read_card(name)
    pixels = scaled(frame.image, SIZE)[None]
    image = normalise(torch.from_numpy(pixels), Normalisation(card.mean, card.std))  # type: ignore[arg-type]
    with torch.no_grad():
        module: Any = build_module(card).eval()
        reference = module(image).numpy()
    feed = {given: pixels if given == 'pixels' else np.ascontiguousarray(image.numpy())}
    session = onnxruntime.InferenceSession(tmp_path / f'{name}.onnx')
    compiled = openvino.Core().compile_model(tmp_path / f'{name}.xml', 'CPU')
    for logits in (session.run(['logits'], feed)[0], compiled(feed)['logits']):
        assert list(logits.shape) == list(reference.shape) == said['logits']
        assert (logits.argmax(1) == reference.argmax(1)).mean() >= AGREEMENT


def test_one_format_at_the_cards_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'export', 'lernet', '-o', str(tmp_path), '--format', 'openvino']) == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {'.xml', '.bin'}
    assert (
        '360x480: pixels, RGB (1, H, W, 3) uint8, in; logits (1, 11, 45, 60) out' in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['efficientnet_lite0_fpn', '--size', '350x480'], 'use 352x480'),
        (['light_flow'], 'expected a backbone'),
        ([], 'expected the name or path of a card'),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['models', 'export', *arguments, '-o', str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
