"""Sweep files: what they name, what they multiply, what is refused and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluation_parts import config

from vss_ros.errors import VssError
from vss_ros.evaluation.sweep.sweep import checked, read_sweep, with_references
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.evaluation.sweep.configuration import EvaluationConfig


def sweep(tmp_path: Path, text: str) -> list[EvaluationConfig]:
    file = tmp_path / 'sweep.yaml'
    file.write_text(text)
    return read_sweep(file, config())


def test_named_configurations_on_top_of_the_command_line(tmp_path: Path) -> None:
    found = sweep(
        tmp_path,
        """
        base: {scheduler: fixed_interval}
        configurations:
          lazy: {propagation: reuse, interval: 7}
          plain:
        """,
    )
    assert [c.name for c in found] == ['lazy', 'plain']
    assert [(c.segmenter.propagation, c.segmenter.interval) for c in found] == [
        ('reuse', 7),
        ('refined_warping', 4),
    ]
    assert {c.segmenter.scheduler for c in found} == {'fixed_interval'}
    assert {c.segmenter.size for c in found} == {config().segmenter.size}


def test_products_without_what_is_excluded(tmp_path: Path) -> None:
    found = sweep(
        tmp_path,
        """
        product:
          propagation: [reuse, flow_warp]
          track: [blocking, fast_slow]
          interval: [2, 5]
          scheduler: [fixed_interval]
        exclude:
          - {propagation: reuse, track: [blocking, fast_slow], interval: 5}
          - {propagation: flow_warp, track: blocking}
        """,
    )
    assert [c.name for c in found] == [
        'reuse+blocking+interval=2',
        'reuse+fast_slow+interval=2',
        'flow_warp+fast_slow+interval=2',
        'flow_warp+fast_slow+interval=5',
    ]


def test_several_products_and_a_size(tmp_path: Path) -> None:
    found = sweep(tmp_path, 'product: [{size: [72x96, 144x192]}, {propagation: reuse}]')
    assert [c.segmenter.size for c in found] == [(72, 96), (144, 192), (72, 96)]
    assert found[2].name == 'reuse'


def test_what_does_the_same_is_run_once(tmp_path: Path) -> None:
    found = sweep(
        tmp_path,
        """
        configurations: {whole: {propagation: none, interval: 3}}
        product: {propagation: [none, reuse], scheduler: [fixed_interval, flow_residual], slow_delay: [1, 2]}
        exclude: [{slow_delay: 2, scheduler: flow_residual}]
        """,
    )
    # With `none` nobody asks the scheduler, and there is no slow track to wait for.
    assert [c.name for c in found] == [
        'whole',
        'reuse+fixed_interval+slow_delay=1',
        'reuse+fixed_interval+slow_delay=2',
        'reuse+flow_residual+slow_delay=1',
    ]


def test_equal_names_get_numbers(tmp_path: Path) -> None:
    found = sweep(tmp_path, 'product: [{propagation: reuse, interval: 2}, {propagation: reuse, interval: 3}]')
    assert [c.name for c in found] == ['reuse+interval=2', 'reuse+interval=3']
    again = sweep(tmp_path, 'configurations: {reuse: {interval: 9}}\nproduct: {propagation: reuse}')
    assert [c.name for c in again] == ['reuse', 'reuse_2']


def test_every_model_gets_its_reference(tmp_path: Path) -> None:
    found = with_references(
        sweep(
            tmp_path,
            """
            configurations:
              a: {propagation: reuse}
              b: {model: mobilenet_fpn, propagation: reuse}
              c: {model: mobilenet_fpn, propagation: none}
            """,
        )
    )
    assert [c.name for c in found] == ['per_frame+efficientnet_lite0_fpn', 'a', 'b', 'c']
    assert found[0].segmenter.propagation == 'none'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'sweep.yaml:1 expected a mapping'),
        ('- a', 'sweep.yaml:1 expected a mapping'),
        ('configs: {}', 'sweep.yaml:1 configs: expected one of .*configurations.*, got configs'),
        ('configurations: {}', 'at least one configuration'),
        ('configurations: {a: {treshold: 1}}', 'got treshold; did you mean threshold'),
        ('configurations: {a: {threads: 2}}', 'got threads'),
        ('configurations: {"a\\0b": {}}', 'expected a name without control characters'),
        ('configurations: {"\\ud800": {}}', 'expected a name without control characters'),
        ('configurations: {a: {interval: many}}', 'whole number'),
        ('configurations: {a: {interval: 2.5}}', 'whole number'),
        ('configurations: {a: {threshold: high}}', 'a number'),
        ('configurations: {a: {threshold: .nan}}', 'a finite number'),
        ('configurations: {a: {size: big}}', 'HEIGHTxWIDTH'),
        ('configurations: {a: {pda: 1}}', 'true or false'),
        ('configurations: {a: {slow_delay: 0}}', 'configurations.a: slow_delay 0'),
        ('configurations: [a, b]', 'configurations: expected a mapping'),
        ('product: 5', 'product: expected a mapping'),
        ('product: {propagation: reuse}\nexclude: [{propagation: reuse}]', 'exclude fewer'),
        ('configurations: {a: [', 'readable sweep file'),
    ],
)
def test_nonsense_is_refused_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match=message) as error:
        sweep(tmp_path, text)
    assert 'sweep.yaml' in str(error.value)


def test_all_faults_of_a_file_come_at_once(tmp_path: Path) -> None:
    text = """\
