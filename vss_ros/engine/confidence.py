"""How sure an answer is: the winner's probability, made true by a temperature for its age and class.

A network's softmax is no share of answers that are right, and less so the longer an answer was carried along.
``vss models calibrate`` learns temperatures T, so that ``softmax(logits / T)`` is (Guo et al. 2017, section
4.2), and writes them into the card. Without them the confidence falls with the age by a rule of thumb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import torch
from pydantic import Field, model_validator

from vss_ros.schema import FROM_LIST, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray
    from torch import Tensor

DECAY = 0.98
"""Factor on the confidence per frame of age where no temperatures were learned."""
UNKNOWN = 255
"""Label of pixels below the least confidence: a class in no table, void to whatever reads masks here."""


class Group(Schema):
    """Classes that share their temperatures."""

    classes: Annotated[tuple[str, ...], FROM_LIST]
    temperatures: Annotated[tuple[Annotated[float, Field(gt=0)], ...], FROM_LIST]
    """One for each of the ages."""


class Calibration(Schema):
    """Temperatures of a network's answers as one propagation carries them along."""

    ages: Annotated[tuple[Annotated[int, Field(ge=0)], ...], FROM_LIST]
    """Frames since the one that the whole network saw, rising; between two of them temperatures are mixed."""
    groups: Annotated[tuple[Group, ...], FROM_LIST]
    made: dict[str, Any] = Field(default_factory=dict)
    """How they were learned."""
    scores: dict[str, Any] = Field(default_factory=dict)
    """Expected calibration errors, measured on other images."""

    @model_validator(mode='after')
    def _complete(self) -> Self:
        if not self.ages or any(len(group.temperatures) != len(self.ages) for group in self.groups):
            raise ValueError(f'expected as many temperatures as the ages {list(self.ages)} in each group')
        if sorted({*self.ages}) != list(self.ages):
            raise ValueError(f'expected rising ages, got {list(self.ages)}')
        return self

    def temperatures(self, age: int, names: Sequence[str]) -> Tensor:
        """Return the temperature of each class ``(C,)`` at an age; 1 for one that is in no group."""
        by_name = {
            name: float(np.interp(age, self.ages, group.temperatures))
            for group in self.groups
            for name in group.classes
        }
        return torch.tensor([by_name.get(name, 1.0) for name in names])


class Confidence:
    """Says of each pixel how sure its answer is.

    Args:
        calibration: Learned temperatures; None for the rule of thumb.
        names: The classes.
        least: Confidence, 0 to 1, below which a pixel's label is ``UNKNOWN``; 0 for none.
    """

    def __init__(
        self, calibration: Calibration | None = None, names: Sequence[str] = (), least: float = 0.0
    ) -> None:
        self._calibration, self._names, self.least = calibration, names, least
        self._known: dict[int, Tensor] = {}

    def of(self, logits: Tensor, size: tuple[int, int], age: int) -> NDArray[np.uint8]:
        """Return 0..255 for answers ``(1, C, h, w)``, so many frames old, at a height and width."""
        if self._calibration is None:
            return confidence_upsampled(logits, size, factor=DECAY**age)
        last = min(age, self._calibration.ages[-1])
        if last not in self._known:
            self._known[last] = self._calibration.temperatures(last, self._names).to(logits.device)
        return confidence_upsampled(logits, size, self._known[last])

    def hide(self, labels: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> None:
        """Replace the labels of pixels that are not sure enough, in place."""
        if self.least:
            labels[confidence < 255 * self.least] = UNKNOWN


def confidence_upsampled(
    logits: Tensor, size: tuple[int, int], temperatures: Tensor | None = None, factor: float = 1.0
) -> NDArray[np.uint8]:
    """Return the winner's softmax probability as 0..255, shape ``size``.

    Args:
        logits: ``(1, C, h, w)`` float.
        size: Height and width of the result.
        temperatures: By the winner's class, ``(C,)``; None for 1.
        factor: On the result.
    """
    values = logits[0].float()
    if temperatures is not None:
        best, scale = values.amax(0), temperatures[0]
        for one in temperatures.unique():  # few: looking up each pixel's takes three times as long
            scale = torch.where(values[temperatures == one].amax(0) >= best, one, scale)
        values = values / scale
    sure = values.softmax(0).amax(0).mul(255.0 * factor).to(torch.uint8).cpu().numpy()
    return np.asarray(cv2.resize(sure, size[::-1], interpolation=cv2.INTER_LINEAR))
