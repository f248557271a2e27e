"""Runs code that execd sends and reports what came of it.

Only modules that are built into the interpreter are imported at the start: that halves the time to a first result. What
needs more is imported when it is needed. Output is not our business, it goes through descriptors 1 and 2, so that
whatever subprocesses and C libraries write takes the same way.

Frames have a length of four bytes, little-endian. To us: the code, or, if the length's highest bit is set, changes of
the environment: NAME=VALUE or the NAME of one to remove, each with a NUL byte at its end. From us: a letter and fields, each with its own
length. S: the code begins and can be interrupted; V: a value as flag, MIME type and text, repeated; E: name, message and
traceback lines; D: the run is done.
"""
import _ast
import _io
import _signal
import _thread
import builtins
import posix
import sys

CHANNEL = 3
OURSELVES = "<sandkeep>"
PID = posix.getpid()

ONLY_AST = 0x0400
COROUTINE = 0x0080
MODERN = sys.version_info >= (3, 8)
TOP_LEVEL_AWAIT = 0x2000 if MODERN else 0
# What "from __future__ import" sets; it holds for the cells that follow, too.
FUTURES = 0x1FE0000 if MODERN else 0

CHANGES = 1 << 31

MAX_TEXT = 4 << 20
MAX_MESSAGE = 1 << 20
MAX_BUNDLE = 32 << 20
MAX_SOURCES = 500

RICH = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
    ("_repr_javascript_", "application/javascript"),
    ("_repr_pdf_", "application/pdf"),
)


class State:
    running = False
    masked = 0
    interrupted = False
    count = 0
    futures = 0
    loop = None
    extras = None
    site_loaded = False
    sources = {}
    lock = _thread.allocate_lock()


namespace = sys.modules["__main__"].__dict__


# --- the channel


def send(kind, *fields):
    """Sends one frame, whole: an interrupt waits until it is out."""
    if posix.getpid() != PID:
        return
    body = [kind]
    for field in fields:
        if isinstance(field, str):
            field = field.encode("utf-8", "replace")
        body.append(len(field).to_bytes(4, "little"))
        body.append(field)
    body = b"".join(body)
    State.masked += 1
    try:
        with State.lock:
            rest = memoryview(len(body).to_bytes(4, "little") + body)
            while rest:
                rest = rest[posix.write(CHANNEL, rest):]
    finally:
        State.masked -= 1
    if State.interrupted and State.running and not State.masked:
        State.interrupted = False
        raise KeyboardInterrupt


def receive(length):
    data = b""
    while len(data) < length:
        part = posix.read(CHANNEL, length - len(data))
        if not part:
            posix._exit(0)
        data += part
    return data


def on_interrupt(signal, frame):
    if State.masked:
        State.interrupted = True
    elif State.running:
        raise KeyboardInterrupt


# --- values


def show(value):
    """Sends a value in every form it offers."""
    found = {}
    kind = type(value)
    bundle = getattr(kind, "_repr_mimebundle_", None)
    if bundle is not None:
        offered = attempt(bundle, value, include=None, exclude=None)
        if isinstance(offered, tuple):
            offered = offered[0]
        if isinstance(offered, dict):
            found.update(offered)
    for method, mime in RICH:
        method = getattr(kind, method, None)
        if method is not None and mime not in found:
            offered = attempt(method, value)
            if isinstance(offered, tuple):
                offered = offered[0]
            if offered is not None:
                found[mime] = offered
    if "text/plain" not in found:
        text = repr(value)
        found["text/plain"] = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "... (cut)"
    send_bundle(found)


def attempt(method, *args, **kwargs):
    """A rich form that fails is one that is not offered; the plain one remains."""
    try:
        return method(*args, **kwargs)
    except Exception:
        return None


def send_bundle(found):
    fields = []
    room = MAX_BUNDLE
    for mime, data in found.items():
        flag = b"t"
        if isinstance(data, (bytes, bytearray)):
            import binascii

            data = binascii.b2a_base64(data, newline=False)
        elif not isinstance(data, str):
            import json

            flag = b"j"
            data = attempt(json.dumps, data, default=str, allow_nan=False)
            if data is None:
                continue
        if isinstance(data, str):
            data = data.encode("utf-8", "replace")
        room -= len(data)
        if room >= 0:
            fields += (flag, "text" if mime == "text/plain" else str(mime), data)
    send(b"V", *fields)


