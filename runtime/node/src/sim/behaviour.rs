//! How a pretended container behaves.

use std::time::Duration;

use crate::runtime::ContainerSpec;

/// How a pretended container behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long its start takes.
    pub start_delay: Duration,
    /// After how long it ends by itself; it runs for ever when absent.
    pub exit_after: Option<Duration>,
    /// What it answers then.
    pub exit_code: i32,
    /// How long it takes to end when it is asked to.
    pub stop_delay: Duration,
    /// Whether its probes succeed.
    pub ready: bool,
    /// What it has written.
    pub log: String,
    /// What any command run in it writes.
    pub exec_output: String,
    /// What any command run in it answers.
    pub exec_code: i32,
    /// Whether any command run in it writes, after that, what it reads, and ends when there is no more to read.
    pub exec_echo: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start_delay: Duration::ZERO,
            exit_after: None,
            exit_code: 0,
            stop_delay: Duration::ZERO,
            ready: true,
            log: String::new(),
            exec_output: String::new(),
            exec_code: 0,
            exec_echo: false,
        }
    }
}

impl Behaviour {
    /// As the container's own environment says: `SIM_START_MS`, `SIM_EXIT_AFTER_MS`,
    /// `SIM_EXIT_CODE`, `SIM_STOP_MS`, `SIM_READY=false`, `SIM_LOG`, `SIM_EXEC_OUTPUT`,
    /// `SIM_EXEC_CODE`, `SIM_EXEC_ECHO=true`. What is absent, or no number where one is expected, is as by default.
    pub fn of(spec: &ContainerSpec) -> Self {
        let text = |name: &str| spec.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let millis = |name: &str| text(name)?.parse().ok().map(Duration::from_millis);
        let code = |name: &str| text(name).and_then(|code| code.parse().ok()).unwrap_or_default();
        Self {
            start_delay: millis("SIM_START_MS").unwrap_or_default(),
            exit_after: millis("SIM_EXIT_AFTER_MS"),
            exit_code: code("SIM_EXIT_CODE"),
            stop_delay: millis("SIM_STOP_MS").unwrap_or_default(),
            ready: text("SIM_READY").as_deref() != Some("false"),
            log: text("SIM_LOG").unwrap_or_else(|| format!("simulated container {}\n", spec.name)),
            exec_output: text("SIM_EXEC_OUTPUT").unwrap_or_default(),
            exec_code: code("SIM_EXEC_CODE"),
            exec_echo: text("SIM_EXEC_ECHO").as_deref() == Some("true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_scripts_the_container() {
        let env = [("SIM_EXIT_AFTER_MS", "1500"), ("SIM_EXIT_CODE", "7"), ("SIM_READY", "false")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let behaviour = Behaviour::of(&ContainerSpec { env, ..ContainerSpec::default() });
        assert_eq!(behaviour.exit_after, Some(Duration::from_millis(1500)));
        assert_eq!((behaviour.exit_code, behaviour.ready, behaviour.start_delay), (7, false, Duration::ZERO));
    }
}
