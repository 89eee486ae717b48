"""What an evaluation found, for people: a page with verdict, table, plots, worst frames; a terminal's table.

Read ``findings.py`` (what a folder of results says), ``figures.py`` (the columns of every table),
``sections.py`` with ``templates/report.html`` (what the page says), ``plots.py`` on top of ``drawing.py``,
and ``writing.py`` (templates and files). ``comparison.py`` judges two folders of results against each other
and shows that.
"""
