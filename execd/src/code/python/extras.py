# What notebooks offer beside Python, read only when a cell uses it: "!command" and "%magic" lines, and the classes of
# IPython.display. The driver's names are ours.
import os
import re
import shutil
import subprocess

LINE = re.compile(r"^(\s*)(?:([A-Za-z_][\w.\[\]'\", ]*?)\s*=\s*)?([!%])(.*)$")


class UsageError(Exception):
    __module__ = "builtins"


def rewrite(lines, number):
    '''Makes one line that is no Python into a call; False when it is not meant for us.'''
    found = LINE.match(lines[number])
    if not found:
        return False
    indent, target, kind, text = found.groups()
    end = number
    while text.endswith("\\") and end + 1 < len(lines):
        end += 1
        text = text[:-1] + lines[end].strip()
        lines[end] = ""
    if kind == "%":
        name, _, rest = text.partition(" ")
        if not name.isidentifier():
            return False
        call = "__sandkeep__.magic(%r, %r)" % (name, rest.strip())
    else:
        call = "__sandkeep__.%s(%r)" % ("captured" if target else "shell", text)
    lines[number] = indent + (target + " = " if target else "") + call
    return True


def rewrite_cell(code):
    '''A cell that begins with "%%" is a whole for something else than Python.'''
    first, _, body = code.lstrip("\n").partition("\n")
    name, _, rest = first[2:].strip().partition(" ")
    if name in ("time", "capture"):
        return "\n" + body
    return "__sandkeep__.cell_magic(%r, %r, %r)" % (name, rest.strip(), body)


def expand(text):
    def replace(found):
        whole, expression, name = found.group(0), found.group(1), found.group(2)
        try:
            if name:
                return str(namespace[name])
            return str(eval(expression, namespace))
        except Exception:
            return whole

    return re.sub(r"\{([^{}]+)\}|\$([A-Za-z_]\w*)", replace, text)


def shell_command(text):
    flush()
    return [shutil.which("bash") or "sh", "-c", expand(text)]


def shell(text):
    namespace["_exit_code"] = subprocess.run(shell_command(text)).returncode


def captured(text):
    done = subprocess.run(shell_command(text), stdout=subprocess.PIPE)
    namespace["_exit_code"] = done.returncode
    return done.stdout.decode("utf-8", "replace").splitlines()


def magic(name, text):
    if name == "pip":
        import importlib
        import shlex

        flush()
        arguments = [sys.executable, "-m", "pip"] + shlex.split(expand(text))
        environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
        # Debian's Python refuses otherwise; the whole sandbox is made for the code that runs here.
        environment.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
        namespace["_exit_code"] = subprocess.run(arguments, env=environment).returncode
        load_site()
        importlib.invalidate_caches()
    elif name == "cd":
        os.chdir(os.path.expanduser(expand(text) or "~"))
        print(os.getcwd())
    elif name == "pwd":
        return os.getcwd()
    elif name == "env":
        variable, equals, value = expand(text).partition("=")
        if equals:
            os.environ[variable.strip()] = value.strip()
        else:
            return os.environ.get(variable) if variable else dict(os.environ)
    elif name == "time":
        import time

        start, cpu = time.perf_counter(), time.process_time()
        try:
            return execute(text, "<time>")
        finally:
            cpu, wall = time.process_time() - cpu, time.perf_counter() - start
            print("CPU time: %.3f s, wall time: %.3f s" % (cpu, wall))
    elif name not in ("matplotlib", "config", "load_ext", "autoreload"):
        raise UsageError("there is no %%%s here; there are pip, cd, pwd, env and time" % name)


def cell_magic(name, argument, body):
    if name in ("bash", "sh"):
        flush()
        done = subprocess.run([name, "-c", body])
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, name)
    elif name == "writefile":
        append = argument.startswith("-a ")
        with open(argument[3:].strip() if append else argument, "a" if append else "w") as file:
            file.write(body)
    else:
        raise UsageError("there is no %%%%%s here; there are bash, sh, writefile and time" % name)


class Data:
    mime = "text/plain"

    def __init__(self, data=None, url=None, filename=None, **_):
        if data is None and filename is not None:
            with open(filename, "rb") as file:
                data = file.read()
        self.data = data

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = self.data
        if isinstance(data, (bytes, bytearray)) and not self.mime.startswith("image/p"):
            data = data.decode("utf-8", "replace")
        return {self.mime: data, "text/plain": "<%s object>" % type(self).__name__}


class Image(Data):
    def __init__(self, data=None, url=None, filename=None, **_):
        if isinstance(data, str):
            data, filename = None, data
        super().__init__(data, url, filename)
        self.mime = "image/jpeg" if (self.data or b"")[:2] == b"\xff\xd8" else "image/png"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {self.mime: self.data, "text/plain": "<Image object>"}


def display_module(module):
    kinds = {"HTML": "text/html", "Markdown": "text/markdown", "SVG": "image/svg+xml", "Latex": "text/latex",
             "JSON": "application/json", "Javascript": "application/javascript", "Pretty": "text/plain"}
    for name, mime in kinds.items():
        setattr(module, name, type(name, (Data,), {"mime": mime, "__module__": "IPython.display"}))
    module.Image = Image
    module.display = display
    module.clear_output = lambda wait=False: None
