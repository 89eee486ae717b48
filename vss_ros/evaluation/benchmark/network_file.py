"""A user's own ONNX file as a contender: only its time matters, so that nothing is asked of its classes."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.device import CPU
from vss_ros.engine.labels import argmax_upsampled, label_size
from vss_ros.engine.network_files import first_line, joined, open_network
from vss_ros.engine.preprocess import IMAGENET, normalise, scaled
from vss_ros.engine.runtimes import RUNTIMES
from vss_ros.errors import VssError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.options import SegmenterConfig


class NetworkFile:
    """Answers frames by a network of one image ``(1, 3, H, W)`` float32, ImageNet's normalisation.

    Args:
        path: An ``.onnx``.
        config: Runtime, precision, threads, and the size where the file takes any.

    Raises:
        VssError: No such network, or it does not take this size.
    """

    def __init__(self, path: str, config: SegmenterConfig) -> None:
        file = Path(path)
        if file.suffix != '.onnx' or not file.is_file():
            raise VssError(f'{file}: expected a network as an .onnx file; export it as one')
        data = joined(file)
        network: Any = open_network(file.name, data, CPU)  # refuses what is none, in plain words
        self.size = _size(network.input_shape, config.size or (0, 0), file)
        runtime = RUNTIMES.get(config.runtime)(CPU, config.precision, config.threads)
        self._network = runtime.network(data) or network
        try:
            with torch.inference_mode():
                self._network(torch.zeros(1, 3, *self.size))
        except Exception as error:
            size = 'x'.join(map(str, self.size))
            raise VssError(
                f'{file}: the network failed on an image of {size} ({first_line(error)}); choose a --size '
                'that it takes'
            ) from error

    @torch.inference_mode()
    def answer(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Return labels of an RGB image ``(H, W, 3)``, or what else the network's first output is."""
        pixels = image if image.shape[:2] == self.size else scaled(image, self.size)
        output: torch.Tensor = self._network(normalise(torch.from_numpy(pixels)[None], IMAGENET))
        if output.ndim == 4 and output.shape[1] > 1:
            return argmax_upsampled(output, label_size(image.shape[:2], self.size))
        return output.numpy()


def _size(shape: tuple[int | None, ...], wanted: tuple[int, int], file: Path) -> tuple[int, int]:
    if len(shape) != 4 or shape[0] not in (1, None) or shape[1] not in (3, None):
        raise VssError(
            f'{file}: expected an image (1, 3, H, W) as input, got {shape}; export it with such an input'
        )
    height, width = (own or side for own, side in zip(shape[2:], wanted, strict=True))
    if not gcd(height, width):
        raise VssError(f'{file} takes images of any size: say with --size HxW which')
    return height, width
