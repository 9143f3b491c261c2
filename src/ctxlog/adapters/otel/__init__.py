"""OpenTelemetry, both ways: lines to a collector, fields on spans and on others' records, metrics.

Each module needs ``opentelemetry-api`` alone; :mod:`~ctxlog.adapters.otel.setup` needs the SDK.
"""
