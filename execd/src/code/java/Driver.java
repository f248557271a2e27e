import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import jdk.jshell.UnresolvedReferenceException;
import jdk.jshell.execution.LocalExecutionControlProvider;

/**
 * Runs the cells that execd sends and reports what came of them. Cells run in this very process, so that output goes
 * through descriptors 1 and 2, whoever writes it.
 *
 * Frames have a length of four bytes, little-endian. To us: the code. From us: a letter and fields, each with its own
 * length. S: the code begins and can be interrupted; V: a value as flag, MIME type and text; E: name, message and
 * traceback lines; D: the run is done.
 */
public class Driver {
    static final int CHANNEL = 3;
    static final int MAX_TEXT = 4 << 20;
    /** Pause between attempts to stop a run: the compiler cannot be stopped, only what it makes. */
    static final int STOP_PAUSE = 50;
    static final String[] IMPORTS = {
        "java.io.*", "java.math.*", "java.net.*", "java.nio.file.*", "java.util.*", "java.util.concurrent.*",
        "java.util.function.*", "java.util.regex.*", "java.util.stream.*",
    };

    final DataInputStream in;
    final FileOutputStream out;
    final JShell shell;
    final SourceCodeAnalysis analysis;
    /** Where each snippet's text begins: the cell's name and the lines before it. */
    final Map<String, Place> places = new HashMap<>();
    int count;
    volatile boolean running;
    volatile boolean interrupted;

    static class Place {
        final String cell;
        final String text;
        final int offset;

        Place(String cell, String text, int offset) {
            this.cell = cell;
            this.text = text;
            this.offset = offset;
        }

        int line(int inSnippet) {
            return inSnippet + (int) text.substring(0, offset).chars().filter(c -> c == '\n').count();
        }
    }

    static class NoInput extends InputStream {
        @Override
        public int read() {
            // Not what readers of streams expect and hide.
            throw new IllegalStateException("there is no standard input: code runs here without a terminal");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Constructor<FileDescriptor> constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
        constructor.setAccessible(true);
        System.setIn(new NoInput());
        System.setOut(stream(FileDescriptor.out));
        System.setErr(stream(FileDescriptor.err));
        new Driver(constructor.newInstance(CHANNEL)).work();
    }

    static PrintStream stream(FileDescriptor descriptor) {
        return new PrintStream(
            new BufferedOutputStream(new FileOutputStream(descriptor), 8192), true, StandardCharsets.UTF_8);
    }

    Driver(FileDescriptor channel) throws Exception {
        in = new DataInputStream(new FileInputStream(channel));
        out = new FileOutputStream(channel);
        onInterrupt();
        shell = JShell.builder().executionEngine(new LocalExecutionControlProvider(), Map.of()).build();
        analysis = shell.sourceCodeAnalysis();
        String classes = System.getenv("CLASSPATH");
        if (classes != null && !classes.isEmpty()) {
            shell.addToClasspath(classes);
        }
        for (String name : IMPORTS) {
            shell.eval("import " + name + ";");
        }
    }

    /** By reflection, as the compiler would complain about this class to whoever reads our output. */
    void onInterrupt() throws Exception {
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> handler = Class.forName("sun.misc.SignalHandler");
        Object ours = Proxy.newProxyInstance(Driver.class.getClassLoader(), new Class<?>[] {handler},
            (proxy, method, parameters) -> {
                if (method.getName().equals("handle")) {
                    interrupt();
                }
                return null;
            });
        signal.getMethod("handle", signal, handler)
            .invoke(null, signal.getConstructor(String.class).newInstance("INT"), ours);
    }

    void interrupt() throws InterruptedException {
        int run = count;
        if (!running) {
            return;
        }
        interrupted = true;
        while (running && run == count) {
            shell.stop();
            Thread.sleep(STOP_PAUSE);
        }
    }

    void work() throws IOException {
        while (true) {
            int length = in.read();
            if (length < 0) {
                // Other threads may not keep us.
                Runtime.getRuntime().halt(0);
            }
            length |= in.readUnsignedByte() << 8 | in.readUnsignedByte() << 16 | in.readUnsignedByte() << 24;
            byte[] code = new byte[length];
            in.readFully(code);
            count += 1;
            interrupted = false;
            running = true;
            send('S');
            run(new String(code, StandardCharsets.UTF_8));
            running = false;
            System.out.flush();
            System.err.flush();
            send('D');
        }
    }

