package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

const statePackage = "sandkeep/state"

// The compiler and the linker, called directly: "go build" would look at every package again.
type toolchain struct {
	program   string
	directory string // the programs' working directory
	home      string
	work      string
	lock      *os.File
	tools     string
	env       []string // of the toolchain
	children  []string // environment of the programs
	exports   map[string]string
	types     types.Importer
	current   *running
}

func newToolchain(program, cache, home string, current *running) (*toolchain, error) {
	env := append(os.Environ(), "GOCACHE="+cache, "GO111MODULE=on", "GOFLAGS=", "GOPROXY=off", "GOTOOLCHAIN=local",
		"GOWORK=off", "GOOS=", "GOARCH=")
	t := &toolchain{program: program, home: home, env: env, children: os.Environ(), exports: map[string]string{},
		current: current}
	var err error
	if t.directory, err = os.Getwd(); err != nil {
		return nil, err
	}
	if err := t.makeWork(); err != nil {
		return nil, err
	}
	t.types = importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file, known := t.exports[path]
		if !known {
			return nil, fmt.Errorf("package %s is not known", path)
		}
		return os.Open(file)
	})
	found, err := t.ask("env", "GOTOOLDIR")
	if err != nil {
		return nil, err
	}
	t.tools = strings.TrimSpace(found)
	// Toolchains up to 1.19 bring their packages compiled, with cgo where it has a use.
	compiled := filepath.Join(filepath.Dir(filepath.Dir(t.tools)), runtime.GOOS+"_"+runtime.GOARCH, "net.a")
	if _, err := os.Stat(compiled); err != nil {
		t.env = append(t.env, "CGO_ENABLED=0")
	}
	return t, t.buildState()
}

// A directory that is locked while we live; those of drivers that were killed are removed.
func (t *toolchain) makeWork() error {
	old, _ := filepath.Glob(filepath.Join(t.home, "work-*"))
	for _, directory := range old {
		lock, err := os.Open(directory)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.RemoveAll(directory)
		}
		lock.Close()
	}
	// Until it is locked, another driver may take it for one that is left over.
	for {
		work, err := os.MkdirTemp(t.home, "work-")
		if err != nil {
			return err
		}
		lock, err := os.Open(work)
		if err != nil {
			continue
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
			return err
		}
		if _, err := os.Stat(work); err == nil {
			t.work, t.lock = work, lock
			return nil
		}
		lock.Close()
	}
}

func (t *toolchain) close() {
	os.RemoveAll(t.work)
}

func (t *toolchain) command(program string, arguments ...string) *exec.Cmd {
	command := exec.Command(program, arguments...)
	command.Dir, command.Env = t.work, t.env
	return command
}

func (t *toolchain) ask(arguments ...string) (string, error) {
	command := t.command(t.program, arguments...)
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := t.current.run(command); err != nil {
		if err != errInterrupted && complaints.Len() > 0 {
			err = fmt.Errorf("%s", strings.TrimSpace(complaints.String()))
		}
		return "", err
	}
	return out.String(), nil
}

