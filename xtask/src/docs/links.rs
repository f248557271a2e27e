//! Links between documents: each must lead to a file, and to a heading of it where it names one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Directories with documents that people read, and whether those below count as well.
const PLACES: [(&str, bool); 9] = [
    ("", false),
    ("docs", true),
    ("examples", true),
    ("execd", false),
    ("egress-sidecar", false),
    ("lifecycle-server", false),
    ("packaging", true),
    ("sdk/python", false),
    ("sdk/typescript", false),
];

/// The book: its links lead nowhere else, since only its chapters are pages of it.
const BOOK: &str = "docs";
const CONTENTS: &str = "SUMMARY.md";

pub(super) fn check(root: &Path) -> Result<()> {
    let mut documents = Vec::new();
    for (place, deep) in PLACES {
        gather(&root.join(place), deep, &mut documents)?;
    }
    let mut wrong = Vec::new();
    let mut chapters = BTreeSet::new();
    for document in &documents {
        let text = fs::read_to_string(document)?;
        let name = document.strip_prefix(root).unwrap_or(document);
        for target in inclusions(&text) {
            if let Err(problem) = find(document, &target) {
                wrong.push(format!("{}: {target}: {problem}", name.display()));
            }
        }
        for target in links(&(taken_over(document, &text) + &text)) {
            match find(document, &target) {
                Err(problem) => wrong.push(format!("{}: {target}: {problem}", name.display())),
                Ok(found) if is_page(name) && is_document(&found) && !found.starts_with(root.join(BOOK)) => {
                    wrong.push(format!("{}: {target} is no page of the book", name.display()));
                }
                Ok(found) if name == Path::new(BOOK).join(CONTENTS) => drop(chapters.insert(found)),
                Ok(_) => {}
            }
        }
    }
    let pages = documents.iter().filter(|document| document.starts_with(root.join(BOOK)));
    let unlisted = pages.filter(|page| !page.ends_with(CONTENTS) && !chapters.contains(*page));
    wrong.extend(unlisted.map(|page| format!("{} is in no table of contents", page.display())));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} links are wrong:\n{}", wrong.len(), wrong.join("\n"))
}

fn is_page(name: &Path) -> bool {
    name.starts_with(BOOK)
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn gather(dir: &Path, deep: bool, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if deep {
                gather(&path, deep, into)?;
            }
        } else if is_document(&path) {
            into.push(path);
        }
    }
    Ok(())
}

/// Targets of links and pictures, outside of code, that lead to files of ours.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |target: &str| {
        if !target.contains("://") && !target.starts_with("mailto:") {
            found.push(target.to_owned());
        }
    };
    for line in prose(text) {
        if let Some((_, target)) = line.split_once("]: ").filter(|(name, _)| name.starts_with('[')) {
            note(target.trim());
        }
        let mut rest = line;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            note(rest[..end].trim_matches(['<', '>']));
        }
    }
    found
}

/// Files whose text a chapter takes over.
fn inclusions(text: &str) -> Vec<String> {
    let named = text.split("{{#include ").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
    named.map(|path| path.trim().to_owned()).collect()
}

/// The text of documents that a chapter takes over: its links lead on from the chapter.
fn taken_over(chapter: &Path, text: &str) -> String {
    let mut taken = String::new();
    for named in text.split("{{#include ").skip(1).filter_map(|rest| rest.split('}').next()) {
        let mut parts = named.trim().split(':');
        let path = chapter.parent().unwrap_or(chapter).join(parts.next().unwrap_or_default());
        let mut number = |otherwise| parts.next().and_then(|part| part.parse().ok()).unwrap_or(otherwise);
        let (from, to) = (number(1_usize), number(usize::MAX));
        if is_document(&path) {
            // One that is not there is told of as an inclusion.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().take(to).skip(from.saturating_sub(1));
            lines.for_each(|line| taken.extend([line, "\n"]));
        }
    }
    taken
}

/// Lines that are no block of code.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines
}

/// The file a link leads to.
fn find(document: &Path, target: &str) -> Result<PathBuf, String> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => document.to_path_buf(),
        _ => plain(&document.parent().unwrap_or(document).join(path)),
    };
    if !file.exists() {
        return Err("there is no such file".to_owned());
    }
    if !heading.is_empty() && is_document(&file) {
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        if !headings(&text).contains(heading) {
            return Err(format!("there is no heading #{heading}"));
        }
    }
    Ok(file)
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// What headings are called in addresses.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).into_iter().filter_map(|line| line.strip_prefix('#'));
    titles
        .map(|title| {
            let title = title.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_where_they_are_no_code() {
        let text = "See [a](b.md#c) and ![d](e.svg), not [f](https://g).\n```md\n[h](i.md)\n```\n[j]: k.md\n";
        assert_eq!(links(text), ["b.md#c", "e.svg", "k.md"]);
        assert_eq!(inclusions("{{#include ../a.py}} {{#include ../b.md:8:}}"), ["../a.py", "../b.md"]);
    }

    #[test]
    fn a_chapter_answers_for_the_links_it_takes_over() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let readme = fs::read_to_string(root.join("README.md")).expect("a readme");
        let chapter = root.join("docs/chapter.md");
        assert_eq!(
            taken_over(&chapter, "{{#include ../README.md:2:}}").lines().count(),
            readme.lines().count() - 1
        );
        assert_eq!(taken_over(&chapter, "{{#include ../README.md:1:3}}").lines().count(), 3);
        assert!(taken_over(&chapter, "{{#include ../Cargo.toml}}").is_empty());
    }

    #[test]
    fn headings_are_called_as_pages_call_them() {
        let found = headings("# What it *does*\n## `sb`, the tool\n```sh\n# no heading\n```\n");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["sb-the-tool", "what-it-does"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        assert!(find(&document, "CONTRIBUTING.md").is_ok());
        assert!(find(&document, "nothing.md").is_err());
        assert!(find(&document, "CONTRIBUTING.md#no-such-heading").is_err());
    }

    #[test]
    fn all_documents_lead_somewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        check(root).expect("every link leads somewhere");
    }
}
