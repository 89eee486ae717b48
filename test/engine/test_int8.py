"""Networks at int8: those that ship answer as at f32, and what is not theirs is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from data_trees import write_png
from runtime_parts import labels

from vss_ros.cli.main import main
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.model_card import read_card, shipped_cards, weights_path, write_card
from vss_ros.engine.options import TRACKS, SegmenterConfig
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.engine.runtimes.openvino import quantised_paths
from vss_ros.errors import VssError
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource
from vss_ros.training.quantise import MOST_LOST

if TYPE_CHECKING:
    from vss_ros.engine.frames import Frame
    from vss_ros.engine.model_card import ModelCard

QUANTISED = [card for card in shipped_cards() if card.int8]
NAMES = [card.name for card in QUANTISED]
AGREEMENT = 0.97
MOVES = [
    *(
        (card.base, card.builder)
        for card in shipped_cards()
        if card.kind == 'propagation' and '@' not in card.name
    ),
    *((name, propagation) for name in NAMES for propagation in ('flow_warp', 'reuse', 'none')),
]
"""Networks with every propagation that has weights for them, or needs none, at the network's own layer."""
SIZES = [None, (320, 544), (704, 960)]
"""As shipped; of another aspect ratio; larger."""
PLAIN = SegmenterConfig(propagation='none', device='cpu', threads=1)
INT8 = replace(PLAIN, runtime='openvino', precision='int8')


@pytest.fixture(scope='module')
def frames() -> list[Frame]:
    """Four frames of the embedded clip."""
    with open_source(resource('test', 'data', 'street')) as source:
        return [frame for frame, _ in source][:16:4]


def agreement(frames: list[Frame], **options: Any) -> float:
    reference = labels(replace(PLAIN, runtime='torch', precision='f32', **options), frames)
    return float((labels(replace(INT8, **options), frames) == reference).mean())


def copied(name: str, folder: Path) -> ModelCard:
    """Return a card in another folder, with its weights."""
    card = read_card(name)
    for path in (Path(card.path), weights_path(card), *quantised_paths(weights_path(card))):
        shutil.copy(path, folder)
    return read_card(folder / f'{name}.yaml')


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('name', NAMES)
def test_shipped_networks_give_nearly_the_same_labels(
    name: str, size: tuple[int, int] | None, frames: list[Frame]
) -> None:
    assert agreement(frames[: 1 if size else 4], model=name, size=size) >= AGREEMENT


def test_parts_work_on_features_of_int8(frames: list[Frame]) -> None:
    """On F_l, F_h and logits from parts of the graph, two frames after the key frame."""
    options: dict[str, Any] = {'scheduler': 'predicted_deviation', 'threshold': 1.0, 'slow_delay': 1}
    assert agreement(frames[:3], propagation='spatially_variant_conv', **options) >= AGREEMENT


def test_every_propagation_moves_int8_somewhere() -> None:
    assert {name for _, name in MOVES} == {member.name for member in PROPAGATIONS} | {NO_PROPAGATION}
    assert {model for model, _ in MOVES} == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize('track', TRACKS)
@pytest.mark.parametrize(('model', 'propagation'), MOVES)
def test_every_propagation_works_on_features_of_int8_on_every_track(
    model: str, propagation: str, track: str, frames: list[Frame]
) -> None:
    """From a key frame, from frame to frame, and at the next key frame; nothing of it runs in PyTorch."""
    options: dict[str, Any] = {'scheduler': 'fixed_interval', 'interval': 3, 'track': track, 'slow_delay': 1}
    assert agreement(frames, model=model, propagation=propagation, **options) >= AGREEMENT


@pytest.mark.parametrize('card', QUANTISED, ids=NAMES)
def test_cards_state_what_int8_costs(card: ModelCard) -> None:
    scores = card.int8['scores']
    lost = scores['camvid_val_miou_f32'] - scores['camvid_val_miou']
    assert 100 * lost <= MOST_LOST + 1e-6
    assert scores['same_labels'] >= AGREEMENT
    assert card.int8['made']['stills'] > 0
    assert set(card.int8['made']['versions']) == {'nncf', 'openvino'}


def test_a_damaged_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = copied(NAMES[0], tmp_path)
    assert main(['models', 'verify', card.path]) == 0
    weights = quantised_paths(weights_path(card))[1]
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(VssError, match=r'expected sha256 .* of both files of int8 weights'):
        labels(replace(INT8, model=card.path), [])
    assert main(['models', 'verify', card.path]) == 1
    with pytest.warns(RuntimeWarning, match=r'precision int8 is left out: .* expected sha256'):
        built = build_segmenter(replace(PLAIN, model=card.path, runtime='openvino', size=(96, 128)))
    assert built.runtime.precision != 'int8'
    assert len(built.runtime.faults) == 1
    weights.unlink()
    assert main(['models', 'verify', card.path]) == 1
    assert 'restore the file, or use precision bf16 or f32' in capsys.readouterr().out


def test_features_of_another_cut_are_not_those_of_int8() -> None:
    config = replace(PLAIN, model='swiftnet_r18', propagation='tamed_warping', interior=1)
    config = replace(config, scheduler='fixed_interval', size=(96, 128))
    with pytest.raises(VssError, match='precision int8: expected interior 0'):
        build_segmenter(replace(config, runtime='openvino', precision='int8'))
    assert build_segmenter(replace(config, runtime='openvino')).runtime.precision != 'int8'


def test_a_score_that_is_not_so_does_not_verify(tmp_path: Path) -> None:
    with open_source(resource('test', 'data', 'street')) as source:
        for number, (frame, mask) in zip(range(2), source):  # noqa: B905 (two of many)
            assert mask is not None
            write_png(tmp_path / 'data' / 'val' / f'{number}.png', frame.image)
            write_png(tmp_path / 'data' / 'valannot' / f'{number}.png', mask)
    card, found = copied(NAMES[0], tmp_path), tmp_path / 'found.json'
    command = ['models', 'verify', card.path, '--data', f'camvid={tmp_path / "data"}', '--json', str(found)]
    assert main(command) == 1  # other images, other scores
    scores = json.loads(found.read_text())[0]['scores']
    int8 = scores.pop('int8')
    assert int8['same_labels'] >= AGREEMENT
    measured = {'scores': scores, 'calibration': {}}  # its errors would be others, too
    true = card.model_copy(update=measured | {'int8': card.int8 | {'scores': int8}})
    write_card(true, tmp_path)
    assert main(command) == 0
    wrong = int8 | {'camvid_val_miou': int8['camvid_val_miou'] + 0.01}
    write_card(true.model_copy(update={'int8': card.int8 | {'scores': wrong}}), tmp_path)
    assert main(command) == 1
