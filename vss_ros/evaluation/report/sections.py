"""What the sections of a report say, as plain values for the template ``report.html``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.evaluation.replay.frame_pictures import KINDS, picture_file
from vss_ros.evaluation.report.figures import NONE, is_behind, number, slowest_rate
from vss_ros.evaluation.report.reliability import hiding
from vss_ros.evaluation.sweep.summary import replays_note
from vss_ros.evaluation.sweep.verdict import sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Findings

    Values = dict[str, Any]

ROLES = {'reference': 'reference', 'fast': 'best if fast', 'accurate': 'best if accurate'}
ALWAYS = ('model', 'propagation', 'scheduler', 'track')
"""Settings to name even where they are the default."""
DEFAULTS: dict[str, Any] = {
    'threshold': None, 'min_interval': 1, 'interval': 0, 'size': None, 'motion': 'auto', 'interior': 0,
    'min_confidence': 0.0,
}  # fmt: skip
"""Settings to name where they are another, with the default."""
TITLES = {'image': 'camera image', 'truth': 'truth', 'mask': 'mask'}
FORMATS = {'jpg': 'jpeg', 'png': 'png'}
TRACKS = {'full': 'whole network', 'fast': 'answered by the fast track', 'propagated': 'propagated'}
LATENCIES = ('p50', 'p95', 'p99', 'max')


def overview(findings: Findings) -> Values:
    """Return what was evaluated, the verdict, the table of configurations and the inputs."""
    first = findings.configurations[0].result
    shown = findings.columns
    heads = [('number', 'configuration', 'click a head to sort'), *((c.key, c.head, c.unit) for c in shown)]
    return {
        'first': first,
        'input_names': [Path(entry['path']).name or entry['path'] for entry in first['inputs']],
        'notices': _notices(findings),
        **_verdict(findings),
        'columns': shown,
        'heads': heads,
        'rows': [
            {'name': entry.name, 'options': ' '.join(options(entry)),
             'roles': [ROLES[role] for role in entry.roles],
             'figures': [(entry.figure(column), column.digits) for column in shown]}
            for entry in findings.configurations
        ],
        'machine_note': machine_note(findings),
        'live': _became_of_images(findings),
        'inputs': [
            [entry['path'], entry['frames'], entry['scored'], entry['truth'] or NONE, entry['rejected'],
             _state(entry)]
            for entry in first['inputs']
        ],
        'refused': [[entry['name'], entry['reason']] for entry in findings.evaluation.refused],
    }  # fmt: skip


def _notices(findings: Findings) -> list[str]:
    """Return what a reader must know before trusting any figure."""
    inputs = [entry for configuration in findings.configurations for entry in configuration.result['inputs']]
    bad = {entry['path'] for entry in inputs if entry['failed'] or entry['partial'] or entry['rejected']}
    notices = [slow_track_note(findings.evaluation.results, findings.evaluation.timings)]
    if bad:
        whole = len({entry['path'] for entry in inputs})
        notices.insert(0, f'{len(bad)} of {whole} inputs could not be read whole; see Inputs below.')
    if late := [entry.name for entry in findings.configurations if is_behind(entry.result, entry.timing)]:
        notices.append(
            f'This machine was too slow to play at the speed asked for: {", ".join(late)}; see below what '
            'became of the images.'
        )
    if findings.verdict is None:
        notices.append(
            'No configuration ran the network on every frame, so there is nothing to compare with; '
            'evaluate propagation "none" too, or give a sweep, which does it by itself.'
        )
    return [notice for notice in notices if notice]


def _verdict(findings: Findings) -> Values:
    """Return the answers to the two questions, one card each; none where nothing can be compared."""
    found = findings.verdict
    if found is None or len(findings.configurations) < 2:
        return {'cards': [], 'against': ''}
    *answers, reference = sentences(found, findings.evaluation.candidates)
    by_name = {entry.name: entry for entry in findings.configurations}
    cards = []
    for best, name, sentence in zip(('Best', 'Soonest'), (found.fast, found.accurate), answers, strict=True):
        question, _, answer = sentence.partition(': ')
        # The name stands above, so that its figures need no brackets any more.
        figures = answer[len(name) + 2 : -1] if name else answer.removeprefix('none; ')
        chosen = options(by_name[name]) if name else []
        card = {'question': f'{best} with {question}', 'name': name or 'none'}
        cards.append(card | {'figures': figures, 'options': chosen})
    return {'cards': cards, 'against': f'{reference[0].upper()}{reference[1:]}'}


def options(configuration: Configuration) -> list[str]:
    """Return a configuration as options of every ``vss`` verb; the node's parameters are named alike."""
    values = configuration.result['config']['segmenter']
    if values['propagation'] == NO_PROPAGATION:
        wanted = {name: values[name] for name in ('model', 'propagation')}
    else:
        others = {name: values.get(name) for name, usual in DEFAULTS.items() if values.get(name) != usual}
        wanted = {name: values[name] for name in ALWAYS} | others
    texts = {name: 'x'.join(map(str, v)) if isinstance(v, list) else str(v) for name, v in wanted.items()}
    return [f'--{name.replace("_", "-")} {quote(text)}' for name, text in texts.items()]


