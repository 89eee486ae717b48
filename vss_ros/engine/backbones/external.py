"""A network of the user's own, from a file."""

from __future__ import annotations

import warnings
from math import gcd
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.backbones.network_answers import Kind, as_logits, choose_output, kind_of
from vss_ros.engine.network_files import check_image, in_short, open_network, sides
from vss_ros.engine.preprocess import Normalisation, normalise
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.network_files import Network, Shape
    from vss_ros.engine.runtimes.base import Runtime

ORDERS = ('', 'rgb', 'bgr')
COARSEST = 32
"""Greatest stride that logits may have, and greatest multiple that the image is held to."""


@BACKBONES.register('external')
class External(Backbone):
    """A user's own network from an ONNX file or an exported PyTorch program: image in, logits or labels out.

    Cut as no network is: F_l is the image, F_h the logits, the head does nothing. So it has no features, and
    only propagation in segmentation space serves it (GSVNet, section 3: "any network"). The card says what
    the file expects: ``mean`` and ``std`` of RGB in 0..1 (a network trained on values 0..255 has them divided
    by 255), ``channel_order``, ``input_size`` and ``class_names``.

    The file is checked by running it on a blank image of the card's size, which also tells the stride of its
    output. A file that takes one size only runs at that size, for any camera. Of the others the image
    is a multiple of the greatest power of two up to 32 that divides the card's height and width: on such a
    size the network has been seen to work. Which of several outputs counts, and what its numbers are, see
    :mod:`vss_ros.engine.backbones.network_answers`.
    """

    low_channels = 3
    low_stride = 1
    high_stride = 1
    logits_stride = 1
    size_multiple = 1
    has_features = False

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.high_channels = classes
        self._network: Network | None = None
        self._bgr = False
        self.output, self.kind = '', Kind.LOGITS
        self.outputs: tuple[str, ...] = ()

    def load_file(
        self, data: bytes, card: ModelCard, device: torch.device, runtime: Runtime | None = None
    ) -> None:
        """Open the card's network from the bytes of its file and find out its strides.

        An ``.onnx`` runs in the segmenter's runtime where that has a way, else in ONNX Runtime, a ``.pt2`` in
        PyTorch. What a runtime does not take goes to ONNX Runtime, with one warning, too.

        Raises:
            VssError: The file is not a network, takes no such image, or does not give logits or labels of
                the card's classes.
        """
        fault = None
        if runtime is not None and card.file.endswith('.onnx'):
            try:
                if (network := runtime.network(data)) is not None:
                    return self.attach(network, card, device)
            except Exception as error:  # noqa: BLE001 (each runtime raises what it likes)
                fault = f'{runtime.description} cannot run {card.file} ({in_short(error)})'
        self.attach(open_network(card.file, data, device), card, device)
        if runtime is not None and fault is not None:  # and not the file's, or that had been said by now
            runtime.faults.append(f'{fault}; ONNX Runtime computes instead')
            warnings.warn(runtime.faults[-1], RuntimeWarning, stacklevel=2)
        return None

    def attach(self, network: Network, card: ModelCard, device: torch.device) -> None:
        """Take a network that is open already; otherwise as ``load_file``."""
        if card.channel_order not in ORDERS:
            raise VssError(
                f'card {card.name}: expected channel_order rgb or bgr, got {card.channel_order!r}; correct it'
            )
        self._bgr = card.channel_order == 'bgr'
        self._network = network
        self.fixed_size = _fixed_size(network.input_shape, card)
        height, width = card.input_size
        with torch.inference_mode():
            blank = torch.zeros((1, 3, height, width), device=device)
            noise = torch.randint(256, (1, height, width, 3), generator=torch.Generator().manual_seed(0))
            statistics = Normalisation(card.mean, card.std)  # type: ignore[arg-type]
            answers = [self._answers(blank), self._answers(normalise(noise.to(device), statistics))]
            self.output = choose_output(answers[0], self.classes, card.output)
            self.outputs = tuple(answers[0])
            network.choose(self.output)
            self.kind = kind_of([answer[self.output] for answer in answers], self.classes)
            logits = self.high(blank)
        if not bool(torch.isfinite(logits).all()):
            raise VssError(
                f'{card.file}: expected finite values for a blank image of {height}x{width}, got NaN or '
                'infinity; check mean and std, and the network itself'
            )
        self.high_stride = self.logits_stride = _stride(card.input_size, logits)
        self.size_multiple = gcd(height, width, COARSEST)

    def low(self, image: Tensor) -> Tensor:
        """Return the image ``(N, 3, H, W)`` itself."""
        return image

    def high(self, low: Tensor) -> Tensor:
        """Return logits ``(N, C, H/stride, W/stride)`` float32, of one image at a time, as files take them.

        Raises:
            VssError: The network failed, or gave neither logits nor labels of the classes.
        """
        if len(low) > 1:
            return torch.cat([self.high(image[None]) for image in low])
        return as_logits(self._answers(low)[self.output], self.classes, self.kind)

    def _answers(self, image: Tensor) -> dict[str, Tensor]:
        if self._network is None:
            raise VssError(
                'expected a network from a file, got none; make a card with `vss models add FILE` and name it'
            )
        try:
            return self._network(image.flip(1) if self._bgr else image)
        except Exception as error:
            size = 'x'.join(str(n) for n in image.shape[2:])
            raise VssError(
                f'the network failed on an image of {size} ({in_short(error)}); choose a size it takes '
                'with --size, or export it with dynamic height and width'
            ) from error

    def head(self, high: Tensor) -> Tensor:
        """Return the logits as they are."""
        return high


def _fixed_size(shape: Shape, card: ModelCard) -> tuple[int, int] | None:
    """Return the only size that the network takes, None where it takes others; the card's must be it."""
    check_image(shape, card.file)
    wanted = sides(shape)
    if wanted == (None, None):
        if not all(card.input_size):
            raise VssError(
                f'{card.file} takes images of any size: say with --size HxW (input_size in the card) which'
            )
        return None
    if any(side not in (None, own) for side, own in zip(wanted, card.input_size, strict=True)):
        only, own = ('x'.join(str(side or 'any') for side in size) for size in (wanted, card.input_size))
        raise VssError(
            f'{card.file}: expected the size {only}, the only one this network takes, got {own}; use {only}'
        )
    return card.input_size


def _stride(size: tuple[int, int], logits: Tensor) -> int:
    height, width = logits.shape[2:]
    stride = size[0] // max(height, 1)
    if (height * stride, width * stride) != size or stride not in (1, 2, 4, 8, 16, COARSEST):
        raise VssError(
            f"expected an output whose height and width are the image's {size[0]}x{size[1]} divided by "
            f'1, 2, 4, 8, 16 or {COARSEST}, got {height}x{width}; choose a --size that divides (multiples of '
            f'{COARSEST} mostly do), or export the network with its output brought to the size of its input'
        )
    return stride
