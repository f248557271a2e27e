package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// One cell's program in the making: a text that is read and checked, and the changes that make it the program.
type program struct {
	session *session
	name    string
	text    string
	files   *token.FileSet
	file    *ast.File
	cell    *ast.FuncDecl
	info    *types.Info
	own     *types.Package
	edits   []edit
	// Where declarations are in the text, and assignments of functions to variables that hold them.
	declared [][2]int
	held     map[string][2]int
	// Variables that cannot be kept, because their types have no name here.
	local map[string]bool
}

// Reads the cell among all that is known, and writes the program.
func (s *session) check(tools *toolchain, name, body, call string) (string, error) {
	p := &program{session: s, name: name, files: token.NewFileSet(), local: map[string]bool{}, held: map[string][2]int{}}
	var text strings.Builder
	text.WriteString("package main\n")
	for _, known := range s.imports {
		fmt.Fprintf(&text, "import %s %q\n", known.name, known.path)
	}
	types_ := map[string]string{}
	before := s.variableTexts(types_)
	for _, path := range sortedKeys(types_) {
		fmt.Fprintf(&text, "import %s %q\n", types_[path], path)
	}
	begin := text.Len()
	text.WriteString(before)
	p.edits = append(p.edits, edit{begin, text.Len(), ""})
	for _, d := range s.declarations {
		start := text.Len()
		text.WriteString(d.text)
		text.WriteString("\n")
		p.declared = append(p.declared, [2]int{start, text.Len()})
	}
	fmt.Fprintf(&text, "\n//line sandkeep.go:1:1\nfunc %s() {\n", codeFunction)
	for _, v := range s.variables {
		if v.held != "" {
			start := text.Len()
			fmt.Fprintf(&text, "%s =%s\n", v.name, v.held)
			p.held[v.name] = [2]int{start, text.Len()}
		}
	}
	text.WriteString("}\n")
	fmt.Fprintf(&text, "\n//line sandkeep.go:1:1\nfunc %s() {%s\n//line sandkeep.go:2:1\n%s\n}\n", cellFunction, body, call)
	p.text = text.String()
	var err error
	if p.file, err = parser.ParseFile(p.files, "main.go", p.text, 0); err != nil {
		if list, ok := err.(scanner.ErrorList); ok && len(list) > 0 && !strings.HasPrefix(baseName(list[0].Pos.Filename), "cell_") {
			// It ends in the middle of something.
			list[0].Pos.Filename, list[0].Pos.Line, list[0].Pos.Column = name, strings.Count(s.sources[name], "\n")+1, 0
		}
		return "", s.syntaxError(err)
	}
	p.typeCheck(tools.types)
	for _, found := range p.file.Decls {
		if function, ok := found.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == cellFunction {
			p.cell = function
		}
	}
	p.statements(call == "")
	if err := p.refuseLost(); err != nil {
		return "", err
	}
	p.dropHeld()
	p.dropUnusedImports()
	return p.finish(), nil
}

func sortedKeys[V any](from map[string]V) []string {
	var keys []string
	for name := range from {
		keys = append(keys, name)
	}
	sort.Strings(keys)
	return keys
}

// Types with paths of packages in brackets as Go has them; the names of packages are collected.
func resolve(text string, names map[string]string) string {
	return bracketed.ReplaceAllStringFunc(text, func(found string) string {
		path := bracketed.FindStringSubmatch(found)[1]
		if names[path] == "" {
			names[path] = importPrefix + strconv.Itoa(len(names))
		}
		return names[path] + "."
	})
}

func (s *session) variableTexts(names map[string]string) string {
	var text strings.Builder
	for _, v := range s.variables {
		fmt.Fprintf(&text, "var %s %s\n", v.name, resolve(v.kind, names))
	}
	return text.String()
}

// Complaints are left to the compiler; what matters here is what is right.
func (p *program) typeCheck(from types.Importer) {
	p.info = &types.Info{
		Types:     map[ast.Expr]types.TypeAndValue{},
		Defs:      map[*ast.Ident]types.Object{},
		Uses:      map[*ast.Ident]types.Object{},
		Implicits: map[ast.Node]types.Object{},
	}
	config := types.Config{Importer: from, Error: func(error) {}}
	p.own, _ = config.Check("main", p.files, []*ast.File{p.file}, p.info)
}

func (p *program) offset(pos token.Pos) int { return p.files.PositionFor(pos, false).Offset }

func (p *program) source(node ast.Node) string {
	return p.text[p.offset(node.Pos()):p.offset(node.End())]
}

func (p *program) line(pos token.Pos) string {
	at := p.files.Position(pos)
	return fmt.Sprintf("\n//line %s:%d:%d\n", baseName(at.Filename), at.Line, at.Column)
}

