"""A drive through a simulated quarter, frame by frame."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from simulator import ground, light, scene
from simulator.actors import Actor, Cast
from simulator.camera import Intrinsics, Mount, develop
from simulator.conditions import draw_conditions
from simulator.labels import Label, StreetFrame
from simulator.layout import KERB, REACH, Route, plan
from simulator.mesh import quad
from simulator.shade import Shader
from simulator.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from simulator.camera import View
    from simulator.mesh import Mesh

_SCALE = 2
"""Views are rendered this many times larger, then averaged, for smooth edges."""
_ROAD, _BLOCK = 100, 101


def _pybullet() -> Any:
    try:
        import pybullet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        message = 'the simulated street needs pybullet, which is not installed; run: pip install pybullet'
        raise ImportError(message) from error
    return pybullet


class _World:
    """The quarter inside the renderer."""

    def __init__(self) -> None:
        self._bullet = _pybullet()
        self._client = self._bullet.connect(self._bullet.DIRECT)
        self._kinds: list[int] = []
        self._actors: list[tuple[Actor, list[int]]] = []
        self._folder = tempfile.TemporaryDirectory()
        self._loaded = 0

    def close(self) -> None:
        """Frees the renderer."""
        self._bullet.disconnect(self._client)
        self._folder.cleanup()

    def _texture(self, image: NDArray[np.uint8]) -> int:
        path = Path(self._folder.name) / f'{self._loaded}.bmp'
        self._loaded += 1
        cv2.imwrite(str(path), image[..., ::-1])
        return int(self._bullet.loadTexture(str(path), physicsClientId=self._client))

    def _shape(self, mesh: Mesh) -> int:
        mesh = mesh.wound()
        return int(
            self._bullet.createVisualShape(
                self._bullet.GEOM_MESH,
                vertices=mesh.points.tolist(),
                indices=mesh.faces.ravel().tolist(),
                uvs=mesh.uvs.tolist(),
                normals=mesh.normals.tolist(),
                rgbaColor=[1, 1, 1, 1],
                specularColor=[0, 0, 0],
                physicsClientId=self._client,
            )
        )

    def _body(self, shape: int, texture: int, kind: int) -> int:
        client = self._client
        body = int(self._bullet.createMultiBody(0, -1, shape, physicsClientId=client))
        self._bullet.changeVisualShape(body, -1, textureUniqueId=texture, physicsClientId=client)
        self._kinds += [int(Label.VOID)] * (body + 1 - len(self._kinds))
        self._kinds[body] = kind
        return body

    def add(self, mesh: Mesh, image: NDArray[np.uint8], kind: int) -> None:
        """Adds something that stands still."""
        self._body(self._shape(mesh), self._texture(image), kind)

    def enter(self, actors: list[Actor]) -> None:
        """Adds the actors."""
        shapes: dict[int, int] = {}
        for actor in actors:
            texture = self._texture(actor.texture)
            bodies = []
            for part in actor.parts:
                if id(part) not in shapes:
                    shapes[id(part)] = self._shape(part)
                bodies.append(self._body(shapes[id(part)], texture, int(actor.label)))
            self._actors.append((actor, bodies))

    def place(self, seconds: float) -> None:
        """Moves the actors to where they are at a time."""
        for actor, bodies in self._actors:
            x, y, yaw = actor.track.at(seconds)
            c, s = np.cos(yaw), np.sin(yaw)
            h = np.array([np.cos(yaw / 2), np.sin(yaw / 2)])
            for body, (px, py, pz, angle) in zip(bodies, actor.poses(seconds), strict=True):
                at = (x + c * px - s * py, y + s * px + c * py, pz + actor.base)
                a, b = np.cos(angle / 2), np.sin(angle / 2)
                turn = (-h[1] * b, h[0] * b, h[1] * a, h[0] * a)
                self._bullet.resetBasePositionAndOrientation(body, at, turn, physicsClientId=self._client)

    def look(
        self, view: View, lens: Intrinsics, weather: light.Light
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
        """Colours, depth buffer and classes of one view."""
        width, height = lens.width, lens.height
        _, _, colour, depth, bodies = self._bullet.getCameraImage(
            width,
            height,
            view.matrix(),
            lens.projection(),
            lightDirection=weather.to_sun,
            lightColor=[1, 1, 1],
            lightDistance=200,
            shadow=0,
            lightAmbientCoeff=0.66 - 0.2 * weather.sun,
            lightDiffuseCoeff=0.75 * weather.sun,
            lightSpecularCoeff=0,
            renderer=self._bullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        kinds = np.array([*self._kinds, int(Label.SKY)], np.uint8)[np.reshape(bodies, (height, width))]
        rgb = np.reshape(np.asarray(colour, np.uint8), (height, width, 4))[..., :3]
        return rgb, np.reshape(np.asarray(depth, np.float32), (height, width)), kinds


def majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halves a map of classes: the class of most of each four pixels, the first one of a tie."""
    quarter = np.stack([labels[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    votes = (quarter[:, None] == quarter[None]).sum(1)
    best = votes.argmax(0)
    return np.asarray(np.take_along_axis(quarter, best[None], 0)[0], np.uint8)


def field_of_view(seed: int) -> float:
    """Horizontal field of view of a drive's camera in degrees."""
    return float(np.random.default_rng([seed, 2]).uniform(60, 68))


class _Quarter:
    """Everything of one drive: the world, the route, the camera."""

    def __init__(
        self, seed: int, *, part: int, frames: int, size: tuple[int, int], fps: float, varied: bool
    ) -> None:
        streams = np.random.SeedSequence([seed, part]).spawn(6)
        rngs = [np.random.default_rng(s) for s in streams]
        met = draw_conditions(seed, part, frames / fps) if varied else None
        layout = plan(rngs[0], met.turn if met else None, met.start if met else None)
        self._fps, self._size, self._noise = fps, size, rngs[5]
        weather = light.weather(rngs[1])
        self._light = light.hazed(weather, met.haze) if met else weather
        stock = scene.build(rngs[2], layout)
        self._route = Route(layout)
        speed = rngs[3].uniform(5.5, 8.5)
        self._ways = self._route.ways(frames + 2, fps, met.speed if met else speed)
        density = met.density if met else 1.0
        self._cast = Cast(rngs[3], layout, self._route, self._ways, fps, density).everyone()
        self._field = field_of_view(seed)
        self._lens = Intrinsics.with_field((size[0] * _SCALE, size[1] * _SCALE), self._field)
        self._mount = Mount(np.random.default_rng([seed, 3]), fps)
        field = light.shadow_field(stock.blockers, self._light)
        laid = ground.lay(rngs[2], layout)
        self._shader, self._laid = Shader(laid, self._light, field, self._lens), laid.labels
        self.world = _World()
        far = 2 * REACH
        grey = np.full((8, 8, 3), 140, np.uint8)
        road = quad([(-far, -far, 0), (far, -far, 0), (far, far, 0), (-far, far, 0)])
        top, kerb = ground.blocks(layout, KERB)
        for mesh, kind in ((road, _ROAD), (top, _BLOCK), (kerb, int(Label.PAVEMENT))):
            self.world.add(mesh, grey, kind)
        for texture, label, mesh in stock.merged():
            self.world.add(mesh, stock.textures[texture], int(label))
        self.world.enter(self._cast)

    def frame(self, index: int, *, truth: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Truth | None]:
        """Image and classes of one frame, and where everything is if wanted."""
        seconds = index / self._fps
        pose = self._route.at(self._ways[index])
        bend = (self._route.at(self._ways[index + 1])[2] - pose[2]) * self._fps
        view = self._mount.view(pose, bend, index)
        self.world.place(seconds)
        rgb, depth, kinds = self.world.look(view, self._lens, self._light)
        things = [(actor.track.at(seconds), actor.size) for actor in self._cast]
        spots = self._shader.moving_shadows(pose, things)
        linear, labels = self._shader.shade(rgb, depth, kinds, view, spots)
        small = cv2.resize(linear, self._size[::-1], interpolation=cv2.INTER_AREA)
        image = develop(self._light, np.asarray(small, np.float32), self._noise)
        if not truth:
            return image, majority(labels), None
        lens = Intrinsics.with_field(self._size, self._field)
        # The renderer samples at the upper right corner of its pixels: these are the middles of ours.
        return image, majority(labels), Truth(depth[::_SCALE, 1::_SCALE], lens, view, self._laid, things)


def render_drive(
    seed: int,
    frames: int,
    *,
    size: tuple[int, int] = (360, 480),
    fps: float = 15.0,
    scene_change_at: int | None = None,
    every: int = 1,
    varied: bool = False,
    truth: bool = False,
) -> Iterator[StreetFrame]:
    """Renders a drive through a simulated street.

    The same arguments give the same frames; everything else about the drive follows from the seed.

    Args:
        seed: Chooses streets, houses, weather, traffic, the way and the camera.
        frames: Length of the drive in frames.
        size: Rows and columns of the images.
        fps: Frames a second.
        scene_change_at: Number of the frame from which on the drive goes on somewhere else.
        every: Renders only every so many frames.
        varied: Draws haze, speed, traffic and turns more widely (`conditions`).
        truth: Adds exact depth and where everything is.

    Yields:
        The frames in order of time.

    Raises:
        ImportError: pybullet is missing.
    """
    start, quarter = 0, None
    try:
        for index in range(0, frames, every):
            jump = scene_change_at is not None and start == 0 and index >= scene_change_at > 0
            if quarter is None or jump:
                start = index if jump else 0
                if quarter is not None:
                    quarter.world.close()
                quarter = _Quarter(
                    seed, part=int(jump), frames=frames - start, size=size, fps=fps, varied=varied
                )
            image, labels, exact = quarter.frame(index - start, truth=truth)
            yield StreetFrame(image, labels, round(index * 1e9 / fps), exact)
    finally:
        if quarter is not None:
            quarter.world.close()
