"""Meshes and gaits of pedestrians and bicyclists.

A figure is a set of rigid parts. Parts look along x in their own frame; a limb hangs down from its joint.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from simulator.mesh import Mesh, ball, box, join, tube
from simulator.textures import cell

if TYPE_CHECKING:
    from numpy.random import Generator

SKIN, HAIR, TOP, LEGS, SHOES, BAG, FRAME, TYRE = range(8)
"""Colour cells of a figure's palette."""

PartPose = tuple[float, float, float, float]
"""Joint position x, y, z in the figure's frame, and rotation about its y axis in radians."""


def _c(index: int) -> tuple[float, float, float, float]:
    return cell(index, 8)


def colours(rng: Generator) -> list[tuple[int, int, int]]:
    """A palette for one figure, mostly in dark clothes."""
    skin = [(198, 152, 126), (170, 122, 96), (116, 80, 62), (212, 170, 146)][rng.integers(4)]
    hair = [(40, 30, 24), (82, 58, 38), (24, 22, 22), (150, 122, 82), (120, 118, 116)][rng.integers(5)]
    tops = (
        (34, 36, 44),
        (50, 48, 48),
        (28, 40, 66),
        (88, 34, 36),
        (64, 72, 54),
        (140, 138, 132),
        (104, 70, 46),
    )
    top = (196, 208, 40) if rng.random() < 0.1 else tops[rng.integers(len(tops))]
    legs = [(36, 40, 54), (30, 30, 32), (66, 62, 56), (54, 66, 92)][rng.integers(4)]
    bag = [(28, 28, 30), (120, 40, 36), (70, 52, 36)][rng.integers(3)]
    frame = [(30, 30, 34), (140, 24, 24), (30, 60, 110), (180, 180, 178)][rng.integers(4)]
    return [skin, hair, top, legs, (32, 28, 26), bag, frame, (22, 22, 24)]


def _head(x: float, z: float, helmet: bool = False) -> list[Mesh]:
    cap = FRAME if helmet else HAIR
    return [
        tube((x, 0, z - 0.2), (x, 0, z), (0.055, 0.05), 6, _c(SKIN)),
        ball((x + 0.02, 0, z), (0.1, 0.08, 0.125), 5, 8, _c(SKIN)),
        ball((x - 0.02, 0, z + 0.035), (0.11, 0.095, 0.11), 5, 8, _c(cap)),
    ]


def _ellipse(mesh: Mesh, deep: float) -> Mesh:
    """Flattens a tube around z along x."""
    return Mesh(mesh.points * np.array([deep, 1, 1]), mesh.normals, mesh.uvs, mesh.faces)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's parts; its pose over time is for `walk_pose` or `ride_pose` to say."""

    parts: tuple[Mesh, ...]
    height: float
    stride: float
    """Distance walked, or ridden, during one cycle of the limbs, in metres."""


def _limb(length: float, radii: tuple[float, float], colour: int, end: int | None) -> Mesh:
    meshes = [tube((0, 0, 0.03), (0, 0, -length), radii, 7, _c(colour))]
    if end == SHOES:
        meshes.append(box((0.06, 0, -length - 0.03), (0.26, 0.1, 0.09), _c(SHOES)))
    elif end is not None:
        meshes.append(ball((0, 0, -length - 0.03), (0.05, 0.04, 0.07), 3, 6, _c(end)))
    return join(meshes)


def pedestrian(rng: Generator) -> Figure:
    """Someone on foot, about 1.6 m to 1.9 m tall: trunk, two arms, two thighs, two shins."""
    scale = rng.uniform(0.93, 1.07)
    stout = rng.uniform(0.9, 1.15)
    coat = rng.random() < 0.4
    hem = 0.62 if coat else 0.82
    trunk = [
        _ellipse(tube((0, 0, hem), (0, 0, 1.05), (0.2 * stout, 0.165 * stout), 8, _c(TOP)), 0.66),
        _ellipse(tube((0, 0, 1.05), (0, 0, 1.4), (0.165 * stout, 0.215 * stout), 8, _c(TOP)), 0.62),
        _ellipse(tube((0, 0, 1.4), (0, 0, 1.48), (0.215 * stout, 0.08), 8, _c(TOP)), 0.62),
        *_head(0.02, 1.62),
    ]
    if not coat:
        trunk.append(_ellipse(tube((0, 0, 0.78), (0, 0, 0.88), (0.165, 0.175), 8, _c(LEGS)), 0.7))
    if rng.random() < 0.35:
        trunk.append(box((-0.2, 0, 1.2), (0.16, 0.28, 0.42), _c(BAG)))
    arm = _limb(0.56, (0.06, 0.042), TOP, SKIN)
    thigh, shin = _limb(0.42, (0.095, 0.07), LEGS, None), _limb(0.4, (0.068, 0.05), LEGS, SHOES)
    parts = (join(trunk), arm, arm, thigh, thigh, shin, shin)
    scaled = tuple(Mesh(m.points * scale, m.normals, m.uvs, m.faces) for m in parts)
    return Figure(scaled, 1.74 * scale, 1.45 * scale)


