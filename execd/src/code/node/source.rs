//! Makes cells of JavaScript and TypeScript into what Node's evaluation takes: no import statements, no types.

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    ExportDefaultDeclaration, ExportNamedDeclaration, ImportDeclaration, ImportDeclarationSpecifier,
    ImportExpression, ModuleExportName, Program, Statement,
};
use oxc_ast_visit::{Visit, walk};
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType, Span};
use sandkeep_specs::execd::event::ExecutionError;

use super::edits::Edits;
use super::types;

/// The driver's function in whose place `import(…)` stands.
const IMPORT: &str = "__sandkeep.import";

/// A cell, ready to be evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// It ends with an expression, whose value is its result.
    pub(super) has_value: bool,
}

/// Reads a cell of JavaScript. What cannot be read goes to Node as it is, whose complaint is the one users know.
pub(super) fn javascript(text: &str) -> Cell {
    let object = as_object(text);
    let text = object.as_deref().unwrap_or(text);
    let allocator = Allocator::default();
    for kind in [SourceType::mjs(), SourceType::script()] {
        let parsed = Parser::new(&allocator, text, kind).parse();
        if parsed.diagnostics.is_empty() {
            let mut edits = Edits::new(text);
            Modules(&mut edits).visit_program(&parsed.program);
            return Cell { has_value: has_value(&parsed.program), text: edits.apply() };
        }
    }
    Cell { text: text.to_owned(), has_value: true }
}

/// Reads a cell of TypeScript; types are left out unchecked.
///
/// # Errors
/// When it is no TypeScript, or uses something for which leaving out types is not enough.
pub(super) fn typescript(text: &str, name: &str) -> Result<Cell, ExecutionError> {
    let object = as_object(text);
    let text = object.as_deref().unwrap_or(text);
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::ts()).parse();
    if let Some(first) = parsed.diagnostics.iter().next() {
        let at = first.labels.iter().next().map_or(0, |label| label.offset() as usize);
        return Err(syntax_error(text, name, at, &first.message));
    }
    let mut edits = Edits::new(text);
    Modules(&mut edits).visit_program(&parsed.program);
    types::strip(&parsed.program, &mut edits)
        .map_err(|(at, what)| syntax_error(text, name, at as usize, &what))?;
    Ok(Cell { has_value: has_value(&parsed.program), text: edits.apply() })
}

fn has_value(program: &Program<'_>) -> bool {
    let last = program.body.iter().rev().find(|statement| !matches!(statement, Statement::EmptyStatement(_)));
    matches!(last, Some(Statement::ExpressionStatement(_)))
        || (last.is_none() && !program.directives.is_empty())
}

/// The text as an expression, when what looks like a block is meant as an object: `{ a: 1 }`.
fn as_object(text: &str) -> Option<String> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let allocator = Allocator::default();
    let wrapped = format!("({text}\n)");
    let is_expression = Parser::new(&allocator, &wrapped, SourceType::ts()).parse_expression().is_ok();
    is_expression.then_some(wrapped)
}

fn syntax_error(text: &str, name: &str, at: usize, message: &str) -> ExecutionError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
    let traceback = vec![
        format!("{name}:{}:{}", line + 1, column + 1),
        text.lines().nth(line).unwrap_or_default().to_owned(),
        " ".repeat(column) + "^",
        format!("SyntaxError: {message}"),
    ];
    ExecutionError { ename: "SyntaxError".to_owned(), evalue: message.to_owned(), traceback }
}

/// A span as a range of bytes.
pub(super) fn range(span: Span) -> std::ops::Range<usize> {
    span.start as usize..span.end as usize
}

/// Makes import and export statements into what a cell may contain.
struct Modules<'e, 't>(&'e mut Edits<'t>);

