//! All reports in one.

/// Sections under a banner; one that could not be made says why instead.
pub(in crate::api) fn summary(id: &str, sections: &[(&str, Result<String, String>)]) -> String {
    let mut text = format!("=== SANDBOX {id} ===\n");
    for (name, section) in sections {
        let body = match section {
            Ok(body) => body.trim_end().to_owned(),
            Err(problem) => format!("[error: {problem}]"),
        };
        text += &format!("\n--- {name} ---\n{body}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_section_leaves_the_others_alone() {
        let sections = [("INSPECT", Ok("a\n".to_owned())), ("LOGS", Err("gone".to_owned()))];
        assert_eq!(
            summary("x", &sections),
            "=== SANDBOX x ===\n\n--- INSPECT ---\na\n\n--- LOGS ---\n[error: gone]\n"
        );
    }
}
