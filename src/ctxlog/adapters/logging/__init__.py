"""The standard library's ``logging``: drop-in parts, the stamping record factory, the bridge."""
