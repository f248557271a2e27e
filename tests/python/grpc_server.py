"""A gRPC server that serves those who show the right authorization. Ends when standard input closes.

Arguments: address, file of the certificate, file of its key, authorization.
"""

import sys
from concurrent import futures

import grpc

address, certificate, key, AUTHORIZATION = sys.argv[1:]


def shown(context):
    return dict(context.invocation_metadata()).get("authorization", "none")


def talk(requests, context):
    """Answers each message before it reads the next one."""
    for request in requests:
        known = "authorized" if shown(context) == AUTHORIZATION else "a stranger"
        yield f"{known}: {request.decode()}".encode()
    # What a careless server might say.
    yield shown(context).encode()
    context.set_trailing_metadata((("x-end", "of the talk"),))


def fail(request, context):
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")


with open(certificate, "rb") as file:
    chain = file.read()
with open(key, "rb") as file:
    private = file.read()
server = grpc.server(futures.ThreadPoolExecutor(8))
methods = {
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", methods),))
server.add_secure_port(address, grpc.ssl_server_credentials([(private, chain)]))
server.start()
print("ready", flush=True)
sys.stdin.read()
