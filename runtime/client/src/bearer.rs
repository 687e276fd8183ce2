//! Tokens that say who asks.

use std::path::PathBuf;
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
        let read = Mutex::new((Instant::now(), read_token(&path)?));
        Ok(Self::File(TokenFile { path, read }))
    }

    /// The token as it is now.
    pub(crate) fn token(&self) -> Result<String, ConfigError> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::File(file) => file.token(),
        }
    }
}

impl TokenFile {
    fn token(&self) -> Result<String, ConfigError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0.elapsed() >= FRESH {
            *read = (Instant::now(), read_token(&self.path)?);
        }
        Ok(read.1.clone())
    }
}

fn read_token(path: &std::path::Path) -> Result<String, ConfigError> {
    read_file(path).map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_files_token_is_read_again_after_a_minute() {
        let path = std::env::temp_dir().join(format!("trimtab-bearer-{}", std::process::id()));
        std::fs::write(&path, "first\n").unwrap();
        let bearer = Bearer::file(&path).unwrap();
        std::fs::write(&path, "second\n").unwrap();
        assert_eq!(bearer.token().unwrap(), "first");
        tokio::time::advance(FRESH).await;
        assert_eq!(bearer.token().unwrap(), "second");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(bearer.token().unwrap(), "second");
        tokio::time::advance(FRESH).await;
        assert!(bearer.token().is_err(), "{path:?} is gone");
    }
}
