//! Whose page asks, when a browser does: it tells in Host which name it was given, and in Origin whose page it runs.

use super::Shared;
use super::head::Head;
use crate::api::Failure;

/// What the headers of a browser come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// No page of another place asks, or it may not read the answer.
    Own,
    /// A page of an origin that the owner allows.
    Allowed(&'a str),
}

impl<'a> Page<'a> {
    /// The origin that is named in the answer.
    pub fn origin(self) -> Option<&'a str> {
        match self {
            Self::Own => None,
            Self::Allowed(origin) => Some(origin),
        }
    }
}

/// Refuses a name that is not this machine's, and a page that may not change it. `changes` is also true of what a page
/// could read although the browser would not let it: a WebSocket.
pub fn check<'a>(head: &'a Head, changes: bool, shared: &Shared) -> Result<Page<'a>, Failure> {
    let Some(host) = &head.host else {
        return Ok(Page::Own);
    };
    if !shared.allows_host(host) {
        return Err(HOST_NOT_ALLOWED);
    }
    let Some(origin) = head.origin.as_deref() else {
        return Ok(Page::Own);
    };
    if shared.allows_origin(origin) {
        return Ok(Page::Allowed(origin));
    }
    let name = origin
        .strip_prefix("http://")
        .or(origin.strip_prefix("https://"));
    let same = name.is_some_and(|name| name.eq_ignore_ascii_case(host));
    if changes && !same {
        return Err(ORIGIN_NOT_ALLOWED);
    }
    Ok(Page::Own)
}

const HOST_NOT_ALLOWED: Failure = Failure::new(
    403,
    "host_not_allowed",
    "the Host header names another machine",
    "use the machine's address, or add the name to api.hosts",
);

const ORIGIN_NOT_ALLOWED: Failure = Failure::new(
    403,
    "origin_not_allowed",
    "a page of another origin may not change this machine",
    "use the machine's own page, no browser, or add the origin to api.origins",
);
