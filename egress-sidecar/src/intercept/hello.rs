//! The first words of a connection: what it speaks, and of TLS whom it wants.

use std::{io, time::Duration};

use rustls::server::Acceptor;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::bounded;

/// A client that says nothing at all for so long is waiting for the server to begin.
const SILENCE: Duration = Duration::from_secs(3);
/// A client that has begun must have said who it wants by then.
const LIMIT: Duration = Duration::from_secs(10);
/// Largest ClientHello, with room for what post-quantum keys and many extensions take.
const MAX_HELLO: usize = 64 * 1024;
/// Read at once.
const CHUNK: usize = 4096;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Tls,
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// Something else, or nothing until now.
    Unknown,
}

/// Looks at the first bytes and leaves them there.
pub(super) async fn listen(stream: &TcpStream) -> io::Result<Spoken> {
    let mut first = [0; 4];
    match timeout(SILENCE, stream.peek(&mut first)).await {
        Ok(count) => Ok(recognise(&first[..count?])),
        Err(_) => Ok(Spoken::Unknown),
    }
}

pub(super) fn recognise(first: &[u8]) -> Spoken {
    match first {
        [TLS_HANDSHAKE, ..] => Spoken::Tls,
        // The protocol and not a method.
        [b'S', b'S', b'H', b'-', ..] => Spoken::Unknown,
        [b'P', b'R', b'I', b' ', ..] => Spoken::Http2,
        [b'A'..=b'Z', ..] => Spoken::Http,
        _ => Spoken::Unknown,
    }
}

/// What a TLS client said first.
#[derive(Debug, Default)]
pub(super) struct Hello {
    /// All bytes read so far, to be read again.
    pub(super) bytes: Vec<u8>,
    /// The name it wants, in lower case without a dot at the end.
    pub(super) name: Option<String>,
    /// The protocols it speaks inside, if it says.
    pub(super) protocols: Option<Vec<Vec<u8>>>,
}

/// Reads the ClientHello.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Hello> {
    match timeout(LIMIT, read_unbounded(stream)).await {
        Ok(hello) => hello,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no ClientHello in time")),
    }
}

async fn read_unbounded(stream: &mut TcpStream) -> io::Result<Hello> {
    let mut parser = Acceptor::default();
    let mut bytes = Vec::with_capacity(CHUNK);
    loop {
        let before = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bounded::room()?;
        if bytes.len() > MAX_HELLO {
            return Err(io::Error::other("the ClientHello is too large"));
        }
        if let Some((name, protocols)) = parse(&mut parser, &bytes[before..])? {
            return Ok(Hello { bytes, name, protocols });
        }
    }
}

pub(super) type Parsed = (Option<String>, Option<Vec<Vec<u8>>>);

/// Feeds more bytes; gives the name and the protocols when there are enough.
pub(super) fn parse(parser: &mut Acceptor, mut bytes: &[u8]) -> io::Result<Option<Parsed>> {
    while !bytes.is_empty() {
        parser.read_tls(&mut bytes)?;
        let accepted = parser.accept().map_err(|(error, _)| io::Error::other(error))?;
        if let Some(accepted) = accepted {
            let hello = accepted.client_hello();
            let name = hello.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
            let protocols = hello.alpn().map(|protocols| protocols.map(<[u8]>::to_vec).collect());
            return Ok(Some((name, protocols)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &'static str, protocols: &[&str]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn name_and_protocols_are_found_however_it_arrives() {
        let bytes = hello("A.Example", &["h2", "http/1.1"]);
        for size in [1, 7, bytes.len()] {
            let mut parser = Acceptor::default();
            let mut found = None;
            for chunk in bytes.chunks(size) {
                assert_eq!(found, None);
                found = parse(&mut parser, chunk).unwrap();
            }
            let protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            assert_eq!(found, Some((Some("a.example".to_owned()), Some(protocols))));
        }
    }

    #[test]
    fn an_address_is_no_name() {
        let mut parser = Acceptor::default();
        assert_eq!(parse(&mut parser, &hello("192.0.2.1", &[])).unwrap(), Some((None, None)));
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x16GET / HTTP/1.1\r\n\r\n", &[0x16; 600]] {
            assert!(parse(&mut Acceptor::default(), bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn protocols_are_told_apart() {
        for (first, spoken) in [
            (&b"\x16\x03\x01"[..], Spoken::Tls),
            (b"GET ", Spoken::Http),
            (b"PRI ", Spoken::Http2),
            (b"PROP", Spoken::Http),
            (b"SSH-", Spoken::Unknown),
            (b"\0\0", Spoken::Unknown),
            (b"", Spoken::Unknown),
        ] {
            assert_eq!(recognise(first), spoken, "{first:?}");
        }
    }
}
