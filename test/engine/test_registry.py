"""Names are unique; a wrong one lists the right ones."""

from __future__ import annotations

import pytest

from vss_ros.engine.registry import Registry
from vss_ros.errors import VssError


def test_register_and_get() -> None:
    registry: Registry[object] = Registry('thing')

    @registry.register('one', paper='A paper')
    class One:
        """The first."""

    assert registry.get('one') is One
    assert [(m.name, m.paper, m.summary) for m in registry] == [('one', 'A paper', 'The first.')]
    with pytest.raises(VssError, match="'one' is taken"):
        registry.register('one')(int)
    with pytest.raises(VssError, match='expected one of: one'):
        registry.get('two')