    void run(String code) throws IOException {
        String cell = "cell_" + count;
        String rest = code;
        SnippetEvent last = null;
        while (!rest.isBlank() && !interrupted) {
            CompletionInfo found = analysis.analyzeCompletion(rest);
            boolean complete = found.completeness().isComplete();
            String source = complete ? found.source() : rest;
            if (source.isBlank()) {
                break;
            }
            // The shell counts lines wrongly behind empty ones.
            String stripped = source.stripLeading();
            int start = code.length() - rest.length() + source.length() - stripped.length();
            rest = complete ? found.remaining() : "";
            for (SnippetEvent event : shell.eval(stripped)) {
                if (event.causeSnippet() != null) {
                    continue;
                }
                Snippet snippet = event.snippet();
                places.put("#" + snippet.id(), new Place(cell, code, start));
                if (interrupted) {
                    break;
                }
                if (event.status() == Snippet.Status.REJECTED) {
                    reject(snippet, new Place(cell, code, start));
                    return;
                }
                if (event.exception() != null) {
                    fail(event.exception());
                    return;
                }
                last = event;
            }
        }
        if (interrupted) {
            send('E', "Interrupted", "the run was interrupted", "Interrupted: the run was interrupted");
        } else if (last != null && isShown(last)) {
            send('V', "t", "text", cut(last.value()));
        }
    }

    static boolean isShown(SnippetEvent event) {
        Snippet snippet = event.snippet();
        return snippet.kind() == Snippet.Kind.EXPRESSION
            && snippet.subKind() != Snippet.SubKind.ASSIGNMENT_SUBKIND
            && event.value() != null && !event.value().isEmpty() && !event.value().equals("null")
            || snippet.subKind() == Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND
            && event.value() != null && !event.value().equals("null");
    }

    static String cut(String text) {
        return text.length() <= MAX_TEXT ? text : text.substring(0, MAX_TEXT) + "... (cut)";
    }

    void reject(Snippet snippet, Place place) throws IOException {
        List<String> trace = new ArrayList<>();
        String message = null;
        for (Diag diag : (Iterable<Diag>) shell.diagnostics(snippet)::iterator) {
            String text = diag.getMessage(null);
            if (message == null) {
                message = text.lines().findFirst().orElse("");
            }
            int at = Math.min(place.offset + (int) Math.max(diag.getStartPosition(), 0), place.text.length());
            int begin = place.text.lastIndexOf('\n', at - 1) + 1;
            int end = place.text.indexOf('\n', at);
            int line = 1 + (int) place.text.substring(0, at).chars().filter(c -> c == '\n').count();
            trace.add(place.cell + ":" + line + ":" + (at - begin + 1) + ": error: " + text.replace("\n", "\n  "));
            trace.add(place.text.substring(begin, end < 0 ? place.text.length() : end));
            trace.add(" ".repeat(at - begin) + "^");
        }
        send("CompilationError", message == null ? "the code cannot be compiled" : message, trace);
    }

    void fail(JShellException failure) throws IOException {
        List<String> trace = new ArrayList<>();
        String name = name(failure);
        String message = message(failure);
        String intro = "";
        Throwable current = failure;
        while (current instanceof JShellException && trace.size() < 1000) {
            String text = message((JShellException) current);
            trace.add(intro + name((JShellException) current) + (text.isEmpty() ? "" : ": " + text));
            for (StackTraceElement frame : current.getStackTrace()) {
                if (!frame.getClassName().startsWith("Driver")) {
                    trace.add("    at " + describe(frame));
                }
            }
            intro = "Caused by: ";
            current = current.getCause() == current ? null : current.getCause();
        }
        send(name, message, trace);
    }

    static String name(JShellException failure) {
        return failure instanceof EvalException
            ? ((EvalException) failure).getExceptionClassName() : "UnresolvedReference";
    }

    String message(JShellException failure) {
        String text = failure.getMessage();
        if (failure instanceof UnresolvedReferenceException) {
            Snippet snippet = ((UnresolvedReferenceException) failure).getSnippet();
            String missing = String.join(", ", (Iterable<String>)
                shell.unresolvedDependencies((jdk.jshell.DeclarationSnippet) snippet)::iterator);
            return "something is used that is not declared: " + missing;
        }
        return text == null ? "" : text;
    }

    String describe(StackTraceElement frame) {
        Place place = frame.getFileName() == null ? null : places.get(frame.getFileName());
        if (place == null) {
            return frame.toString();
        }
        String at = place.cell + ":" + place.line(frame.getLineNumber());
        if (frame.getMethodName().isEmpty()) {
            return at;
        }
        String type = frame.getClassName().isEmpty() ? "" : frame.getClassName() + ".";
        return type + frame.getMethodName() + " (" + at + ")";
    }

    void send(String name, String message, List<String> trace) throws IOException {
        List<String> fields = new ArrayList<>(List.of(name, cut(message)));
        fields.addAll(trace);
        send('E', fields.toArray(new String[0]));
    }

    void send(char kind, String... fields) throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.write(kind);
        for (String field : fields) {
            byte[] content = field.getBytes(StandardCharsets.UTF_8);
            writeLength(body, content.length);
            body.write(content);
        }
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        writeLength(frame, body.size());
        body.writeTo(frame);
        out.write(frame.toByteArray());
    }

    static void writeLength(ByteArrayOutputStream to, int length) {
        for (int shift = 0; shift < 32; shift += 8) {
            to.write(length >> shift);
        }
    }
}
