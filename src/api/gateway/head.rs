//! The head of a request: parsed by httparse, then held to rules that leave no two readings of it.

use super::upload;
use crate::api::Failure;

/// Bytes that a head may have.
pub const HEAD_LIMIT: usize = 8 * 1024;
/// Bytes that a body may have.
pub const BODY_LIMIT: usize = 64 * 1024;
/// Header lines that a head may have.
const HEADER_LIMIT: usize = 64;
/// Bytes that a target may have.
const TARGET_LIMIT: usize = 2 * 1024;
/// The name of what is spoken over a WebSocket here.
pub const SUBPROTOCOL: &str = "cgminer-rs";
/// What a token follows in the list of subprotocols.
const TOKEN: &str = "bearer.";
/// Methods that any path here knows.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What matters of a request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// One of seven methods.
    pub method: &'static str,
    /// Path and query: printable ASCII that starts with a slash.
    pub target: String,
    /// The one Host; absent only in HTTP/1.0.
    pub host: Option<String>,
    /// Origin of the page that asks, when a browser does.
    pub origin: Option<String>,
    /// Credentials.
    pub authorization: Option<String>,
    /// Kind of the body.
    pub content_type: Option<String>,
    /// What the client wants to speak on this connection, when it is not HTTP.
    pub upgrade: Option<Upgrade>,
    /// Bytes of the body.
    pub content_length: usize,
    /// Whether the client wants to ask again on this connection.
    pub keep_alive: bool,
    /// Bytes of the head itself.
    pub length: usize,
}

/// What a client says that wants to speak WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// Its Sec-WebSocket-Key.
    pub key: Option<String>,
    /// Its Sec-WebSocket-Version.
    pub version: Option<String>,
    /// Whether it offers our subprotocol, and so waits to hear that it was chosen.
    pub speaks_ours: bool,
    /// The token that it names beside our subprotocol: a page can set no other header.
    pub token: Option<String>,
}

/// Parses what has arrived so far. `None` means that more is needed.
///
/// # Errors
/// When no continuation can make it a request that is served; the connection is of no use afterwards.
pub fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_LIMIT => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_LIMIT => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
        Err(_) => return Err(bad("the head of the request is no HTTP/1.1")),
    };
    let http_1_1 = request.version == Some(1);
    let mut head = Head {
        method: method(request.method.unwrap_or_default())?,
        target: target(request.path.unwrap_or_default())?,
        host: None,
        origin: None,
        authorization: None,
        content_type: None,
        upgrade: None,
        content_length: 0,
        keep_alive: http_1_1,
        length,
    };
    let mut content_length = None;
    let mut protocol = None;
    let mut offered = None;
    let mut upgrade = Upgrade::default();
    let mut connection_upgrades = false;
    for header in request.headers.iter() {
        let name = header.name;
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        if is("transfer-encoding") {
            return Err(LENGTH_REQUIRED);
        } else if is("content-length") {
            once(&mut content_length, header.value)?;
        } else if is("host") {
            once(&mut head.host, header.value)?;
        } else if is("origin") {
            once(&mut head.origin, header.value)?;
        } else if is("authorization") {
            once(&mut head.authorization, header.value)?;
        } else if is("content-type") {
            once(&mut head.content_type, header.value)?;
        } else if is("connection") {
            let value = text(header.value)?.to_ascii_lowercase();
            let has = |token: &str| value.split(',').any(|part| part.trim() == token);
            connection_upgrades |= has("upgrade");
            head.keep_alive = !has("close") && (http_1_1 || has("keep-alive"));
        } else if is("upgrade") {
            once(&mut protocol, header.value)?;
        } else if is("sec-websocket-key") {
            once(&mut upgrade.key, header.value)?;
        } else if is("sec-websocket-version") {
            once(&mut upgrade.version, header.value)?;
        } else if is("sec-websocket-protocol") {
            once(&mut offered, header.value)?;
        } else if is("expect") {
            return Err(Failure::new(
                417,
                "expectation_failed",
                "Expect is not understood here",
                "send the request without it",
            ));
        }
    }
    if http_1_1 && head.host.is_none() {
        return Err(bad("the Host header is missing"));
    }
    let is_websocket = protocol.is_some_and(|name: String| name.eq_ignore_ascii_case("websocket"));
    if is_websocket && connection_upgrades && http_1_1 {
        if let Some(offered) = offered {
            (upgrade.speaks_ours, upgrade.token) = subprotocols(&offered)?;
        }
        if upgrade.token.is_some() && head.authorization.is_some() {
            return Err(bad(
                "two tokens: one in Authorization, one in Sec-WebSocket-Protocol",
            ));
        }
        head.upgrade = Some(upgrade);
    }
    if let Some(value) = content_length {
        let limit = upload::limit_of(head.method, &head.target).unwrap_or(BODY_LIMIT);
        head.content_length = body_length(&value, limit)?;
    }
    Ok(Some(head))
}

