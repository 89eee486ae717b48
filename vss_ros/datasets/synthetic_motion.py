"""Earlier views of labelled stills: motion with exact labels and flow where no video is labelled.

The annotated still is the *current* frame. What a camera saw some frames earlier is rendered from it: a car's
own motion moves the scene (`ego_motion`), and objects cut from other stills move in front, covering and
uncovering. Each of these motions can be followed exactly, and it is known what was hidden or outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import torch
from pydantic import Field

from vss_ros.datasets.augment import draw_light, lit, planes_of
from vss_ros.datasets.ego_motion import FRAME_SECONDS, Drive, EgoMotion, random_drive
from vss_ros.schema import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.datasets.labelled import LabelledImages

SEEN = 0.99
"""Share of a pixel, and of the four about its earlier place, that one thing has to fill to be followed."""
SAME_PLACE = 0.5
"""Pixels by which a place may be missed on the way to the earlier view and back; beyond, it was hidden."""
MUCH = 100
"""No part of the variety is meant in such numbers."""
Strength = Annotated[float, Field(ge=0, lt=MUCH)]
EXPOSURES = 5
"""Instants that a motion-blurred view is the mean of."""


class Variety(Schema):
    """What varies from drive to drive beside the motion of the car; 0 switches each off."""

    objects: Annotated[int, Field(ge=0, lt=MUCH)] = 3
    """At most so many objects move in front."""
    lens: Strength = 0.04
    """Spread of the lens distortion (`Drive.lens`)."""
    light: Strength = 0.2
    """Strength of the change of light between the frames, 1 being that between drives."""
    blur: Strength = 0.3
    """Share of drives whose frames are exposed long enough to be blurred by motion."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object with its outline."""

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    """0..1, ``(h, w)``."""
    label: int


