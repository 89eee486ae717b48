"""What a trained card says: where its weights come from, and scores of weights as they are shipped."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.evaluation.card_scores import differences
from vss_ros.training import processes
from vss_ros.training.computing import has_bfloat16

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.training.data_sets import DataSets
    from vss_ros.training.recipe import Recipe


def provenance(recipe: Recipe, sets: DataSets, device: torch.device, command: str) -> dict[str, Any]:
    """Return what a card says of how its weights came to be, as far as it is known before training."""
    return {
        'command': command,
        'seed': recipe.seed,
        'epochs': recipe.epochs,
        'crop': list(recipe.crop),
        **recipe.chosen(),
        'data': {
            name: options.model_dump(mode='json', exclude_unset=True) for name, options in recipe.data.items()
        },
        'images': {name: len(images) for name, images in sets.trained.items()},
        'commit': _commit(),
        'hardware': _hardware(device),
        **({'processes': processes.count()} if processes.count() > 1 else {}),
        'versions': {name: version(name) for name in ('torch', 'numpy')},
    }


def origins(teacher: ModelCard | None, start: ModelCard | None) -> dict[str, Any]:
    """Return what a card says of the cards its training built on; a teacher need not be shipped."""
    built_on: dict[str, Any] = {}
    if teacher is not None:
        said = ('command', 'commit', 'hardware', 'wall_minutes')
        recipe = {key: teacher.recipe[key] for key in said if key in teacher.recipe}
        built_on['teacher'] = {'name': teacher.name, 'sha256': teacher.sha256, **recipe}
    if start is not None:
        built_on['start'] = {'name': start.name, 'sha256': start.sha256, 'recipe': start.recipe}
    return built_on


def score_command(card: ModelCard, data: str) -> dict[str, str]:
    """Return what measures a card's scores again, nothing where none were measured."""
    return {'score_command': f'vss models verify {card.name} --data {data}=DIR'} if data else {}


def rounded_scores(module: nn.Module, score: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
    """Round matrices and kernels to half precision unless a score moves by more than verifying allows.

    Left single is what takes no room (one-dimensional: biases, batch-norm statistics) and what is beyond half
    precision's range. ``save_card`` then stores in half precision what half precision holds.

    Args:
        module: Trained; changed in place, or left as it is where rounding costs too much.
        score: Measures it; None rounds unseen.

    Returns:
        Scores of the module as it is afterwards. With them, of classes only their mean, those before as
        ``full_precision`` or, where rounding costs too much, those it would have as ``half_precision``.
        Nothing without ``score``.
    """
    whole = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before = {} if score is None else score()
    module.load_state_dict({name: _rounded(tensor) for name, tensor in whole.items()})
    if score is None:
        return {}
    after = score()
    if any(differences(before, after)):
        module.load_state_dict(whole)
        return before | {'half_precision': _means(after)}
    return after | {'full_precision': _means(before)}


def _means(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scores.items() if name != 'per_class_iou'}


def _rounded(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return tensor
    half = tensor.half()
    return half.to(tensor.dtype) if half.isfinite().all() else tensor


def _hardware(device: torch.device) -> str:
    cpu = f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
    frozen = ', frozen networks in bfloat16' if has_bfloat16(device) else ''
    return (f'{torch.cuda.get_device_name(device)}, {cpu}' if device.type == 'cuda' else cpu) + frozen


def _commit() -> str:
    try:
        done = subprocess.run(
            ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return done.stdout.strip()
