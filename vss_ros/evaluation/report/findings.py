"""What a folder of results says, put in the order in which the report tells it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError
from vss_ros.evaluation.report.figures import columns
from vss_ros.evaluation.rows import STREAM_STARTS
from vss_ros.evaluation.sweep.outputs import read_evaluation
from vss_ros.evaluation.sweep.verdict import score_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vss_ros.evaluation.metrics import Column
    from vss_ros.evaluation.sweep.outputs import Evaluation
    from vss_ros.evaluation.sweep.verdict import Verdict

Row = dict[str, Any]
"""A decision with its latency."""


@dataclass(frozen=True, eq=False)
class Configuration:
    """One configuration: what it did and how long it took."""

    index: int
    """Its place among all, from 0."""
    result: Mapping[str, Any]
    """Of ``results.json``."""
    timing: Mapping[str, Any]
    """Of ``timing.json``."""
    roles: tuple[str, ...] = ()
    """What the verdict takes it for."""

    @property
    def name(self) -> str:
        """What the user called it."""
        return str(self.result['name'])

    def figure(self, column: Column) -> float | None:
        """Return the figure of a table's column, in the column's unit."""
        return column.value(self.result, self.timing)

    @property
    def score(self) -> float | None:
        """Its mIoU or agreement, 0..1."""
        return score_of(self.result)

    @property
    def worst_ms(self) -> float | None:
        """Its worst latency, milliseconds; frames at which a stream begins left out."""
        return self.timing['latency_steady_ms'].get('max')  # type: ignore[no-any-return]

    @property
    def usual_ms(self) -> float | None:
        """The median of the same."""
        return self.timing['latency_steady_ms'].get('p50')  # type: ignore[no-any-return]

    @property
    def rows(self) -> list[Row]:
        """The decisions, each with ``latency_ms``, None where it was not measured."""
        timed = [entry['latency_ms'] for entry in self.timing['inputs']]
        rows = []
        for number, decisions in groupby(self.result['decisions'], key=lambda row: int(row['input'])):
            of_input = list(decisions)
            latencies = timed[number] if len(timed[number]) == len(of_input) else [None] * len(of_input)
            rows += [row | {'latency_ms': ms} for row, ms in zip(of_input, latencies, strict=True)]
        return rows

    @property
    def mean_ms(self) -> tuple[float | None, float | None, float | None]:
        """Mean latency of key frames, of others and of all; starts of streams left out."""
        timed: dict[bool, list[float]] = {True: [], False: []}
        for row in self.rows:
            if row['latency_ms'] is not None and row['reason'] not in STREAM_STARTS:
                timed[row['is_key_frame']].append(row['latency_ms'])
        return _mean(timed[True]), _mean(timed[False]), _mean(timed[True] + timed[False])

    @property
    def accuracy_by_distance(self) -> dict[int, float]:
        """Accuracy (mIoU or agreement) by propagation distance: the PDA protocol's where it was measured."""
        by_distance = self.result.get('pda') or self.result.get('distance_miou') or {}
        found = {int(distance): value for distance, value in by_distance.items() if value is not None}
        return dict(sorted(found.items()))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a report is made of."""

    folder: Path
    evaluation: Evaluation
    configurations: list[Configuration]
    verdict: Verdict | None
    shown: list[Configuration]
    """Those looked at closely."""

    @property
    def score_name(self) -> str:
        """``mIoU``, or ``agreement`` where there are no true masks."""
        return self.evaluation.score_name

    @property
    def columns(self) -> tuple[Column, ...]:
        """The figures that its tables show."""
        return columns(self.score_name, live=self.is_live)

    @property
    def is_live(self) -> bool:
        """Whether the real node answered rather than a replay."""
        return any(entry.result.get('live') for entry in self.configurations)

    @property
    def title(self) -> str:
        """What the page is called."""
        return 'Live evaluation' if self.is_live else 'Replay evaluation'

    @property
    def reference(self) -> Configuration | None:
        """The per-frame configuration that the verdict compares with."""
        return next((entry for entry in self.configurations if 'reference' in entry.roles), None)

    @property
    def compared(self) -> list[Configuration]:
        """The reference, where there is one, and those looked at closely."""
        first = [] if self.reference is None else [self.reference]
        return first + [entry for entry in self.shown if entry not in first]

    @property
    def is_pda(self) -> bool:
        """Whether accuracy by distance comes from the PDA protocol."""
        return any(entry.result.get('pda') for entry in self.configurations)


def read_findings(folder: Path, look_at: Sequence[str] = ()) -> Findings:
    """Read a folder of results.

    Args:
        folder: What ``vss evaluate -o`` wrote.
        look_at: Names of configurations to look at closely; by default those that the verdict takes.

    Raises:
        VssError: The folder holds no results, or not of these configurations.
    """
    evaluation = read_evaluation(folder)
    if not evaluation.results:
        raise VssError(f'expected results of at least one configuration in {folder}, got none')
    verdict = evaluation.verdict
    chosen = {role: getattr(verdict, role, None) for role in ('reference', 'fast', 'accurate')}
    configurations: list[Configuration] = []
    for result, timing in zip(evaluation.results, evaluation.timings, strict=True):
        roles = tuple(role for role, name in chosen.items() if name == result['name'])
        configurations.append(Configuration(len(configurations), result, timing, roles))
    names = [entry.name for entry in configurations]
    if unknown := [name for name in look_at if name not in names]:
        raise VssError(f'expected configurations among {", ".join(names)}, got {", ".join(unknown)}')
    shown = [entry for entry in configurations if entry.name in look_at] or _worth_a_look(configurations)
    return Findings(folder, evaluation, configurations, verdict, shown)


def _worth_a_look(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Return the verdict's choices; without any the most accurate and the one that is never late."""
    if chosen := [entry for entry in configurations if {'fast', 'accurate'} & set(entry.roles)]:
        return chosen
    scored = [entry for entry in configurations if entry.score is not None] or list(configurations[:1])
    best = max(scored, key=lambda entry: entry.score or 0.0)
    soonest = min(scored, key=lambda entry: entry.worst_ms or float('inf'))
    return [best] if best is soonest else [best, soonest]
