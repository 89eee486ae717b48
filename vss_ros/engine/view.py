"""What propagations, schedulers and motion estimators may look at of one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class View:
    """One frame, or in training a batch of N frames, as the exchangeable parts see it.

    Pixels and image lie in buffers that the next frame overwrites: keep copies, not these.
    """

    pixels: NDArray[np.uint8]
    """RGB at the network's input size, ``(N, H, W, 3)``."""
    image: Tensor
    """The same normalised, ``(N, 3, H, W)`` float32."""
    features: Tensor | None = None
    """F_l, None where no part declared ``needs_low``."""
    field: MotionField | None = None
    """Motion from this frame to the one features are propagated from, None where no part needs it."""
    since_key: MotionField | None = None
    """Motion from this frame to the key frame, None on the stream's first frame."""
    codec: CodecFrame | None = None
    """What the video codec says of the frame, None for a stream of single images."""
    camera: tuple[int, int] | None = None
    """Height and width of the camera's image, in whose pixels codec vectors are."""

    @property
    def low(self) -> Tensor:
        """F_l ``(N, low_channels, H/low_stride, W/low_stride)``, for parts that declare ``needs_low``."""
        if self.features is None:
            msg = 'F_l was not computed for this frame; set needs_low = True in the class that asks for it'
            raise RuntimeError(msg)
        return self.features

    @property
    def motion(self) -> MotionField:
        """Motion to the frame features are propagated from, for propagations that name a motion estimator."""
        if self.field is None:
            msg = "motion was not estimated for this frame; name the class's motion estimator in `motion`"
            raise RuntimeError(msg)
        return self.field

    def with_motion(self, field: MotionField | None) -> View:
        """Return the view with another motion field."""
        return replace(self, field=field)


def look(
    backbone: Backbone, images: NDArray[np.uint8], statistics: Normalisation = IMAGENET, **more: Any
) -> View:
    """Return the view of images ``(N, H, W, 3)`` with their F_l, for training and evaluation.

    Args:
        backbone: Computes F_l; the image goes to the device where it lies.
        images: RGB at the network's input size.
        statistics: What the backbone was trained with.
        **more: Other fields of the view.

    """
    image = normalise(torch.from_numpy(images).to(device_of(backbone)), statistics)
    return View(images, image, backbone.low(image), **more)
