//! Leaves the types out of TypeScript, and makes what is more than types into JavaScript.

use oxc_ast::ast::{
    BindingPattern, Class, ClassElement, Declaration, Expression, FormalParameter, FormalParameters,
    Function, MethodDefinition, MethodDefinitionKind, Program, PropertyDefinition, Statement,
    TSAccessibility, TSAsExpression, TSEnumDeclaration, TSEnumMemberName, TSImportEqualsDeclaration,
    TSModuleReference, TSNonNullExpression, TSSatisfiesExpression, TSTypeAnnotation, TSTypeAssertion,
    TSTypeParameterDeclaration, TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::GetSpan;
use oxc_syntax::scope::ScopeFlags;

use super::edits::Edits;
use super::source::range;

/// What stands before members and parameters that JavaScript does not know.
const MODIFIERS: [&str; 7] =
    ["public", "private", "protected", "readonly", "override", "abstract", "declare"];

/// What marks a name as optional, or as assigned elsewhere.
const MARKS: [&str; 2] = ["?", "!"];

/// Adds to the edits what makes the program JavaScript.
///
/// # Errors
/// Where something is that has no counterpart, and what.
pub(super) fn strip(program: &Program<'_>, edits: &mut Edits<'_>) -> Result<(), (u32, String)> {
    let mut stripper = Stripper { edits, refused: None };
    stripper.visit_program(program);
    stripper.refused.map_or(Ok(()), Err)
}

struct Stripper<'e, 't> {
    edits: &'e mut Edits<'t>,
    refused: Option<(u32, String)>,
}

impl Stripper<'_, '_> {
    fn blank(&mut self, start: u32, end: u32) {
        self.edits.blank(start as usize..end as usize);
    }

    fn blank_words(&mut self, start: u32, end: u32, words: &[&str]) {
        self.edits.blank_words(start as usize..end as usize, words);
    }

    /// Blanks the mark after a name that has no type, too.
    fn blank_mark(&mut self, start: u32, annotation: Option<&TSTypeAnnotation<'_>>, end: u32) {
        let end = annotation.map_or(end, |annotation| annotation.span.start);
        self.blank_words(start, end, &MARKS);
    }

    fn refuse(&mut self, at: u32, what: &str) {
        self.refused
            .get_or_insert_with(|| (at, format!("{what} cannot be run here: only types are left out")));
    }

    /// A declaration that is only about types, or has to become something else.
    fn replaces(&mut self, it: &Declaration<'_>) -> bool {
        let span = it.span();
        match it {
            Declaration::TSEnumDeclaration(it) if !it.declare => {
                let text = enumeration(it, self.edits);
                self.edits.replace(range(span), &text);
                return true;
            }
            Declaration::TSImportEqualsDeclaration(it) if !it.import_kind.is_type() => {
                self.import_equals(it);
                return true;
            }
            Declaration::TSModuleDeclaration(it) if !it.declare => {
                self.refuse(span.start, "a namespace");
                return true;
            }
            Declaration::VariableDeclaration(it) if !it.declare => return false,
            Declaration::FunctionDeclaration(it) if !it.declare && it.body.is_some() => return false,
            Declaration::ClassDeclaration(it) if !it.declare => return false,
            _ => {}
        }
        self.edits.blank_statement(range(span));
        true
    }

    fn import_equals(&mut self, it: &TSImportEqualsDeclaration<'_>) {
        let name = it.id.name;
        let source = match &it.module_reference {
            TSModuleReference::ExternalModuleReference(module) => {
                format!("require({})", self.edits.slice(range(module.expression.span)))
            }
            other => self.edits.slice(range(other.span())).to_owned(),
        };
        self.edits.replace(range(it.span), &format!("const {name} = {source};"));
    }

    fn modifiers(&mut self, start: u32, end: u32) {
        self.blank_words(start, end, &MODIFIERS);
    }
}

impl<'a> Visit<'a> for Stripper<'_, '_> {
    fn visit_statement(&mut self, it: &Statement<'a>) {
        match it {
            Statement::TSExportAssignment(_) => self.refuse(it.span().start, "an export assignment"),
            Statement::TSNamespaceExportDeclaration(_) => self.edits.blank_statement(range(it.span())),
            Statement::ImportDeclaration(_) => {}
            Statement::ExportNamedDeclaration(export) if export.export_kind.is_type() => {
                self.edits.blank_statement(range(it.span()));
            }
            _ => match it.as_declaration() {
                Some(declaration) if self.replaces(declaration) => {}
                _ => walk::walk_statement(self, it),
            },
        }
    }

    fn visit_declaration(&mut self, it: &Declaration<'a>) {
        if !self.replaces(it) {
            walk::walk_declaration(self, it);
        }
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.edits.blank(range(it.span));
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.edits.blank(range(it.span));
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.edits.blank(range(it.span));
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        self.blank(it.span.start, it.expression.span().start);
        self.visit_expression(&it.expression);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.blank_mark(it.id.span().end, it.type_annotation.as_deref(), it.span.end);
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        if let Some(this) = &it.this_param {
            let next = it.params.items.first().map(|first| first.span.start);
            let next = next.or_else(|| it.params.rest.as_ref().map(|rest| rest.span.start));
            self.blank(this.span.start, next.unwrap_or_else(|| it.params.span.end.saturating_sub(1)));
        }
        walk::walk_function(self, it, flags);
    }

    fn visit_formal_parameters(&mut self, it: &FormalParameters<'a>) {
        // The part that tells a `this` parameter from others has been dealt with.
        for item in &it.items {
            self.visit_formal_parameter(item);
        }
        if let Some(rest) = &it.rest {
            self.visit_formal_parameter_rest(rest);
        }
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        let pattern = it.pattern.span();
        let begin = it.decorators.last().map_or(it.span.start, |last| last.span.end);
        self.modifiers(begin, pattern.start);
        if it.optional {
            self.blank_mark(pattern.end, it.type_annotation.as_deref(), it.span.end);
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if it.r#abstract {
            self.blank_words(it.span.start, it.body.span.start, &["abstract"]);
        }
        if let (Some(first), Some(last)) = (it.implements.first(), it.implements.last()) {
            let before = [
                it.super_type_arguments.as_ref().map(|arguments| arguments.span.end),
                it.super_class.as_ref().map(|class| class.span().end),
                it.type_parameters.as_ref().map(|parameters| parameters.span.end),
                it.id.as_ref().map(|id| id.span.end),
            ];
            let start = before.into_iter().flatten().next();
            match start {
                Some(start) => self.blank(start, last.span.end),
                None => {
                    self.blank_words(it.span.start, first.span.start, &["implements"]);
                    self.blank(first.span.start, last.span.end);
                }
            }
        }
        // Not by the generated walk, which would go into what has just been blanked.
        for decorator in &it.decorators {
            self.visit_decorator(decorator);
        }
        if let Some(parameters) = &it.type_parameters {
            self.visit_ts_type_parameter_declaration(parameters);
        }
        if let Some(class) = &it.super_class {
            self.visit_expression(class);
        }
        if let Some(arguments) = &it.super_type_arguments {
            self.visit_ts_type_parameter_instantiation(arguments);
        }
        self.visit_class_body(&it.body);
    }

    fn visit_class_element(&mut self, it: &ClassElement<'a>) {
        let is_type = match it {
            ClassElement::TSIndexSignature(_) => true,
            ClassElement::PropertyDefinition(it) => it.declare || it.r#type.is_abstract(),
            ClassElement::MethodDefinition(it) => it.value.body.is_none(),
            ClassElement::AccessorProperty(it) => it.r#type.is_abstract(),
            ClassElement::StaticBlock(_) => false,
        };
        if is_type {
            self.edits.blank_statement(range(it.span()));
        } else {
            walk::walk_class_element(self, it);
        }
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        let begin = it.decorators.last().map_or(it.span.start, |last| last.span.end);
        let key = it.key.span();
        self.modifiers(begin, key.start);
        if it.optional || it.definite {
            let end = it.value.as_ref().map_or(it.span.end, |value| value.span().start);
            self.blank_mark(key.end, it.type_annotation.as_deref(), end);
        }
        walk::walk_property_definition(self, it);
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        let begin = it.decorators.last().map_or(it.span.start, |last| last.span.end);
        let key = it.key.span();
        self.modifiers(begin, key.start);
        if it.optional {
            self.blank_words(key.end, it.value.span.start, &MARKS);
        }
        if it.kind == MethodDefinitionKind::Constructor {
            assign_parameters(it, self.edits);
        }
        walk::walk_method_definition(self, it);
    }
}

/// Parameters of a constructor that are declared as properties become properties.
fn assign_parameters(it: &MethodDefinition<'_>, edits: &mut Edits<'_>) {
    let is_property = |parameter: &FormalParameter<'_>| {
        parameter.readonly
            || parameter.r#override
            || matches!(
                parameter.accessibility,
                Some(TSAccessibility::Public | TSAccessibility::Private | TSAccessibility::Protected)
            )
    };
    let mut text = String::new();
    for parameter in it.value.params.items.iter().filter(|parameter| is_property(parameter)) {
        if let BindingPattern::BindingIdentifier(name) = &parameter.pattern {
            text.push_str(&format!(" this.{0} = {0};", name.name));
        }
    }
    let Some(body) = it.value.body.as_ref().filter(|_| !text.is_empty()) else { return };
    let is_super = |statement: &&Statement<'_>| match statement {
        Statement::ExpressionStatement(it) => {
            matches!(&it.expression, Expression::CallExpression(call) if call.callee.is_super())
        }
        _ => false,
    };
    let called = body.statements.iter().find(is_super);
    match called {
        Some(call) => edits.insert(call.span().end as usize, &format!(";{text}")),
        None => edits.insert(body.span.start as usize + 1, &text),
    }
}