def display(*values, **options):
    """Shows values at once, in every form they offer."""
    if options.get("raw"):
        for value in values:
            send_bundle(value)
    else:
        for value in values:
            show(value)


def show_figures():
    """Shows the figures pyplot has open, and closes them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not hasattr(pyplot, "get_fignums"):
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        image = _io.BytesIO()
        figure.savefig(image, format="png", bbox_inches="tight")
        send_bundle({"text/plain": repr(figure), "image/png": image.getvalue()})
    pyplot.close("all")


# --- running


def extras():
    """What is not Python, or not always there, as a module."""
    if State.extras is None:
        State.extras = module = type(sys)("__sandkeep__")
        module.__dict__.update(globals())
        exec(compile(EXTRAS, OURSELVES, "exec"), module.__dict__)
        namespace["__sandkeep__"] = module
    return State.extras


def parse(code, name, flags):
    """Reads a cell; a line that is no Python is tried as one for the shell or a "%" command."""
    if code.lstrip().startswith("%%"):
        code = extras().rewrite_cell(code)
    lines = None
    while True:
        try:
            return compile(code, name, "exec", ONLY_AST | flags, True)
        except SyntaxError as error:
            lines = lines or code.split("\n")
            number = (error.lineno or 0) - 1
            if not 0 <= number < len(lines) or not ("!" in lines[number] or "%" in lines[number]):
                raise
            if not extras().rewrite(lines, number):
                raise
            code = "\n".join(lines)


def execute(code, name):
    """Runs a cell; the value of its last expression, if it ends with one."""
    flags = TOP_LEVEL_AWAIT | State.futures
    tree = parse(code, name, flags)
    last = None
    if tree.body and isinstance(tree.body[-1], _ast.Expr) and not code.rstrip().endswith(";"):
        last = _ast.Expression(tree.body.pop().value)
    if tree.body:
        compiled = compile(tree, name, "exec", flags, True)
        State.futures |= compiled.co_flags & FUTURES
        evaluate(compiled)
    if last is not None:
        return evaluate(compile(last, name, "eval", TOP_LEVEL_AWAIT | State.futures, True))


def evaluate(compiled):
    value = eval(compiled, namespace)
    return run_coroutine(value) if compiled.co_flags & COROUTINE else value


def run_coroutine(coroutine):
    import asyncio

    if State.loop is None or State.loop.is_closed():
        State.loop = asyncio.new_event_loop()
    asyncio.set_event_loop(State.loop)
    task = State.loop.create_task(coroutine)
    try:
        return State.loop.run_until_complete(task)
    except KeyboardInterrupt:
        task.cancel()
        try:
            State.loop.run_until_complete(task)
        except BaseException:
            pass
        raise


def run(code):
    State.count += 1
    name = "<cell %d>" % State.count
    remember(name, code)
    State.interrupted = False
    failure = None
    try:
        try:
            State.running = True
            send(b"S")
            value = execute(code, name)
            if value is not None:
                builtins._ = value
                show(value)
            show_figures()
            State.running = False
        except BaseException as error:
            State.running = False
            failure = error
    except KeyboardInterrupt as error:
        # It came while the first handler was being entered.
        State.running = False
        failure = error
    if posix.getpid() != PID:
        # A forked child that ran on to the end of the cell.
        flush()
        posix._exit(0 if failure is None else 1)
    if failure is not None:
        report(failure)
        attempt(show_figures)
    flush()
    send(b"D")


def flush():
    for stream in (sys.stdout, sys.stderr):
        attempt(lambda: stream.flush())


def remember(name, code):
    """Keeps a cell's text for tracebacks and for "inspect"."""
    State.sources[name] = code
    if len(State.sources) > MAX_SOURCES:
        oldest = next(iter(State.sources))
        del State.sources[oldest]
        if "linecache" in sys.modules:
            sys.modules["linecache"].cache.pop(oldest, None)
    if "linecache" in sys.modules:
        share_sources()


