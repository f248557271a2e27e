// Runs the cells that execd sends and reports what came of them.
//
// Each cell becomes a program of its own: the declarations so far, the cell's statements, and variables whose values go
// from one program to the next (package state). Output is not our business, programs write to descriptors 1 and 2.
//
// Frames have a length of four bytes, little-endian. To us: the code. From us: a letter and fields, each with its own
// length. S: the code begins and can be interrupted; V: a value as flag, MIME type and text; E: name, message and
// traceback lines; D: the run is done.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	channel    = 3
	maxSources = 500
	// How long a program may take to end after an interrupt.
	endTime = time.Second
	// By then, a signal to the group has come to each of it.
	signalTime  = time.Second
	signalPause = 5 * time.Millisecond
)

var executionChannel = os.NewFile(channel, "channel")

func send(kind byte, fields ...string) {
	body := []byte{kind}
	for _, field := range fields {
		body = binary.LittleEndian.AppendUint32(body, uint32(len(field)))
		body = append(body, field...)
	}
	executionChannel.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
}

// A failure that is reported as the run's error.
type failure struct {
	name, message string
	trace         []string
}

func (f *failure) Error() string { return f.message }

// What runs at the moment, so that it can be interrupted.
type running struct {
	sync.Mutex
	active      bool
	interrupted bool
	process     *os.Process
}

func (r *running) begin() {
	r.Lock()
	defer r.Unlock()
	r.active, r.interrupted = true, false
}

func (r *running) end() {
	r.Lock()
	defer r.Unlock()
	r.active, r.process = false, nil
}

func (r *running) wasInterrupted() bool {
	r.Lock()
	defer r.Unlock()
	return r.interrupted
}

// The signal has gone to the whole group; whoever does not mind it is ended.
func (r *running) watch() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT)
	for range signals {
		r.Lock()
		process := r.process
		if r.active {
			r.interrupted = true
		}
		r.Unlock()
		if process == nil {
			continue
		}
		process.Signal(syscall.SIGINT)
		time.AfterFunc(endTime, func() {
			r.Lock()
			defer r.Unlock()
			if r.process == process {
				process.Kill()
			}
		})
	}
}

// The child may have minded the signal to the group before this process has come to it.
func (r *running) awaitInterrupt() {
	for waited := time.Duration(0); waited < signalTime && !r.wasInterrupted(); waited += signalPause {
		time.Sleep(signalPause)
	}
}

// Starts a child and waits for it, unless the run has been interrupted.
func (r *running) run(command *exec.Cmd) error {
	r.Lock()
	if r.interrupted {
		r.Unlock()
		return errInterrupted
	}
	err := command.Start()
	if err == nil {
		r.process = command.Process
	}
	r.Unlock()
	if err != nil {
		return err
	}
	err = command.Wait()
	if exit, ok := err.(*exec.ExitError); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGINT {
			r.awaitInterrupt()
		}
	}
	r.Lock()
	defer r.Unlock()
	r.process = nil
	if r.interrupted {
		return errInterrupted
	}
	return err
}

var errInterrupted = errors.New("the run was interrupted")

func main() {
	syscall.CloseOnExec(channel)
	current := &running{}
	go current.watch()
	tools, err := newToolchain(os.Args[1], os.Args[2], os.Args[3], current)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the Go toolchain cannot be used:", err)
		os.Exit(1)
	}
	defer tools.close()
	held := newSession()
	for count := 1; ; count++ {
		code, err := receive()
		if err != nil {
			return
		}
		current.begin()
		send('S')
		next, err := run(tools, held, count, code)
		if next != nil {
			held = next
		}
		if current.wasInterrupted() {
			err = errInterrupted
		}
		current.end()
		if err != nil {
			complain(err)
		}
		send('D')
	}
}

func receive() (string, error) {
	var length [4]byte
	if _, err := io.ReadFull(executionChannel, length[:]); err != nil {
		return "", err
	}
	code := make([]byte, binary.LittleEndian.Uint32(length[:]))
	_, err := io.ReadFull(executionChannel, code)
	return string(code), err
}

func complain(err error) {
	var known *failure
	switch {
	case errors.As(err, &known):
		send('E', append([]string{known.name, known.message}, known.trace...)...)
	case err == errInterrupted:
		send('E', "Interrupted", err.Error(), "Interrupted: "+err.Error())
	default:
		send('E', "GoError", err.Error(), "GoError: "+err.Error())
	}
}

// Runs a cell; the session as it is afterwards, or nil when nothing of the cell is kept.
func run(tools *toolchain, before *session, count int, code string) (*session, error) {
	name := "cell_" + strconv.Itoa(count) + ".go"
	next := before.clone()
	next.sources[name] = code
	delete(next.sources, "cell_"+strconv.Itoa(count-maxSources)+".go")
	text, err := next.program(tools, name, code)
	if err != nil {
		return nil, err
	}
	if err := tools.build(text, next.imported(text), next.sources); err != nil {
		return nil, err
	}
	report, err := tools.execute(before.state, next)
	if err != nil {
		return nil, err
	}
	if !report.finished {
		report.state.Close()
		if report.failure != nil {
			return nil, report.failure
		}
		return nil, report.ended
	}
	before.state.Close()
	next.state = report.state
	next.settle(report)
	if report.failure != nil {
		return next, report.failure
	}
	return next, nil
}

// What a program said.
type report struct {
	finished    bool
	ended       error
	failure     error
	state       *os.File
	lost        map[string]string
	types       map[string][]string
	directory   string
	environment []string
}

var place = regexp.MustCompile(`^(?:.*/)?(cell_\d+\.go):(\d+)(?::(\d+))?: (.*)$`)

// The compiler's complaints with the lines they are about.
func compileError(complaints string, sources map[string]string) *failure {
	result := &failure{name: "CompileError"}
	for _, line := range strings.Split(strings.TrimSpace(complaints), "\n") {
		found := place.FindStringSubmatch(line)
		if found == nil {
			if !strings.HasPrefix(line, "# ") {
				result.trace = append(result.trace, line)
			}
			continue
		}
		number, _ := strconv.Atoi(found[2])
		column, _ := strconv.Atoi(found[3])
		if result.message == "" {
			result.message = found[4]
		}
		result.trace = append(result.trace, excerpt(sources, found[1], number, column, found[4])...)
	}
	if result.message == "" && len(result.trace) > 0 {
		result.message = result.trace[0]
	}
	return result
}

func excerpt(sources map[string]string, cell string, line, column int, message string) []string {
	at := cell + ":" + strconv.Itoa(line)
	if column > 0 {
		at += ":" + strconv.Itoa(column)
	}
	lines := strings.Split(sources[cell], "\n")
	if line < 1 || line > len(lines) {
		return []string{at + ": " + message}
	}
	found := []string{at + ": " + message, lines[line-1]}
	if column > 0 && column <= len(lines[line-1])+1 {
		// Tabs stay, so that the mark is below its place.
		mark := strings.Map(func(c rune) rune {
			if c == '\t' {
				return c
			}
			return ' '
		}, lines[line-1][:column-1])
		found = append(found, mark+"^")
	}
	return found
}
