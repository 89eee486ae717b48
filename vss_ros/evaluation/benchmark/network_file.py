"""A user's own ONNX file as a contender: only its time matters, so that nothing is asked of its classes."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.device import CPU
from vss_ros.engine.labels import argmax_upsampled, label_size
from vss_ros.engine.network_files import check_image, in_short, is_channels_last, joined, open_network, sides
from vss_ros.engine.preprocess import BYTES, IMAGENET, normalise, scaled
from vss_ros.engine.runtimes import RUNTIMES
from vss_ros.errors import VssError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.options import SegmenterConfig


class NetworkFile:
    """Answers frames by a network of one image, of floats by ImageNet's normalisation or of bytes.

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
        self._statistics = IMAGENET if network.input_type.is_floating_point else BYTES
        self.size = _size(network.input_shape, config.size or (0, 0), file)
        runtime = RUNTIMES.get(config.runtime)(CPU, config.precision, config.threads)
        self._network = runtime.network(data) or network
        try:
            with torch.inference_mode():
                outputs = self._network(torch.zeros(1, 3, *self.size))
        except Exception as error:
            size = 'x'.join(map(str, self.size))
            raise VssError(
                f'{file}: the network failed on an image of {size} ({in_short(error)}); choose a --size '
                'that it takes'
            ) from error
        self._output = max(outputs, key=lambda name: (outputs[name].ndim == 4, outputs[name].numel()))
        self._network.choose(self._output)

    @torch.inference_mode()
    def answer(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Return labels of an RGB image ``(H, W, 3)``, or what else the network's largest output is."""
        pixels = image if image.shape[:2] == self.size else scaled(image, self.size)
        given = normalise(torch.from_numpy(pixels)[None], self._statistics)
        output: torch.Tensor = self._network(given)[self._output]
        if is_channels_last(self._network.input_shape) and output.ndim == 4:
            output = output.movedim(-1, 1)
        if output.ndim == 4 and output.shape[1] > 1:
            return argmax_upsampled(output, label_size(image.shape[:2], self.size))
        return output.numpy()


def _size(shape: tuple[int | None, ...], wanted: tuple[int, int], file: Path) -> tuple[int, int]:
    check_image(shape, str(file))
    height, width = (own or side for own, side in zip(sides(shape), wanted, strict=True))
    if not gcd(height, width):
        raise VssError(f'{file} takes images of any size: say with --size HxW which')
    return height, width
