// Package state carries a context's variables from one program to the next, and runs the program's cell.
package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Descriptors that the driver hands over: where to report, the old state, the new one.
const (
	reportFile = 3
	oldFile    = 4
	newFile    = 5
)

const (
	maxText   = 4 << 20
	maxFrames = 200
)

// Variable is one that outlives its program; Pointer points to it. The value of one that is Code is written by the
// program itself.
type Variable struct {
	Name    string
	Pointer interface{}
	Code    bool
}

// Pointers into the standard library that must be the same in every program.
var shared = []interface{}{
	io.EOF, io.ErrUnexpectedEOF, time.Local, time.UTC, os.Stdin, os.Stdout, os.Stderr,
}

var report = os.NewFile(reportFile, "report")

func say(kind byte, fields ...string) {
	body := []byte{kind}
	for _, field := range fields {
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(field))), field...)
	}
	report.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
}

// Main brings the variables' values back, runs a cell and keeps the values.
func Main(variables []Variable, types map[string]reflect.Type, code, cell func()) {
	for descriptor := reportFile; descriptor <= newFile; descriptor++ {
		syscall.CloseOnExec(descriptor)
	}
	load(variables, types)
	code()
	if failure := call(cell); failure != nil {
		say('E', failure...)
	}
	save(variables)
	if directory, err := os.Getwd(); err == nil {
		say('W', directory)
	}
	say('N', os.Environ()...)
	say('K')
	os.Exit(0)
}

func call(cell func()) (failure []string) {
	defer func() {
		if value := recover(); value != nil {
			failure = describe(value)
		}
	}()
	cell()
	return nil
}

func describe(value interface{}) []string {
	message := text(value)
	lines := []string{"panic", message, "panic: " + message}
	callers := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.File, "cell_") {
			place := frame.File + ":" + strconv.Itoa(frame.Line)
			name := strings.TrimPrefix(frame.Function, "main.")
			if !strings.HasPrefix(name, "sandkeep_cell") {
				place = name + " (" + place + ")"
			}
			lines = append(lines, "    at "+place)
		}
		if !more {
			return lines
		}
	}
}

func text(value interface{}) string {
	var found string
	if failure, ok := value.(error); ok {
		found = failure.Error()
	} else {
		found = fmt.Sprintf("%+v", value)
	}
	if len(found) > maxText {
		return found[:maxText] + "... (cut)"
	}
	return found
}

// Show reports the value of a cell's last expression.
func Show(values ...interface{}) {
	if len(values) == 1 && values[0] == nil {
		return
	}
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = text(value)
	}
	say('V', strings.Join(texts, " "))
}

type key struct {
	pointer unsafe.Pointer
	kind    reflect.Type
}

// An object that several values may share; elements are those of a slice.
type object struct {
	value    reflect.Value
	elements int
}

func known(variables []Variable) []reflect.Value {
	var found []reflect.Value
	for _, pointer := range shared {
		found = append(found, reflect.ValueOf(pointer))
	}
	for _, variable := range variables {
		found = append(found, reflect.ValueOf(variable.Pointer))
	}
	return found
}

// --- keeping

type unkept string

func (u unkept) Error() string { return string(u) }

type writer struct {
	out     []byte
	ids     map[key]int
	lengths map[key]int
	order   []key
	count   int
	types   map[string]bool
}

func save(variables []Variable) {
	w := &writer{ids: map[key]int{}, lengths: map[key]int{}, types: map[string]bool{}}
	for _, pointer := range known(variables) {
		w.add(key{pointer.UnsafePointer(), pointer.Type()}, 0)
	}
	all := binary.LittleEndian.AppendUint64(nil, uint64(len(variables)))
	for _, variable := range variables {
		all = field(all, []byte(variable.Name))
	}
	for _, variable := range variables {
		if variable.Code {
			continue
		}
		pointer := reflect.ValueOf(variable.Pointer)
		kind := pointer.Type().Elem()
		w.out, w.order, w.types = nil, nil, map[string]bool{}
		count := w.count
		if err := w.attempt(pointer.UnsafePointer(), kind); err != nil {
			for _, added := range w.order {
				delete(w.ids, added)
			}
			w.count = count
			say('L', variable.Name, err.Error())
			continue
		}
		for name := range w.types {
			say('T', variable.Name, name)
		}
		all = field(all, []byte(variable.Name))
		all = binary.LittleEndian.AppendUint64(all, shape(kind))
		all = binary.LittleEndian.AppendUint64(all, uint64(count))
		all = field(all, w.out)
	}
	file := os.NewFile(newFile, "state")
	if _, err := file.Write(all); err != nil {
		say('E', "StateError", "the variables cannot be kept: "+err.Error())
		os.Exit(1)
	}
}

