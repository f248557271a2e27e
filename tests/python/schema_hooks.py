"""What schemathesis has to know beside the document: loaded through SCHEMATHESIS_HOOKS."""

import io
import tarfile

import schemathesis

# A dead upstream, a missing piece or a full house are answers; anything else of the kind is a defect.
MAY_BE_DOCUMENTED = {501, 502, 503, 504}


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
