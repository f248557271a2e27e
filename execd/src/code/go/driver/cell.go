package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

const (
	cellFunction = "sandkeep_cell"
	codeFunction = "sandkeep_code"
	mainFunction = "sandkeep_main"
	stateName    = "sandkeep_state"
	importPrefix = "sandkeep_import"
)

// What a context holds between runs.
type session struct {
	imports []imported
	// Constants, types and functions, in the order of their cells.
	declarations []declaration
	variables    []variable
	// Types that values behind interfaces have.
	types   map[string]bool
	sources map[string]string
	state   *os.File
	// Names of the cell that is about to run.
	assigned map[string]bool
	fresh    map[string]bool
}

type imported struct{ name, path string }

type declaration struct {
	names  []string
	method string // of this type
	text   string
}

type variable struct {
	name, kind string
	// The function that it holds, as text; held before the cell, and after it.
	held, code string
	// Why its value is not kept.
	lost string
}

func newSession() *session {
	state, _ := os.Open(os.DevNull)
	return &session{types: map[string]bool{}, sources: map[string]string{}, state: state}
}

func (s *session) clone() *session {
	next := &session{types: map[string]bool{}, sources: map[string]string{}, state: s.state}
	next.imports = append(next.imports, s.imports...)
	next.declarations = append(next.declarations, s.declarations...)
	next.variables = append(next.variables, s.variables...)
	for i := range next.variables {
		next.variables[i].held = next.variables[i].code
	}
	for name := range s.types {
		next.types[name] = true
	}
	for name, text := range s.sources {
		next.sources[name] = text
	}
	next.assigned, next.fresh = map[string]bool{}, map[string]bool{}
	return next
}

func (s *session) variable(name string) *variable {
	for i := range s.variables {
		if s.variables[i].name == name {
			return &s.variables[i]
		}
	}
	return nil
}

func (s *session) forget(name string) {
	for i := range s.variables {
		if s.variables[i].name == name {
			s.variables = append(append([]variable{}, s.variables[:i]...), s.variables[i+1:]...)
			return
		}
	}
}

// Takes over what the program found out.
func (s *session) settle(report *report) {
	for i := range s.variables {
		v := &s.variables[i]
		reason, lost := report.lost[v.name]
		for _, name := range report.types[v.name] {
			if _, ok := s.typeText(name); ok {
				s.types[name] = true
			} else {
				reason, lost = "it holds a value of the type "+plainName(name), true
			}
		}
		if lost {
			v.lost = reason
		} else if s.assigned[v.name] || s.fresh[v.name] {
			v.lost = ""
		}
	}
	kept := s.declarations[:0:0]
	for _, d := range s.declarations {
		if len(d.names) != 1 || d.names[0] != mainFunction && d.names[0] != "init" {
			kept = append(kept, d)
		}
	}
	s.declarations = kept
}

var bracketed = regexp.MustCompile(`‹([^›]*)›\.`)

func plainName(name string) string { return bracketed.ReplaceAllString(name, "$1.") }

// Values of types of the standard library that have no name outside of it.
var samples = map[string][2]string{
	"*‹errors›.errorString":   {"errors", `errors.New("")`},
	"*‹errors›.joinError":     {"errors", `errors.Join(errors.New(""))`},
	"*‹fmt›.wrapError":        {"fmt", `fmt.Errorf("%w", error(nil))`},
	"*‹math/rand›.rngSource":  {"math/rand", `rand.NewSource(1)`},
	"‹context›.backgroundCtx": {"context", `context.Background()`},
	"*‹context›.emptyCtx":     {"context", `context.Background()`},
	"*‹os›.fileStat":          {"os", `func() os.FileInfo { found, _ := os.Stat("/"); return found }()`},
}

// The reflected type as it is written in a program, with the paths of packages in brackets.
func (s *session) typeText(name string) (text string, ok bool) {
	if sample, found := samples[name]; found {
		short := sample[0][strings.LastIndexByte(sample[0], '/')+1:]
		text := strings.Replace(sample[1], short+".", "‹"+sample[0]+"›.", -1)
		return "reflect.TypeOf(" + text + ")", true
	}
	ok = true
	text = bracketed.ReplaceAllStringFunc(name, func(found string) string {
		path := bracketed.FindStringSubmatch(found)[1]
		if path == "main" {
			return ""
		}
		return found
	})
	for _, found := range regexp.MustCompile(`›\.(\w+)`).FindAllStringSubmatch(text, -1) {
		ok = ok && token.IsExported(found[1])
	}
	for _, found := range regexp.MustCompile(`‹main›\.(\w+)`).FindAllStringSubmatch(name, -1) {
		ok = ok && s.declares(found[1])
	}
	if at := strings.IndexByte(text, '['); at > 0 && strings.Contains(name, "‹main›") {
		text = text[:at] + strings.Replace(text[at:], "main.", "", -1)
		ok = ok && !strings.Contains(text[at:], "/")
	}
	return "reflect.TypeOf((*" + text + ")(nil)).Elem()", ok
}

