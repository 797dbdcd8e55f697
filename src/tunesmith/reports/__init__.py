"""Text and pages about runs. Nothing else draws. Imports no torch, and rich only when a terminal is drawn on."""

from tunesmith.reports.display import Display, PlainDisplay, QuietDisplay, choose

__all__ = ["Display", "PlainDisplay", "QuietDisplay", "choose"]
