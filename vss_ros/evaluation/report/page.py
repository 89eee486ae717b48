"""Pages from templates: each is complete in itself, and shows any name as the text it is.

The templates escape every value where it enters; only Matplotlib's drawings and the two files of style and
script, all made here, are markup.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vss_ros.evaluation.report.figures import number


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader('vss_ros.evaluation.report'),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= {
        'number': number,
        'breakable': breakable,
        'base64': lambda b: b64encode(b).decode(),
    }
    return environment


def render(template: str, **values: Any) -> str:
    """Return a page.

    Its content security policy lets in only the styles, the pictures and the one script that are in it: no
    name of a bag or of a configuration can run, and nothing is ever fetched.

    Args:
        template: Name of a file in ``templates`` that extends ``page.html``.
        values: What it shows.
    """
    style, script = (Markup(_templates().get_template(file).render()) for file in ('style.css', 'sort.js'))
    hashed = b64encode(sha256(script.encode()).digest()).decode()
    page = _templates().get_template(template)
    return page.render(style=style, script=script, script_hash=hashed, **values) + '\n'


def breakable(name: str) -> Markup:
    """Return a name that may break after each of its words, as narrow columns need."""
    return Markup('<wbr>').join(re.split(r'(?<=[_+/])', name))
