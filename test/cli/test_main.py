"""The command line as a whole: every verb that is offered is there, what is missing is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from vss_ros.cli.main import VERBS, main
from vss_ros.command_line import run_program


def test_every_verb_is_offered_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(['--help'])
    assert caught.value.code == 0
    shown = ' '.join(capsys.readouterr().out.split())
    assert all(f'{verb} {line}' in shown for verb, (_, line) in VERBS.items())


@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_is_there_and_its_help_has_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, '--help'])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert 'Examples:' in shown
    assert f'  vss {verb} ' in shown
    assert '--json FILE' in shown or verb == 'bag'  # whose actions have it


def test_a_missing_module_or_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / 'needy.py').write_text('import no_such_package\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(VERBS, 'gone', ('vss_ros.cli.gone', ''))
    monkeypatch.setitem(VERBS, 'needy', ('needy', ''))
    assert main(['gone']) == main(['needy']) == 2
    errors = capsys.readouterr().err
    assert "verb 'gone'" in errors
    assert "'no_such_package'" in errors


def test_a_fault_of_our_own_has_a_status_of_its_own_and_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / 'faulty.py').write_text(
        'def add_arguments(parser): pass\n'
        'import sys\n'
        'def run(args):\n    print("topic \\x1b[2J")\n    print("\\rbar \\x1b[A", file=sys.stderr)\n'
        '    raise KeyError("what\\x1b[2J")\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(VERBS, 'faulty', ('faulty', ''))
    assert main(['faulty']) == 3
    shown = capsys.readouterr()
    assert shown.out == 'topic \\x1b[2J\n'
    assert shown.err.startswith('\rbar \\x1b[A\nvss: KeyError')
    assert shown.err.count('\n') == 2
    assert '\x1b' not in shown.err
    monkeypatch.setenv('VSS_TRACEBACK', '1')
    with pytest.raises(KeyError):
        main(['faulty'])


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / 'frames').mkdir()
    image = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)
    for i in range(400):
        cv2.imwrite(str(tmp_path / 'frames' / f'{i:04d}.jpg'), image)
    paths = [str(tmp_path / 'frames'), '-o', str(tmp_path / 'out')]
    command = [sys.executable, '-m', 'vss_ros.cli.main', 'segment', *paths]
    process = subprocess.Popen([*command, '--no-video'], stderr=subprocess.DEVNULL, env=os.environ)
    while process.poll() is None and not list(tmp_path.glob('.out*/out/masks/*.png')):
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ['frames']


def test_a_signal_in_a_destructor_stops_the_command_all_the_same(tmp_path: Path) -> None:
    program = (
        'import signal, sys, time\n'
        'from types import ModuleType\n'
        'from vss_ros.cli.main import VERBS, main\n'
        'number = signal.Signals[sys.argv.pop()]\n'
        'class Dropped:\n    def __del__(self):\n        signal.raise_signal(number)\n'
        'def run(args):\n    Dropped()\n    time.sleep(60)\n'
        'verb = sys.modules["dropping"] = ModuleType("dropping")\n'
        'verb.run, verb.add_arguments = run, lambda parser: None\n'
        'VERBS["drop"] = ("dropping", "")\n'
        'sys.argv[1:] = ["drop"]\n'
        'sys.exit(main())\n'
    )
    for name, status in (('SIGINT', 130), ('SIGTERM', 143)):
        done = subprocess.run(
            [sys.executable, '-c', program, name], check=False, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count('Traceback')) == (status, 0)


def test_output_that_finds_no_room_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path('/dev/full').open('w') as full:
        monkeypatch.setattr(sys, 'stdout', full)
        assert run_program('vss', lambda: print('found') or 0) == 2
        assert 'No space left' in capsys.readouterr().err
        monkeypatch.setattr(sys, 'stderr', full)
        assert run_program('vss', lambda: print('found') or 0) == 2
        with pytest.raises(OSError, match='No space left'):
            full.close()


def test_json_is_not_written_over_an_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / 'x.mcap'
    bag.write_bytes(b'precious')
    assert main(['bag', 'info', str(bag), '--json', str(bag)]) == 2
    assert main(['evaluate', str(tmp_path / 'y'), str(bag), '--json', str(bag)]) == 2
    assert capsys.readouterr().err.count('another file for --json') == 2
    assert bag.read_bytes() == b'precious'
