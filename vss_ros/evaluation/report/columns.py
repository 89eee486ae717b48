"""The figures of a configuration that tables show, each with its unit and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.sweep.verdict import score_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vss_ros.evaluation.report.findings import Configuration


@dataclass(frozen=True, slots=True)
class Column:
    """One figure; shares are shown in per cent."""

    key: str
    head: str
    unit: str
    about: str
    value: Callable[[Mapping[str, Any], Mapping[str, Any]], float | None]
    """From a configuration's result and timing, in ``unit``."""
    higher_is_better: bool | None = None
    """None where it is neither."""
    digits: int = 1

    def of(self, configuration: Configuration) -> float | None:
        """Return the figure of one configuration."""
        return self.value(configuration.result, configuration.timing)


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _nested(values: Mapping[str, Any] | None, *names: str) -> float | None:
    """Return the first entry there is."""
    found = (values or {}).get
    return next((found(name) for name in names if found(name) is not None), None)


def columns(score_name: str, *, live: bool = False) -> tuple[Column, ...]:
    """Return the columns: the score first, and beside it the steadiness, which nobody shall read alone.

    Args:
        score_name: ``mIoU`` or ``agreement``.
        live: Whether to tell of delays at a subscriber too.

    """
    delays = _delays() if live else ()
    return (
        *_accuracy(score_name), *_latencies(), *delays, *_stream(score_name), *_costs(),
        *_details(score_name),
    )  # fmt: skip


def _accuracy(score_name: str) -> tuple[Column, ...]:
    about = (
        'Mean over the classes of intersection over union, one confusion matrix over all labelled frames.'
        if score_name == 'mIoU'
        else 'mIoU against the answers of the per-frame network: nobody drew true masks.'
    )
    steadiness = (
        'mIoU of each mask with the one before, warped to it where optical flow can be trusted. '
        f'Worth nothing by itself: an empty mask is perfectly steady. Read it beside {score_name}.'
    )
    return (
        Column('score', score_name, '%', about, lambda result, _: _percent(score_of(result)), True),
        Column(
            'temporal_consistency', 'steadiness', '%', steadiness,
            lambda result, _: _percent(_steadiness(result)), True,
        ),
    )  # fmt: skip


def _latencies() -> Iterator[Column]:
    for figure, head, about in (
        ('max', 'worst', 'Worst latency of a frame'),
        ('p99', 'p99', 'Latency that 99 of 100 frames keep'),
        ('p95', 'p95', 'Latency that 95 of 100 frames keep'),
        ('p50', 'p50', 'Median latency'),
    ):
        steady = f'{about}; frames at which a stream begins left out.'
        yield Column(f'latency_{figure}', head, 'ms', steady, partial(_latency, figure), False)


def _delays() -> Iterator[Column]:
    for figure, head, about in (
        ('max', 'worst at subscriber', 'Worst delay'),
        ('p50', 'p50 at subscriber', 'Median delay'),
    ):
        whole = f'{about} from an image to its mask as a subscriber sees both; starts of streams included.'
        yield Column(f'subscriber_{figure}', head, 'ms', whole, partial(_delay, figure), False)


def _stream(score_name: str) -> tuple[Column, ...]:
    return (
        Column(
            'streaming', 'as a stream', '%',
            f'{score_name} of what a planner would have held at each labelled instant: the newest mask '
            'published by then. What was not yet published counts as wrong.',
            lambda _, timing: _percent(_nested(timing.get('streaming'), 'miou', 'agreement')), True,
        ),
        Column(
            'staleness', 'age of masks', 'frames', 'Mean age of that newest mask; 1 is the best there is.',
            lambda _, timing: _nested(timing.get('streaming'), 'mean_staleness_frames'), False,
        ),
    )  # fmt: skip


def _costs() -> tuple[Column, ...]:
    return (
        Column(
            'key_frame_rate', 'key frames', '%', 'Share of frames that became key frames.',
            lambda result, _: _percent(result.get('key_frame_rate')),
        ),
        Column(
            'flops_ratio', 'FLOPs', '%',
            'Mean operations of a frame, slow track included, of those of the whole network. '
            'Optical flow by OpenCV counts none.',
            lambda result, _: _percent(result.get('flops_ratio')), False,
        ),
        Column(
            'drops', 'left out', 'frames', 'Frames without an answer: damaged, or replaced by newer ones.',
            lambda result, _: sum(result.get('drops', {}).values()), False, 0,
        ),
    )  # fmt: skip


def _details(score_name: str) -> tuple[Column, ...]:
    return (
        Column(
            'boundary_f', 'boundary F', '%',
            'F-score of class boundaries, right where the other boundary is within the tolerance.',
            lambda result, _: _percent(_nested(result.get('boundary_f'), 'mean')), True,
        ),
        Column(
            'class_accuracy', 'class accuracy', '%', 'Mean over the classes of the share of pixels found.',
            lambda result, _: _percent(result.get('class_accuracy')), True,
        ),
        Column(
            'interval_minimum', 'at the farthest', '%',
            f'{score_name} of the frames farthest from their key frame.',
            lambda result, _: _percent(_nested(result.get('interval'), 'minimum_miou')), True,
        ),
    )  # fmt: skip


def _latency(figure: str, _: Mapping[str, Any], timing: Mapping[str, Any]) -> float | None:
    return _nested(timing.get('latency_steady_ms'), figure)


def _delay(figure: str, _: Mapping[str, Any], timing: Mapping[str, Any]) -> float | None:
    return _nested(timing.get('latency_subscriber_ms'), figure)


def _steadiness(result: Mapping[str, Any]) -> float | None:
    """Return the temporal consistency; None where there is no score to read it beside."""
    steadiness: float | None = result.get('temporal_consistency')
    return None if score_of(result) is None else steadiness