func (s *session) declares(name string) bool {
	for _, d := range s.declarations {
		for _, known := range d.names {
			if known == name {
				return true
			}
		}
	}
	return false
}

// A piece of a cell that stands for itself.
type chunk struct {
	kind       token.Token // IMPORT, FUNC, TYPE, CONST, or anything for a statement
	start, end int
}

// Cuts a cell at the ends of its statements.
func split(name, code string) ([]chunk, error) {
	files := token.NewFileSet()
	file := files.AddFile(name, -1, len(code))
	var problems scanner.ErrorList
	var s scanner.Scanner
	s.Init(file, []byte(code), func(at token.Position, message string) { problems.Add(at, message) }, 0)
	var chunks []chunk
	var tokens []token.Token
	start, depth := -1, 0
	for {
		pos, tok, _ := s.Scan()
		offset := file.Offset(pos)
		if start >= 0 && (tok == token.EOF || tok == token.SEMICOLON && depth <= 0) {
			chunks = append(chunks, chunk{classify(tokens), start, offset})
			start, depth, tokens = -1, 0, nil
		}
		if tok == token.EOF {
			break
		}
		if start < 0 {
			if tok == token.SEMICOLON {
				continue
			}
			start = offset
		}
		switch tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		}
		tokens = append(tokens, tok)
	}
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return chunks, nil
}

func classify(tokens []token.Token) token.Token {
	if tokens[0] != token.FUNC || len(tokens) < 2 {
		return tokens[0]
	}
	if tokens[1] == token.IDENT {
		return token.FUNC
	}
	depth := 0
	for i, tok := range tokens[1:] {
		switch tok {
		case token.LPAREN:
			depth++
		case token.RPAREN:
			depth--
		}
		if depth == 0 {
			rest := tokens[i+2:]
			if len(rest) > 1 && rest[0] == token.IDENT && rest[1] == token.LPAREN {
				return token.FUNC
			}
			break
		}
	}
	// A function that is called on the spot.
	return token.LPAREN
}

// A text whose parts are replaced later.
type edit struct {
	start, end int
	text       string
}