func (p *program) replace(from, to token.Pos, text string) {
	p.edits = append(p.edits, edit{p.offset(from), p.offset(to), text})
}

// Makes the cell's variables the program's, and its last expression its result.
func (p *program) statements(hasResult bool) {
	statements := p.cell.Body.List
	for i, statement := range statements {
		switch found := statement.(type) {
		case *ast.AssignStmt:
			p.assignment(found)
		case *ast.DeclStmt:
			if group, ok := found.Decl.(*ast.GenDecl); ok && group.Tok == token.VAR {
				p.variables(found, group)
			}
		case *ast.ExprStmt:
			if hasResult && i == len(statements)-1 && p.isShown(found.X) {
				p.replace(found.Pos(), found.Pos(), stateName+".Show("+p.line(found.Pos()))
				p.replace(found.End(), found.End(), ")")
			}
		}
		p.noteInnerAssignments(statement)
	}
}

func (p *program) isShown(expression ast.Expr) bool {
	found := p.info.Types[expression]
	if found.IsVoid() || found.IsType() || found.IsNil() {
		return false
	}
	call, ok := expression.(*ast.CallExpr)
	if !ok {
		return true
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return true
	}
	used := p.info.Uses[selector.Sel]
	printing := regexp.MustCompile(`^F?[pP]rint(f|ln)?$`)
	return used == nil || used.Pkg() == nil || used.Pkg().Path() != "fmt" || !printing.MatchString(used.Name())
}

// Says whether these can be variables of the program; they are from now on if so.
func (p *program) adopt(idents []*ast.Ident) bool {
	for _, ident := range idents {
		if object := p.info.Defs[ident]; object != nil && !isNameable(object.Type(), p.own) {
			return false
		}
		if p.local[ident.Name] {
			return false
		}
	}
	for _, ident := range idents {
		object := p.info.Defs[ident]
		if object == nil || ident.Name == "_" {
			continue
		}
		kind := types.TypeString(object.Type(), func(other *types.Package) string {
			if other == p.own {
				return ""
			}
			return "‹" + other.Path() + "›"
		})
		s := p.session
		s.fresh[ident.Name] = true
		if known := s.variable(ident.Name); known != nil {
			if known.kind == kind {
				continue
			}
			s.forget(ident.Name)
		}
		for i, d := range s.declarations {
			if d.method == "" && contains(d.names, ident.Name) {
				text := ""
				if len(d.names) > 1 {
					text = blank(d.text, ident.Name) + "\n"
				}
				p.edits = append(p.edits, edit{p.declared[i][0], p.declared[i][1], text})
			}
		}
		s.variables = append(s.variables, variable{name: ident.Name, kind: kind})
	}
	return true
}

// Keeps the statement's variables in the cell, where they need not be used.
func (p *program) keepLocal(idents []*ast.Ident, end token.Pos) {
	text := ""
	for _, ident := range idents {
		if ident.Name != "_" {
			p.local[ident.Name] = true
			text += "; _ = " + ident.Name
		}
	}
	p.replace(end, end, text)
}

func (p *program) assignment(found *ast.AssignStmt) {
	var idents []*ast.Ident
	for _, left := range found.Lhs {
		if ident, ok := left.(*ast.Ident); ok {
			idents = append(idents, ident)
		}
	}
	if found.Tok == token.DEFINE {
		if len(idents) != len(found.Lhs) || !p.isDefinition(idents) {
			return
		}
		if !p.adopt(idents) {
			p.keepLocal(idents, found.End())
			return
		}
		p.replace(found.TokPos, found.TokPos+2, " =")
	}
	if found.Tok == token.DEFINE || found.Tok == token.ASSIGN {
		for i, left := range found.Lhs {
			ident, ok := left.(*ast.Ident)
			if !ok {
				continue
			}
			p.session.assigned[ident.Name] = true
			if len(found.Rhs) == len(found.Lhs) {
				p.noteCode(ident.Name, found.Rhs[i])
			} else {
				p.noteCode(ident.Name, nil)
			}
		}
	}
}

// Whether the statement is as Go wants it: something on its left is new.
func (p *program) isDefinition(idents []*ast.Ident) bool {
	for _, ident := range idents {
		if p.info.Defs[ident] != nil {
			return true
		}
	}
	return false
}

