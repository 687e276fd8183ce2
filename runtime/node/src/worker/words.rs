//! The last words of ended containers.

use futures::StreamExt;

use super::Worker;
use crate::pod;
use crate::runtime::{Container, LogOptions, State};

/// The most of a log that stands in for last words.
const LOG_TAIL_LINES: u64 = 80;
const LOG_TAIL_BYTES: usize = 2048;

impl Worker {
    /// Reads what ended containers left, once.
    pub(super) async fn read_last_words(&mut self) {
        if self.runtime().is_simulated() {
            return;
        }
        let ended = self.observed.containers.iter().filter(|c| c.state.is_exited() && !self.heard.contains(&c.id));
        for container in &ended.cloned().collect::<Vec<_>>() {
            let words = self.node.shared.files.read_last_words(self.uid(), &container.name, container.attempt);
            let words = match words {
                None if self.falls_back_to_log(container) => self.log_tail(&container.id).await,
                words => words,
            };
            self.messages.extend(words.map(|words| (container.id.clone(), words)));
            self.heard.insert(container.id.clone());
        }
    }

    fn falls_back_to_log(&self, container: &Container) -> bool {
        let failed = matches!(container.state, State::Exited { exit_code, .. } if exit_code != 0);
        let mut all = pod::spec(&self.pod).containers.iter().chain(pod::init_containers(&self.pod));
        let policy = all.find(|c| c.name == container.name).and_then(|c| c.termination_message_policy.as_deref());
        failed && policy == Some("FallbackToLogsOnError")
    }

    async fn log_tail(&self, id: &str) -> Option<String> {
        let options = LogOptions { tail: Some(LOG_TAIL_LINES), ..LogOptions::default() };
        let mut lines = self.runtime().logs(id, &options).await.ok()?;
        let mut text = Vec::new();
        while let Some(Ok(line)) = lines.next().await {
            text.extend_from_slice(&line.into_bytes());
        }
        let start = text.len().saturating_sub(LOG_TAIL_BYTES);
        Some(String::from_utf8_lossy(&text[start..]).into_owned()).filter(|text| !text.is_empty())
    }
}
