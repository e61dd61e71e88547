"""The report: a page for the browser."""
