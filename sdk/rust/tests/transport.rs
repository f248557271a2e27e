//! The client against servers that answer badly, late, twice or not at all.
#![expect(clippy::unwrap_used, reason = "a test whose server breaks must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sandkeep::{Client, Error, Execd, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Short, so that a test of a limit takes no time.
const LIMIT: Duration = Duration::from_millis(200);

fn timeouts() -> Timeouts {
    Timeouts { connect: LIMIT, request: LIMIT, create: LIMIT, ready: LIMIT, idle: LIMIT }
}

/// What the server does once a request is in.
enum Then {
    Close,
    Hang,
}

/// A server that gives every request the same bytes; counts the requests.
async fn server(answer: &'static str, then: Then) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
            if matches!(then, Then::Hang) {
                held.push(stream);
            }
        }
    });
    (url, requests)
}

/// Reads a request of known length whole, because closing a socket with unread input resets it.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return;
            }
        }
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
}

fn client(url: &str) -> Client {
    Client::builder().url(url).api_key("key").timeouts(timeouts()).build().unwrap()
}

#[tokio::test]
async fn a_refusal_carries_code_message_and_request_id() {
    let answer = "HTTP/1.1 404 Not Found\r\nx-request-id: abc\r\ncontent-length: 46\r\n\r\n\
                  {\"code\":\"SANDBOX::NOT_FOUND\",\"message\":\"gone\"}";
    let (url, _) = server(answer, Then::Hang).await;
    let error = client(&url).get_sandbox("x").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert_eq!(error.code(), Some("SANDBOX::NOT_FOUND"));
    assert_eq!(error.request_id(), Some("abc"));
}

#[tokio::test]
async fn silence_comes_to_an_end() {
    let (url, _) = server("", Then::Hang).await;
    let error = client(&url).get_sandbox("x").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_falls_silent_comes_to_an_end() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
                  23\r\ndata: {\"type\":\"init\",\"text\":\"id\"}\n\n\r\n";
    let (url, _) = server(answer, Then::Hang).await;
    let execd = Execd::new(&url, "token", timeouts()).unwrap();
    let mut events = execd.commands().stream("sleep 1").await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().text.as_deref(), Some("id"));
    let error = events.next().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_command_whose_stream_breaks_is_neither_repeated_nor_taken_for_done() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                  data: {\"type\":\"stdout\",\"text\":\"half\"}\n\n";
    let (url, requests) = server(answer, Then::Close).await;
    let execd = Execd::new(&url, "token", timeouts()).unwrap();
    let error = execd.commands().run("echo half").await.unwrap_err();
    assert!(matches!(error, Error::Incomplete), "{error:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_command_that_got_no_answer_is_not_repeated() {
    let (url, requests) = server("", Then::Close).await;
    let execd = Execd::new(&url, "token", timeouts()).unwrap();
    let error = execd.commands().run("make money").await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_upload_that_stands_still_comes_to_an_end() {
    let (url, _) = server("", Then::Hang).await;
    let execd = Execd::new(&url, "token", timeouts()).unwrap();
    let endless = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
    let error = execd.files().upload([sandkeep::FileSource::stream("/x", endless)]).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn bare_objects_of_older_daemons_are_understood() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                  {\"type\":\"init\",\"text\":\"id\"}\n\n{\"type\":\"stdout\",\"text\":\"one\"}\n\n\
                  {\"type\":\"stdout\",\"text\":\"two\"}\n\n{\"type\":\"execution_complete\"}\n\n";
    let (url, _) = server(answer, Then::Close).await;
    let execd = Execd::new(&url, "token", timeouts()).unwrap();
    let done = execd.commands().run("x").await.unwrap();
    assert_eq!((done.stdout.as_str(), done.exit_code()), ("one\ntwo", Some(0)));
}
