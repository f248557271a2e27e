//! Interactive terminals.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A terminal to make. The whole body may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CreatePTYSessionRequest)]
pub struct CreatePtyRequest {
    /// Directory the program starts in, made when missing; `~` and `$NAME` are expanded. Default: the sandbox's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Shell text to run instead of an interactive shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A terminal that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CreatePTYSessionResponse)]
pub struct CreatePtyResponse {
    /// Identifies the terminal.
    pub session_id: String,
}

/// What is known of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PTYSessionStatusResponse)]
pub struct PtyStatus {
    /// Identifies the terminal.
    pub session_id: String,
    /// Whether its program runs; it starts when a client first attaches.
    pub running: bool,
    /// Bytes of output ever written: what to pass as `since` to see only what is new.
    pub output_offset: i64,
}

/// How to attach.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachQuery {
    /// `0` starts the program on pipes, with standard error apart; anything else on a terminal.
    #[param(value_type = Option<BinaryFlag>)]
    pub pty: Option<String>,
    /// Offset of the first output byte to replay. Default: all that is kept.
    #[param(minimum = 0, default = 0)]
    pub since: Option<i64>,
    /// `1` replaces the client that is attached.
    #[param(value_type = Option<BinaryFlag>)]
    pub takeover: Option<String>,
}

/// A switch in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum BinaryFlag {
    /// Off.
    #[serde(rename = "0")]
    Off,
    /// On.
    #[serde(rename = "1")]
    On,
}

/// First byte of a binary frame from the client: bytes for standard input follow.
pub const TAG_STDIN: u8 = 0x00;

/// First byte of a binary frame to the client: terminal output, or standard output in pipe mode, follows.
pub const TAG_STDOUT: u8 = 0x01;

/// First byte of a binary frame to the client: standard error follows. Only in pipe mode.
pub const TAG_STDERR: u8 = 0x02;

/// First byte of a binary frame to the client: the offset of the first byte (big-endian, 8 bytes) and kept output
/// follow.
pub const TAG_REPLAY: u8 = 0x03;

/// A text frame from the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PTYClientFrame)]
pub struct ClientFrame {
    /// What it is: `stdin`, `signal`, `resize` or `ping`.
    #[serde(rename = "type")]
    #[schema(value_type = ClientFrameKind)]
    pub kind: String,
    /// Text for standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Columns of the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cols: Option<u16>,
    /// Rows of the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u16>,
    /// The signal to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ClientSignal>)]
    pub signal: Option<String>,
}

/// Kinds of [`ClientFrame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientFrameKind {
    /// Bytes for standard input.
    Stdin,
    /// Send a signal.
    Signal,
    /// The terminal has a new size.
    Resize,
    /// Asks for a `pong`.
    Ping,
}

/// Signals a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ClientSignal {
    /// Interrupt.
    #[serde(rename = "SIGINT")]
    Int,
    /// Terminate.
    #[serde(rename = "SIGTERM")]
    Term,
    /// Kill.
    #[serde(rename = "SIGKILL")]
    Kill,
    /// Quit.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// Hang up.
    #[serde(rename = "SIGHUP")]
    Hup,
}

/// A text frame to the client. Members that do not apply to a kind are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PTYServerFrame)]
pub struct ServerFrame {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ServerFrameKind,
    /// The terminal's id, with `connected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_id: Option<String>,
    /// How the program's input and output are connected, with `connected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mode: Option<Mode>,
    /// Exit status, 128 + N after signal N, -1 when the terminal was deleted; with `exit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exit_code: Option<i32>,
    /// What went wrong, for a person; with `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// What went wrong, for a program; with `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<FrameError>,
}

impl ServerFrame {
    /// A frame of this kind, all other members absent.
    #[must_use]
    pub fn new(kind: ServerFrameKind) -> Self {
        Self { kind, session_id: None, mode: None, exit_code: None, error: None, code: None }
    }

    /// An error frame.
    #[must_use]
    pub fn error(code: FrameError, message: impl Into<String>) -> Self {
        Self { error: Some(message.into()), code: Some(code), ..Self::new(ServerFrameKind::Error) }
    }
}

/// Kinds of [`ServerFrame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerFrameKind {
    /// The client is attached; live output follows.
    Connected,
    /// The program has ended; the connection is then closed.
    Exit,
    /// Something went wrong.
    Error,
    /// Answers a `ping`.
    Pong,
}

/// How a program's input and output are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A terminal.
    Pty,
    /// Three pipes.
    Pipe,
}

/// What an error frame reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FrameError {
    /// The terminal was deleted.
    SessionGone,
    /// The program could not be started.
    StartFailed,
    /// Input could not be passed to the program.
    StdinWriteFailed,
    /// A frame was not understood.
    InvalidFrame,
    /// Another client is attached.
    AlreadyConnected,
    /// Another client took over.
    TakenOver,
    /// Something else failed.
    RuntimeError,
}
