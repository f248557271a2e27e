"""What schemathesis has to know beside the document: loaded through SCHEMATHESIS_HOOKS."""

import atexit
import collections
import contextlib
import io
import itertools
import json
import os
import tarfile

import living
import schemathesis

# Of so many requests one goes to what was made up, which is not there; the others go to what is.
OF_WHICH_ONE_MISSES = 4
# A dead upstream, a missing piece or a full house are answers; anything else of the kind is a defect.
MAY_BE_DOCUMENTED = {501, 502, 503, 504}

daemon = living.daemon()
turns = itertools.count()
# Statuses by operation.
seen = collections.defaultdict(set)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    turn, past = divmod(next(turns), OF_WHICH_ONE_MISSES)
    daemon.bound(case.operation, case.body)
    if past > 0:
        with contextlib.suppress(living.NoRoom):
            daemon.enliven(case.operation, case.path_parameters, case.query, turn + past)


@schemathesis.hook
def after_call(ctx, case, response):
    seen[case.operation.label].add(response.status_code)
    daemon.tidy(case.operation, response)


@atexit.register
def tell():
    with open(os.environ["SANDKEEP_SEEN"], "w") as file:
        json.dump({label: sorted(statuses) for label, statuses in seen.items()}, file)


@schemathesis.check
def answers_as_shown(ctx, response, case):
    path = case.operation.path
    # Behind a port are programs with answers of their own.
    is_foreign = "/proxy/" in path
    # What is shown of a stream is what each event carries.
    is_stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
    # Shown is what there is with `verbose=true`.
    is_empty = path.endswith("/files/replace") and not response.content
    if not (is_foreign or is_stream or is_empty):
        case.operation.validate_response(response, case=case)


@schemathesis.check
def no_server_error(ctx, response, case):
    status = response.status_code
    documented = str(status) in case.operation.definition.raw["responses"]
    assert status < 500 or (status in MAY_BE_DOCUMENTED and documented), (
        f"{case.operation.label} answered {status}: {response.text[:300]}"
    )


@schemathesis.serializer("application/x-tar")
def tar_stream(ctx, value):
    """A good archive around whatever was made up."""
    content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("made/up")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