/// Whether our subprotocol is among those offered, and the token that is. Others are offered to somebody else.
fn subprotocols(offered: &str) -> Result<(bool, Option<String>), Failure> {
    let mut names = offered.split(',').map(str::trim);
    let ours = names.clone().any(|name| name == SUBPROTOCOL);
    let tokens = names.by_ref().filter_map(|name| name.strip_prefix(TOKEN));
    let mut tokens = tokens.map(str::to_owned);
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok((ours, None)),
        // Nobody could be told that it was understood: the token itself must not be what is chosen.
        (Some(_), _) if !ours => Err(bad(
            "a token without `cgminer-rs` in Sec-WebSocket-Protocol",
        )),
        (Some(_), Some(_)) => Err(bad("two tokens in Sec-WebSocket-Protocol")),
        (Some(token), None) => Ok((ours, Some(token))),
    }
}

fn method(text: &str) -> Result<&'static str, Failure> {
    METHODS
        .into_iter()
        .find(|known| *known == text)
        .ok_or(UNKNOWN_METHOD)
}

fn target(text: &str) -> Result<String, Failure> {
    if text.len() > TARGET_LIMIT {
        return Err(Failure::new(
            414,
            "target_too_long",
            "the path is too long",
            "shorten it",
        ));
    }
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(
            "the path is not one of printable ASCII that starts with a slash",
        ));
    }
    Ok(text.into())
}

/// Two lines of one name are how requests are smuggled: each reader would pick another.
fn once(slot: &mut Option<String>, value: &[u8]) -> Result<(), Failure> {
    if slot.is_some() {
        return Err(bad("a header that may stand once stands twice"));
    }
    *slot = Some(text(value)?.into());
    Ok(())
}

fn text(value: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| {
            text.bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        })
        .ok_or(bad("a header value is not printable ASCII"))
}

fn body_length(value: &str, limit: usize) -> Result<usize, Failure> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("Content-Length is not a number"));
    }
    // More digits than a number can hold are surely too many bytes.
    let length = value.parse().unwrap_or(usize::MAX);
    if length > limit {
        Err(if limit == BODY_LIMIT {
            BODY_TOO_LARGE
        } else {
            upload::TOO_LARGE
        })
    } else {
        Ok(length)
    }
}

const fn bad(message: &'static str) -> Failure {
    Failure::new(400, "bad_request", message, "send a plain HTTP/1.1 request")
}

/// The head does not fit.
pub const HEAD_TOO_LARGE: Failure = Failure::new(
    431,
    "head_too_large",
    "the head of the request has more than 8192 bytes or 64 lines",
    "send fewer or shorter headers",
);

/// Nothing here takes this method.
pub const UNKNOWN_METHOD: Failure = Failure::new(
    501,
    "unknown_method",
    "the method is not known here",
    "use GET to read",
);

const BODY_TOO_LARGE: Failure = Failure::new(
    413,
    "body_too_large",
    "the body has more than 65536 bytes",
    "send less at once",
);

