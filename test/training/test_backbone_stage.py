"""The backbone stage computes on a CPU as on a GPU, but for what only CUDA can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from motion_parts import smooth

from vss_ros.datasets.labelled import FileSequence, LabelledImages
from vss_ros.engine.backbones import BACKBONES
from vss_ros.images.classes import load_classes
from vss_ros.training.backbone_stage import still_batch, train_backbone
from vss_ros.training.computing import Computing
from vss_ros.training.losses import class_weights
from vss_ros.training.recipe import Recipe, TrainedOn
from vss_ros.training.teacher import Teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.datasets.labelled import Pixels
    from vss_ros.engine.backbones import Backbone

CPU = torch.device('cpu')
NETWORK = 'lernet'
pytestmark = pytest.mark.usefixtures('one_thread')


def stills(first: int = 0) -> LabelledImages:
    """Return three images whose left half is of one class, the right of another."""
    ids = np.repeat([[2, 5]], 60, 1).astype(np.uint8).repeat(90, 0)
    images = [np.where(ids[..., None] == 2, smooth(first + i) // 2, 255 - smooth(i) // 2) for i in range(3)]
    return LabelledImages([image.astype(np.uint8) for image in images], [ids] * 3, ['a', 'b', 'c'])


def files(pixels: Sequence[Pixels]) -> FileSequence:
    """Return images as those that stay on disk."""
    return FileSequence([Path(str(i)) for i in range(len(pixels))], lambda path: pixels[int(path.name)])


def train(
    folder: Path,
    computing: Computing,
    *,
    data: dict[str, LabelledImages] | None = None,
    teacher: bool = False,
    **own: Any,
) -> tuple[Backbone, list[float]]:
    """Train for some steps; return the network and the losses of the epochs."""
    folder.mkdir(exist_ok=True)
    recipe = Recipe(
        stage='backbone', model='x', backbone=NETWORK, epochs=3, batch=2, images_per_epoch=4, crop=(32, 64),
        rate=3e-3, encoder_rate=3e-3, data={'main': TrainedOn()}, **own,
    )  # fmt: skip
    torch.manual_seed(1)
    knows = Teacher.frozen(BACKBONES.get(NETWORK)(11), 0.0, computing.device) if teacher else None
    table = load_classes('camvid11')
    model = train_backbone(
        recipe, table, {'main': stills()}, stills(5), folder, resume=False, teacher=knows, computing=computing
    )
    points = [json.loads(line) for line in (folder / 'curve.jsonl').read_text().splitlines()]
    return model, [point['loss'] for point in points]


def test_as_on_a_gpu_the_loss_falls_and_the_weights_stay_float32(tmp_path: Path) -> None:
    model, losses = train(tmp_path / 'amp', Computing(CPU, amp=True), teacher=True)
    assert losses[-1] < 0.95 * losses[0]
    values = model.state_dict().values()
    assert {value.dtype for value in values if value.is_floating_point()} == {torch.float32}
    assert all(bool(torch.isfinite(value).all()) for value in values)


def test_forward_passes_are_in_bfloat16_where_asked_for() -> None:
    multiply = torch.nn.Linear(4, 4)
    for amp, expected in ((True, torch.bfloat16), (False, torch.float32)):
        with Computing(CPU, amp=amp).forward():
            assert multiply(torch.ones(1, 4)).dtype == expected


def test_stills_in_memory_stand_beside_those_on_disk() -> None:
    main, other = stills(), stills(9)
    on_disk = LabelledImages(files(other.images), files(other.labels), other.names)
    chosen = [('main', 1), ('other', 2), ('main', 0), ('other', 0)]
    recipe = Recipe(stage='backbone', model='x', crop=(32, 64))
    there, here = (
        still_batch(recipe, {'main': main, 'other': kept}, chosen, 11, CPU, np.random.default_rng(0))
        for kept in (on_disk, other)
    )
    images, ids = there
    assert (images.shape, images.dtype, ids.dtype) == ((4, 3, 32, 64), torch.float32, torch.int64)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(there, here, strict=True))
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize('setting', [{'scales': (0.3, 0.4)}, {'light': 4.0}, {'mixed': 1.0}])
def test_settings_reach_the_views(setting: dict[str, Any], tmp_path: Path) -> None:
    computing = Computing(CPU)
    usual, own = (train(tmp_path / name, computing, **some)[1] for name, some in (('a', {}), ('b', setting)))
    again = train(tmp_path / 'c', computing, **setting)[1]
    assert own == again
    assert own != usual


def test_the_class_weights_are_taken_back_from_the_average_alone(tmp_path: Path) -> None:
    usual, losses = train(tmp_path / 'a', Computing(CPU))
    adjusted, same = train(tmp_path / 'b', Computing(CPU), logit_adjustment=1.0)
    assert same == losses  # training knows nothing of it
    there, here = usual.state_dict(), adjusted.state_dict()
    assert [name for name in there if not torch.equal(there[name], here[name])] == ['classify.bias']
    change = there['classify.bias'] - here['classify.bias']
    counts = torch.zeros(11).index_fill_(0, torch.tensor([2, 5]), 1.0)
    assert torch.allclose(change, class_weights(counts).log(), atol=1e-5)


def test_a_gpu_takes_bfloat16_and_a_cpu_does_not() -> None:
    assert Computing.on(CPU) == Computing(CPU, amp=False)
    gpu = torch.device('cuda', 0)
    assert Computing.on(gpu) == Computing(gpu, amp=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_a_gpu_learns(tmp_path: Path) -> None:
    model, losses = train(tmp_path, Computing.on(torch.device('cuda')), teacher=True)
    assert next(model.parameters()).is_cuda
    assert losses[-1] < 0.95 * losses[0]
