"""Tests of what is changed while the process runs."""