func apply(text string, edits []edit) string {
	sort.SliceStable(edits, func(i, j int) bool { return edits[i].start < edits[j].start })
	var out strings.Builder
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue
		}
		out.WriteString(text[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.WriteString(text[at:])
	return out.String()
}

// The program of a cell; the session takes over what the cell declares.
func (s *session) program(tools *toolchain, name, code string) (string, error) {
	chunks, err := split(name, code)
	if err != nil {
		return "", s.syntaxError(err)
	}
	line := lineNumbers(code)
	located := func(c chunk) string {
		number, column := line(c.start)
		return fmt.Sprintf("\n//line %s:%d:%d\n%s", name, number, column, code[c.start:c.end])
	}
	var body strings.Builder
	runsMain := false
	for _, c := range chunks {
		switch c.kind {
		case token.PACKAGE:
		case token.IMPORT:
			if err := s.addImports(name, located(c)); err != nil {
				return "", s.syntaxError(err)
			}
		case token.FUNC, token.TYPE, token.CONST:
			isMain, err := s.addDeclaration(name, located(c))
			if err != nil {
				return "", s.syntaxError(err)
			}
			runsMain = runsMain || isMain
		default:
			body.WriteString(located(c))
		}
	}
	var paths []string
	for _, known := range s.imports {
		paths = append(paths, known.path)
	}
	if err := tools.need(paths); err != nil {
		return "", importError(err, chunks, name, code, s.sources)
	}
	call := ""
	if runsMain {
		call = "\n" + mainFunction + "()"
	}
	return s.check(tools, name, body.String(), call)
}

func importError(err error, chunks []chunk, name, code string, sources map[string]string) error {
	if err == errInterrupted {
		return err
	}
	message := strings.TrimPrefix(err.Error(), "package ")
	line := 1
	for _, c := range chunks {
		if c.kind == token.IMPORT {
			found, _ := lineNumbers(code)(c.start)
			for i, text := range strings.Split(code[c.start:c.end], "\n") {
				path := regexp.MustCompile(`"([^"]+)"`).FindStringSubmatch(text)
				if path != nil && strings.Contains(message, path[1]) {
					line = found + i
				}
			}
		}
	}
	message = "import: " + strings.SplitN(message, "\n", 2)[0] + "; only packages that come with Go can be imported"
	return &failure{name: "CompileError", message: message, trace: excerpt(sources, name, line, 0, message)}
}

func lineNumbers(code string) func(int) (int, int) {
	return func(offset int) (int, int) {
		before := code[:offset]
		return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
	}
}

func (s *session) syntaxError(err error) error {
	if list, ok := err.(scanner.ErrorList); ok && len(list) > 0 {
		err = list[0]
	}
	found, ok := err.(*scanner.Error)
	if !ok {
		return &failure{name: "SyntaxError", message: err.Error()}
	}
	at := found.Pos
	return &failure{"SyntaxError", found.Msg, excerpt(s.sources, baseName(at.Filename), at.Line, at.Column, found.Msg)}
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func (s *session) addImports(name, text string) error {
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", "package main\n"+text, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		short := ""
		if spec.Name != nil {
			short = spec.Name.Name
		}
		if short == "." {
			return fmt.Errorf("import of %s: a cell cannot import into its own scope", spec.Path.Value)
		}
		if path == "C" {
			return fmt.Errorf("cgo is not available in cells")
		}
		kept := s.imports[:0:0]
		for _, known := range s.imports {
			if known.path != path || known.name != short {
				kept = append(kept, known)
			}
		}
		s.imports = append(kept, imported{short, path})
	}
	return nil
}

// Takes over a declaration, which replaces those of the same names.
func (s *session) addDeclaration(name, text string) (isMain bool, err error) {
	files := token.NewFileSet()
	prefix := "package main\n"
	file, err := parser.ParseFile(files, "main.go", prefix+text, 0)
	if err != nil {
		return false, err
	}
	for _, found := range file.Decls {
		added := declaration{text: text}
		switch d := found.(type) {
		case *ast.FuncDecl:
			added.names = []string{d.Name.Name}
			if d.Recv != nil && len(d.Recv.List) > 0 {
				added.method = receiver(d.Recv.List[0].Type)
			} else if d.Name.Name == "main" {
				at := files.PositionFor(d.Name.Pos(), false).Offset - len(prefix)
				// The name is longer, which moves what follows on the line.
				added.text, added.names = text[:at]+mainFunction+text[at+len("main"):], []string{mainFunction}
				isMain = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					added.names = append(added.names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, ident := range spec.Names {
						added.names = append(added.names, ident.Name)
					}
				}
			}
		}
		s.replace(added)
		s.declarations = append(s.declarations, added)
	}
	return isMain, nil
}

func receiver(kind ast.Expr) string {
	switch kind := kind.(type) {
	case *ast.Ident:
		return kind.Name
	case *ast.StarExpr:
		return receiver(kind.X)
	case *ast.ParenExpr:
		return receiver(kind.X)
	case *ast.IndexExpr:
		return receiver(kind.X)
	case *ast.IndexListExpr:
		return receiver(kind.X)
	}
	return ""
}

// Removes what a new declaration stands for from now on.
func (s *session) replace(added declaration) {
	for _, name := range added.names {
		if name == "_" || name == "init" && added.method == "" {
			continue
		}
		if added.method == "" {
			s.forget(name)
		}
		s.undeclare(name, added.method)
	}
}

func (s *session) undeclare(name, method string) {
	kept := s.declarations[:0:0]
	for _, d := range s.declarations {
		names := d.names
		if d.method == method && contains(names, name) {
			if len(names) == 1 {
				continue
			}
			d.text, d.names = blank(d.text, name), without(names, name)
		} else if method == "" && d.method == name {
			// The methods of a type go with it.
			continue
		}
		kept = append(kept, d)
	}
	s.declarations = kept
	mentions := regexp.MustCompile(`(^|[^\w.])` + regexp.QuoteMeta(name) + `\b`)
	for i := range s.variables {
		if v := &s.variables[i]; method == "" && mentions.MatchString(v.kind) && v.lost == "" {
			v.lost = "its type " + name + " was declared anew"
		}
	}
}

func contains(names []string, name string) bool {
	for _, known := range names {
		if known == name {
			return true
		}
	}
	return false
}

func without(names []string, name string) []string {
	var kept []string
	for _, known := range names {
		if known != name {
			kept = append(kept, known)
		}
	}
	return kept
}

// Replaces a declared name by the blank one.
func blank(text, name string) string {
	files := token.NewFileSet()
	prefix := "package main\n"
	file, err := parser.ParseFile(files, "main.go", prefix+text, 0)
	if err != nil {
		return text
	}
	var edits []edit
	for _, found := range file.Decls {
		group, ok := found.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			var idents []*ast.Ident
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				idents = []*ast.Ident{spec.Name}
			case *ast.ValueSpec:
				idents = spec.Names
			}
			for _, ident := range idents {
				if ident.Name == name {
					at := files.PositionFor(ident.Pos(), false).Offset - len(prefix)
					edits = append(edits, edit{at, at + len(name), "_"})
				}
			}
		}
	}
	return apply(text, edits)
}
