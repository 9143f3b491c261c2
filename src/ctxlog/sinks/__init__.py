"""Sinks: where lines go. Each has a renderer, a level and a filter of its own."""