def share_sources():
    import linecache

    for name, code in State.sources.items():
        if name not in linecache.cache:
            lines = [line + "\n" for line in code.split("\n")]
            linecache.cache[name] = (len(code), None, lines, name)


def report(error):
    kind = type(error)
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return
    try:
        message = str(error)
    except BaseException:
        message = "<the exception has no text: str() failed>"
    try:
        import traceback

        share_sources()
        clean(error)
        text = "".join(traceback.format_exception(kind, error, error.__traceback__))
        lines = text[:MAX_TEXT].rstrip("\n").split("\n")
    except BaseException:
        lines = [kind.__name__ + ": " + message[:MAX_MESSAGE]]
    send(b"E", kind.__name__, message[:MAX_MESSAGE], *lines)


def clean(error):
    """Leaves only the user's own part of the tracebacks of an exception and of those it came from."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = own_part(error.__traceback__)
        error = error.__cause__ or error.__context__


def own_part(trace):
    while trace is not None and trace.tb_frame.f_code.co_filename not in State.sources:
        trace = trace.tb_next
    step = trace
    while step is not None:
        while step.tb_next is not None and step.tb_next.tb_frame.f_code.co_filename == OURSELVES:
            step.tb_next = step.tb_next.tb_next
        step = step.tb_next
    return trace


# --- the environment of user code


class SiteFinder:
    """Makes site-packages known at the first import that is not of a loaded module.

    Doing it at the start, as Python does, would cost every interpreter some milliseconds before its first result.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        load_site()
        # Asked anew: whoever asks us goes through a list from which we have just gone, and would miss our neighbour.
        return sys.modules["_frozen_importlib"]._find_spec(name, path, target)


class DisplayFinder:
    """Stands in for IPython.display where IPython is not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("IPython", "IPython.display"):
            from importlib.machinery import ModuleSpec

            return ModuleSpec(name, DisplayFinder, is_package=name == "IPython")

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        extras().display_module(module)


def load_site():
    if State.site_loaded:
        return
    State.site_loaded = True
    if SiteFinder in sys.meta_path:
        sys.meta_path.remove(SiteFinder)
    # It would make the entry for "wherever we are" absolute.
    here = "" in sys.path
    if here:
        sys.path.remove("")
    try:
        import site

        site.main()
    except Exception as error:
        print("site-packages could not be set up:", error, file=sys.stderr)
    finally:
        if here:
            sys.path.insert(0, "")


def change_environment(changes):
    """Makes the environment the one we were to be started with."""
    for entry in changes.split(b"\0")[:-1]:
        name, set_it, value = entry.partition(b"=")
        # What os.environ is made of.
        if set_it:
            posix.environ[name] = value
            posix.putenv(name, value)
        else:
            posix.environ.pop(name, None)
            posix.unsetenv(name)


def no_input(prompt=""):
    raise RuntimeError("input() is not available: code runs here without a terminal")


def leave(code=None):
    raise SystemExit(code)


def call_help(*args, **kwargs):
    load_site()
    return builtins.help(*args, **kwargs)


def open_stream(descriptor, name):
    # Written through at once, so that output is live. execd puts a line together that comes in two writes.
    raw = _io.FileIO(descriptor, "w", closefd=False)
    raw.name = name
    return _io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def main():
    posix.set_inheritable(CHANNEL, False)
    namespace.pop("posix", None)
    sys.argv = [""]
    sys.stdout = sys.__stdout__ = open_stream(1, "<stdout>")
    sys.stderr = sys.__stderr__ = open_stream(2, "<stderr>")
    builtins.input = no_input
    builtins.display = display
    builtins.exit = builtins.quit = leave
    builtins.help = call_help
    sys.meta_path.insert(0, SiteFinder)
    sys.meta_path.append(DisplayFinder)
    _signal.signal(_signal.SIGINT, on_interrupt)
    while True:
        length = int.from_bytes(receive(4), "little")
        if length & CHANGES:
            change_environment(receive(length ^ CHANGES))
            continue
        run(receive(length).decode("utf-8", "replace"))
        load_site()


main()
