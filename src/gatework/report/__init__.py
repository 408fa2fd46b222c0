"""A run folder in, pictures and one self-contained HTML file out. No torch here.

write.py       write_report: reads the run, draws, composes, writes
material.py    everything that a report is made of, read from the run folder
page.py        the sections in their order, as one page
study_page.py  write_study_report: the page of a study
sections/      one file per section
figures.py     the figures of evaluation.json and the training picture, as SVG
glossary.py    the terms, their definitions, and the links to them
"""

from gatework.report.study_page import write_study_report
from gatework.report.write import write_report

__all__ = ["write_report", "write_study_report"]
