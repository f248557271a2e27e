//! What went wrong, and what to do next.

use sandkeep::Error;

const STATE: &str = "`sb ps --all` shows its state; `sb resume` and `sb start` bring it back";

/// Tells the user, with the next step where there is one.
pub(crate) fn tell(error: &anyhow::Error) {
    eprintln!("error: {}", text(error));
    if let Some(hint) = error.chain().find_map(|cause| hint(cause.downcast_ref()?)) {
        eprintln!("hint: {hint}");
    }
}

/// What went wrong, with its causes; an error of the SDK names its own.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut said = Vec::new();
    for cause in error.chain() {
        said.push(cause.to_string());
        if cause.is::<Error>() {
            break;
        }
    }
    said.join(": ")
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Transport { .. } => Some(
            "is the server up, and the address right? `sb up` starts one on this machine, `sb config set` names another",
        ),
        // A paused one takes connections and is silent.
        Error::Timeout { what, .. } if what.contains("sandbox") => Some(STATE),
        Error::Api { status: 401, .. } => {
            Some("give the server's key with OPEN_SANDBOX_API_KEY, or keep it with `sb config set`")
        }
        Error::Api { status: 426, .. } => {
            Some("secrets go over an encrypted connection or on this machine only: use an https address")
        }
        Error::Api { status: 409, code, .. } if code == "HTTP_409" => {
            Some("somebody changed the vault, or there is one already: `sb vault get` shows it")
        }
        Error::Api { status: 404, code, message, .. } if code == "HTTP_404" && message.contains("vault") => {
            Some("`sb vault set` makes a vault; the sandbox needs one from its start (`--credential-proxy`)")
        }
        Error::Api { code, .. } => match code.as_str() {
            "SANDBOX::NOT_FOUND" => Some("`sb ps --all` lists the sandboxes there are"),
            "SANDBOX::NOT_REACHABLE" | "SANDBOX::INVALID_STATE" => Some(STATE),
            "IMAGE::NOT_FOUND" => Some("`sb image ls` lists the images there are"),
            "SANDBOX::NO_NETWORK_POLICY" => {
                Some("a policy is given at the start: `sb create --allow TARGET …`")
            }
            "SANDBOX::CAPACITY_EXHAUSTED" | "SANDBOX::QUOTA_EXCEEDED" => {
                Some("delete sandboxes that are not needed (`sb rm`), or wait for them to expire")
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let path = "a".to_owned();
        let error = anyhow::Error::new(Error::File { path, source: std::io::Error::other("full") });
        assert_eq!(text(&error.context("cannot copy")), "cannot copy: a: full");
        assert_eq!(text(&anyhow::anyhow!("in").context("out")), "out: in");
    }
}
