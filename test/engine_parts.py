"""Small parts with random weights that engine tests are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.frames import Frame
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.pipeline import Parts, StreamSegmenter
from vss_ros.engine.preprocess import IMAGENET, Preprocessor
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.propagation.spatially_variant_conv import SpatiallyVariantConv
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.tracks import Blocking, Track
from vss_ros.engine.view import View, look

if TYPE_CHECKING:
    from vss_ros.engine.schedulers import Scheduler

SIZE = (48, 64)


def backbone(seed: int = 0) -> Backbone:
    """Return the default backbone with random weights."""
    torch.manual_seed(seed)
    return BACKBONES.get('efficientnet_lite0_fpn')(11).eval()


def propagation(net: Backbone, name: str = 'spatially_variant_conv') -> Propagation:
    """Return a propagation with random weights that fits a backbone."""
    cls = PROPAGATIONS.get(name)
    return cls(Shapes.of(net, cls.space)).eval()


def identity_propagation(net: Backbone) -> SpatiallyVariantConv:
    """Return a propagation whose kernels are one-hot at their centre: features stay where they are."""
    moved = propagation(net)
    assert isinstance(moved, SpatiallyVariantConv)
    last = moved.predict[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[40] = 50.0
    return moved


def segmenter(
    net: Backbone,
    *,
    moved: Propagation | None = None,
    scheduler: Scheduler | None = None,
    track: Track | None = None,
) -> StreamSegmenter:
    """Return a segmenter of given or default parts."""
    scheduler = scheduler or FixedInterval(net.low_channels, max_interval=4)
    motion = MOTIONS.get('dis')() if scheduler.needs_motion or (moved and moved.motion) else None
    parts = Parts(net, moved, scheduler, track or Blocking(), motion)
    return StreamSegmenter(parts, Preprocessor(IMAGENET, SIZE, net.size_multiple, torch.device('cpu')))


def frame(
    index: int, *, size: tuple[int, int] = SIZE, stamp_ns: int | None = None, seed: int | None = None
) -> Frame:
    """Return a random image at 15 Hz; equal seeds give equal pixels."""
    rng = np.random.default_rng(index if seed is None else seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return Frame(image, index * 66_666_667 if stamp_ns is None else stamp_ns, index)


def view_of(net: Backbone, image: Frame, before: Frame | None = None) -> View:
    """Return a frame's view as the segmenter makes it, with motion to the frame before where there is one."""
    trail = MotionTrail(MOTIONS.get('dis')())
    with torch.inference_mode():
        if before is not None:
            trail.follow(look(net, before.image[None]))
        return trail.follow(look(net, image.image[None]))