/// The object that an enumeration is in JavaScript.
fn enumeration(it: &TSEnumDeclaration<'_>, edits: &Edits<'_>) -> String {
    let name = it.id.name;
    let initializer = |span| edits.slice(range(span));
    let initializers: Vec<&str> = it
        .body
        .members
        .iter()
        .filter_map(|member| member.initializer.as_ref().map(|value| initializer(value.span())))
        .collect();
    let mut text = format!("var {name} = (() => {{ const {name} = {{}};");
    let mut previous: Option<String> = None;
    for member in &it.body.members {
        let key = match &member.id {
            TSEnumMemberName::Identifier(id) => format!("{:?}", id.name.as_str()),
            other => initializer(other.span()).trim_matches(['[', ']']).to_owned(),
        };
        let place = format!("{name}[{key}]");
        let value = match &member.initializer {
            Some(value) => initializer(value.span()).to_owned(),
            None => previous.map_or_else(|| "0".to_owned(), |previous| format!("{previous} + 1")),
        };
        text.push_str(&format!(
            " {place} = {value}; if (typeof {place} === 'number') {name}[{place}] = {key};"
        ));
        // Other members may refer to it by its bare name.
        if let TSEnumMemberName::Identifier(id) = &member.id
            && initializers.iter().any(|text| text.contains(id.name.as_str()))
        {
            text.push_str(&format!(" const {} = {place};", id.name));
        }
        previous = Some(place);
    }
    text + &format!(" return {name}; }})();")
}

