"""What every metric is: counts over answered frames that can be stored, added and turned into figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from vss_ros.engine.registry import Registry
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix, check_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.evaluation.rows import FrameRow


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFrame:
    """One answered frame."""

    image: NDArray[np.uint8]
    """The camera's, RGB, ``(H, W, 3)``."""
    labels: NDArray[np.uint8]
    """The answer as the engine gave it: class ids at the size of its labels."""
    mask: NDArray[np.uint8]
    """The answer at the size at which it is scored, that of the truth."""
    truth: NDArray[np.uint8] | None
    """Class ids and the void id; None where the frame has none."""
    confusion: ConfusionMatrix | None
    """``mask`` against ``truth``, this frame alone; None without truth."""
    row: FrameRow
    """What was decided."""
    confidence: NDArray[np.uint8] | None = None
    """How sure each pixel of ``mask`` is, 0..255; None where nobody asked."""
    age: int = 0
    """Frames since the one that the whole network saw."""


SCORES = ('miou', 'agreement')
"""Names that the score has in results: against true masks, with the per-frame network's answers."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Names in a summary."""

    classes: tuple[str, ...]
    """In order of their ids."""
    score: str
    """One of ``SCORES``."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a configuration as tables show it."""

    key: str
    """Its name among all columns."""
    path: tuple[str, ...]
    """The keys that lead to it in a configuration's results or timing; ``score`` stands for the name that the
    score has there. Where they lead to several numbers by name, these are added."""
    head: str
    """Heading; ``{score}`` stands for mIoU or agreement, here and in ``about`` and ``short``."""
    about: str
    """What it means, a sentence or two."""
    unit: str = '%'
    """With ``%`` the file holds a share of one."""
    higher_is_better: bool | None = True
    """None where it is neither good nor bad."""
    digits: int = 1
    beside_score: bool = False
    """Whether it says nothing where there is no score."""
    short: tuple[str, str] | None = None
    """Heading in two short lines for the terminal's table; None to leave it out there."""

    def value(self, result: Mapping[str, Any], timing: Mapping[str, Any]) -> float | None:
        """Return the figure in ``unit`` from entries of ``results.json`` and ``timing.json``, or None."""
        if self.beside_score and _first(result, SCORES) is None:
            return None
        found: Any = result if self.path[0] in (*result, 'score') else timing
        for name in self.path:
            found = _first(found, SCORES if name == 'score' else (name,))
        if isinstance(found, dict):
            found = sum(found.values())
        return None if found is None else 100 * found if self.unit == '%' else found

    def named(self, score: str) -> Column:
        """Return the column with ``mIoU`` or ``agreement`` in place of ``{score}``."""
        head, about = self.head.format(score=score), self.about.format(score=score)
        brief = 'agree' if score == 'agreement' else score
        short = self.short and (self.short[0].format(score=brief), self.short[1].format(score=brief))
        return replace(self, head=head, about=about, short=short)


def _first(values: Mapping[str, Any] | None, names: Sequence[str]) -> Any:
    """Return the first of some entries that there is."""
    found = (values or {}).get
    return next((found(name) for name in names if found(name) is not None), None)


class Metric(ABC):
    """Counts over answered frames, and the figures that are read from them.

    One file a metric: a subclass under ``@METRICS.register(name)`` in this folder. Evaluations then count it,
    store its counts by its name, add those of all inputs and put its figures into the summary; ``columns``
    show them in reports. Counts are kept in ``sums`` and ``matrices``, which the base class adds and
    stores; a metric that needs others overrides ``merge``, ``to_dict`` and ``from_dict``.

    Args:
        classes: Number of classes C; ids are 0 to C - 1.
        void_id: True label of pixels to ignore.

    Raises:
        VssError: The void id is a class id.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    nothing: ClassVar[Mapping[str, Any]] = {}
    """Entries of the summary where no input has counts."""
    needs_truth: ClassVar[bool] = True
    """Whether a summary counts only the inputs with the kind of truth that its accuracy is against."""
    needs_latencies: ClassVar[bool] = False
    """Whether the result depends on a clock: it then belongs to ``timing.json``, not to ``results.json``."""
    sees_replay: ClassVar[bool] = True
    """Whether the answers of a replay are given to ``update``; False where counts are made apart from it."""

    def __init__(self, classes: int, void_id: int) -> None:
        check_classes(classes, void_id)
        self.classes, self.void_id = classes, void_id
        self.sums: Counter[str] = Counter()
        """Numbers by name."""
        self.matrices: dict[int, ConfusionMatrix] = {}
        """Confusion matrices by number; a metric that needs but one has it as number 0."""

    @abstractmethod
    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame; frames come in order, those without truth too.

        Raises:
            VssError: The truth is of other classes.
        """

    def finish(self, latencies: Sequence[float]) -> None:  # noqa: B027 -- most metrics need no clock
        """Take the latencies of all frames so far, seconds, where ``needs_latencies``."""

    @abstractmethod
    def values(self, naming: Naming) -> dict[str, Any]:
        """Return the metric's entries of a summary, plain values for JSON; None in place of NaN."""

    def matrix(self, number: int = 0) -> ConfusionMatrix:
        """Return a confusion matrix to count in, a new one where there was none of this number."""
        return self.matrices.setdefault(number, ConfusionMatrix(self.classes, self.void_id))

    @property
    def confusion(self) -> ConfusionMatrix:
        """The matrix of a metric that needs but one."""
        return self.matrix()

    def merge(self, other: Self) -> None:
        """Add the counts of other frames.

        Raises:
            VssError: The classes differ.
        """
        if (other.classes, other.void_id) != (self.classes, self.void_id):
            raise VssError(f'expected counts of {self.classes} classes, got those of {other.classes}')
        self.sums.update(other.sums)
        for number, matrix in other.matrices.items():
            self.matrix(number).merge(matrix)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON."""
        matrices = {str(number): matrix.counts.tolist() for number, matrix in self.matrices.items()}
        return {
            'classes': self.classes, 'void_id': self.void_id, 'sums': dict(self.sums), 'matrices': matrices,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a metric that goes on from what ``to_dict`` gave."""
        metric = cls(values['classes'], values['void_id'])
        metric.sums.update(values['sums'])
        for number, counts in values['matrices'].items():
            metric.matrices[int(number)] = ConfusionMatrix.from_counts(counts, metric.void_id)
        return metric


METRICS: Registry[Metric] = Registry('metric')


def total(name: str, parts: Sequence[Mapping[str, Any]]) -> Metric | None:
    """Return one metric over several inputs' counts by name, None where none has any of this metric."""
    found = [METRICS.get(name).from_dict(part[name]) for part in parts if name in part]
    for other in found[1:]:
        found[0].merge(other)
    return found[0] if found else None
