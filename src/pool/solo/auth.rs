//! How the node knows us: the cookie that it writes, or a user and password.

use crate::pool::basic_auth;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longest cookie file that is read; bitcoind writes 75 bytes.
const LONGEST_COOKIE: u64 = 4096;

/// How the node knows us.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum RpcAuth {
    /// bitcoind's cookie file. It changes at each start of the node, so it is read again for every call.
    Cookie(PathBuf),
    /// `rpcauth` or `rpcuser` of the node.
    Password {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
}

impl fmt::Debug for RpcAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(path) => write!(f, "Cookie({})", path.display()),
            Self::Password { user, .. } => write!(f, "Password({user}, hidden)"),
        }
    }
}

/// A cookie file that cannot be used.
#[derive(Debug, Error)]
#[error("cookie file {}: {reason}; check that the node runs and that this user may read the file", .path.display())]
pub struct CookieError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl RpcAuth {
    /// The password that the owner has given; empty where the node makes one for each of its starts.
    pub(super) fn password(&self) -> &str {
        match self {
            Self::Cookie(_) => "",
            Self::Password { password, .. } => password,
        }
    }

    /// Value of the `Authorization` header, the cookie as it is now.
    pub(super) fn header(&self) -> Result<String, CookieError> {
        let credentials = match self {
            Self::Cookie(path) => read_cookie(path).map_err(|reason| CookieError {
                path: path.clone(),
                reason,
            })?,
            Self::Password { user, password } => format!("{user}:{password}"),
        };
        Ok(basic_auth::header(&credentials))
    }
}

fn read_cookie(path: &Path) -> Result<String, String> {
    // Opening a pipe would wait for its other end.
    let is_file = std::fs::metadata(path).map(|metadata| metadata.is_file());
    if !is_file.map_err(|error| error.to_string())? {
        return Err("is no regular file".into());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(LONGEST_COOKIE)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let line = text.lines().next().unwrap_or_default().trim();
    if !line.contains(':') || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds no `user:password` line".into());
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_cookie_is_read_again_each_time() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "__cookie__:one").unwrap();
        let auth = RpcAuth::Cookie(file.path().to_owned());
        let expected = basic_auth::header;
        assert_eq!(auth.header().unwrap(), expected("__cookie__:one"));
        std::fs::write(file.path(), "__cookie__:two\n").unwrap();
        assert_eq!(auth.header().unwrap(), expected("__cookie__:two"));
        std::fs::write(file.path(), "a: b\r\nEvil: header").unwrap();
        assert!(auth.header().is_err());
        file.close().unwrap();
        let error = auth.header().unwrap_err().to_string();
        assert!(error.contains("check that the node runs"), "{error}");
        let directory = RpcAuth::Cookie(std::env::temp_dir());
        assert!(
            directory
                .header()
                .unwrap_err()
                .reason
                .contains("no regular file")
        );
    }

    #[test]
    fn passwords_are_never_printed() {
        let auth = RpcAuth::Password {
            user: "owner".into(),
            password: "secret".into(),
        };
        assert!(!format!("{auth:?}").contains("secret"));
    }
}