def walk_pose(figure: Figure, way: float, standing: bool) -> list[PartPose]:
    """Where a pedestrian's parts are after ``way`` metres."""
    s = figure.height / 1.74
    phase = 2 * np.pi * way / figure.stride
    swing = 0.06 if standing else 0.42
    bob = 0.0 if standing else 0.02 * np.cos(2 * phase)
    poses: list[PartPose] = [(0.0, 0.0, bob * s, 0.0)]
    legs = [swing * float(np.sin(phase + k * np.pi)) for k in (0, 1)]
    poses += [(0.0, y * s, (1.4 + bob) * s, 0.6 * legs[k]) for k, y in ((0, 0.24), (1, -0.24))]
    shins: list[PartPose] = []
    for k, y in ((0, 0.1), (1, -0.1)):
        angle = -legs[k]
        poses.append((0.0, y * s, (0.88 + bob) * s, angle))
        bend = 0.0 if standing else 0.35 + 0.35 * float(np.cos(phase + k * np.pi + 0.6))
        knee = (-0.42 * np.sin(angle), 0.88 + bob - 0.42 * np.cos(angle))
        shins.append((float(knee[0]) * s, y * s, float(knee[1]) * s, angle + bend))
    return poses + shins


_HIP, _CRANK, _PEDAL = np.array([-0.16, 0.98]), np.array([0.02, 0.3]), 0.17
_THIGH, _SHIN = 0.44, 0.44


def _xz(point: tuple[float, float]) -> tuple[float, float, float]:
    return point[0], 0.0, point[1]


def _bicycle_frame() -> list[Mesh]:
    meshes = []
    turn = np.linspace(0, 2 * np.pi, 17)
    for x in (-0.5, 0.56):
        rim = np.stack([x + 0.33 * np.cos(turn), np.zeros(17), 0.34 + 0.33 * np.sin(turn)], 1)
        meshes += [tube(a, b, (0.03, 0.03), 4, _c(TYRE)) for a, b in pairwise(rim)]
        meshes += [tube(a, (x, 0, 0.34), (0.008, 0.008), 3, _c(FRAME)) for a in rim[:-1:2]]
    rear, crank, seat, head, front = (-0.5, 0.34), (0.02, 0.3), (-0.16, 0.88), (0.42, 0.82), (0.56, 0.34)
    for a, b in ((rear, crank), (crank, seat), (rear, seat), (seat, head), (crank, head), (head, front)):
        meshes.append(tube(_xz(a), _xz(b), (0.022, 0.022), 5, _c(FRAME)))
    meshes.append(tube(_xz(head), (0.4, 0, 1.02), (0.018, 0.018), 5, _c(FRAME)))
    meshes.append(tube((0.43, -0.27, 1.02), (0.43, 0.27, 1.02), (0.02, 0.02), 5, _c(TYRE)))
    meshes.append(box((-0.18, 0, 0.92), (0.26, 0.15, 0.06), _c(TYRE)))
    meshes.append(box((-0.8, 0, 0.6), (0.05, 0.1, 0.16), _c(TYRE)))
    return meshes


def cyclist(rng: Generator) -> Figure:
    """A bicycle with its rider: one body for bicycle, trunk and arms, then two thighs and two shins."""
    meshes = _bicycle_frame()
    shoulder = (0.14, 1.46)
    trunk = [
        tube((-0.18, 0, 0.9), (0.0, 0, 1.2), (0.17, 0.16), 8, _c(TOP)),
        tube((0.0, 0, 1.2), _xz(shoulder), (0.16, 0.2), 8, _c(TOP)),
        *_head(0.26, 1.66, helmet=bool(rng.random() < 0.6)),
    ]
    for y in (0.2, -0.2):
        elbow = (0.3, y * 1.2, 1.2)
        trunk.append(tube((shoulder[0], y, shoulder[1] - 0.03), elbow, (0.06, 0.05), 6, _c(TOP)))
        trunk.append(tube(elbow, (0.46, y * 1.1, 1.04), (0.05, 0.04), 6, _c(SKIN)))
    if rng.random() < 0.4:
        trunk.append(box((-0.16, 0, 1.3), (0.18, 0.3, 0.4), _c(BAG)))
    thigh, shin = _limb(_THIGH, (0.085, 0.065), LEGS, None), _limb(_SHIN - 0.05, (0.062, 0.045), LEGS, SHOES)
    return Figure((join(meshes + trunk), thigh, thigh, shin, shin), 1.8, 4.2)


def ride_pose(figure: Figure, way: float) -> list[PartPose]:
    """Where a bicyclist's parts are after ``way`` metres; the knees follow from the pedals."""
    phase = 2 * np.pi * way / figure.stride
    thighs: list[PartPose] = []
    shins: list[PartPose] = []
    for k, y in ((0, 0.1), (1, -0.1)):
        turn = -phase + k * np.pi
        pedal = _CRANK + _PEDAL * np.array([np.cos(turn), np.sin(turn)]) + np.array([0.0, 0.08])
        reach = pedal - _HIP
        length = min(float(np.hypot(*reach)), _THIGH + _SHIN - 1e-3)
        # Angles are measured from straight down; a limb that points forwards has a negative rotation about y.
        line = float(np.arctan2(reach[0], -reach[1]))
        bend = float(np.arccos((_THIGH**2 + length**2 - _SHIN**2) / (2 * _THIGH * length)))
        angle = line + bend
        knee = _HIP + _THIGH * np.array([np.sin(angle), -np.cos(angle)])
        lower = float(np.arctan2(pedal[0] - knee[0], knee[1] - pedal[1]))
        thighs.append((float(_HIP[0]), y, float(_HIP[1]), -angle))
        shins.append((float(knee[0]), y, float(knee[1]), -lower))
    return [(0.0, 0.0, 0.0, 0.0), *thighs, *shins]
