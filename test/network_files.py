"""Networks as a user would bring them: exported by PyTorch's own functions from a plain module."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vss_ros.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = 11
SIZE = (48, 64)


def plain(seed: int = 0, *, channels: int = CLASSES) -> nn.Sequential:
    """Return a network that nothing in this package made: logits at stride 4."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, channels, 1)).eval()


class Then(nn.Module):
    """A network followed by something without weights."""

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, image: Tensor) -> Tensor | dict[str, Tensor]:
        logits: Tensor = self.network(image)
        if self.kind == 'labels':
            return logits.argmax(1)
        if self.kind == 'float labels':
            return logits.argmax(1, keepdim=True).float()
        if self.kind == 'dictionary':
            return {'out': logits, 'aux': logits.mean(1)}
        if self.kind == 'not finite':
            return logits / 0.0
        if self.kind == 'probability':
            return logits[:, :1].sigmoid()
        if self.kind == 'flat':
            return logits.flatten(1)
        assert self.kind == 'cropped'
        return logits[..., 1:, 1:]


def export(network: nn.Module, path: Path, *, size: tuple[int, int] = SIZE, dynamic: bool = False) -> Path:
    """Export a network by the suffix of ``path``, with PyTorch's defaults; returns the path."""
    any_size = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} if dynamic else None
    shapes = (any_size,) if dynamic else None
    image = torch.randn(1, 3, *size)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if path.suffix == '.onnx':
            torch.onnx.export(network, (image,), path, dynamic_shapes=shapes, verbose=False)
        else:
            torch.export.save(torch.export.export(network, (image,), dynamic_shapes=shapes), path)
    return path


def add(file: Path, *options: str, classes: str = 'camvid11', exit_code: int = 0) -> Path:
    """Run ``vss models add`` into the folder ``cards`` beside the file; returns the card's path."""
    cards = file.parent / 'cards'
    trusted = ['--trust'] * (file.suffix == '.pt2')
    arguments = ['models', 'add', str(file), '--classes', classes, '-o', str(cards), *trusted, *options]
    assert main(arguments) == exit_code
    return cards / f'{file.stem}.yaml'
