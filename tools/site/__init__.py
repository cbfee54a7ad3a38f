"""`make site`: the pages of the repository and the notebooks, as they were run, as a site that needs no other host.

stage.py        puts together what Sphinx reads; docs/site/conf.py says how it makes pages of that
promises.py     each promise of the pages with the tests that hold it, linked both ways
diagrams.py     draws Mermaid's diagrams as SVG
docstrings.py   our docstrings as Sphinx reads them
recorder.py     runs devices and servers, honest and lying ones, and writes down each step
run_page.py     what was recorded → the page where a reader steps through it
"""

import tools.docs  # noqa: F401 - makes nbformat load in a third of the time
