"""Rebuild all that follows from the datasets and methods: results, entries, tables, figures, pages."""
