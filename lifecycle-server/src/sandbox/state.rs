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
//!
//!           resumed                 stop begun           stopped           start begun           started
//!  Paused <---------> Running|Paused ---------> Pausing ---------> Stopped ---------> Resuming ---------> Running
//!           paused          ^   stop failed        |                  ^   start failed    |
//!                           +----------------------+                  +-------------------+
//! ```
//!
//! A paused sandbox ends, is lost and is deleted like a running one; a stopped one is deleted like any.
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
    /// On its way to being stopped.
    Pausing,
    /// Its processes are frozen where they were.
    Paused,
    /// On its way from stopped to running.
    Resuming,
    /// It has no processes; its files are kept, and its memory if that was asked for.
    Stopped,
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
    Paused,
    Resumed,
    StopBegun,
    /// Its processes are gone; `memory` if they were saved first.
    Stopped {
        memory: bool,
    },
    /// It goes on as before, frozen or not.
    StopFailed {
        paused: bool,
    },
    StartBegun,
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
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Resuming,
        Self::Stopped,
        Self::Stopping,
        Self::Terminated,
        Self::Failed,
    ];

    /// The name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Resuming => "Resuming",
            Self::Stopped => "Stopped",
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
            (Self::Pending | Self::Resuming, Event::Started) | (Self::Paused, Event::Resumed) => {
                Ok(Transition::to(Self::Running, "SANDBOX_RUNNING"))
            }
            (Self::Running, Event::Paused) => Ok(Transition::to(Self::Paused, "SANDBOX_PAUSED")),
            (Self::Running | Self::Paused, Event::StopBegun) => {
                Ok(Transition::to(Self::Pausing, "SANDBOX_STOPPING"))
            }
            (Self::Pausing, Event::Stopped { memory: true }) => {
                Ok(Transition::to(Self::Stopped, "STOPPED_WITH_MEMORY"))
            }
            (Self::Pausing, Event::Stopped { memory: false }) => {
                Ok(Transition::to(Self::Stopped, "STOPPED_FILES_ONLY"))
            }
            (Self::Pausing, Event::StopFailed { paused: true }) => {
                Ok(Transition::to(Self::Paused, "SANDBOX_PAUSED"))
            }
            (Self::Pausing, Event::StopFailed { paused: false }) => {
                Ok(Transition::to(Self::Running, "SANDBOX_RUNNING"))
            }
            (Self::Stopped, Event::StartBegun) => Ok(Transition::to(Self::Resuming, "SANDBOX_STARTING")),
            (Self::Resuming, Event::StartFailed { message }) => {
                Ok(Transition::to(Self::Stopped, "START_FAILED").because(message.clone()))
            }
            (Self::Pending, Event::StartFailed { message }) => {
                Ok(Transition::to(Self::Failed, "START_FAILED").because(message.clone()))
            }
            (
                Self::Pending | Self::Running | Self::Paused | Self::Pausing,
                Event::Exited { code, oom_killed },
            ) => Ok(Transition::of_exit(*code, *oom_killed)),
            (
                Self::Pending | Self::Running | Self::Paused | Self::Pausing | Self::Resuming | Self::Stopped,
                Event::Lost,
            ) => Ok(Transition::to(Self::Failed, "SANDBOX_LOST")
                .because("the sandbox was no longer on the host when the server looked for it".to_owned())),
            // From Stopping too: a deletion that failed half-way is tried again.
            (_, Event::Delete) => Ok(Transition::to(Self::Stopping, "DELETING")),
            (_, Event::Started) => deny("starting"),
            (_, Event::StartFailed { .. }) => deny("a failed start"),
            (_, Event::Exited { .. }) => deny("an exit"),
            (_, Event::Lost) => deny("losing it"),
            (_, Event::Paused) => deny("pausing"),
            (_, Event::Resumed) => deny("resuming"),
            (_, Event::StopBegun | Event::Stopped { .. } | Event::StopFailed { .. }) => deny("stopping"),
            (_, Event::StartBegun) => deny("starting"),
        }
    }
}

impl Event {
    /// Figures worth noting.
    pub(super) fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::Exited { code, oom_killed } => {
                Some(serde_json::json!({"exitCode": code, "oomKilled": oom_killed}))
            }
            _ => None,
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
            Just(Event::Paused),
            Just(Event::Resumed),
            Just(Event::StopBegun),
            any::<bool>().prop_map(|memory| Event::Stopped { memory }),
            any::<bool>().prop_map(|paused| Event::StopFailed { paused }),
            Just(Event::StartBegun),
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
                // Stopped and paused ones come back only on the ways that start and thaw their processes.
                let way_back = match event {
                    Event::Started => matches!(before, State::Pending | State::Resuming),
                    Event::Resumed => before == State::Paused,
                    Event::StopFailed { paused } => before == State::Pausing && !paused,
                    _ => false,
                };
                prop_assert!(state != State::Running || before == state || way_back);
                prop_assert!(state != State::Stopped || matches!(before, State::Pausing | State::Resuming | State::Stopped));
            }
        }
    }

    #[test]
    fn only_the_running_pause_and_only_the_paused_resume() {
        for state in State::ALL {
            let after = |event: &Event| state.apply(event).ok().map(|next| next.state);
            assert_eq!(after(&Event::Paused), (state == State::Running).then_some(State::Paused), "{state}");
            assert_eq!(after(&Event::Resumed), (state == State::Paused).then_some(State::Running), "{state}");
            assert_eq!(
                after(&Event::StartBegun),
                (state == State::Stopped).then_some(State::Resuming),
                "{state}"
            );
        }
        let exit = Event::Exited { code: Some(137), oom_killed: true };
        assert_eq!(State::Paused.apply(&exit).map(|next| next.reason), Ok("OOM_KILLED"));
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
