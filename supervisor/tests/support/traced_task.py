"""A task with OpenTelemetry's SDK: goes on with the trace that its environment names, in both forms, and exports its
spans to the OTLP/HTTP endpoint of its argument.
"""

import os
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

provider = TracerProvider()
exporter = OTLPSpanExporter(endpoint=sys.argv[1] + "/v1/traces")
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("task")

by_traceparent = TraceContextTextMapPropagator().extract({"traceparent": os.environ["TRACEPARENT"]})
with tracer.start_as_current_span("by traceparent", context=by_traceparent):
    pass
by_xray = AwsXRayPropagator().extract({"X-Amzn-Trace-Id": os.environ["_X_AMZN_TRACE_ID"]})
with tracer.start_as_current_span("by X-Ray", context=by_xray):
    pass
provider.shutdown()