func (p *program) variables(statement *ast.DeclStmt, group *ast.GenDecl) {
	var text strings.Builder
	for _, found := range group.Specs {
		spec := found.(*ast.ValueSpec)
		if !p.adopt(spec.Names) {
			fmt.Fprintf(&text, "%svar %s", p.line(spec.Pos()), p.source(spec))
			for _, ident := range spec.Names {
				if ident.Name != "_" {
					p.local[ident.Name] = true
					text.WriteString("; _ = " + ident.Name)
				}
			}
			continue
		}
		for i, ident := range spec.Names {
			p.session.assigned[ident.Name] = true
			if len(spec.Values) == len(spec.Names) {
				p.noteCode(ident.Name, spec.Values[i])
			} else {
				p.noteCode(ident.Name, nil)
			}
		}
		var names []string
		for _, ident := range spec.Names {
			names = append(names, ident.Name)
		}
		if len(spec.Values) == 0 {
			for _, name := range names {
				fmt.Fprintf(&text, "%s%s = *new(%s)", p.line(spec.Pos()), name, p.source(spec.Type))
			}
			continue
		}
		last := spec.Values[len(spec.Values)-1]
		values := p.text[p.offset(spec.Values[0].Pos()):p.offset(last.End())]
		fmt.Fprintf(&text, "%s%s =%s%s", p.line(spec.Pos()), strings.Join(names, ", "), p.line(spec.Values[0].Pos()), values)
	}
	text.WriteString("\n")
	p.replace(statement.Pos(), statement.End(), text.String())
}

// A variable that is given a function at the top of a cell has it again in the programs that follow.
func (p *program) noteCode(name string, value ast.Expr) {
	v := p.session.variable(name)
	if v == nil {
		return
	}
	v.code = ""
	if value == nil {
		return
	}
	isFunction := false
	switch found := value.(type) {
	case *ast.FuncLit:
		isFunction = true
	case *ast.Ident:
		_, isFunction = p.info.Uses[found].(*types.Func)
	case *ast.SelectorExpr:
		used, ok := p.info.Uses[found.Sel].(*types.Func)
		isFunction = ok && used.Type().(*types.Signature).Recv() == nil
	}
	if isFunction {
		v.code = p.line(value.Pos()) + p.source(value)
	}
}

// Which function such a variable holds is unknown when an inner statement gives it one.
func (p *program) noteInnerAssignments(statement ast.Stmt) {
	ast.Inspect(statement, func(node ast.Node) bool {
		inner, ok := node.(*ast.AssignStmt)
		if ok && ast.Stmt(inner) != statement {
			for _, left := range inner.Lhs {
				if ident, ok := left.(*ast.Ident); ok && p.info.Defs[ident] == nil {
					p.noteCode(ident.Name, nil)
				}
			}
		}
		return true
	})
}

// Whether a type can be written at the top of the program.
func isNameable(t types.Type, own *types.Package) bool {
	switch t := t.(type) {
	case *types.Basic:
		return t.Kind() != types.Invalid && t.Info()&types.IsUntyped == 0
	case *types.Named:
		object := t.Obj()
		if object.Pkg() == own && object.Parent() != own.Scope() ||
			object.Pkg() != nil && object.Pkg() != own && !object.Exported() {
			return false
		}
		for i := 0; i < t.TypeArgs().Len(); i++ {
			if !isNameable(t.TypeArgs().At(i), own) {
				return false
			}
		}
	case *types.Pointer:
		return isNameable(t.Elem(), own)
	case *types.Slice:
		return isNameable(t.Elem(), own)
	case *types.Array:
		return isNameable(t.Elem(), own)
	case *types.Chan:
		return isNameable(t.Elem(), own)
	case *types.Map:
		return isNameable(t.Key(), own) && isNameable(t.Elem(), own)
	case *types.Struct:
		for i := 0; i < t.NumFields(); i++ {
			if !isNameable(t.Field(i).Type(), own) {
				return false
			}
		}
	case *types.Signature:
		return isNameable(t.Params(), own) && isNameable(t.Results(), own)
	case *types.Tuple:
		for i := 0; i < t.Len(); i++ {
			if !isNameable(t.At(i).Type(), own) {
				return false
			}
		}
	}
	return true
}

