"""Runs a command as a span of the trace that TRACEPARENT names; whatever it starts finds itself as TRACEPARENT.

  traced.py NAME COMMAND [ARG]...

Sends the span to $OTEL_EXPORTER_OTLP_ENDPOINT by OTLP/HTTP, as JSON, so that the image needs no SDK for it.
"""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request

name, *command = sys.argv[1:]
parent = os.environ.get("TRACEPARENT", "")
endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
if not (parent and endpoint):
    os.execvp(command[0], command)

# https://www.w3.org/TR/trace-context/#traceparent-header
version, trace_id, parent_id, flags = parent.split("-")
span_id = secrets.token_hex(8)
began = time.time_ns()
code = subprocess.call(command, env={**os.environ, "TRACEPARENT": f"00-{trace_id}-{span_id}-{flags}"})
span = {
    "traceId": trace_id,
    "spanId": span_id,
    "parentSpanId": parent_id,
    "flags": int(flags, 16),
    "name": name,
    "kind": 1,  # internal
    "startTimeUnixNano": str(began),
    "endTimeUnixNano": str(time.time_ns()),
    "status": {"code": 2, "message": f"exit code {code}"} if code else {},  # 2: error
}
service = {"key": "service.name", "value": {"stringValue": os.environ.get("OTEL_SERVICE_NAME", "")}}
spans = {"resource": {"attributes": [service]}, "scopeSpans": [{"scope": {"name": "traced"}, "spans": [span]}]}
request = urllib.request.Request(
    endpoint.rstrip("/") + "/v1/traces",
    json.dumps({"resourceSpans": [spans]}).encode(),
    {"Content-Type": "application/json"},
)
try:
    urllib.request.urlopen(request, timeout=2).read()
except OSError as error:
    # A collector that is down is no reason to fail.
    print(f"WARNING the span {name!r} was not sent: {error}")
# As a shell: 128 and the signal that ended it.
sys.exit(128 - code if code < 0 else code)
