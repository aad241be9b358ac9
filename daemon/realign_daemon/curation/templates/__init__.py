"""Prompt templates: versioned data files, one set for each family of models, and what reads and renders them."""

from realign_daemon.curation.templates.questions import leans_on_the_text
from realign_daemon.curation.templates.sets import TemplateSet, load
from realign_daemon.curation.templates.template import Template, TemplateError

__all__ = ["Template", "TemplateError", "TemplateSet", "leans_on_the_text", "load"]