base: {trak: blocking}
configurations:
  a: {interval: many}
  b:
    size: big
product:
  size: [72x96, 5]
exclude:
  - {track: [blocking, 1]}
"""
    with pytest.raises(VssError) as error:
        sweep(tmp_path, text)
    found = [line.split('sweep.yaml:')[1].split(': expected')[0] for line in str(error.value).splitlines()]
    assert found[:2] == ['1 base.trak', '3 configurations.a.interval']
    assert found[2].startswith('5 configurations.b.size: ')
    assert found[3].startswith('7 product.size[1]: ')
    assert found[4:] == ['9 exclude[0].track[1]']


def test_what_cannot_be_built_is_listed_with_its_sentence(tmp_path: Path) -> None:
    found = checked(
        sweep(
            tmp_path,
            """
            configurations:
              good: {propagation: reuse, scheduler: fixed_interval}
              no_weights: {model: mobilenet_fpn, propagation: spatially_variant_conv}
              unknown: {propagation: magic}
              contradiction: {min_interval: 9}
            """,
        )
    )
    assert [c.name for c in found.configurations] == ['good']
    reasons = {entry.config.name: entry.reason for entry in found.refused}
    assert 'has no weights for model' in reasons['no_weights']
    assert 'no propagation is called' in reasons['unknown']
    assert 'min_interval' in reasons['contradiction']


def test_parts_that_do_not_fit_are_refused_in_the_engine_s_words(tmp_path: Path) -> None:
    from network_files import add, export, plain

    card = add(export(plain(), tmp_path / 'mine.pt2'))
    lines = ''.join(
        f'  {name}: {{model: {card}, propagation: {name}, scheduler: fixed_interval, size: 48x64}}\n'
        for name in ('reuse', 'spatially_variant_conv')
    )
    found = checked(sweep(tmp_path, 'configurations:\n' + lines))
    assert [c.name for c in found.configurations] == ['reuse']
    assert 'this network has no features' in found.refused[0].reason


def test_the_shipped_sweep_offers_a_choice() -> None:
    found = checked(
        with_references(read_sweep(resource('config', 'experiments', 'sweep.yaml'), config(interval=0)))
    )
    assert len(found.configurations) >= 12
    assert all('has no weights' in entry.reason for entry in found.refused)
    settled = {c.segmenter.threads for c in checked([config(threads=0)]).configurations}
    assert settled.isdisjoint({0})
