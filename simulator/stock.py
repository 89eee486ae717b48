"""Where the parts of the still scene are collected before the renderer gets them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.mesh import join

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simulator.labels import Label
    from simulator.mesh import Mesh
    from simulator.textures import Colour

COLOURS: list[Colour] = [
    (92, 96, 98),
    (52, 54, 56),
    (34, 50, 42),
    (150, 152, 152),
    (86, 70, 56),
    (232, 232, 228),
    (20, 20, 22),
    (70, 56, 46),
]
"""Plain colours of small parts, the texture ``colours``; the last two are black and bark."""
BLACK, BARK = 6, 7


@dataclass(slots=True)
class Stock:
    """Meshes by texture and class, the textures, and how high things stand where (for shadows)."""

    textures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    parts: dict[tuple[str, Label], list[Mesh]] = field(default_factory=lambda: defaultdict(list))
    blockers: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    """Rectangles ``(x0, y0, x1, y1, height)``."""

    def add(self, texture: str, label: Label, *meshes: Mesh) -> None:
        """Adds meshes that share a texture and a class."""
        self.parts[texture, label].extend(meshes)

    def merged(self) -> list[tuple[str, Label, Mesh]]:
        """One mesh for each texture and class."""
        return [(texture, label, join(meshes)) for (texture, label), meshes in self.parts.items()]
