"""An app with OpenTelemetry's SDK for Python: continues the trace that its environment holds with a span of its own,
and exports that as the environment says. Prints as JSON whose child it is by each of the two forms.

  otel_task.py NAME_OF_THE_SPAN
"""

import json
import os
import sys

from opentelemetry import trace
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter


def shown(context):
    parent = trace.get_current_span(context).get_span_context()
    return {
        "trace": trace.format_trace_id(parent.trace_id),
        "span": trace.format_span_id(parent.span_id),
        "sampled": bool(parent.trace_flags.sampled),
    }


carrier = {"traceparent": os.environ.get("TRACEPARENT", "")}
w3c = TraceContextTextMapPropagator().extract(carrier)
carrier = {"X-Amzn-Trace-Id": os.environ.get("_X_AMZN_TRACE_ID", "")}
xray = AwsXRayPropagator().extract(carrier)
print(json.dumps({"w3c": shown(w3c), "xray": shown(xray)}), flush=True)

# The resource is the environment's: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
provider = TracerProvider(resource=Resource.create())
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("otel_task").start_as_current_span(sys.argv[1], context=w3c):
    pass
provider.shutdown()
