"""Several processes train one network, as torchrun starts them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from training_parts import run_twice

from vss_ros.training import processes
from vss_ros.training.loop import CURVE, NAME, run_epochs
from vss_ros.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

BATCH = [[0.0, 1.0], [2.0, 1.0], [1.0, 3.0], [1.0, 2.0]]


def fit(folder: Path) -> dict[str, torch.Tensor]:
    """Fit a line to four points, however many processes there are; returns the last weights."""
    torch.manual_seed(0)
    model = nn.ModuleDict({'line': nn.Linear(1, 1), 'seldom': nn.Linear(1, 1)})

    def step(points: list[list[float]], rng: np.random.Generator) -> dict[str, float]:
        part = torch.tensor(processes.part_of(points))
        answer = model['line'](part[:, :1])
        if processes.number() == 0:  # a branch that not all take
            answer = answer + 0 * model['seldom'](part[:, :1])
        loss = (answer - part[:, 1:]).square().mean()
        loss.backward()
        processes.average_gradients(model)
        return {'loss': loss.item(), 'drawn': rng.random()}

    recipe = Recipe(stage='backbone', model='any', epochs=2)
    groups = [{'params': list(model.parameters()), 'lr': 0.1}]
    run_epochs(recipe, model, groups, lambda *_: [BATCH] * 3, step, lambda _: {}, folder, resume=False)
    return model.state_dict()


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    (tmp_path / 'one').mkdir()
    (tmp_path / 'two').mkdir()
    alone = fit(tmp_path / 'one')

    run_twice(__file__, str(tmp_path / 'two'))

    both = [torch.load(tmp_path / f'{number}.pt', weights_only=True) for number in range(2)]
    for name, value in alone.items():
        assert torch.equal(both[0][name], both[1][name])
        assert torch.allclose(both[0][name], value, atol=1e-6)
    points = [json.loads(line) for line in (tmp_path / 'two' / CURVE).read_text().splitlines()]
    assert [point['epoch'] for point in points] == [1, 2]  # written by one of them
    assert (tmp_path / 'two' / NAME).is_file()
    drawn = [json.loads((tmp_path / f'{number}.json').read_text()) for number in range(2)]
    assert drawn[0] != drawn[1]  # each has its own views


if __name__ == '__main__':
    from pathlib import Path

    with processes.joined('auto'):
        out = Path(sys.argv[1])
        torch.save(fit(out), out.parent / f'{processes.number()}.pt')
        generator = processes.own_generator(np.random.default_rng(0))
        (out.parent / f'{processes.number()}.json').write_text(json.dumps(generator.random()))