@dataclass(frozen=True, slots=True)
class Mover:
    """An object on its own way through the image, at steady pace."""

    cutout: Cutout
    centre: tuple[float, float]
    """Column and row in the current view, pixels."""
    velocity: tuple[float, float]
    """Pixels per second."""
    scale: float
    """Of the cutout in the current view."""
    growth: float
    """Of the scale's logarithm, per second."""

    def matrix(self, seconds: float) -> NDArray[np.float64]:
        """Return the affine map ``(2, 3)`` from the cutout's pixels to the view ``seconds`` earlier."""
        scale = self.scale * np.exp(-self.growth * seconds)
        h, w = self.cutout.alpha.shape
        x, y = np.subtract(self.centre, np.multiply(self.velocity, seconds))
        return np.array([[scale, 0, x - scale * w / 2], [0, scale, y - scale * h / 2]])

    def moved(self, places: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
        """Return where places ``(2, H, W)`` on the object in the current view were ``seconds`` earlier."""
        now, then = self.matrix(0.0), self.matrix(seconds)
        scale = then[0, 0] / now[0, 0]
        shift = then[:, 2] - scale * now[:, 2]
        return np.asarray(places * scale + shift[:, None, None], np.float32)

    def alpha(self, seconds: float, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return how much of each pixel of a view ``size`` the object covers, 0..1."""
        return np.asarray(cv2.warpAffine(self.cutout.alpha, self.matrix(seconds), size[::-1]), np.float32)

    def paint(self, image: NDArray[np.uint8], alpha: NDArray[np.float32], seconds: float) -> None:
        """Draw the object, in place, into a view ``(H, W, 3)`` ``seconds`` earlier, which ``alpha`` is of."""
        rows, columns = (np.flatnonzero(alpha.any(axis)) for axis in (1, 0))
        if not len(rows):
            return
        y, x = int(rows[0]), int(columns[0])
        region = (slice(y, int(rows[-1]) + 1), slice(x, int(columns[-1]) + 1))
        covered = alpha[region][..., None]
        matrix = self.matrix(seconds) - [[0, 0, x], [0, 0, y]]
        colour = cv2.warpAffine(
            self.cutout.image, matrix, covered.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
        )
        image[region] = np.rint(image[region] * (1 - covered) + colour * covered).astype(np.uint8)


def cut_objects(
    data: LabelledImages, classes: tuple[int, ...], *, smallest: int = 150, largest: int = 16000
) -> list[Cutout]:
    """Return the objects of some classes whose outline does not touch the border; areas are in pixels."""
    found = []
    for image, labels in zip(data.images, data.labels, strict=True):
        for label in classes:
            count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
            for i in range(1, count):
                x, y, w, h, area = (int(v) for v in stats[i])
                inside = x > 0 and y > 0 and x + w < labels.shape[1] and y + h < labels.shape[0]
                if smallest <= area <= largest and inside:
                    alpha = (parts[y : y + h, x : x + w] == i).astype(np.float32)
                    found.append(Cutout(image[y : y + h, x : x + w].copy(), alpha, label))
    return found


def random_mover(cutouts: list[Cutout], size: tuple[int, int], rng: np.random.Generator) -> Mover:
    """Return one of the objects somewhere in the lower part of a view ``size``, on some way."""
    height, width = size
    cutout = cutouts[rng.integers(len(cutouts))]
    scale = float(np.exp(rng.normal(0, 0.4)))
    scale = min(scale, 0.5 * width / cutout.alpha.shape[1], 0.6 * height / cutout.alpha.shape[0])
    x, y = rng.uniform(0, width), rng.uniform(0.4, 0.85) * height
    speed = rng.normal(0, (0.09 * width, 0.012 * height)) * np.sqrt(scale)
    return Mover(cutout, (x, y), (float(speed[0]), float(speed[1])), scale, float(rng.normal(0, 0.25)))


@dataclass(frozen=True, slots=True)
class Moment:
    """The layers of one instant: the scene, and the objects in front of it."""

    seconds: float
    """Before the current view."""
    source: NDArray[np.float32]
    """Where the scene of each pixel lies in the still, ``(2, H, W)`` x and y."""
    alphas: list[NDArray[np.float32]] = field(default_factory=list)
    """What each object covers of each pixel, the later in front, ``(H, W)`` 0..1."""

    def visible(self, layer: int) -> NDArray[np.float32]:
        """Return what is seen of the scene (layer 0) or of an object (from 1 on), ``(H, W)`` 0..1."""
        shape = self.source.shape[1:]
        seen = self.alphas[layer - 1].copy() if layer else np.ones(shape, np.float32)
        for alpha in self.alphas[layer:]:
            seen *= 1 - alpha
        return seen


class MovingStill:
    """A labelled still that can be seen from earlier.

    Args:
        image: The current view without the objects, RGB ``(H, W, 3)``.
        labels: Its ids ``(H, W)``.
        drive: How the camera came here.
        movers: What moves in front, the later in front of the earlier.
        sky: Id of what is infinitely far, None where there is no such class.
    """

    def __init__(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        drive: Drive,
        movers: tuple[Mover, ...] = (),
        sky: int | None = 0,
    ) -> None:
        self._image, self._labels, self._movers = image, labels, movers
        self._sky = (labels == sky).astype(np.uint8) if sky is not None and (labels == sky).any() else None
        self._ego = EgoMotion(drive, (labels.shape[0], labels.shape[1]))
        self._now = self.at(0.0)

    def at(self, seconds: float) -> Moment:
        """Return the layers ``seconds`` before the current view."""
        height, width = self._labels.shape
        alphas = [mover.alpha(seconds, (height, width)) for mover in self._movers]
        if seconds == 0:
            return Moment(0.0, self._ego.grid, alphas)
        source = self._ego.to_current(seconds)
        if self._sky is None:
            return Moment(seconds, source, alphas)
        far = self._ego.to_current(seconds, sky=True)
        # Houses hide the sky. Sky that they hide only in the current view looks like the sky beside them.
        clear = _sampled(self._sky, source, cv2.INTER_NEAREST) & _sampled(self._sky, far, cv2.INTER_NEAREST)
        return Moment(seconds, np.where(clear > 0, far, source), alphas)

    def image(self, moment: Moment) -> NDArray[np.uint8]:
        """Return what the camera saw, RGB ``(H, W, 3)``, of an instant."""
        view = self._image.copy() if moment.seconds == 0 else _sampled(self._image, moment.source)
        for mover, alpha in zip(self._movers, moment.alphas, strict=True):
            mover.paint(view, alpha, moment.seconds)
        return view

    def exposed(self, moment: Moment, exposure: float) -> NDArray[np.uint8]:
        """Return what the camera saw in ``exposure`` seconds about an instant: blurred by all that moved."""
        if not exposure:
            return self.image(moment)
        total = np.zeros(self._image.shape, np.uint16)
        for shift in np.linspace(-0.5, 0.5, EXPOSURES) * exposure:
            total += self.image(moment if shift == 0 else self.at(moment.seconds + shift))
        return np.asarray((total + EXPOSURES // 2) // EXPOSURES, np.uint8)

    def labels(self, moment: Moment) -> NDArray[np.uint8]:
        """Return the exact ids of an instant ``(H, W)``."""
        ids = _sampled(self._labels, moment.source, cv2.INTER_NEAREST)
        for mover, alpha in zip(self._movers, moment.alphas, strict=True):
            ids[alpha > 0.5] = mover.cutout.label
        return ids

    def flow(self, moment: Moment) -> NDArray[np.float32]:
        """Return the exact flow from the current view to that of an earlier moment.

        Returns:
            ``(H, W, 2)`` float32, x and y in pixels: what is at ``(i, j)`` was at ``(i + y, j + x)``. NaN
            where it was hidden or outside, and where a pixel of either view mixes things that move apart.
        """
        flow = np.full(self._ego.grid.shape, np.nan, np.float32)
        for layer in range(len(self._movers) + 1):
            places = self._earlier(layer, moment.seconds)
            known = self._now.visible(layer) > SEEN
            known &= _sampled(moment.visible(layer), places, border=0) > SEEN
            if layer == 0:
                for back, here in zip(moment.source, self._ego.grid, strict=True):
                    known &= np.abs(_sampled(back, places) - here) < SAME_PLACE
            flow = np.where(known, places - self._ego.grid, flow)
        return np.ascontiguousarray(flow.transpose(1, 2, 0))

    def _earlier(self, layer: int, seconds: float) -> NDArray[np.float32]:
        """Return where every pixel of the current view was, were it of this layer, ``(2, H, W)``."""
        if layer:
            return self._movers[layer - 1].moved(self._ego.grid, seconds)
        places = self._ego.to_earlier(seconds)
        if self._sky is None:
            return places
        return np.where(self._sky > 0, self._ego.to_earlier(seconds, sky=True), places)


def random_motion(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    cutouts: list[Cutout],
    variety: Variety,
    rng: np.random.Generator,
    sky: int | None = 0,
) -> MovingStill:
    """Return a still ``(H, W, 3)`` with ids ``(H, W)``, with a random drive and random objects in front."""
    drive = random_drive(rng, variety.lens)
    count = int(rng.integers(0, variety.objects + 1)) if cutouts else 0
    size = (labels.shape[0], labels.shape[1])
    movers = tuple(random_mover(cutouts, size, rng) for _ in range(count))
    return MovingStill(image, labels, drive, movers, sky)


def photographed(
    scene: MovingStill, moments: list[Moment], variety: Variety, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """Return what one camera made of several instants: only the light changes.

    Exposure, sharpness and noise are the camera's. Were they drawn for each frame, features would differ
    where nothing moved, and a network that compares frames would learn to ignore what differs.
    """
    exposure = rng.uniform(0.1, 0.6) * FRAME_SECONDS if rng.random() < variety.blur else 0.0
    views = [scene.exposed(moment, exposure) for moment in moments]
    if not variety.light:
        return views
    camera = draw_light(rng, variety.light)
    drawn = [draw_light(rng, variety.light) for _ in views]
    lights = [replace(light, blur=camera.blur, noise=camera.noise) for light in drawn]
    planes = [planes_of(torch.from_numpy(view)) for view in views]
    return [lit(x, light, rng).numpy() for x, light in zip(planes, lights, strict=True)]


def _sampled(
    values: NDArray[Any],
    places: NDArray[np.float32],
    mode: int = cv2.INTER_LINEAR,
    border: float | None = None,
) -> NDArray[Any]:
    """Return values at fractional places; beyond the border is ``border``, or the outermost once more."""
    edge = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    x, y = places
    found = cv2.remap(values, x, y, mode, borderMode=edge, borderValue=(border or 0.0,))
    return np.asarray(found, values.dtype)
