"""Renderers: an event to one line of bytes or text. Each is a structlog processor too."""