#[cfg(test)]
mod tests {
    use super::super::source::typescript;

    /// How many spaces there are is for the tests of edits.
    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn types_become_spaces() {
        for (before, after) in [
            ("let a: number = 1, b!: string", "let a         = 1, b         "),
            ("interface A { x: B }\nf<C>(a as D, b!, <E>c)", ";                   \nf   (a     , b ,    c)"),
            ("type A = { b: 1 }; declare const c: D", ";                  ;                  "),
            (
                "function f<T>(this: X, a?: T, ...r: T[]): T { return a! }",
                "function f   (         a     , ...r     )    { return a  }",
            ),
            (
                "const f = async <T,>(a: T): Promise<T> => a satisfies T",
                "const f = async     (a   )             => a            ",
            ),
            (
                "class A<T> extends B<T> implements C, D { private readonly x?: T = 1; w!: T; [k: string]: T; m?(): void; declare z: T }",
                "class A    extends B                    {                  x     = 1; w   ; ;              ;           ;          }",
            ),
            (
                "abstract class A { abstract f(): void; public async g(): Promise<void> {} }",
                "         class A { ;                          async g()                {} }",
            ),
            (
                "class A { constructor(private x: number, readonly y = 2, z?) { f() } }",
                "class A { constructor(        x        ,          y = 2, z ) { this.x = x; this.y = y; f() } }",
            ),
            (
                "class A extends B { constructor(public x: T) { super(x); g() } }",
                "class A extends B { constructor(       x   ) { super(x);; this.x = x; g() } }",
            ),
            (
                "function f(a: string): void;\nfunction f(a: any) {}",
                ";                            \nfunction f(a     ) {}",
            ),
            (
                "import type { A } from 'a'; export type B = 1",
                ";                           ;                 ",
            ),
            ("import { type A, b } from 'a'", "const { b: b } = await __sandkeep.import('a');"),
            ("import fs = require('fs')", "const fs = require('fs');"),
            ("try {} catch (e: unknown) {}", "try {} catch (e         ) {}"),
            ("let x = a < b, y = c > (d)", "let x = a < b, y = c > (d)"),
        ] {
            let text = typescript(before, "cell").map(|cell| words(&cell.text));
            assert_eq!(text, Ok(words(after)), "{before}");
        }
    }

    #[test]
    fn enumerations_become_objects() {
        let text = typescript("enum E {\n A, B = 3, C, D = A | B, F = 'x'\n}\nE.C", "cell").unwrap().text;
        assert!(text.starts_with("var E = (() => {") && text.ends_with("})();\n\n\nE.C"), "{text}");
        assert!(text.contains("E[\"C\"] = E[\"B\"] + 1;") && text.contains("const A = E[\"A\"];"), "{text}");
    }
}