const LENGTH_REQUIRED: Failure = Failure::new(
    411,
    "length_required",
    "Transfer-Encoding is not understood here",
    "send the body with a Content-Length",
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(head: &str) -> u16 {
        match parse_head(head.as_bytes()) {
            Err(failure) => failure.status,
            Ok(head) => panic!("taken: {head:?}"),
        }
    }

    #[test]
    fn a_plain_request_is_understood() {
        let text =
            "GET /api/v1/status?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\n\r\nrest";
        let head = parse_head(text.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (head.method, head.target.as_str()),
            ("GET", "/api/v1/status?x=1")
        );
        assert_eq!(head.host.as_deref(), Some("127.0.0.1:8080"));
        assert!(head.keep_alive);
        assert_eq!((head.content_length, head.length), (0, text.len() - 4));
    }

    #[test]
    fn keep_alive_follows_version_and_header() {
        let keeps = |version: &str, connection: &str| {
            let text =
                format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
            parse_head(text.as_bytes()).unwrap().unwrap().keep_alive
        };
        assert!(keeps("1.1", "keep-alive") && keeps("1.0", "Keep-Alive"));
        assert!(!keeps("1.1", "te, Close") && !keeps("1.0", "te"));
    }

    #[test]
    fn whatever_has_two_readings_is_refused() {
        for (headers, status) in [
            ("Content-Length: 1\r\nContent-Length: 1", 400),
            ("Content-Length: 1\r\nContent-Length: 2", 400),
            ("Content-Length: 1, 1", 400),
            ("Content-Length: +1", 400),
            ("Content-Length: -1", 400),
            ("Content-Length: 0x1", 400),
            ("Content-Length: ", 400),
            ("Content-Length: 1000000000000000", 413),
            ("Content-Length: 99999999999999999999999999", 413),
            ("Content-Length: 65537", 413),
            ("Content-Length : 1", 400),
            ("Transfer-Encoding: chunked", 411),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", 411),
            ("Transfer-Encoding: identity", 411),
            ("tRANSFER-eNCODING: x", 411),
            ("Host: b", 400),
            ("Authorization: a\r\nAuthorization: b", 400),
            ("Expect: 100-continue", 417),
            (" folded: line", 400),
            ("Origin: a\r\n b", 400),
            ("X\0Y: 1", 400),
            ("Origin: \u{7f}", 400),
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
            assert_eq!(refused(&text), status, "{headers:?}");
        }
    }

    #[test]
    fn request_lines_that_nobody_here_serves_are_refused() {
        for (line, status) in [
            ("GET http://evil/ HTTP/1.1", 400),
            ("GET * HTTP/1.1", 400),
            ("CONNECT a:1 HTTP/1.1", 501),
            ("TRACE / HTTP/1.1", 501),
            ("get / HTTP/1.1", 501),
            ("GET / HTTP/2.0", 400),
            ("GET /\u{e9} HTTP/1.1", 400),
            ("GET  HTTP/1.1", 400),
            ("\x16\x03\x01\x02\x00", 400),
        ] {
            assert_eq!(
                refused(&format!("{line}\r\nHost: a\r\n\r\n")),
                status,
                "{line:?}"
            );
        }
        assert_eq!(
            refused("GET / HTTP/1.1\r\nAccept: x\r\n\r\n"),
            400,
            "no host"
        );
        assert_eq!(
            refused(&format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
                "a".repeat(3000)
            )),
            414
        );
    }

    #[test]
    fn a_head_ends_at_its_limit() {
        let half = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_LIMIT));
        assert_eq!(refused(&half), 431);
        assert_eq!(refused(&format!("{half}\r\nHost: a\r\n\r\n")), 431);
        let lines = "X: y\r\n".repeat(65);
        assert_eq!(
            refused(&format!("GET / HTTP/1.1\r\n{lines}Host: a\r\n\r\n")),
            431
        );
    }

    #[test]
    fn a_piece_of_a_head_asks_for_more() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse_head(&text[..end]), Ok(None), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_head_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse_head(&bytes);
        }

        #[test]
        fn what_is_taken_holds_the_limits(
            target in "/[ -~]{0,40}",
            lines in proptest::collection::vec("[A-Za-z-]{1,16}: ?[ -~]{0,30}", 0..12),
        ) {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"));
            if let Ok(Some(head)) = parse_head(text.as_bytes()) {
                prop_assert!(head.content_length <= BODY_LIMIT && head.length <= HEAD_LIMIT);
                prop_assert!(head.target.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
