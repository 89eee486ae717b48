"""Layers merged for inference: the same function, fewer passes over memory."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu6
from torch.nn.utils.fusion import fuse_conv_bn_eval

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ('relu', []),
    nn.ReLU6: ('hardtanh', [0.0, 6.0]),
}
"""What oneDNN calls an activation, and its limits."""


class ConvActivation(nn.Conv2d):
    """A convolution that applies its activation as it writes, in one oneDNN primitive; CPU inference only.

    On 360x480 and one thread this takes 30 % off the default backbone's low part: where channels are few, a
    separate activation reads and writes more than it computes. By the operator that torch.compile itself
    emits on CPUs, since compiling takes a minute and a compiler. Shares the convolution's weights.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,  # type: ignore[arg-type]
            conv.groups, bias=conv.bias is not None, device='meta',
        )  # fmt: skip
        self.weight, self.bias = conv.weight, conv.bias
        self.activation, self.limits = ACTIVATIONS[type(activation)]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Map ``(N, in, H, W)`` as the two layers would."""
        window = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._convolution_pointwise(  # type: ignore[no-any-return]
            input, self.weight, self.bias, *window, self.activation, self.limits, ''
        )


def fuse_conv_bn(module: nn.Module) -> None:
    """Fold batch norms that follow a convolution in a ``Sequential``, in place; evaluation mode only."""
    for part in _sequences(module):
        for i, (first, second) in enumerate(pairwise(list(part))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                part[i], part[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()


def fuse_activations(module: nn.Module) -> None:
    """Merge convolutions with the activation that follows in a ``Sequential``, in place.

    For inference on a CPU, after `fuse_conv_bn`; nothing happens where this PyTorch has no such operator.
    """
    for part in _sequences(module) if has_fused_convolution() else []:
        layers = [(i, layer) for i, layer in enumerate(part) if not isinstance(layer, nn.Identity)]
        for (i, conv), (j, activation) in pairwise(layers):
            if type(conv) is nn.Conv2d and type(activation) in ACTIVATIONS and _plain(conv):
                part[i], part[j] = ConvActivation(conv, activation), nn.Identity()


def fuse_for_inference(module: nn.Module, device: torch.device) -> None:
    """Merge what can be merged on a device, in place; evaluation mode only."""
    fuse_conv_bn(module)
    if device.type == 'cpu':
        fuse_activations(module)


@cache
def has_fused_convolution() -> bool:
    """Tell whether this PyTorch has the operator, and it computes what it should."""
    conv = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    image = torch.linspace(-20, 20, 3 * 8 * 8).view(1, 3, 8, 8)
    try:
        with torch.inference_mode():
            answer = ConvActivation(conv, nn.ReLU6())(image)
            return bool(torch.allclose(answer, relu6(conv(image)), atol=1e-4))
    except (AttributeError, RuntimeError, TypeError):  # another PyTorch, or one built without oneDNN
        return False


def _sequences(module: nn.Module) -> list[nn.Sequential]:
    return [part for part in module.modules() if isinstance(part, nn.Sequential)]


def _plain(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == 'zeros' and not isinstance(conv.padding, str)