func field(out, content []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(out, uint64(len(content))), content...)
}

func (w *writer) attempt(p unsafe.Pointer, t reflect.Type) (err error) {
	defer func() {
		if reason, ok := recover().(unkept); ok {
			err = reason
		}
	}()
	w.value(p, t)
	return nil
}

func (w *writer) add(k key, elements int) {
	w.ids[k] = w.count
	w.lengths[k] = elements
	w.order = append(w.order, k)
	w.count++
}

func (w *writer) number(n int) { w.out = binary.AppendVarint(w.out, int64(n)) }

// What is written for a reference: nothing there, something new, or an object's number from here on.
const (
	absent = iota
	fresh
	first
)

func (w *writer) value(p unsafe.Pointer, t reflect.Type) {
	if plain(t) {
		w.out = append(w.out, unsafe.Slice((*byte)(p), t.Size())...)
		return
	}
	v := reflect.NewAt(t, p).Elem()
	switch t.Kind() {
	case reflect.String:
		w.number(v.Len())
		w.out = append(w.out, v.String()...)
	case reflect.Struct:
		if isForeign(t) {
			panic(unkept("it holds a " + t.String()))
		}
		for i := 0; i < t.NumField(); i++ {
			w.value(unsafe.Add(p, t.Field(i).Offset), t.Field(i).Type)
		}
	case reflect.Array:
		w.elements(p, t.Elem(), t.Len())
	case reflect.Slice:
		k := key{v.UnsafePointer(), t}
		id, seen := w.ids[k]
		switch {
		case v.IsNil():
			w.number(absent)
		case seen && w.lengths[k] >= v.Len():
			w.number(first + id)
			w.number(v.Len())
		default:
			w.number(fresh)
			w.number(v.Len())
			w.add(k, v.Len())
			w.elements(k.pointer, t.Elem(), v.Len())
		}
	case reflect.Map:
		if w.reference(v.UnsafePointer(), t) {
			w.number(v.Len())
			for entries := v.MapRange(); entries.Next(); {
				w.copied(entries.Key(), t.Key())
				w.copied(entries.Value(), t.Elem())
			}
		}
	case reflect.Ptr:
		if w.reference(v.UnsafePointer(), t) {
			w.value(v.UnsafePointer(), t.Elem())
		}
	case reflect.Interface:
		if v.IsNil() {
			w.number(absent)
			return
		}
		kind := v.Elem().Type()
		name := typeName(kind)
		w.types[name] = true
		w.number(fresh)
		w.number(len(name))
		w.out = append(w.out, name...)
		w.out = binary.LittleEndian.AppendUint64(w.out, shape(kind))
		w.copied(v.Elem(), kind)
	default:
		if !v.IsZero() {
			panic(unkept(map[reflect.Kind]string{
				reflect.Func: "it is or holds a function", reflect.Chan: "it is or holds a channel",
				reflect.UnsafePointer: "it holds an unsafe pointer (" + t.String() + ")",
			}[t.Kind()]))
		}
	}
}

func (w *writer) elements(p unsafe.Pointer, t reflect.Type, count int) {
	if plain(t) {
		w.out = append(w.out, unsafe.Slice((*byte)(p), uintptr(count)*t.Size())...)
		return
	}
	for i := 0; i < count; i++ {
		w.value(unsafe.Add(p, uintptr(i)*t.Size()), t)
	}
}