impl<'a> Visit<'a> for Modules<'_, '_> {
    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        let start = it.span.start as usize;
        self.0.replace(start..start + "import".len(), IMPORT);
        walk::walk_import_expression(self, it);
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        if it.import_kind.is_type() {
            return self.0.blank_statement(range(it.span));
        }
        let source = self.0.slice(range(it.source.span));
        let options = it.with_clause.as_ref().map_or_else(String::new, |clause| {
            let entries: Vec<_> =
                clause.with_entries.iter().map(|entry| self.0.slice(range(entry.span))).collect();
            format!(", {{ with: {{ {} }} }}", entries.join(", "))
        });
        let import = format!("await {IMPORT}({source}{options})");
        let (mut names, mut whole) = (Vec::new(), None);
        for specifier in it.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(one) if one.import_kind.is_type() => {}
                ImportDeclarationSpecifier::ImportSpecifier(one) => {
                    let name = match &one.imported {
                        ModuleExportName::StringLiteral(text) => self.0.slice(range(text.span)),
                        other => self.0.slice(range(other.span())),
                    };
                    names.push(format!("{name}: {}", one.local.name));
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(one) => {
                    names.push(format!("default: {}", one.local.name));
                }
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(one) => whole = Some(one.local.name),
            }
        }
        let names = names.join(", ");
        let statement = match whole {
            Some(whole) if names.is_empty() => format!("const {whole} = {import};"),
            Some(whole) => format!("const {whole} = {import}, {{ {names} }} = {whole};"),
            None if names.is_empty() => format!("{import};"),
            None => format!("const {{ {names} }} = {import};"),
        };
        self.0.replace(range(it.span), &statement);
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        match &it.declaration {
            Some(declaration) => self.0.blank(it.span.start as usize..declaration.span().start as usize),
            None => self.0.blank_statement(range(it.span)),
        }
        walk::walk_export_named_declaration(self, it);
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        self.0.blank(it.span.start as usize..it.declaration.span().start as usize);
        walk::walk_export_default_declaration(self, it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn js(text: &str) -> (String, bool) {
        let cell = javascript(text);
        (cell.text, cell.has_value)
    }

    #[test]
    fn values() {
        for text in ["1 + 1", "x;", "let a = 1; a;", "'text'", "await f()"] {
            assert!(javascript(text).has_value, "{text}");
        }
        for text in ["let a = 1", "if (a) b", "function f() {}", "", "import 'x'"] {
            assert!(!javascript(text).has_value, "{text}");
        }
        assert_eq!(js("{ a: 1, b: [2] }"), ("({ a: 1, b: [2] }\n)".to_owned(), true));
        assert_eq!(js("{ let a = 1; f(a) }"), ("{ let a = 1; f(a) }".to_owned(), false));
    }

    #[test]
    fn imports_become_calls() {
        let pairs = [
            ("import fs from 'fs'", "const { default: fs } = await __sandkeep.import('fs');"),
            (
                "import a, { b, c as d } from \"x\";",
                "const { default: a, b: b, c: d } = await __sandkeep.import(\"x\");",
            ),
            ("import * as n from 'x'", "const n = await __sandkeep.import('x');"),
            ("import a, * as n from 'x'", "const n = await __sandkeep.import('x'), { default: a } = n;"),
            ("import 'x'", "await __sandkeep.import('x');"),
            ("import {\n a\n} from 'x'\nf()", "const { a: a } = await __sandkeep.import('x');\n\n\nf()"),
            (
                "import a from './a.json' with { type: 'json' }",
                "const { default: a } = await __sandkeep.import('./a.json', { with: { type: 'json' } });",
            ),
            ("f(() => import('x'))", "f(() => __sandkeep.import('x'))"),
            ("export const a = 1", "       const a = 1"),
            ("export default function f() {}", "               function f() {}"),
        ];
        for (before, after) in pairs {
            assert_eq!(javascript(before).text, after, "{before}");
        }
    }

    #[test]
    fn what_is_no_javascript_is_left_alone() {
        assert_eq!(js("let = ("), ("let = (".to_owned(), true));
        assert_eq!(js("with (a) b = 010"), ("with (a) b = 010".to_owned(), false));
    }

    #[test]
    fn errors_name_the_place() {
        let error = typescript("let a: number = 1\nlet b: = 2", "cell_3.ts").unwrap_err();
        assert_eq!(error.ename, "SyntaxError");
        assert_eq!(error.traceback[..3], ["cell_3.ts:2:8", "let b: = 2", "       ^"]);
        let error = typescript("namespace A { export const x = 1 }", "cell_1.ts").unwrap_err();
        assert!(error.evalue.contains("namespace"), "{error:?}");
    }
}
