//! Statements and rows, whatever database they are for and from.

use std::{borrow::Cow, fmt::Write as _};

use sqlx::{
    Arguments, AssertSqlSafe, ColumnIndex, Database, Decode, Encode, Postgres, Row as _, Sqlite, Type,
    postgres::PgRow, query::Query, sqlite::SqliteRow,
};

use super::super::StoreError;

/// What PostgreSQL refuses in a text, and what stands in its place.
const NUL: (char, &str) = ('\0', "\u{fffd}");

/// A statement with its values.
#[derive(Debug)]
pub(in crate::store) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

#[derive(Debug)]
pub(in crate::store) enum Value {
    Number(Option<i64>),
    Text(Option<String>),
}

/// A statement without values as yet.
pub(in crate::store) fn sql(text: &'static str) -> Statement {
    Statement { text: Cow::Borrowed(text), values: Vec::new() }
}

impl Statement {
    /// The value of the next placeholder.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(in crate::store) fn push(&mut self, text: &'static str) {
        self.text.to_mut().push_str(text);
    }

    /// Writes a placeholder and takes its value.
    pub(in crate::store) fn push_bind(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
        // Writing into a text does not fail.
        let _ = write!(self.text.to_mut(), "${}", self.values.len());
    }

    /// Statements after each other as one, for a driver that takes a text of several.
    pub(super) fn together(statements: Vec<Self>) -> Self {
        let (mut text, mut values) = (String::new(), Vec::new());
        for statement in statements {
            // Placeholders count on over the whole text. A dollar sign never stands for anything else.
            let mut parts = statement.text.split('$');
            text.push_str(parts.next().unwrap_or_default());
            for part in parts {
                let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
                let number = part[..end].parse::<usize>().unwrap_or_default() + values.len();
                // Writing into a text does not fail.
                let _ = write!(text, "${number}{}", &part[end..]);
            }
            text.push(';');
            values.extend(statement.values);
        }
        Self { text: Cow::Owned(text), values }
    }

    pub(super) fn of<D>(self) -> Result<Query<'static, D, D::Arguments>, StoreError>
    where
        D: Database,
        D::Arguments: Arguments<Database = D> + sqlx::IntoArguments<D>,
        Option<i64>: for<'a> Encode<'a, D> + Type<D>,
        Option<String>: for<'a> Encode<'a, D> + Type<D>,
    {
        let mut arguments = D::Arguments::default();
        for value in self.values {
            match value {
                Value::Number(number) => arguments.add(number),
                Value::Text(text) => arguments.add(text),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        // Texts are put together here of constants and numbers of placeholders.
        Ok(sqlx::query_with(AssertSqlSafe(self.text), arguments))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Number(Some(truth.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(if text.contains(NUL.0) { text.replace(NUL.0, NUL.1) } else { text }))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Text(None), Self::from)
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        text.as_deref().into()
    }
}

/// One row of an answer.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgresql(PgRow),
}

impl Row {
    /// The value of a column, by name or by place from 0.
    pub(in crate::store) fn get<'r, T, I>(&'r self, column: I) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgresql(row) => row.try_get(column)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_and_texts_hold_no_nul() {
        let mut statement = sql("SELECT 1 WHERE $1 = 2").bind(2);
        statement.push(" OR name = ");
        statement.push_bind("a\0b");
        assert_eq!(statement.text, "SELECT 1 WHERE $1 = 2 OR name = $2");
        assert!(matches!(&statement.values[1], Value::Text(Some(text)) if text == "a\u{fffd}b"));
    }

    #[test]
    fn statements_together_keep_their_values() {
        let first = sql("UPDATE a SET b = $1, c = $2 WHERE b < $1").bind(10).bind("x");
        let second = sql("DELETE FROM a");
        let third = sql("INSERT INTO a VALUES ($1)").bind(7);
        let all = Statement::together(vec![first, second, third]);
        assert_eq!(
            all.text,
            "UPDATE a SET b = $1, c = $2 WHERE b < $1;DELETE FROM a;INSERT INTO a VALUES ($3);"
        );
        assert!(matches!(
            all.values.as_slice(),
            [Value::Number(Some(10)), Value::Text(Some(_)), Value::Number(Some(7))]
        ));
    }
}
