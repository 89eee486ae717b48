"""What a live evaluation says beyond a replay, in a terminal: drops by cause and delay at a subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BEHIND = 0.95
"""Share of the wanted speed below which the player's own is told."""


def live_lines(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each live configuration.

    Args:
        results: Of ``summarise``, one a configuration.
        timings: Of ``summarise_timing``, in the same order.
    """
    pairs = zip(results, timings, strict=True)
    return [_line(result, timing) for result, timing in pairs if result.get('live') and result['frames']]


def _line(result: Mapping[str, Any], timing: Mapping[str, Any]) -> str:
    drops = result['drops']
    causes = ', '.join(f'{count} {cause}' for cause, count in drops.items()) or 'no drops'
    images = result['frames'] + sum(drops.values())
    delay = timing['latency_subscriber_ms']
    streaming = timing['streaming']
    age = None if streaming is None else streaming['mean_staleness_frames']
    stale = '' if age is None else f', {age:.1f} frames old on average'
    slowest = slowest_rate(timing)
    behind = f'; played at {slowest:g} only' if is_behind(result, timing) else ''
    return (
        f'live at rate {result["rate"]:g}: {result["name"]}: {result["frames"]} of {images} images answered '
        f'({causes}), at a subscriber p50 {delay["p50"]:.1f}, worst {delay["max"]:.1f} ms after the image'
        f'{stale}{behind}'
    )


def slowest_rate(timing: Mapping[str, Any]) -> float | None:
    """Return the slowest speed at which an input was played, None where nobody knows any."""
    rates = [entry.get('played_rate') for entry in timing['inputs']]
    return min((rate for rate in rates if rate is not None), default=None)


def is_behind(result: Mapping[str, Any], timing: Mapping[str, Any]) -> bool:
    """Tell whether the machine was too slow to play an input at the speed that was asked for."""
    slowest = slowest_rate(timing)
    return slowest is not None and slowest < BEHIND * result['rate']
