"""The command line as a whole: every verb that is offered is there, what is missing is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vss_ros.cli.main import VERBS, main

if TYPE_CHECKING:
    from pathlib import Path


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
