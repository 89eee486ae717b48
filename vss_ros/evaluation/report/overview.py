"""The report's first sections: which configuration to take, and how all of them compare."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.evaluation.report.columns import columns
from vss_ros.evaluation.report.markup import NONE, breakable, element, joined, number
from vss_ros.evaluation.report.page import plot, section, table, wide
from vss_ros.evaluation.report.text_table import is_behind
from vss_ros.evaluation.sweep.summary import replays_note
from vss_ros.evaluation.sweep.verdict import ACCURACY_LOSS, LATENCY_SHARE, sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.evaluation.report.columns import Column
    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Findings
    from vss_ros.evaluation.report.markup import Markup

SHOWN_INPUTS = 3
ROLES = {'reference': 'reference', 'fast': 'best if fast', 'accurate': 'best if accurate'}
ALWAYS = ('model', 'propagation', 'scheduler', 'track')
"""Settings to name even where they are the default."""
DEFAULTS: dict[str, Any] = {
    'threshold': None, 'min_interval': 1, 'interval': 0, 'size': None, 'motion': 'auto', 'interior': 0,
}  # fmt: skip
"""Settings to name where they are another, with the default."""


def introduction(findings: Findings) -> Markup:
    """Return the title, what was evaluated, and the verdict."""
    inputs = findings.configurations[0].result['inputs']
    names = [Path(entry['path']).name or entry['path'] for entry in inputs]
    more = f' and {len(names) - SHOWN_INPUTS} more' if len(names) > SHOWN_INPUTS else ''
    frames = findings.configurations[0].result['frames']
    count = len(findings.configurations)
    what = f'{count} configuration{"s" if count > 1 else ""} on {frames} frames of '
    rate = findings.configurations[0].result.get('rate', 1.0)
    live = f', by the real node at {rate:g} times its speed' if findings.is_live else ''
    asked = 'what did the planner see?' if findings.is_live else 'what would the planner have seen?'
    return joined(
        [
            element('h1', f'{findings.title}: {asked}'),
            element(
                'p',
                what,
                element('strong', ', '.join(names[:SHOWN_INPUTS])),
                more,
                f'{live}. ',
                _truth(findings),
            ),
            *(element('p', text, class_='notice') for text in _notices(findings)),
            verdict(findings),
        ]
    )


def _truth(findings: Findings) -> str:
    if findings.score_name == 'agreement':
        return (
            'Nobody drew true masks: the score is agreement with the per-frame network, which says how much '
            'is lost by propagation, not how right the answers are.'
        )
    return 'mIoU is over all labelled frames at once, void left out.'


def _notices(findings: Findings) -> list[str]:
    """Return what a reader must know before trusting any figure."""
    inputs = [entry for configuration in findings.configurations for entry in configuration.result['inputs']]
    bad = {entry['path'] for entry in inputs if entry['failed'] or entry['partial'] or entry['rejected']}
    notices = [slow_track_note(findings.evaluation.results, findings.evaluation.timings)]
    if bad:
        whole = len({entry['path'] for entry in inputs})
        notices.insert(0, f'{len(bad)} of {whole} inputs could not be read whole; see Inputs below.')
    late = [entry.name for entry in findings.configurations if is_behind(entry.result, entry.timing)]
    if late:
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


def verdict(findings: Findings) -> Markup | None:
    """Return the answers to the two questions, one card each; None where nothing can be compared."""
    found = findings.verdict
    if found is None or len(findings.configurations) < 2:
        return None
    answers = dict(zip(('fast', 'accurate'), sentences(found, findings.evaluation.candidates), strict=False))
    by_name = {entry.name: entry for entry in findings.configurations}
    cards = []
    for role, sentence in answers.items():
        question, _, answer = sentence.partition(': ')
        name = getattr(found, role)
        # The name stands above, so that its figures need no brackets any more.
        figures = answer[len(name) + 2 : -1] if name else answer.removeprefix('none; ')
        cards.append(
            element(
                'div',
                element('h3', f'Best with {question}' if role == 'fast' else f'Soonest with {question}'),
                element('p', breakable(name or 'none'), class_='answer'),
                element('p', figures),
                command(by_name[name]) if name else None,
                class_='card',
            )
        )
    reference = sentences(found, findings.evaluation.candidates)[-1]
    against = element('p', f'{reference[0].upper()}{reference[1:]}.', class_='soft')
    return element('section', element('h2', 'Verdict'), element('div', *cards, class_='cards'), against)


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


def command(configuration: Configuration) -> Markup:
    """Return its options to be copied; a line never breaks within one."""
    spans = [joined([element('span', option), ' ']) for option in options(configuration)]
    return element('p', element('code', *spans), class_='command')


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
    of_times = replays_note(findings.evaluation.results, findings.evaluation.timings)
    if of_times:
        note += f' {of_times[0].upper()}{of_times[1:]}.'
    warning = ' Not all configurations were timed alike (machine, threads or day): compare times with care.'
    return note + (warning if mixed else '')


def configurations(findings: Findings) -> Markup:
    """Return the table of configurations, and what its columns mean."""
    shown = columns(findings.score_name, live=findings.is_live)
    heads = [_head('number', 'configuration', 'click a head to sort'), *map(_column_head, shown)]
    rows = [_row(entry, shown) for entry in findings.configurations]
    body = element('table', element('thead', element('tr', *heads)), element('tbody', *rows))
    meanings = [joined([element('dt', column.head), element('dd', column.about)]) for column in shown]
    return section(
        'Configurations',
        wide(body, 'Table of configurations'),
        element('p', machine_note(findings), class_='soft'),
        element('details', element('summary', 'What the columns mean'), element('dl', *meanings)),
    )


def _head(key: str, text: str, unit: str) -> Markup:
    return element(
        'th', element('button', text, element('small', unit), type='button'), scope='col', data_key=key
    )


def _column_head(column: Column) -> Markup:
    return _head(column.key, column.head, column.unit)


def _row(entry: Configuration, shown: Sequence[Column]) -> Markup:
    badges = [element('span', ROLES[role], class_='badge') for role in entry.roles]
    name = element(
        'th',
        f'{entry.index + 1} ',
        breakable(entry.name),
        *(joined([' ', badge]) for badge in badges),
        scope='row',
        data_value=entry.index,
        title=' '.join(options(entry)),
    )
    cells = []
    for column in shown:
        value = column.of(entry)
        text = number(value, column.digits)
        cells.append(element('td', text, data_value=None if text == NONE else value))
    return element('tr', name, *cells)


def plots(findings: Findings, drawings: dict[str, Drawing | None]) -> Markup:
    """Return the plots over all configurations.

    Args:
        findings: What was found.
        drawings: By name: ``accuracy_latency``, ``pda``, ``cca_flops``, ``cca_ms``, ``classes``.

    """
    score = findings.score_name
    limits = (
        f" Broken lines are the limits of the verdict: {100 * LATENCY_SHARE:.0f} % of the reference's usual "
        f'latency (its median), and {100 * ACCURACY_LOSS:.0f} {score} below it.'
    )  # fmt: skip
    pda = 'A replay with --pda' if findings.is_live else '--pda'
    distance = (
        'Accuracy over propagation distance (PDA): the same labelled frames at every distance; 0 is the '
        'whole network.'
        if findings.is_pda
        else 'Accuracy by distance as it happened here: at each distance other frames, few at the far ones; '
        f'0 is the key frame as it was answered. {pda} measures the same frames at every distance.'
    )
    cost = (
        'Cost and accuracy (CCA), Eq. 8: a key frame every D + 1 frames, for every distance D.'
        if findings.is_pda
        else f'Cost and accuracy (CCA), what each configuration cost here. {pda} gives the curves.'
    )
    return section(
        'Accuracy, latency and cost',
        element('p', 'Numbers are those of the table.', class_='soft'),
        element(
            'div',
            plot(
                drawings['accuracy_latency'],
                f'{score} against worst latency (first frames of streams left out): up and left is better.'
                + (limits if findings.reference is not None else ''),
            ),
            plot(drawings['pda'], distance),
            plot(drawings['cca_flops'], f'{cost} Slow track included; optical flow by OpenCV counts none.'),
            plot(drawings['cca_ms'], f'{cost} Until the answer: what a slow track does beside is not in it.'),
            plot(drawings['classes'], 'IoU by class.'),
            class_='plots',
        ),
    )


def inputs(findings: Findings) -> Markup:
    """Return which inputs were read how far, and which configurations could not run."""
    rows = [
        [
            entry['path'], str(entry['frames']), str(entry['scored']), entry['truth'] or NONE,
            str(entry['rejected']), _state(entry),
        ]
        for entry in findings.configurations[0].result['inputs']
    ]  # fmt: skip
    heads = ('input', 'frames', 'labelled', 'compared with', 'left out', 'state')
    refused = [[entry['name'], element('span', entry['reason'])] for entry in findings.evaluation.refused]
    return section(
        'Inputs',
        table('Frames answered, and those with a truth', heads, rows),
        table('Configurations that cannot run', ('configuration', 'why'), refused) if refused else None,
    )


def _state(entry: dict[str, Any]) -> str:
    if entry['failed']:
        return f'not evaluated: {entry["reason"]}'
    return f'only in part: {entry["reason"]}' if entry['partial'] else 'whole'
