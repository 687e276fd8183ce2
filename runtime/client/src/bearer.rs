//! Tokens that say who asks.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::kubeconfig::{ConfigError, read_file};

/// How long a file's token is used before the file is read again, as client-go does: a pod's token is replaced
/// when four fifths of its time are over.
const FRESH: Duration = Duration::from_secs(60);

/// A bearer token.
pub enum Bearer {
    /// The token itself.
    Token(String),
    /// A file that holds it, and may come to hold another.
    File(TokenFile),
}

/// A token in a file.
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<(Instant, String)>,
}

impl Bearer {
    /// The token that is in a file, now and later.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let token = read_token(&path)?;
        Ok(Self::of_file(path, token))
    }

    /// The token that is in a file, now and later; `token` until there is one.
    pub(crate) fn file_or(path: impl Into<PathBuf>, token: &str) -> Self {
        let path = path.into();
        let token = read_token(&path).unwrap_or_else(|_| token.to_owned());
        Self::of_file(path, token)
    }

    fn of_file(path: PathBuf, token: String) -> Self {
        Self::File(TokenFile { path, read: Mutex::new((Instant::now(), token)) })
    }

    /// The token as it is now.
    pub(crate) fn token(&self) -> String {
        match self {
            Self::Token(token) => token.clone(),
            Self::File(file) => file.token(),
        }
    }
}

impl TokenFile {
    /// What was read last: a file that cannot be read for a while takes nothing away.
    fn token(&self) -> String {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0.elapsed() >= FRESH {
            read.0 = Instant::now();
            if let Ok(token) = read_token(&self.path) {
                read.1 = token;
            }
        }
        read.1.clone()
    }
}

fn read_token(path: &Path) -> Result<String, ConfigError> {
    let token = read_file(path)?.trim().to_owned();
    if token.is_empty() {
        let detail = format!("{} is empty", path.display());
        return Err(ConfigError::Credentials { what: "token", detail });
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_files_token_is_read_again_after_a_minute_and_kept_while_there_is_none() {
        let path = std::env::temp_dir().join(format!("trimtab-bearer-{}", std::process::id()));
        std::fs::write(&path, "first\n").unwrap();
        let bearer = Bearer::file(&path).unwrap();
        std::fs::write(&path, "second\n").unwrap();
        assert_eq!(bearer.token(), "first");
        tokio::time::advance(FRESH).await;
        assert_eq!(bearer.token(), "second");
        for (text, expected) in [(None, "second"), (Some("\n"), "second"), (Some("third"), "third")] {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            tokio::time::advance(FRESH).await;
            assert_eq!(bearer.token(), expected);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_files_token_goes_before_the_one_beside_it() {
        let path = std::env::temp_dir().join(format!("trimtab-bearer-or-{}", std::process::id()));
        assert!(Bearer::file(&path).is_err(), "there is no {path:?}");
        let bearer = Bearer::file_or(&path, "beside");
        assert_eq!(bearer.token(), "beside");
        std::fs::write(&path, "in the file").unwrap();
        tokio::time::advance(FRESH).await;
        assert_eq!(bearer.token(), "in the file");
        assert_eq!(Bearer::file_or(&path, "beside").token(), "in the file");
        std::fs::remove_file(&path).unwrap();
    }
}
