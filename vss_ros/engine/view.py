"""A frame as propagations, schedulers and motion estimators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.device import device_of
from vss_ros.engine.preprocess import IMAGENET, Normalisation, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.engine.backbones.base import Backbone
    from vss_ros.engine.frames import CodecFrame
    from vss_ros.engine.motion.field import MotionField


class View:
    """One frame, or in training a batch of N frames, as the exchangeable parts see it.

    Pixels and image lie in buffers that the next frame overwrites: keep copies, not these. A view is not
    changed once it is made; ``replace`` returns another.

    Attributes:
        pixels: RGB at the network's input size, ``(N, H, W, 3)`` uint8.
        image: The same normalised, ``(N, 3, H, W)`` float32.
        since_key: Motion from this frame to the key frame, None on the stream's first frame.
        codec: What the video codec says of the frame, None for a stream of single images.
        camera: Height and width of the camera's image, in whose pixels codec vectors are; None where unknown.
    """

    __slots__ = ('_low', '_motion', 'camera', 'codec', 'image', 'pixels', 'since_key')

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        image: Tensor,
        low: Tensor | None = None,
        motion: MotionField | None = None,
        *,
        since_key: MotionField | None = None,
        codec: CodecFrame | None = None,
        camera: tuple[int, int] | None = None,
    ) -> None:
        """Hold what was computed for the frame; ``low`` and ``motion`` are None where no part needs them."""
        self.pixels, self.image, self._low, self._motion = pixels, image, low, motion
        self.since_key, self.codec, self.camera = since_key, codec, camera

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
