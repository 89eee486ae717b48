"""The training loop: what a stop, a damaged file or a diverging run leave behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from vss_ros.errors import VssError
from vss_ros.training import loop
from vss_ros.training.backbone_stage import _counts
from vss_ros.training.loop import run_epochs, trained_minutes
from vss_ros.training.losses import segmentation_loss
from vss_ros.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def train(folder: Path, epochs: int = 3, *, resume: bool = False, stop: int = 9, scale: float = 1.0) -> Any:
    """Train a small network with dropout; ``stop`` is the epoch in whose first step the process dies."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    target = torch.rand(4, 1)
    epoch = 0

    def batches(number: int, _: np.random.Generator) -> list[int]:
        nonlocal epoch
        epoch = number
        return [0, 1]

    def step(_: int, rng: np.random.Generator) -> dict[str, float]:
        if epoch == stop:
            raise KeyboardInterrupt
        loss = scale * (model(torch.from_numpy(rng.random((4, 8))).float()) - target).square().mean()
        loss.backward()
        return {'loss': loss.item()}

    recipe = Recipe(stage='backbone', model='any', epochs=epochs)
    groups = [{'params': list(model.parameters()), 'lr': 0.1}]
    folder.mkdir(exist_ok=True)
    return run_epochs(recipe, model, groups, batches, step, lambda _: {}, folder, resume=resume).state_dict()


def test_dropout_draws_the_same_after_a_stop(tmp_path: Path) -> None:
    whole = train(tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / 'parts', stop=2)
    torch.rand(1)
    resumed = train(tmp_path / 'parts', resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_an_epoch_that_is_trained_again_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, '_save', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, resume=True)
    assert len((tmp_path / 'curve.jsonl').read_text().splitlines()) == 2
    train(tmp_path, resume=True)
    epochs = [json.loads(line)['epoch'] for line in (tmp_path / 'curve.jsonl').read_text().splitlines()]
    assert epochs == [1, 2, 3]


def test_an_earlier_run_is_not_replaced_unasked(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(VssError, match='--resume'):
        train(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_diverged_run_ends_and_keeps_its_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    before = (tmp_path / 'checkpoint.pt').read_bytes()
    with pytest.raises(VssError, match='finite losses'):
        train(tmp_path, resume=True, scale=float('nan'))
    assert (tmp_path / 'checkpoint.pt').read_bytes() == before


@pytest.mark.parametrize('damage', ['half', 'empty', 'text', 'list', 'tensor', 'updates', 'epoch', 'model'])
def test_a_damaged_checkpoint_is_named(damage: str, tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    file = tmp_path / 'checkpoint.pt'
    blob, state = file.read_bytes(), torch.load(file, weights_only=True)
    octets = {'half': blob[: len(blob) // 2], 'empty': b'', 'text': b'no checkpoint'}
    changed: dict[str, Any] = {
        'list': [1, 2],
        'tensor': torch.zeros(3),
        'updates': {key: value for key, value in state.items() if key != 'updates'},
        'epoch': state | {'epoch': -1},
        'model': state | {'model': 3},
    }
    if damage in octets:
        file.write_bytes(octets[damage])
    else:
        torch.save(changed[damage], file)
    with pytest.raises(VssError, match=r'checkpoint\.pt: expected the checkpoint of a run'):
        train(tmp_path, resume=True)


def test_half_a_line_of_the_curve_is_named(tmp_path: Path) -> None:
    train(tmp_path)
    assert trained_minutes(tmp_path) >= 0
    curve = tmp_path / 'curve.jsonl'
    curve.write_text(curve.read_text()[:-20])
    with pytest.raises(VssError, match=r'curve\.jsonl:3 expected'):
        trained_minutes(tmp_path)


def test_void_teaches_nothing_and_all_void_is_refused() -> None:
    logits = torch.rand(1, 3, 4, 4, requires_grad=True)
    void = torch.full((1, 4, 4), 3)
    loss = segmentation_loss(logits, void, torch.ones(3), 3)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()

    class Void:
        labels = (void[0].numpy(),)

        def __len__(self) -> int:
            return 1

    with pytest.raises(VssError, match='nothing but void'):
        _counts(Void(), 3)  # type: ignore[arg-type]
