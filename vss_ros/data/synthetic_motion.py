"""Earlier views of labelled stills: pairs for propagation and scheduler where no video is labelled.

The annotated still is the *current* frame. Its key frame, some frames earlier, is rendered from it by the
motion of a car down a street: a ground plane, two walls and an infinitely far sky give every pixel a depth,
so that the flow grows outwards as in real drives instead of a uniform zoom. Objects cut from other stills
move on their own in front, covering and uncovering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.data.augment import relight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.data.camvid import LabelledImages

SKY = 0
MOVABLE = (8, 9, 10)
"""Cars, pedestrians, bicyclists of the CamVid table."""
FRAME_SECONDS = 1 / 15
FOCAL = 0.86
"""Focal length over image width: about 60 degrees across."""
CAMERA_HEIGHT = 1.4
"""Metres above the road."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One car's motion, in camera terms."""

    speed: float
    """Metres per second, forwards."""
    yaw_rate: float
    """Radians per second."""
    pitch: float
    """Radians between the two frames: suspension."""
    roll: float
    """Radians between the two frames."""
    walls: tuple[float, float]
    """Metres from the camera to the left and right walls."""
    horizon: float
    """Row of the vanishing point over image height."""
    vanishing: float
    """Column of the vanishing point over image width."""


def random_drive(rng: np.random.Generator) -> Drive:
    """Return a drive: standing still, straight on, or turning; mostly at a town's pace."""
    speed = 0.0 if rng.random() < 0.12 else float(rng.gamma(2.0, 2.2))
    turning = rng.random() < 0.3
    return Drive(
        speed=speed,
        yaw_rate=float(rng.normal(0, 0.15 if turning else 0.02)),
        pitch=float(rng.normal(0, 0.003)),
        roll=float(rng.normal(0, 0.003)),
        walls=(float(rng.uniform(4, 14)), float(rng.uniform(4, 14))),
        horizon=float(rng.uniform(0.36, 0.52)),
        vanishing=float(rng.uniform(0.38, 0.62)),
    )


def earlier_view_map(labels: NDArray[np.uint8], drive: Drive, seconds: float) -> NDArray[np.float32]:
    """Return where each pixel of the earlier view lies in the current one.

    Args:
        labels: Ids of the current view ``(H, W)``; only the sky is looked at.
        drive: The motion.
        seconds: Time from the earlier to the current view.

    Returns:
        ``(H, W, 2)`` x and y in pixels of the current view.

    """
    height, width = labels.shape
    focal = FOCAL * width
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = x - drive.vanishing * width, y - drive.horizon * height
    ground = np.maximum(dy, 1e-3) / (focal * CAMERA_HEIGHT)
    wall = np.abs(dx) / (focal * np.where(dx < 0, drive.walls[0], drive.walls[1]))
    inverse_depth = np.maximum(ground, wall)
    inverse_depth[cv2.erode((labels == SKY).astype(np.uint8), np.ones((5, 5))) > 0] = 0.0
    grow = 1.0 / np.maximum(1.0 - drive.speed * seconds * inverse_depth, 0.25)
    shift_x = -focal * drive.yaw_rate * seconds
    shift_y = focal * drive.pitch
    moved_x = drive.vanishing * width + dx * grow + shift_x - drive.roll * dy
    moved_y = drive.horizon * height + dy * grow + shift_y + drive.roll * dx
    return np.stack((moved_x, moved_y), -1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object with its outline."""

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    """0..1, ``(h, w)``."""
    label: int


def cut_objects(data: LabelledImages, *, smallest: int = 150, largest: int = 16000) -> list[Cutout]:
    """Return the movable objects of labelled stills whose outline does not touch the border."""
    found = []
    for image, labels in zip(data.images, data.labels, strict=True):
        for label in MOVABLE:
            count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
            for i in range(1, count):
                x, y, w, h, area = (int(v) for v in stats[i])
                inside = x > 0 and y > 0 and x + w < labels.shape[1] and y + h < labels.shape[0]
                if smallest <= area <= largest and inside:
                    alpha = (parts[y : y + h, x : x + w] == i).astype(np.float32)
                    found.append(Cutout(image[y : y + h, x : x + w].copy(), alpha, label))
    return found


def paste(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None,
    cutout: Cutout,
    centre: tuple[float, float],
    scale: float,
) -> None:
    """Draw an object in place; ``centre`` in pixels, parts outside the image are cut off."""
    height, width = image.shape[:2]
    h, w = cutout.alpha.shape
    matrix = np.array([[scale, 0, centre[0] - scale * w / 2], [0, scale, centre[1] - scale * h / 2]])
    alpha = cv2.warpAffine(cutout.alpha, matrix, (width, height))
    x0, y0 = (max(int(v) - 1, 0) for v in matrix[:, 2])
    x1, y1 = int(x0 + scale * w + 4), int(y0 + scale * h + 4)
    region = (slice(y0, min(y1, height)), slice(x0, min(x1, width)))
    colour = cv2.warpAffine(cutout.image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    a = alpha[region][..., None]
    image[region] = (image[region] * (1 - a) + colour[region] * a).astype(np.uint8)
    if labels is not None:
        labels[alpha > 0.5] = cutout.label


def earlier_views(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    distances: tuple[int, ...],
    cutouts: list[Cutout],
    rng: np.random.Generator,
) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return views of the same drive earlier than a labelled still, and the still with the moving objects.

    Args:
        image: Current image ``(H, W, 3)`` RGB.
        labels: Its ids ``(H, W)``.
        distances: Frames (15 Hz) before the current one, one view each.
        cutouts: Objects that may move in front.
        rng: Source of randomness.

    Returns:
        The earlier views, the current image, the current labels.

    """
    drive = random_drive(rng)
    height, width = labels.shape
    movers = []
    for _ in range(rng.integers(0, 4) if cutouts else 0):
        cutout = cutouts[rng.integers(len(cutouts))]
        scale = float(np.exp(rng.normal(0, 0.4)))
        scale = min(scale, 0.5 * width / cutout.alpha.shape[1], 0.6 * height / cutout.alpha.shape[0])
        centre = np.array([rng.uniform(0, width), rng.uniform(0.4, 0.85) * height])
        velocity = rng.normal(0, (0.09 * width, 0.012 * height)) * np.sqrt(scale)  # pixels a second
        movers.append((cutout, scale, centre, velocity, float(rng.normal(0, 0.25))))
    views = []
    for distance in distances:
        seconds = distance * FRAME_SECONDS
        field = earlier_view_map(labels, drive, seconds)
        view = np.asarray(
            cv2.remap(image, field[..., 0], field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        for cutout, scale, centre, velocity, growth in movers:
            x, y = centre - velocity * seconds
            paste(view, None, cutout, (float(x), float(y)), scale * float(np.exp(-growth * seconds)))
        views.append(relight(view, rng, 0.2))
    current, target = image.copy(), labels.copy()
    for cutout, scale, centre, _, _ in movers:
        paste(current, target, cutout, (float(centre[0]), float(centre[1])), scale)
    return views, relight(current, rng, 0.2), target
