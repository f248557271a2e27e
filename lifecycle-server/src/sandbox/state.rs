//! Which state a sandbox may go to from which, and why not.
//!
//! ```text
//!            started                 exited(0)
//!  Pending ----------> Running -------------------> Terminated
//!     |                   |  exited(n), lost             |
//!     | start failed      +---------------> Failed       |
//!     +------------------------------------>  |          |
//!     |                   |                   |          |
//!     +---- delete -------+----- delete ------+--delete--+----> Stopping ----> (gone)
//! ```
//!
//! Pure and synchronous: no clock, no I/O. Everything that changes a sandbox goes through [`State::apply`].

use std::fmt;

/// Where a sandbox is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted; its image or its first process is not there yet.
    Pending,
    /// Its execd answers.
    Running,
    /// Being removed; it will be gone.
    Stopping,
    /// Its program ended with status 0.
    Terminated,
    /// It could not start, or its program ended otherwise.
    Failed,
}

/// Something that happened to a sandbox, or is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Started,
    StartFailed {
        message: String,
    },
    /// Its first process ended; `None` is a status nobody saw.
    Exited {
        code: Option<i32>,
        oom_killed: bool,
    },
    /// The runtime knows nothing of it any more, for instance after a reboot of the host.
    Lost,
    Delete,
}

/// What a legal event leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub state: State,
    /// Short machine-readable cause.
    pub reason: &'static str,
    pub message: Option<String>,
}

/// Why an event is not legal in the present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sandbox is {state}: {action} is not possible")]
pub struct Denial {
    pub state: State,
    /// What was asked for, as a phrase.
    pub action: &'static str,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Stopping, Self::Terminated, Self::Failed];

    /// The name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Terminated => "Terminated",
            Self::Failed => "Failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Nothing of the sandbox runs, and nothing will.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Terminated | Self::Failed)
    }

    /// Whether requests may be forwarded into the sandbox.
    pub fn is_reachable(self) -> bool {
        matches!(self, Self::Running)
    }

    /// The state `event` leads to from here.
    pub fn apply(self, event: &Event) -> Result<Transition, Denial> {
        let deny = |action| Err(Denial { state: self, action });
        match (self, event) {
            (Self::Pending, Event::Started) => Ok(Transition::to(Self::Running, "SANDBOX_RUNNING")),
            (Self::Pending, Event::StartFailed { message }) => {
                Ok(Transition::to(Self::Failed, "START_FAILED").because(message.clone()))
            }
            (Self::Pending | Self::Running, Event::Exited { code, oom_killed }) => {
                Ok(Transition::of_exit(*code, *oom_killed))
            }
            (Self::Pending | Self::Running, Event::Lost) => Ok(Transition::to(Self::Failed, "SANDBOX_LOST")
                .because("the sandbox was no longer on the host when the server looked for it".to_owned())),
            // From Stopping too: a deletion that failed half-way is tried again.
            (_, Event::Delete) => Ok(Transition::to(Self::Stopping, "DELETING")),
            (_, Event::Started) => deny("starting"),
            (_, Event::StartFailed { .. }) => deny("a failed start"),
            (_, Event::Exited { .. }) => deny("an exit"),
            (_, Event::Lost) => deny("losing it"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Transition {
    fn to(state: State, reason: &'static str) -> Self {
        Self { state, reason, message: None }
    }

    fn because(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }

    fn of_exit(code: Option<i32>, oom_killed: bool) -> Self {
        match code {
            _ if oom_killed => Self::to(State::Failed, "OOM_KILLED")
                .because("the sandbox was killed at its memory limit".to_owned()),
            Some(0) => Self::to(State::Terminated, "SANDBOX_EXITED"),
            Some(code) => Self::to(State::Failed, "SANDBOX_EXITED_ERROR")
                .because(format!("the sandbox's program ended with status {code}")),
            None => Self::to(State::Failed, "SANDBOX_EXITED_ERROR")
                .because("the sandbox's program ended; its status is not known".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Started),
            ".{0,8}".prop_map(|message| Event::StartFailed { message }),
            (any::<Option<i32>>(), any::<bool>())
                .prop_map(|(code, oom_killed)| Event::Exited { code, oom_killed }),
            Just(Event::Lost),
            Just(Event::Delete),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: what ended never runs again, what is being deleted stays so, and
        /// every sandbox can be deleted.
        #[test]
        fn histories_are_sane(events in prop::collection::vec(any_event(), 0..24)) {
            let mut state = State::Pending;
            for event in &events {
                let before = state;
                match state.apply(event) {
                    Ok(transition) => state = transition.state,
                    Err(denial) => prop_assert_eq!(denial.state, before),
                }
                if before.is_final() {
                    prop_assert!(state == before || state == State::Stopping);
                }
                if before == State::Stopping {
                    prop_assert_eq!(state, State::Stopping);
                }
                prop_assert!(before.apply(&Event::Delete).is_ok());
                prop_assert!(state != State::Running || matches!(before, State::Pending | State::Running));
            }
        }
    }

    #[test]
    fn exit_status_decides_between_terminated_and_failed() {
        let exit = |code, oom_killed| {
            State::Running.apply(&Event::Exited { code, oom_killed }).map(|next| (next.state, next.reason))
        };
        assert_eq!(exit(Some(0), false), Ok((State::Terminated, "SANDBOX_EXITED")));
        assert_eq!(exit(Some(3), false), Ok((State::Failed, "SANDBOX_EXITED_ERROR")));
        assert_eq!(exit(None, false), Ok((State::Failed, "SANDBOX_EXITED_ERROR")));
        assert_eq!(exit(Some(137), true), Ok((State::Failed, "OOM_KILLED")));
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("running"), None);
    }
}
