"""Which configuration to take: the two questions that every sweep answers first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from vss_ros.engine.propagation.base import NO_PROPAGATION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LATENCY_SHARE = 0.5
"""Of the per-frame network's usual latency, at most, for the first question."""
ACCURACY_LOSS = 0.02
"""mIoU (0..1) below the per-frame network's, at most, for the second."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choice looks at of one configuration."""

    name: str
    per_frame: bool
    """Whether its network runs whole on every frame."""
    score: float
    """mIoU or, without ground truth, agreement; 0..1."""
    worst_ms: float
    """Worst latency in milliseconds, frames at which a stream begins left out."""
    usual_ms: float
    """The median of the same."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answers; names of configurations, empty where none fits."""

    reference: str
    """The per-frame configuration that all are compared with: the most accurate one."""
    fast: str
    """Most accurate of those whose worst latency is at most ``LATENCY_SHARE`` of the reference's usual one.

    The reference does the same on every frame, so that its own worst is the machine's doing: a busy moment
    then must not make the bar low for all others.
    """
    accurate: str
    """Lowest worst latency of those that lose at most ``ACCURACY_LOSS`` against the reference."""
    score_name: str
    """``mIoU`` or ``agreement``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the limits."""
        return asdict(self) | {'latency_share': LATENCY_SHARE, 'accuracy_loss': ACCURACY_LOSS}


def candidates(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """Return the configurations that have both a score and latencies, from summaries in the same order."""
    found = []
    for result, timing in zip(results, timings, strict=True):
        score = score_of(result)
        steady = timing['latency_steady_ms']
        if score is not None and steady:
            per_frame = result['config']['segmenter']['propagation'] == NO_PROPAGATION
            found.append(Candidate(result['name'], per_frame, score, steady['max'], steady['p50']))
    return found


def score_of(result: Mapping[str, Any]) -> float | None:
    """Return a configuration's mIoU or, without true masks, its agreement with the per-frame network."""
    score = result.get('miou')
    return result.get('agreement') if score is None else score


def judge(found: Sequence[Candidate], score_name: str = 'mIoU') -> Verdict | None:
    """Choose; None where no configuration ran the network on every frame.

    The reference is the most accurate per-frame configuration of the sweep, whichever its network, so that a
    lighter network on every frame is an answer like any other; only the reference itself is not. Of equals
    the first named is taken.
    """
    whole = [candidate for candidate in found if candidate.per_frame]
    if not whole:
        return None
    reference = max(whole, key=lambda candidate: candidate.score)
    others = [candidate for candidate in found if candidate is not reference]
    fast = [c for c in others if c.worst_ms <= LATENCY_SHARE * reference.usual_ms]
    # A loss of exactly the limit in decimal figures is allowed although binary fractions may exceed it.
    accurate = [c for c in others if c.score >= reference.score - ACCURACY_LOSS - 1e-9]
    return Verdict(
        reference=reference.name,
        fast=max(fast, key=lambda candidate: candidate.score).name if fast else '',
        accurate=min(accurate, key=lambda candidate: candidate.worst_ms).name if accurate else '',
        score_name=score_name,
    )


def slow_track_note(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> str:
    """Return a warning where the simulated slow track answers sooner than this machine could, else nothing.

    The delay is part of a configuration, so that results repeat; whether it is true is a matter of clocks:
    the whole network's median time on every frame, which the model's per-frame configuration tells.
    """
    whole = {
        result['config']['segmenter']['model']: timing['latency_steady_ms'].get('p50')
        for result, timing in zip(results, timings, strict=True)
        if result['config']['segmenter']['propagation'] == NO_PROPAGATION
    }
    for result in results:
        segmenter, interval = result['config']['segmenter'], result['frame_interval_ms']
        milliseconds = whole.get(segmenter['model'])
        if segmenter['track'] != 'fast_slow' or segmenter['propagation'] == NO_PROPAGATION:
            continue
        # The slow track of a live run, without a delay, takes the time it takes.
        delay = interval and segmenter['slow_delay'] * interval
        if milliseconds and delay and milliseconds > delay:
            return (
                f'{segmenter["model"]} takes {milliseconds:.0f} ms here, more than the slow track has: '
                f'{segmenter["slow_delay"]} frame(s) of {interval:.0f} ms; '
                f'--slow-delay {ceil(milliseconds / interval)} is what this machine can do'
            )
    return ''


def sentences(verdict: Verdict, found: Sequence[Candidate]) -> list[str]:
    """Return the verdict as people read it, one sentence a question."""
    by_name = {candidate.name: candidate for candidate in found}
    reference = by_name[verdict.reference]
    against = f'{reference.name} ({_figures(reference, verdict)}, usually {reference.usual_ms:.1f} ms)'
    soonest = min(found, key=lambda c: c.worst_ms)
    closest = max((c for c in found if c is not reference), key=lambda c: c.score, default=reference)
    lines = []
    for name, question, nearest in (
        (verdict.fast, f'worst latency at most {100 * LATENCY_SHARE:.0f} % of per-frame', soonest),
        (verdict.accurate, f'at most {100 * ACCURACY_LOSS:.0f} {verdict.score_name} lost', closest),
    ):
        if name:
            lines.append(f'{question}: {name} ({_compared(by_name[name], reference, verdict)})')
        else:
            lines.append(f'{question}: none; nearest is {nearest.name} ({_figures(nearest, verdict)})')
    return [*lines, f'compared with {against}']


def _figures(candidate: Candidate, verdict: Verdict) -> str:
    return f'{100 * candidate.score:.1f} {verdict.score_name}, worst {candidate.worst_ms:.1f} ms'


def _compared(candidate: Candidate, reference: Candidate, verdict: Verdict) -> str:
    share = 100 * candidate.worst_ms / reference.usual_ms
    difference = f'{100 * (candidate.score - reference.score):+.1f} {verdict.score_name}'
    return f'{_figures(candidate, verdict)}: {share:.0f} % of the latency, {difference}'
