//! What a program of controllers consists of, and its `main`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use tracing_subscriber::EnvFilter;
use trimtab_api::custom::{Declaration, Declared};
use trimtab_client::ApiResource;
use trimtab_env::CancellationToken;
use trimtab_reconcile::{Controller, Manager, Needs, Of, Reconcile};

use crate::arguments::{Arguments, Command};
use crate::{diagram, manifests, run};

/// Adds a controller to a manager.
type Add = Box<dyn Fn(&Manager)>;

/// Controllers, the definitions of their kinds, and a command line.
pub struct Operator {
    pub(crate) name: &'static str,
    version: &'static str,
    pub(crate) definitions: Vec<&'static Declaration>,
    controllers: Vec<Add>,
}

impl Operator {
    /// One called `name`, without controllers. Its service account, its roles, its Deployment and the fields that
    /// it sets in definitions are called so, too.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, definitions: Vec::new(), controllers: Vec::new() }
    }

    /// With the controller of a kind whose objects reconcile themselves, and the kind's definition.
    #[must_use]
    pub fn kind<K: Reconcile + Declared>(self) -> Self {
        self.controller(Of::<K>::new).definition(K::declared())
    }

    /// With the controller that `make` makes.
    #[must_use]
    pub fn controller<C: Controller>(mut self, make: impl Fn() -> C + 'static) -> Self {
        self.controllers.push(Box::new(move |manager| manager.add(make())));
        self
    }

    /// With the definition of a kind that comes with the program.
    #[must_use]
    pub fn definition(mut self, declaration: &'static Declaration) -> Self {
        let same = |known: &&Declaration| {
            (known.names.group, known.names.kind) == (declaration.names.group, declaration.names.kind)
        };
        if !self.definitions.iter().any(same) {
            self.definitions.push(declaration);
        }
        self
    }

    /// Does what the command line says, and tells how it went: 0, 1 after an error, 2 for a wrong command line.
    pub fn main(self) -> ExitCode {
        let stop = CancellationToken::new();
        match self.execute(std::env::args_os(), &mut io::stdout().lock(), &stop) {
            Ok(code) => code,
            // The reader of our output went away: there is nothing left to do.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    /// Does what `arguments` say, the program's name first. `run` ends with `stop`, or with the process' signals
    /// `SIGINT` and `SIGTERM`.
    ///
    /// # Errors
    /// When it cannot be done. A wrong command line is no error: it is told, as help is.
    pub fn execute(
        &self,
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        out: &mut dyn Write,
        stop: &CancellationToken,
    ) -> anyhow::Result<ExitCode> {
        let command = Arguments::command().name(self.name).version(self.version);
        let parsed = command.try_get_matches_from(arguments).and_then(|found| Arguments::from_arg_matches(&found));
        let Arguments { command, log } = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                error.print()?;
                return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)));
            }
        };
        for definition in &self.definitions {
            definition.check()?;
        }
        match command {
            Command::Run(args) => {
                let filter = EnvFilter::try_new(&log).with_context(|| format!("--log {log:?}"))?;
                // A test has one already.
                let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(run::run(self, &args, stop))?;
            }
            Command::Crds(args) => write!(out, "{}", manifests::crds(self, &args)?)?,
            Command::Rbac(args) => write!(out, "{}", manifests::rbac(self, &args)?)?,
            Command::Manifests(args) => write!(out, "{}", manifests::all(self, &args)?)?,
            Command::Diagram => write!(out, "{}", diagram::of(&self.needs()))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(crate) fn add_to(&self, manager: &Manager) {
        self.controllers.iter().for_each(|add| add(manager));
    }

    pub(crate) fn needs(&self) -> Needs {
        Manager::needs_of(|manager| self.add_to(manager))
    }

    /// Kinds with versions between which somebody has to convert.
    pub(crate) fn converted(&self) -> impl Iterator<Item = &'static Declaration> {
        self.definitions.iter().copied().filter(|declaration| declaration.converts())
    }
}

/// How a definition is called.
pub(crate) fn definition_name(declaration: &Declaration) -> String {
    format!("{}.{}", declaration.names.plural, declaration.names.group)
}

/// Definitions themselves.
pub(crate) fn definitions() -> ApiResource {
    ApiResource::of::<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}
