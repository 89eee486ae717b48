"""A network from random weights learns the encoder features of a trained one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from motion_parts import smooth
from torch import nn

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.engine.backbones import BACKBONES
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.training import loop
from vss_ros.training.backbone_stage import train_backbone
from vss_ros.training.loop import append_point
from vss_ros.training.recipe import Recipe, TrainedOn
from vss_ros.training.teacher import FeatureTap, Hints, Teacher

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone

TEACHER, PUPIL = 'efficientnet_lite0_fpn', 'mobilenet_fpn'
pytestmark = pytest.mark.usefixtures('one_thread')


def network(name: str, seed: int = 0) -> Backbone:
    """Return a network with random weights."""
    torch.manual_seed(seed)
    return BACKBONES.get(name)(11)


def train(folder: Path, epochs: int, *, resume: bool = False, **own: Any) -> Backbone:
    """Train a pupil on two images, a step an epoch."""
    folder.mkdir(exist_ok=True)
    recipe = Recipe(
        stage='backbone', model='x', backbone=PUPIL, epochs=epochs, batch=2, crop=(64, 96),
        data={'main': TrainedOn()}, **own,
    )  # fmt: skip
    ids = np.repeat([[2, 5]], 60, 1).astype(np.uint8).repeat(90, 0)
    images = [smooth(i).astype(np.uint8) for i in range(2)]
    data = {'main': LabelledImages(images, [ids] * 2, ['a', 'b'])}
    table = load_classes('camvid11')
    teacher = Teacher.frozen(network(TEACHER, 7), 0.0, torch.device('cpu'))
    return train_backbone(recipe, table, data, None, folder, resume=resume, teacher=teacher)


@pytest.mark.parametrize(
    'name', [member.name for member in BACKBONES if BACKBONES.get(member.name).encoder_stages]
)
def test_encoder_stages_have_the_strides_they_are_named_by(name: str) -> None:
    net = network(name).eval()
    tap = FeatureTap(net, [*net.encoder_stages])
    with torch.no_grad():
        net(torch.rand(1, 3, 64, 128))
    assert len(tap.features) >= 4
    for stride, features in tap.features.items():
        assert features.shape[-2:] == (64 // stride, 128 // stride)


def test_the_distance_shrinks_and_the_teacher_stays() -> None:
    pupil, teacher = network(PUPIL).train(), network(TEACHER, 1).eval().requires_grad_(False)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    hints = Hints(pupil, teacher)
    assert pupil.training
    hints.requires_grad_(False)  # the pupil has to learn, not the convolutions that read it
    optimiser = torch.optim.AdamW(pupil.parameters(), 3e-3)
    images = torch.rand(2, 3, 64, 96)
    distances = []
    for _ in range(12):
        pupil(images), teacher(images)
        distance = hints()
        optimiser.zero_grad()
        distance.backward()
        optimiser.step()
        distances.append(float(distance.detach()))
    assert distances[-1] < 0.8 * distances[0]
    encoder = [p for n, p in pupil.named_parameters() if n.startswith(('head1', 'head2', 'head3', 'top'))]
    assert all(p.grad is not None and bool(p.grad.any()) for p in encoder)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_teacher_who_says_nothing_at_a_channel_breaks_nothing() -> None:
    pupil, teacher = network(PUPIL), network(TEACHER).eval().requires_grad_(False)
    for layer in teacher.get_submodule('stages.1').modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
    hints = Hints(pupil, teacher)
    images = torch.rand(2, 3, 64, 96)
    pupil(images), teacher(images)
    assert bool(torch.isfinite(hints()))


def test_networks_without_a_stage_in_common_are_told() -> None:
    with pytest.raises(VssError, match=r'LERNet and its teacher EfficientNetLite0FPN have no encoder stage'):
        Hints(network('lernet'), network(TEACHER))


def test_stages_that_one_network_alone_has_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pupil, teacher = network(PUPIL), network(TEACHER).eval().requires_grad_(False)
    monkeypatch.setattr(type(teacher), 'encoder_stages', {8: 'stages.2', 32: 'stages.6'})
    hints = Hints(pupil, teacher)
    assert hints.strides == [8, 32]
    images = torch.rand(2, 3, 64, 96)
    pupil(images), teacher(images)
    assert bool(torch.isfinite(hints()))


def test_hints_change_what_is_learned_and_resume(tmp_path: Path) -> None:
    plain = train(tmp_path / 'plain', 2).state_dict()
    whole = train(tmp_path / 'whole', 2, hints=2.0).state_dict()
    assert whole.keys() == network(PUPIL).state_dict().keys()  # nothing of the hints is shipped
    assert any(not torch.equal(value, plain[name]) for name, value in whole.items())


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / 'whole', 3, hints=2.0).state_dict()

    def stop(folder: Path, point: dict[str, Any], started: float) -> None:
        append_point(folder, point, started)
        if point['epoch'] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, 'append_point', stop)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / 'parts', 3, hints=2.0)
    points = [json.loads(line) for line in (tmp_path / 'parts/curve.jsonl').read_text().splitlines()]
    assert all(0 < point['hints'] < point['loss'] for point in points)
    resumed = train(tmp_path / 'parts', 3, resume=True, hints=2.0).state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())

    with pytest.raises(VssError, match=r'checkpoint\.pt: expected the checkpoint of a run with this recipe'):
        train(tmp_path / 'parts', 3, resume=True)


def test_what_is_returned_carries_no_hooks(tmp_path: Path) -> None:
    model = train(tmp_path / 'a', 1, hints=2.0)
    assert not any(module._forward_hooks for module in model.modules())


def test_hints_are_the_same_to_the_bit(tmp_path: Path) -> None:
    one, two = (train(tmp_path / name, 3, hints=2.0).state_dict() for name in 'ab')
    assert all(torch.equal(value, two[name]) for name, value in one.items())
