"""A frame as propagations, schedulers and motion estimators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vss_ros.engine.device import device_of
from vss_ros.engine.preprocess import IMAGENET, Normalisation, averaged, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.backbones.base import Backbone
    from vss_ros.engine.frames import CodecFrame
    from vss_ros.engine.motion.field import MotionField


class Image(Protocol):
    """A normalised image that is computed when it is first looked at."""

    device: torch.device

    def image(self) -> Tensor:
        """Return it, ``(N, 3, H, W)`` float32."""

    def small(self, stride: int) -> Tensor:
        """Return it averaged over cells, ``(N, 3, H/stride, W/stride)``, in memory of its own."""

    def cells(self, stride: int) -> NDArray[np.uint8]:
        """Return the pixels averaged over cells, ``(N, H/stride, W/stride, 3)``."""


class View:
    """One frame, or in training a batch of N frames, as the exchangeable parts see it.

    Pixels and image lie in buffers that the next frame overwrites: keep copies, not these. A view is not
    changed once it is made; ``replace`` returns another.

    Attributes:
        pixels: RGB at the network's input size, ``(N, H, W, 3)`` uint8.
        image: The same normalised, ``(N, 3, H, W)`` float32; computed where a part looks at it.
        since_key: Motion from this frame to the key frame, None on the stream's first frame.
        codec: What the video codec says of the frame, None for a stream of single images.
        camera: Height and width of the camera's image, in whose pixels codec vectors are; None where unknown.
    """

    __slots__ = ('_image', '_low', '_motion', 'camera', 'codec', 'pixels', 'since_key')

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        image: Tensor | Image,
        low: Tensor | None = None,
        motion: MotionField | None = None,
        *,
        since_key: MotionField | None = None,
        codec: CodecFrame | None = None,
        camera: tuple[int, int] | None = None,
    ) -> None:
        """Hold what was computed for the frame; ``low`` and ``motion`` are None where no part needs them."""
        self.pixels, self._image, self._low, self._motion = pixels, image, low, motion
        self.since_key, self.codec, self.camera = since_key, codec, camera

    @property
    def image(self) -> Tensor:  # noqa: D102 (see the class)
        return self._image if isinstance(self._image, Tensor) else self._image.image()

    def small(self, stride: int) -> Tensor:
        """Return the image averaged over cells, ``(N, 3, H/stride, W/stride)``, a tensor of its own.

        Of pixels averaged to whole grey levels: that is ten times as fast as pooling the normalised image.
        What runs in a graph declares the stride in :attr:`Propagation.image_strides`.
        """
        image = self._image
        return avg_pool2d(image, stride) if isinstance(image, Tensor) else image.small(stride)

    def cells(self, stride: int) -> NDArray[np.uint8]:
        """Return the pixels averaged over cells, ``(N, H/stride, W/stride, 3)`` uint8."""
        image = self._image
        return averaged(self.pixels, stride) if isinstance(image, Tensor) else image.cells(stride)

    @property
    def device(self) -> torch.device:
        """Where the image lies."""
        return self._image.device

    @property
    def has_low(self) -> bool:
        """Whether F_l was computed for this frame."""
        return self._low is not None

    @property
    def low(self) -> Tensor:
        """F_l ``(N, low_channels, H/low_stride, W/low_stride)``, for parts that declare ``needs_low``."""
        if self._low is None:
            raise RuntimeError(
                'F_l was not computed for this frame; set needs_low = True in the class that asks for it'
            )
        return self._low

    @property
    def has_motion(self) -> bool:
        """Whether motion was estimated for this frame; the first of a stream has none."""
        return self._motion is not None

    @property
    def motion(self) -> MotionField:
        """Motion to the frame features are propagated from, for propagations that name a motion estimator."""
        if self._motion is None:
            raise RuntimeError(
                "motion was not estimated for this frame; name the class's motion estimator in `motion`"
            )
        return self._motion

    def replace(self, **changes: Any) -> View:
        """Return a view with other values; ``changes`` are arguments of the class."""
        values: dict[str, Any] = {name.removeprefix('_'): getattr(self, name) for name in self.__slots__}
        return View(**(values | changes))


def look(
    backbone: Backbone, images: NDArray[np.uint8], statistics: Normalisation = IMAGENET, **more: Any
) -> View:
    """Return the view, with F_l and ``more`` fields, of RGB images ``(N, H, W, 3)``, for training."""
    image = normalise(torch.from_numpy(images).to(device_of(backbone)), statistics)
    return View(images, image, backbone.low(image), **more)
