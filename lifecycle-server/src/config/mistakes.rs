//! All that is wrong with a file, at once and by line.

use std::{fmt, ops::Range};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, error::Problem, foreign};

/// Names that are this similar may be meant: changes of single characters.
const SIMILAR: usize = 3;
/// Keys whose values may be secrets; a message must not repeat them.
const SECRETS: [&str; 6] = ["key", "token", "secret", "password", "dsn", "authorization"];

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line of the file, from 1; `None` if the file doesn't hold the key, for instance with a variable's value.
    pub line: Option<usize>,
    /// The key with its tables; empty if the file cannot be read that far.
    pub key: String,
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.problem)
    }
}

/// Reads `text`; `finish` puts on top what is not from the file, and judges the values. A key that is wrong is reported,
/// taken out, and the rest looked at again, until nothing more is found.
pub(super) fn read(
    text: &str,
    finish: impl Fn(Config) -> Result<Config, Problem>,
) -> Result<Config, Vec<Mistake>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mistake = |error: toml::de::Error| Mistake {
            line: error.span().map(|span| line(text, &span)),
            key: String::new(),
            problem: error.message().to_owned(),
        };
        let mut mistakes: Vec<Mistake> = errors.into_iter().map(mistake).collect();
        mistakes.sort_by_key(|mistake| mistake.line);
        return Err(mistakes);
    }
    let mut table: toml::Table = toml::from_str(text).map_err(|error| {
        vec![Mistake { line: None, key: String::new(), problem: error.message().to_owned() }]
    })?;
    let strange = foreign::unknown(&table).into_iter().map(|(name, key, known)| {
        let problem = no_such_key(&key, known.iter().copied());
        let key = format!("{name}.{key}");
        let span = find(tree.get_ref(), &key);
        Mistake { line: span.map(|span| line(text, &span)), key, problem }
    });
    let mut mistakes: Vec<Mistake> = strange.collect();
    loop {
        let read = interpret(&table)
            .and_then(|config| finish(config).map_err(|(key, problem)| (key.to_owned(), problem)));
        let (key, problem) = match read {
            Ok(config) if mistakes.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(found) => found,
        };
        if mistakes.iter().any(|known| known.key == key) {
            break; // what is missing now was there, and wrong
        }
        let span = find(tree.get_ref(), &key);
        let is_removed = remove(&mut table, &key);
        mistakes.push(Mistake { line: span.map(|span| line(text, &span)), key, problem });
        if !is_removed {
            break;
        }
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    Err(mistakes)
}

/// The table as a configuration, or the first key that cannot be understood and why.
fn interpret(table: &toml::Table) -> Result<Config, (String, String)> {
    let mut track = serde_path_to_error::Track::new();
    let input = serde_path_to_error::Deserializer::new(toml::Value::Table(table.clone()), &mut track);
    Config::deserialize(input).map_err(|error| {
        let path = track.path().to_string();
        let parent = if path == "." { String::new() } else { path };
        explain(parent, error.message())
    })
}

fn explain(path: String, message: &str) -> (String, String) {
    let Some(names) = message.strip_prefix("unknown field `") else {
        let path = path.split('[').next().unwrap_or_default().to_owned();
        let last = path.rsplit('.').next().unwrap_or_default();
        let is_secret = SECRETS.iter().any(|secret| last.contains(secret));
        return (
            path,
            if is_secret { "has a value of the wrong type".to_owned() } else { message.to_owned() },
        );
    };
    let mut names = names.split('`').step_by(2);
    let unknown = names.next().unwrap_or_default();
    // The path may or may not end with the key that is being read.
    let parent = path.strip_suffix(unknown).map_or(path.as_str(), |parent| parent.trim_end_matches('.'));
    let key = if parent.is_empty() { unknown.to_owned() } else { format!("{parent}.{unknown}") };
    let problem = no_such_key(unknown, names);
    (key, problem)
}

/// What to say of an unknown key, with the known one that is most like it.
fn no_such_key<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let similar = known
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, name)| *distance <= SIMILAR.min(name.len() / 2))
        .min();
    match similar {
        Some((_, name)) => format!("there is no such key; did you mean {name}?"),
        None => "there is no such key".to_owned(),
    }
}

/// Changes of single characters that make one name the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Where the key, or the closest table around it, is written.
fn find(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let (written, value): (&Spanned<_>, &Spanned<DeValue<'_>>) =
        table.iter().find(|(known, _)| known.get_ref().as_ref() == name)?;
    let deeper = match (value.get_ref(), rest) {
        (DeValue::Table(inner), Some(rest)) => find(inner, rest),
        _ => None,
    };
    Some(deeper.unwrap_or_else(|| written.span()))
}

fn remove(table: &mut toml::Table, key: &str) -> bool {
    match key.split_once('.') {
        None => table.remove(key).is_some(),
        Some((name, rest)) => match table.get_mut(name) {
            Some(toml::Value::Table(inner)) => remove(inner, rest),
            _ => false,
        },
    }
}

fn line(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let finish = |config: Config| match config.native.prepared_slots {
            7 => Err(("native.prepared_slots", "must not be 7".to_owned())),
            _ => Ok(config),
        };
        read(text, finish).map(drop).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_is_found_in_one_go() {
        let text = "[server]\nprot = 1\nport = \"x\"\napi_key = 12345\n\n[native]\nprepared_slots = 7\n\
                    default_disk = true\n[nativ]\n[images]\ninsecure_registries = [\"a\", 5]\n";
        let found = mistakes(text);
        assert_eq!(found.len(), 7, "{found:#?}");
        for (found, expected) in found.iter().zip([
            "line 2: server.prot: there is no such key; did you mean port?",
            "line 3: server.port: invalid type: string \"x\"",
            "line 4: server.api_key: has a value of the wrong type",
            "line 7: native.prepared_slots: must not be 7",
            "line 8: native.default_disk: expected a number or a text with a unit",
            "line 9: nativ: there is no such key; did you mean native?",
            "line 11: images.insecure_registries: invalid type",
        ]) {
            assert!(found.starts_with(expected), "{found} instead of {expected}");
        }
        assert!(found.iter().all(|mistake| !mistake.contains("12345")), "{found:#?}");
    }

    #[test]
    fn broken_syntax_is_reported_by_line_without_what_it_says() {
        let found = mistakes("[server]\nport = 1\napi_key = \"very-secret\n[log\n");
        assert!(found.len() >= 2 && found[0].starts_with("line 3: "), "{found:#?}");
        assert!(found.iter().all(|mistake| !mistake.contains("very-secret")), "{found:#?}");
    }

    #[test]
    fn distances() {
        assert_eq!([distance("", "ab"), distance("port", "prot"), distance("same", "same")], [2, 2, 0]);
    }
}
