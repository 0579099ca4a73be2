"""A collector for the tests: decodes OTLP with OpenTelemetry's own messages, by gRPC and by HTTP, and prints what it
got as JSON lines. The first line says where it listens; then come {"request": ..} and {"span": ..}.

It ends with its stdin. A line there is answered with {"mode": ..} and, unless it is empty, changes what it does: ok,
refuse, hang, slow, garbage, busy (429, 503 or UNAVAILABLE once, then ok), full (RESOURCE_EXHAUSTED with RetryInfo
once, then ok), partial (takes all spans but one), invalid (400 or INVALID_ARGUMENT), page (a web page for everything,
by HTTP), lost (404 with the path, by HTTP). By HTTP it takes JSON as well. With --sigv4 it recomputes the signature of every HTTP request, and shows
what it got if that is wrong, as AWS does. GET /credentials and /ecs, /ecs/task play the endpoints of a container in
ECS.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import hmac
import http.server
import json
import os
import socketserver
import ssl
import sys
import threading

import grpc
from google.protobuf import any_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("--mode", default="ok")
parser.add_argument("--listen", metavar="ADDRESS", default="127.0.0.1")
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--sigv4", metavar="REGION,KEY_ID,SECRET[,TOKEN]")
options = parser.parse_args()

mode = options.mode
forever = threading.Event()
printing = threading.Lock()

Request = trace_service_pb2.ExportTraceServiceRequest
Response = trace_service_pb2.ExportTraceServiceResponse


def say(**what):
    with printing:
        print(json.dumps(what), flush=True)


def value(any_value):
    kind = any_value.WhichOneof("value")
    return None if kind is None else getattr(any_value, kind)


def attributes(pairs):
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), f"a key is doubled: {keys}"
    return {pair.key: value(pair.value) for pair in pairs}


def tell(request):
    for of_resource in request.resource_spans:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            scope = {"name": of_scope.scope.name, "version": of_scope.scope.version}
            for span in of_scope.spans:
                links = [
                    {
                        "trace": link.trace_id.hex(),
                        "span": link.span_id.hex(),
                        "sampled": bool(link.flags & 1),
                    }
                    for link in span.links
                ]
                say(
                    span={
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "span": span.span_id.hex(),
                        "parent": span.parent_span_id.hex() or None,
                        "kind": type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                        "began": span.start_time_unix_nano,
                        "ended": span.end_time_unix_nano,
                        "sampled": bool(span.flags & 1),
                        "status": {"code": span.status.code, "message": span.status.message},
                        "attributes": attributes(span.attributes),
                        "links": links,
                        "resource": resource,
                        "scope": scope,
                    }
                )


def decode(kind, body):
    if kind == "application/x-protobuf":
        return Request.FromString(body)
    # OTLP's JSON has ids in hex, where that of protobuf has base64. Fields that OTLP does not know are errors.
    document = json.loads(body)
    for of_resource in document["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(document, Request())


def response():
    answer = Response()
    if mode == "partial":
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = "one was\ntoo old"
    return answer


def done_once():
    global mode
    mode = "ok"


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        headers = {pair.key: str(pair.value) for pair in context.invocation_metadata()}
        say(request={"protocol": "grpc", "headers": headers, "mode": mode})
        if mode == "refuse":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no such\x07 tenant {headers.get('authorization')}")
        if mode == "invalid":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such spans")
        if mode == "hang":
            forever.wait()
        if mode == "slow":
            forever.wait(1)
        if mode == "busy":
            done_once()
            context.abort(grpc.StatusCode.UNAVAILABLE, "too busy")
        if mode == "full":
            done_once()
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.RetryInfo(retry_delay={"seconds": 1}))
            status = status_pb2.Status(code=8, message="no room", details=[detail])
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        tell(request)
        return response()


def signature_is_right(handler, body):
    """Signature Version 4, as AWS documents it ("Create a signed AWS API request")."""
    region, key_id, secret, *token = options.sigv4.split(",")
    scheme, _, fields = handler.headers.get("authorization", "").partition(" ")
    fields = dict(field.strip().split("=", 1) for field in fields.split(",") if "=" in field)
    if scheme != "AWS4-HMAC-SHA256" or fields.keys() != {"Credential", "SignedHeaders", "Signature"}:
        return False
    date_time = handler.headers.get("x-amz-date", "")
    scope = f"{date_time[:8]}/{region}/xray/aws4_request"
    signed = fields["SignedHeaders"].split(";")
    if fields["Credential"] != f"{key_id}/{scope}" or not {"host", "x-amz-date"} <= set(signed):
        return False
    if handler.headers.get("x-amz-security-token") != (token[0] if token else None):
        return False
    canonical = "\n".join(
        [
            handler.command,
            handler.path,
            "",
            *(f"{name}:{' '.join(handler.headers.get(name, '').split())}" for name in signed),
            "",
            fields["SignedHeaders"],
            hashlib.sha256(body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date_time, scope, digest])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected, fields["Signature"])


ECS = {
    "/ecs": {
        "DockerId": "cd189a933e5849daa93386466019ab50-2495160603",
        "DockerName": "app",
        "ContainerARN": "arn:aws:ecs:eu-west-1:123456789012:container/demo/cd189a/05d6",
    },
    "/ecs/task": {
        "Cluster": "demo",
        "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/demo/cd189a",
        "Family": "shop",
        "Revision": "7",
        "LaunchType": "FARGATE",
        "AvailabilityZone": "eu-west-1a",
    },
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body, **headers):
        self.send_response(status)
        for name, text in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(text))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        say(request={"protocol": "http", "method": "GET", "path": self.path})
        if self.path == "/credentials":
            _, key_id, secret, *token = options.sigv4.split(",")
            document = {
                "AccessKeyId": key_id,
                "SecretAccessKey": secret,
                "Token": token[0],
                "Expiration": "2999-01-01T00:00:00Z",
            }
        elif self.path in ECS:
            document = ECS[self.path]
        else:
            return self.answer(404, "text/plain", b"no such page")
        self.answer(200, "application/json", json.dumps(document).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): text for name, text in self.headers.items()}
        say(
            request={
                "protocol": "http",
                "method": "POST",
                "version": self.request_version,
                "path": self.path,
                "headers": headers,
                "mode": mode,
            }
        )
        if mode == "garbage":
            self.close_connection = True
            self.wfile.write(b"\x00\xff\x00 nothing that anybody could read \r\n\r\n")
            return None
        if mode == "hang":
            forever.wait()
        if mode == "slow":
            forever.wait(1)
        if mode == "invalid":
            return self.answer(400, "text/plain", b"no such spans")
        if mode == "lost":
            return self.answer(404, "text/plain", f"Cannot POST {self.path}".encode())
        if mode == "page":
            return self.answer(200, "text/html; charset=utf-8", b"<h1>Welcome</h1>")
        if mode == "refuse":
            message = "no such\x07 tenant " + self.headers.get("authorization", "")
            return self.answer(401, "application/json", json.dumps({"message": message}).encode())
        if mode == "busy":
            done_once()
            return self.answer(429, "text/plain", b"too busy", Retry_After=1)
        kind = self.headers["content-type"]
        if self.path != "/v1/traces" or kind not in ("application/x-protobuf", "application/json"):
            return self.answer(404, "text/plain", b"no such path or type")
        if options.sigv4 and not signature_is_right(self, body):
            message = f"SignatureDoesNotMatch: {headers.get('x-amz-security-token')}"
            return self.answer(403, "application/json", json.dumps({"message": message}).encode())
        tell(decode(kind, body))
        if kind == "application/json":
            return self.answer(200, kind, json_format.MessageToJson(response()).encode())
        return self.answer(200, kind, response().SerializeToString())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        # Whoever goes away in the middle (a helper whose time is up) is no error of ours.
        pass


class Garbage(socketserver.BaseRequestHandler):
    """Instead of gRPC: whatever is said, the answer is noise."""

    def handle(self):
        self.request.recv(1024)
        self.request.sendall(b"\x00\xff\x00 nothing that anybody could read \r\n\r\n" * 10)


def serve_http():
    server = Server((options.listen, 0), Handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def serve_grpc():
    if mode == "garbage":
        server = socketserver.ThreadingTCPServer((options.listen, 0), Garbage)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    if options.cert:
        pair = (open(options.key, "rb").read(), open(options.cert, "rb").read())
        port = server.add_secure_port(f"{options.listen}:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port(f"{options.listen}:0")
    server.start()
    serve_grpc.kept = server
    return port


say(listening={"http": serve_http(), "grpc": serve_grpc()})
for line in sys.stdin:
    mode = line.strip() or mode
    say(mode=mode)
# Threads may hang on purpose.
sys.stdout.flush()
os._exit(0)