// What is in a map or an interface has no address of its own.
func (w *writer) copied(v reflect.Value, t reflect.Type) {
	copied := reflect.New(t)
	copied.Elem().Set(v)
	w.value(copied.UnsafePointer(), t)
}

func (w *writer) reference(p unsafe.Pointer, t reflect.Type) bool {
	if p == nil {
		w.number(absent)
		return false
	}
	if id, seen := w.ids[key{p, t}]; seen {
		w.number(first + id)
		return false
	}
	w.number(fresh)
	w.add(key{p, t}, 0)
	return true
}

// Types that stand for something outside the program, or in the runtime.
func isForeign(t reflect.Type) bool {
	path := t.PkgPath()
	switch path {
	case "reflect", "runtime", "net", "plugin":
		return true
	case "os":
		return t.Name() == "file" || t.Name() == "File" || t.Name() == "Process" || t.Name() == "Root"
	}
	return strings.HasPrefix(path, "internal/") || strings.HasPrefix(path, "runtime/")
}

var plainTypes = map[reflect.Type]bool{}

// Whether its values have no pointers.
func plain(t reflect.Type) bool {
	found, seen := plainTypes[t]
	if seen {
		return found
	}
	switch t.Kind() {
	case reflect.Array:
		found = t.Len() == 0 || plain(t.Elem())
	case reflect.Struct:
		found = true
		for i := 0; i < t.NumField() && found; i++ {
			found = plain(t.Field(i).Type)
		}
	default:
		found = t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
	}
	plainTypes[t] = found
	return found
}

// A type as the next program can write it, the paths of packages in brackets of their own.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return "‹" + t.PkgPath() + "›." + t.Name()
	}
	switch t.Kind() {
	case reflect.Ptr:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return "[" + strconv.Itoa(t.Len()) + "]" + typeName(t.Elem())
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return "interface{}"
		}
	case reflect.Struct:
		if t.NumField() == 0 {
			return "struct{}"
		}
	}
	panic(unkept("it holds a value of the type " + t.String() + ", which has no name"))
}

var shapes = map[reflect.Type]uint64{}

// A number that changes when a type is declared differently.
func shape(t reflect.Type) uint64 {
	found, seen := shapes[t]
	if !seen {
		hash := fnv.New64a()
		outline(hash, t, map[reflect.Type]bool{})
		found = hash.Sum64()
		shapes[t] = found
	}
	return found
}

func outline(to io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprint(to, t.PkgPath(), " ", t.String(), t.Kind(), ";")
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map:
		outline(to, t.Key(), seen)
		outline(to, t.Elem(), seen)
	case reflect.Ptr, reflect.Slice, reflect.Array, reflect.Chan:
		outline(to, t.Elem(), seen)
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			fmt.Fprint(to, t.Field(i).Name, " ")
			outline(to, t.Field(i).Type, seen)
		}
	}
}

// --- bringing back

type reader struct {
	in      []byte
	objects []object
	types   map[string]reflect.Type
}

var errChanged = errors.New("its type, or one of its parts, was declared anew")

func load(variables []Variable, types map[string]reflect.Type) {
	file := os.NewFile(oldFile, "state")
	all, err := io.ReadAll(file)
	if err != nil {
		say('E', "StateError", "the variables cannot be read: "+err.Error())
		os.Exit(1)
	}
	r := &reader{in: all, types: types}
	byName := map[string]reflect.Value{}
	for _, variable := range variables {
		if !variable.Code {
			byName[variable.Name] = reflect.ValueOf(variable.Pointer)
		}
	}
	for _, pointer := range shared {
		r.objects = append(r.objects, object{reflect.ValueOf(pointer), 0})
	}
	if len(all) > 0 {
		for count := r.long(); count > 0; count-- {
			r.objects = append(r.objects, object{byName[string(r.bytes(r.long()))], 0})
		}
	}
	for len(r.in) > 0 {
		name, kind, begin := string(r.bytes(r.long())), r.long(), r.long()
		content := r.bytes(r.long())
		pointer, wanted := byName[name]
		if !wanted {
			continue
		}
		for len(r.objects) < begin {
			r.objects = append(r.objects, object{})
		}
		rest := r.in
		r.in = content
		err := errChanged
		if uint64(kind) == shape(pointer.Type().Elem()) {
			err = r.attempt(pointer)
		}
		r.in = rest
		if err != nil {
			pointer.Elem().Set(reflect.Zero(pointer.Type().Elem()))
			say('L', name, err.Error())
		}
	}
}