def machine_note(findings: Findings) -> str:
    """Return on what the times were measured."""
    machines = [entry.timing['machine'] for entry in findings.configurations if entry.timing.get('machine')]
    if not machines:
        return 'No times were measured.'
    first = machines[0]
    device = '' if first['device'] == 'cpu' else f', {first["device"]}'
    threads = sorted({machine['threads'] for machine in machines})
    note = (
        f'Times are of one machine: {first["cpu"]}{device}, {" or ".join(map(str, threads))} thread'
        f'{"" if threads == [1] else "s"}, PyTorch {first["versions"]["torch"]}, {first["date"]}. On another '
        'they differ, and so may the verdict. '
    )
    note += (
        'They are those of the real node, from the receipt of an image to its mask, its slow track beside.'
        if findings.is_live
        else 'The simulated slow track is not in them: on the robot it runs beside.'
    )
    several = len({(machine['cpu'], machine['device']) for machine in machines}) > 1
    mixed = several or any(entry.timing.get('machines', 1) > 1 for entry in findings.configurations)
    if of_times := replays_note(findings.evaluation.results, findings.evaluation.timings):
        note += f' {of_times[0].upper()}{of_times[1:]}.'
    warning = ' Not all configurations were timed alike (machine, threads or day): compare times with care.'
    return note + (warning if mixed else '')


def _became_of_images(findings: Findings) -> Values | None:
    """Return drops by cause and the speed that was kept, one live configuration a row; None without any."""
    if not (live := [entry for entry in findings.configurations if entry.result.get('live')]):
        return None
    causes = sorted({cause for entry in live for cause in entry.result['drops']})
    heads = ['configuration', 'images', 'answered', *(cause.replace('_', ' ') for cause in causes)]
    rows = []
    for entry in live:
        drops, frames = entry.result['drops'], entry.result['frames']
        counts = [frames + sum(drops.values()), frames, *(drops.get(cause, 0) for cause in causes)]
        rates = [number(rate, 2) for rate in (entry.result['rate'], slowest_rate(entry.timing))]
        rows.append([entry.name, *counts, *rates])
    return {'heads': [*heads, 'speed asked for', 'speed kept'], 'rows': rows}


def _state(entry: Mapping[str, Any]) -> str:
    if entry['failed']:
        return f'not evaluated: {entry["reason"]}'
    return f'only in part: {entry["reason"]}' if entry['partial'] else 'whole'


def closeup(entry: Configuration, findings: Findings, plots: Mapping[str, Drawing | None]) -> Values:
    """Return what one configuration did, frame by frame; ``plots`` are those of its own, by name."""
    colours = entry.result.get('class_colours') or {}
    return {
        'name': entry.name,
        'options': options(entry),
        'counts': _counts(entry),
        'plots': plots,
        'latencies': _latencies(entry),
        'hiding': hiding(entry),
        'worst': _worst(entry, findings),
        # Void is black in truth.
        'legend': {'void': '#000000'} | dict(colours) if colours else {},
    }


def _counts(entry: Configuration) -> str:
    result, interval = entry.result, entry.result.get('interval') or {}
    rate = number(result['mean_interval'])
    texts = [f'{result["key_frames"]} key frames among {result["frames"]}, one in {rate}.']
    if interval:
        average, minimum = (_percent(interval.get(name)) for name in ('average_miou', 'minimum_miou'))
        texts += [f'Over an interval of {interval["frames"]} frames: average {average}, minimum {minimum}.']
    if streaming := entry.timing.get('streaming'):
        texts += [f'At {streaming["misses"]} of {streaming["labelled"]} instants nothing was published yet.']
    drops = ', '.join(f'{frames} {cause}' for cause, frames in result['drops'].items())
    texts.append(f'Frames left out, by cause: {drops}.' if drops else 'No frame was left out.')
    return ' '.join(texts)


def _percent(value: float | None) -> str:
    return f'{number(None if value is None else 100 * value)} %'


def _latencies(entry: Configuration) -> list[list[str]]:
    """Return rows of percentiles, by kind of frame and by part of the pipeline."""
    rows: dict[str, Mapping[str, float]] = {
        'all frames': entry.timing['latency_ms'],
        'first of streams left out': entry.timing['latency_steady_ms'],
        'key frames': entry.timing['latency_key_ms'],
        'between key frames': entry.timing['latency_nonkey_ms'],
        'image to mask, at a subscriber': entry.timing.get('latency_subscriber_ms') or {},
    } | {f'of this: {part}': values for part, values in entry.timing['parts_ms'].items()}
    measured = [(name, values) for name, values in rows.items() if values]
    return [[name, *(number(values.get(figure)) for figure in LATENCIES)] for name, values in measured]


def _worst(entry: Configuration, findings: Findings) -> list[Values]:
    """Return the frames of lowest score, each with image, truth and mask where they were kept."""
    rows = {(row['input'], row['frame_index']): row for row in entry.rows}
    frames = []
    for rank, worst in enumerate(entry.result.get('worst') or []):
        row = rows[worst['input'], worst['frame_index']]
        kind = f'key frame ({row["reason"]})' if row['is_key_frame'] else f'+{row["frames_since_key"]} frames'
        text = (
            f'{findings.score_name} {_percent(worst["score"])}: frame {worst["frame_index"]} '
            f'of {Path(worst["path"]).name}, stamp {worst["stamp_ns"] / 1e9:.3f} s; '
            f'{kind}, {TRACKS[row["track"]]}'
        )
        files = {kind: picture_file(findings.folder, entry.index, entry.name, rank, kind) for kind in KINDS}
        whole = all(file.is_file() for file in files.values())
        titles = TITLES | ({} if findings.score_name == 'mIoU' else {'truth': 'per-frame network'})
        pictures = [
            {'title': titles[kind], 'kind': FORMATS[KINDS[kind]], 'data': file.read_bytes()}
            for kind, file in (files if whole else {}).items()
        ]
        frames.append({'text': text, 'pictures': pictures})
    return frames
