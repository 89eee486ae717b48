"""All stages, from a recipe to its cards, on a device whose tensors do not mix with the CPU's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from data_trees import blocks_of, picture, write_png
from pretend_device import DEVICE, Elsewhere, pretend_device

from vss_ros.datasets.augment import draw_framing, framed, lit
from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.device import choose_device, device_of
from vss_ros.engine.model_card import ModelCard, load_weights, read_card, save_card
from vss_ros.images.classes import load_classes
from vss_ros.training import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = (64, 96)
NETWORK = 'lernet'
# PyTorch knows that copying to the device it takes this one for would do nothing.
pytestmark = [
    pytest.mark.usefixtures('one_thread'),
    pytest.mark.filterwarnings('ignore:.*copying from a non-meta parameter'),
]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Let recipes run on a device that no command line may name."""
    monkeypatch.setattr(run, 'choose_device', lambda name: DEVICE if name == 'auto' else choose_device(name))
    with pretend_device() as device:
        yield device


def write_data(folder: Path) -> None:
    """Write two stills to train on, a drive of twelve frames to score on, and three frames without labels."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 12)):
        for i in range(count):
            write_png(folder / f'camvid/{split}/drive_{i:06d}.png', picture(i, SIZE))
            write_png(
                folder / f'camvid/{split}annot/drive_{i:06d}.png',
                blocks_of(rng.permutation(11).astype(np.uint8)),
            )
    for i in range(4):
        write_png(folder / f'clip/{i}.png', 255 - picture(i, SIZE) // 3)


def trained(folder: Path, *, resume: bool = False, device: str = 'auto', **own: Any) -> list[ModelCard]:
    """Run a recipe of one step an epoch."""
    common = {'model': 'net', 'epochs': 1, 'batch': 2, 'images_per_epoch': 2, 'crop': list(SIZE)}
    data = {'camvid': {'split': 'train'}}
    path = folder / f'{own["stage"]}.yaml'
    recipe = common | {'data': data, 'evaluate': {'camvid': 'val'}, 'evaluate_every': 9} | own
    path.write_text(yaml.safe_dump(recipe))
    folders = {name: folder / name for name in own.get('data', data)}
    places = (folders, folder / 'runs', folder / 'models')
    return run.run_recipe(path, *places, resume=resume, device=device)


def write_backbone(folder: Path, network: str = NETWORK) -> None:
    """Write card and weights of an untrained network."""
    names = tuple(load_classes('camvid11').names)
    card = ModelCard(
        name='net',
        kind='backbone',
        builder=network,
        sha256='',
        parameters=0,
        input_size=SIZE,
        classes='camvid11',
        class_names=names,
    )
    torch.manual_seed(0)
    save_card(card, BACKBONES.get(network)(11), folder)


def test_mixing_devices_is_noticed(elsewhere: torch.device) -> None:
    layer = torch.nn.Linear(2, 3).to(elsewhere)
    assert device_of(layer) == elsewhere
    assert layer(torch.ones(1, 2, device=elsewhere)).cpu().shape == (1, 3)
    with pytest.raises(RuntimeError, match='on one device'):
        layer(torch.ones(1, 2))


def test_the_backbone_stage_with_a_teacher_goes_on_on_another_device(
    tmp_path: Path, elsewhere: torch.device
) -> None:
    write_data(tmp_path)
    network = 'mobilenet_fpn'
    write_backbone(tmp_path / 'models', network)
    own: dict[str, Any] = {
        'stage': 'backbone', 'backbone': network, 'teacher': str(tmp_path / 'models/net.yaml'),
        'hints': 1.0, 'logit_adjustment': 1.0, 'mixed': 0.5,
    }  # fmt: skip
    trained(tmp_path, **own, model='pupil', evaluate_every=1)
    (card,) = trained(tmp_path, **own, model='pupil', epochs=2, resume=True)
    assert card.recipe['command'].endswith('--data camvid=DIR')
    (card,) = trained(tmp_path, **own, model='pupil', epochs=3, resume=True, device='cpu')  # it may move
    assert card.recipe['command'].endswith('--data camvid=DIR --device cpu')
    assert {name: card.recipe[name] for name in ('hints', 'logit_adjustment', 'mixed')} == {
        'hints': 1.0, 'logit_adjustment': 1.0, 'mixed': 0.5,
    }  # fmt: skip
    weights = BACKBONES.get(network)(11)
    load_weights(read_card(tmp_path / 'models/pupil.yaml'), weights)  # finite, and on the CPU
    assert 0 <= card.scores['camvid_val_miou'] <= 1


@pytest.mark.slow
def test_the_pair_stage_with_labels_of_its_own(tmp_path: Path, elsewhere: torch.device) -> None:
    write_data(tmp_path)
    write_backbone(tmp_path / 'models')
    names = ['distortion_aware', 'guided_filter', 'refined_warping', 'spatially_variant_conv']
    names += ['tamed_warping', 'temporal_holistic_attention']
    own: dict[str, Any] = {
        'stage': 'pairs', 'propagations': names, 'scheduler': 'predicted_deviation', 'distances': [2, 3],
        'data': {'camvid': {'split': 'train'}, 'clip': {'pseudo_labels': True, 'share': 0.5}},
    }  # fmt: skip
    cards = trained(tmp_path, **own)
    assert [card.builder for card in cards] == [*names, 'predicted_deviation']
    assert all(card.scores for card in cards)


@pytest.mark.slow
def test_the_motion_stage(tmp_path: Path, elsewhere: torch.device) -> None:
    write_data(tmp_path)
    write_backbone(tmp_path / 'models')
    cards = trained(tmp_path, stage='motion', motions=['light_flow', 'flow_net_s'], distances=[2, 3])
    assert all(card.scores for card in cards)


def test_views_are_made_where_the_stills_lie(elsewhere: torch.device) -> None:
    image, labels = picture(0, SIZE), blocks_of(np.array([0, 1, 2], np.uint8), SIZE)
    framing = draw_framing(SIZE, (32, 48), np.random.default_rng(0))
    light = replace(framing.light, blur=0.8, noise=0.02)
    here, there = (
        framed(torch.from_numpy(image).to(at), torch.from_numpy(labels).to(at), framing, (32, 48), 11)
        for at in (torch.device('cpu'), elsewhere)
    )
    assert isinstance(there[0], Elsewhere)
    assert torch.equal(there[1].cpu(), here[1])
    views = [lit(view, light, np.random.default_rng(0)).cpu() for view in (here[0], there[0])]
    assert torch.equal(views[0], views[1])