func (r *reader) attempt(pointer reflect.Value) (err error) {
	defer func() {
		if reason, ok := recover().(unkept); ok {
			err = reason
		}
	}()
	r.value(pointer.UnsafePointer(), pointer.Type().Elem())
	return nil
}

func (r *reader) bytes(count int) []byte {
	found := r.in[:count:count]
	r.in = r.in[count:]
	return found
}

func (r *reader) long() int { return int(binary.LittleEndian.Uint64(r.bytes(8))) }

func (r *reader) number() int {
	found, used := binary.Varint(r.in)
	r.in = r.in[used:]
	return int(found)
}

func (r *reader) object(id int, t reflect.Type) object {
	if id >= len(r.objects) || !r.objects[id].value.IsValid() || r.objects[id].value.Type() != t {
		panic(unkept("it shares something with a variable that is gone"))
	}
	return r.objects[id]
}

func (r *reader) add(value reflect.Value, elements int) {
	r.objects = append(r.objects, object{value, elements})
}

func (r *reader) value(p unsafe.Pointer, t reflect.Type) {
	if plain(t) {
		copy(unsafe.Slice((*byte)(p), t.Size()), r.bytes(int(t.Size())))
		return
	}
	v := reflect.NewAt(t, p).Elem()
	switch t.Kind() {
	case reflect.String:
		v.SetString(string(r.bytes(r.number())))
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			r.value(unsafe.Add(p, t.Field(i).Offset), t.Field(i).Type)
		}
	case reflect.Array:
		r.elements(p, t.Elem(), t.Len())
	case reflect.Slice:
		switch id := r.number(); id {
		case absent:
		case fresh:
			count := r.number()
			made := reflect.MakeSlice(t, count, count)
			r.add(made, count)
			v.Set(made)
			r.elements(made.UnsafePointer(), t.Elem(), count)
		default:
			v.Set(r.object(id-first, t).value.Slice(0, r.number()))
		}
	case reflect.Map:
		switch id := r.number(); id {
		case absent:
		case fresh:
			count := r.number()
			made := reflect.MakeMapWithSize(t, count)
			r.add(made, 0)
			v.Set(made)
			for ; count > 0; count-- {
				name, content := reflect.New(t.Key()), reflect.New(t.Elem())
				r.value(name.UnsafePointer(), t.Key())
				r.value(content.UnsafePointer(), t.Elem())
				made.SetMapIndex(name.Elem(), content.Elem())
			}
		default:
			v.Set(r.object(id-first, t).value)
		}
	case reflect.Ptr:
		switch id := r.number(); id {
		case absent:
		case fresh:
			made := reflect.New(t.Elem()).Convert(t)
			r.add(made, 0)
			v.Set(made)
			r.value(made.UnsafePointer(), t.Elem())
		default:
			v.Set(r.object(id-first, t).value)
		}
	case reflect.Interface:
		if r.number() == absent {
			return
		}
		kind := r.types[string(r.bytes(r.number()))]
		if expected := uint64(r.long()); kind == nil || expected != shape(kind) {
			panic(unkept(errChanged.Error()))
		}
		made := reflect.New(kind)
		r.value(made.UnsafePointer(), kind)
		v.Set(made.Elem())
	}
}

func (r *reader) elements(p unsafe.Pointer, t reflect.Type, count int) {
	size := t.Size()
	if plain(t) {
		copy(unsafe.Slice((*byte)(p), uintptr(count)*size), r.bytes(count*int(size)))
		return
	}
	for i := 0; i < count; i++ {
		r.value(unsafe.Add(p, uintptr(i)*size), t)
	}
}
