"""Kubernetes: what an operator's lines need, and what its adapters share.

No cluster, no client library and no framework is needed to import any of it.
"""