// A cell may not use a variable whose value is gone, not even through functions.
func (p *program) refuseLost() error {
	s := p.session
	lost := map[string]string{}
	for _, v := range s.variables {
		if v.lost != "" && !s.assigned[v.name] && v.code == "" {
			lost[v.name] = v.lost
		}
	}
	if len(lost) == 0 {
		return nil
	}
	functions := map[types.Object]ast.Node{}
	for _, found := range p.file.Decls {
		if function, ok := found.(*ast.FuncDecl); ok && p.info.Defs[function.Name] != nil {
			functions[p.info.Defs[function.Name]] = function
		}
	}
	for _, found := range p.file.Decls {
		if function, ok := found.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == codeFunction {
			for _, statement := range function.Body.List {
				if assign, ok := statement.(*ast.AssignStmt); ok {
					functions[p.info.Uses[assign.Lhs[0].(*ast.Ident)]] = assign.Rhs[0]
				}
			}
		}
	}
	seen := map[types.Object]bool{}
	var problem error
	var visit func(node ast.Node, at token.Pos)
	visit = func(node ast.Node, at token.Pos) {
		ast.Inspect(node, func(node ast.Node) bool {
			ident, ok := node.(*ast.Ident)
			if !ok || problem != nil {
				return problem == nil
			}
			object, place := p.info.Uses[ident], at
			if place == token.NoPos {
				place = ident.Pos()
			}
			if object == nil || object.Pkg() != p.own {
				return true
			}
			if reason, gone := lost[ident.Name]; gone && object.Parent() == p.own.Scope() {
				found := p.files.Position(place)
				message := fmt.Sprintf("%s has lost its value, as variables are copied from run to run: %s; give it a new one", ident.Name, reason)
				problem = &failure{"ValueLost", message, excerpt(s.sources, baseName(found.Filename), found.Line, found.Column, message)}
			}
			if function := functions[object]; function != nil && !seen[object] {
				seen[object] = true
				visit(function, place)
			}
			return true
		})
	}
	visit(p.cell.Body, token.NoPos)
	return problem
}

// Leaves out functions of variables that the cell has made anew, or something else.
func (p *program) dropHeld() {
	for name, region := range p.held {
		v := p.session.variable(name)
		if v == nil || v.held == "" || p.session.fresh[name] {
			p.edits = append(p.edits, edit{region[0], region[1], ""})
		} else {
			delete(p.held, name)
		}
	}
}

func (p *program) isDropped(pos token.Pos) bool {
	for _, region := range p.held {
		if at := p.offset(pos); at >= region[0] && at < region[1] {
			return true
		}
	}
	return false
}

func (p *program) dropUnusedImports() {
	used := map[types.Object]bool{}
	names := map[string]bool{}
	ast.Inspect(p.file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if ident, ok := selector.X.(*ast.Ident); ok && !p.isDropped(ident.Pos()) {
				if object := p.info.Uses[ident]; object != nil {
					used[object] = true
				} else {
					// The check did not get that far.
					names[ident.Name] = true
				}
			}
		}
		return true
	})
	for _, found := range p.file.Decls {
		group, ok := found.(*ast.GenDecl)
		if !ok || group.Tok != token.IMPORT {
			continue
		}
		spec := group.Specs[0].(*ast.ImportSpec)
		var object types.Object
		if spec.Name != nil {
			if object = p.info.Defs[spec.Name]; spec.Name.Name == "_" {
				continue
			}
		} else {
			object = p.info.Implicits[spec]
		}
		generated := spec.Name != nil && strings.HasPrefix(spec.Name.Name, importPrefix)
		if generated || object == nil || !used[object] && !names[object.Name()] {
			p.replace(group.Pos(), group.End(), "")
		}
	}
}

// The program, with what carries the variables over.
func (p *program) finish() string {
	s := p.session
	names := map[string]string{}
	variables := s.variableTexts(names)
	var list strings.Builder
	for _, v := range s.variables {
		isCode := v.code != ""
		if v.lost == "" || s.assigned[v.name] || isCode {
			fmt.Fprintf(&list, "\t\t{Name: %q, Pointer: &%s, Code: %v},\n", v.name, v.name, isCode)
		}
	}
	var kinds strings.Builder
	for _, name := range sortedKeys(s.types) {
		if text, ok := s.typeText(name); ok {
			text = strings.Replace(resolve(text, names), "reflect.", "sandkeep_reflect.", 1)
			fmt.Fprintf(&kinds, "\t\t%q: %s,\n", name, text)
		}
	}
	var imports strings.Builder
	fmt.Fprintf(&imports, "import %s %q\nimport sandkeep_reflect \"reflect\"\n", stateName, statePackage)
	for _, path := range sortedKeys(names) {
		fmt.Fprintf(&imports, "import %s %q\n", names[path], path)
	}
	// Behind the package clause, on the lines of nobody's code.
	p.edits = append(p.edits, edit{len("package main"), len("package main"), "\n" + imports.String()})
	return apply(p.text, p.edits) + fmt.Sprintf(
		"\n//line sandkeep.go:3:1\n%s\nfunc main() {\n\t%s.Main([]%s.Variable{\n%s\t}, map[string]sandkeep_reflect.Type{\n%s\t}, %s, %s)\n}\n",
		variables, stateName, stateName, list.String(), kinds.String(), codeFunction, cellFunction)
}

var importLine = regexp.MustCompile(`(?m)^import (?:\S+ )?"([^"]+)"$`)

// The packages that a program imports.
func (s *session) imported(text string) []string {
	var paths []string
	for _, found := range importLine.FindAllStringSubmatch(text, -1) {
		if found[1] != statePackage {
			paths = append(paths, found[1])
		}
	}
	return paths
}
