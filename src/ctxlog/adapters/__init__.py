"""Adapters: each a bridge to one foreign library, which it imports inside."""