// Compiles what is not compiled yet of these packages and those they need.
func (t *toolchain) need(paths []string) error {
	var missing []string
	for _, path := range paths {
		if _, known := t.exports[path]; !known && path != "unsafe" {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	format := "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}"
	found, err := t.ask(append([]string{"list", "-export", "-deps", "-f", format, "--"}, missing...)...)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(found, "\n") {
		if at := strings.IndexByte(line, ' '); at > 0 {
			t.exports[line[:at]] = line[at+1:]
		}
	}
	return nil
}

func (t *toolchain) buildState() error {
	needed := []string{"encoding/binary", "errors", "fmt", "hash/fnv", "io", "os", "reflect", "runtime", "strconv",
		"strings", "syscall", "time"}
	if err := t.need(needed); err != nil {
		return err
	}
	file := filepath.Join(t.work, "state.a")
	source := filepath.Join(t.home, "state.go")
	if complaints, err := t.compile(statePackage, file, source); err != nil {
		return fmt.Errorf("%v: %s", err, complaints)
	}
	t.exports[statePackage] = file
	return nil
}

func (t *toolchain) compile(path, to, source string) (string, error) {
	if err := t.writeConfig(); err != nil {
		return "", err
	}
	return t.tool("compile", "-o", to, "-p", path, "-complete", "-pack", "-trimpath", t.work, "-importcfg",
		"packages", source)
}

func (t *toolchain) tool(name string, arguments ...string) (string, error) {
	command := t.command(filepath.Join(t.tools, name), arguments...)
	var complaints bytes.Buffer
	command.Stdout, command.Stderr = &complaints, &complaints
	err := t.current.run(command)
	return complaints.String(), err
}

func (t *toolchain) writeConfig() error {
	var paths []string
	for path := range t.exports {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	var text strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&text, "packagefile %s=%s\n", path, t.exports[path])
	}
	return os.WriteFile(filepath.Join(t.work, "packages"), []byte(text.String()), 0o600)
}

func (t *toolchain) build(text string, imports []string, sources map[string]string) error {
	if err := t.need(imports); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.work, "main.go"), []byte(text), 0o600); err != nil {
		return err
	}
	if complaints, err := t.compile("main", "main.a", "main.go"); err == errInterrupted {
		return err
	} else if err != nil {
		return compileError(complaints, sources)
	}
	complaints, err := t.tool("link", "-o", "program", "-importcfg", "packages", "-s", "-w", "main.a")
	if err != nil && err != errInterrupted {
		return fmt.Errorf("%v: %s", err, complaints)
	}
	return err
}

// Runs the program that was built last.
func (t *toolchain) execute(old *os.File, next *session) (*report, error) {
	state, err := t.temporary()
	if err != nil {
		return nil, err
	}
	if _, err := old.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if _, err := os.Stat(t.directory); err != nil {
		// A cell has removed it.
		t.directory = "/"
	}
	command := exec.Command(filepath.Join(t.work, "program"))
	command.Dir, command.Env = t.directory, t.children
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{writer, old, state}
	done := make(chan *report)
	go func() { done <- listen(reader) }()
	err = t.current.run(command)
	writer.Close()
	result := <-done
	result.state = state
	if err != nil {
		result.finished = false
		result.ended = describeEnd(err)
	}
	if result.finished {
		t.directory, t.children = result.directory, result.environment
	}
	return result, nil
}

func describeEnd(err error) error {
	exit, ok := err.(*exec.ExitError)
	if !ok {
		return err
	}
	text := fmt.Sprintf("the program exited with status %d", exit.ExitCode())
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		text = fmt.Sprintf("the program was ended by signal %d", int(status.Signal()))
	}
	text += "; variables are as they were before the run"
	return &failure{name: "ProgramEnded", message: text, trace: []string{"ProgramEnded: " + text}}
}

func (t *toolchain) temporary() (*os.File, error) {
	file, err := os.CreateTemp(t.work, "state-")
	if err == nil {
		os.Remove(file.Name())
	}
	return file, err
}

// Reads what a program reports, values at once.
func listen(from io.Reader) *report {
	result := &report{lost: map[string]string{}, types: map[string][]string{}}
	for {
		var length [4]byte
		if _, err := io.ReadFull(from, length[:]); err != nil {
			return result
		}
		body := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(from, body); err != nil || len(body) == 0 {
			return result
		}
		var fields []string
		for rest := body[1:]; len(rest) >= 4; {
			size := int(binary.LittleEndian.Uint32(rest))
			fields = append(fields, string(rest[4:4+size]))
			rest = rest[4+size:]
		}
		switch body[0] {
		case 'V':
			send('V', "t", "text", fields[0])
		case 'E':
			result.failure = &failure{name: fields[0], message: fields[1], trace: fields[2:]}
		case 'L':
			result.lost[fields[0]] = fields[1]
		case 'T':
			result.types[fields[0]] = append(result.types[fields[0]], fields[1])
		case 'W':
			result.directory = fields[0]
		case 'N':
			result.environment = fields
		case 'K':
			result.finished = true
		}
	}
}
