"""The report's sections on single configurations: their timeline, their latencies, their worst frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.replay.frame_pictures import KINDS, picture_file
from vss_ros.evaluation.report.close_plots import MOST_FRAMES
from vss_ros.evaluation.report.markup import Markup, element, joined, number, picture
from vss_ros.evaluation.report.overview import command
from vss_ros.evaluation.report.page import plot, section, table

if TYPE_CHECKING:
    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Findings

TITLES = {'image': 'camera image', 'truth': 'truth', 'mask': 'mask'}
TRACKS = {'full': 'whole network', 'fast': 'answered by the fast track', 'propagated': 'propagated'}
FORMATS = {'jpg': 'jpeg', 'png': 'png'}


def closeup(entry: Configuration, findings: Findings, drawings: dict[str, Drawing | None]) -> Markup:
    """Return what one configuration did, frame by frame.

    Args:
        entry: The configuration.
        findings: What it belongs to.
        drawings: By name: ``timeline``, ``latencies``, ``distances``.

    """
    score = findings.score_name
    return section(
        f'A close look at {entry.name}',
        command(entry),
        element('p', _counts(entry), class_='soft'),
        plot(
            drawings['timeline'],
            f'Labels changed since the key frame, {score} of each frame and latency; upright lines and '
            f'orange bars are key frames, grey bars begin a stream. Of a longer input the {MOST_FRAMES} '
            f'frames around the worst one; all frames are in decisions/.',
            long=True,
        ),
        element(
            'div',
            plot(drawings['latencies'], 'Latencies of all frames.'),
            plot(drawings['distances'], 'How far answers were propagated.'),
            class_='plots',
        ),
        _latency_table(entry),
        _worst(entry, findings),
    )


def _counts(entry: Configuration) -> str:
    """Return key frames, interval scores and drops in a sentence or three."""
    result, interval = entry.result, entry.result.get('interval') or {}
    rate = number(result['mean_interval'])
    texts = [f'{result["key_frames"]} key frames among {result["frames"]}, one in {rate}.']
    if interval:
        average, minimum = (_percent(interval.get(name)) for name in ('average_miou', 'minimum_miou'))
        texts.append(
            f'Over an interval of {interval["frames"]} frames: average {average}, minimum {minimum}.'
        )
    streaming = entry.timing.get('streaming')
    if streaming:
        texts.append(
            f'At {streaming["misses"]} of {streaming["labelled"]} instants nothing was published yet.'
        )
    drops = ', '.join(f'{frames} {cause}' for cause, frames in result['drops'].items())
    texts.append(f'Frames left out, by cause: {drops}.' if drops else 'No frame was left out.')
    return ' '.join(texts)


def _percent(value: float | None) -> str:
    return f'{number(None if value is None else 100 * value)} %'


def _latency_table(entry: Configuration) -> Markup:
    """Return percentiles by kind of frame and by part of the pipeline."""
    figures = ('p50', 'p95', 'p99', 'max')
    rows: dict[str, dict[str, Any]] = {
        'all frames': entry.timing['latency_ms'],
        'first of streams left out': entry.timing['latency_steady_ms'],
        'key frames': entry.timing['latency_key_ms'],
        'between key frames': entry.timing['latency_nonkey_ms'],
        'image to mask, at a subscriber': entry.timing.get('latency_subscriber_ms') or {},
    } | {f'of this: {part}': values for part, values in entry.timing['parts_ms'].items()}
    cells = [
        [name, *(number(values.get(figure)) for figure in figures)] for name, values in rows.items() if values
    ]
    return element(
        'details',
        element('summary', 'Latencies as figures'),
        table('Latency, ms', ('', *figures[:-1], 'worst'), cells),
    )


def _worst(entry: Configuration, findings: Findings) -> Markup | None:
    """Return the frames of lowest score with image, truth and mask side by side."""
    listed = entry.result.get('worst') or []
    if not listed:
        return None
    truth = 'truth' if findings.score_name == 'mIoU' else 'per-frame network'
    keys = {(row['input'], row['frame_index']): row for row in entry.rows}
    frames = []
    for rank, worst in enumerate(listed):
        row = keys[worst['input'], worst['frame_index']]
        kind = f'key frame ({row["reason"]})' if row['is_key_frame'] else f'+{row["frames_since_key"]} frames'
        text = (
            f'{rank + 1}. {findings.score_name} {_percent(worst["score"])}: frame {worst["frame_index"]} '
            f'of {Path(worst["path"]).name}, stamp {worst["stamp_ns"] / 1e9:.3f} s; '
            f'{kind}, {TRACKS[row["track"]]}'
        )
        frames.append(
            element(
                'figure',
                _three(findings.folder, entry, rank, truth),
                element('figcaption', text),
                class_='frame',
            )
        )
    return joined(
        [
            element('h3', f'The {len(listed)} worst frames'),
            _legend(entry.result.get('class_colours') or {}),
            *frames,
        ]
    )


def _three(folder: Path, entry: Configuration, rank: int, truth: str) -> Markup | None:
    """Return image, truth and mask; None where no pictures were kept."""
    shown = []
    for kind, ending in KINDS.items():
        file = picture_file(folder, entry.index, entry.name, rank, kind)
        if not file.is_file():
            return None
        title = truth if kind == 'truth' else TITLES[kind]
        image = picture(
            file.read_bytes(), FORMATS[ending], f'{title} of the frame ranked {rank + 1} among the worst'
        )
        shown.append(element('figure', image, element('figcaption', title)))
    return element('div', *shown, class_='three', tabindex=0)


def _legend(colours: dict[str, str]) -> Markup | None:
    """Return the classes with their colours; void is black in truth."""
    if not colours:
        return None
    entries = [
        element('li', _swatch(colour), name) for name, colour in ({'void': '#000000'} | dict(colours)).items()
    ]
    return element('ul', *entries, class_='legend')


def _swatch(colour: str) -> Markup:
    square = element('rect', width=10, height=10, fill=colour)
    return element('svg', square, viewBox='0 0 10 10', aria_hidden='true')
