//! From options to a plan: paths made absolute, the user looked up, Apache and its modules found, every default filled
//! in.
//!
//! A [`Plan`] looks at the machine but changes nothing. [`crate::files::render`] turns it into texts, which are then
//! written.
//!
//! Knows this machine and every default. Must not write anything, nor know how a directive is written.

mod account;
mod apache;
mod apachectl;
mod caller;
mod content;
mod context;
mod daemon;
mod entry;
mod error;
mod handler;
mod locale;
mod logs;
mod network;
mod path;
mod root;
mod server;
mod telemetry;
mod tools;

use camino::Utf8PathBuf;
use httpd_conf::Server;

use apachectl::Control;
use context::Context;
use entry::Entry;
use handler::Handler;

pub use account::Account;
pub use apache::{Installation, on_path};
pub use caller::Caller;
pub use error::PlanError;
pub use handler::WELCOME;
pub use logs::LogDestination;
pub use path::Directory;
pub use root::{Root, Sockets};
pub use tools::Tools;

use crate::facts::Facts;
use crate::options::Options;

/// A plan: what to run, decided in every detail.
#[derive(Debug)]
pub struct Plan {
    /// The options that it was made from.
    pub options: Options,
    /// The configuration of Apache.
    pub server: Server,
    /// The directory for all generated files.
    pub root: Root,
    /// Directories to make where they are missing, with the options that name them.
    pub directories: Vec<(&'static str, Utf8PathBuf)>,
    /// Files that root's shell or Apache would read and obey, with the options that name them.
    pub used_by_root: Vec<(&'static str, Utf8PathBuf)>,
    /// Directories that the application writes to, with the options that name them.
    pub written_by_application: Vec<(&'static str, Utf8PathBuf)>,
    /// The tools that watch the application.
    pub tools: Tools,
    /// The sockets of the daemons.
    pub sockets: Sockets,
    /// The settings of the application's script.
    pub handler: Handler,
    /// The settings of the script behind `--add-handler`.
    pub resources: Option<Handler>,
    /// The script of `--enable-telemetry`: its path and its text.
    pub telemetry: Option<(Utf8PathBuf, String)>,
    /// The control script.
    pub control: Control,
    /// The user and group that the server runs as.
    pub account: Account,
    /// The directory that the application runs in.
    pub working_directory: Utf8PathBuf,
    /// Directories for the module search path.
    pub python_path: Vec<Utf8PathBuf>,
    /// The destination of the logs.
    pub logs: LogDestination,
    /// The application's locale.
    pub locale: String,
    /// Files with variables for the application's processes.
    pub env_files: Vec<Utf8PathBuf>,
}

impl Plan {
    /// Makes the plan. `options` have been checked.
    ///
    /// # Errors
    /// [`PlanError`]: something that the options name is not there, or the machine lacks something.
    pub fn new(options: &Options, facts: &Facts, caller: &Caller) -> Result<Self, PlanError> {
        if options.application.free_threading && !facts.gil_disabled {
            return Err(PlanError::NotFreeThreaded(facts.executable.clone()));
        }
        let options = &network::with_free_ports(options)?;
        let here = Directory::new(&caller.directory);
        let account = Account::find(options.identity.user.as_deref(), options.identity.group.as_deref(), caller.uid)?;
        let mut sites = network::sites(options, &here)?;
        let label = network::label(&sites);
        let root = Root::choose(options.layout.server_root.as_deref().map(|r| here.absolute(r)), &label, caller);
        if let Some(tls) = sites.tls.as_mut().filter(|_| options.https.needs_self_signed()) {
            (tls.certificate, tls.key) = (root.path.join(&tls.certificate), root.path.join(&tls.key));
        }
        let env_files = here.existing_all("--env-file", &options.identity.env_file)?;
        let own_path = options.application.python_path.iter().map(|p| here.absolute(p));
        let context = Context {
            working_directory: here.absolute(options.application.working_directory.as_deref().unwrap_or(".".into())),
            python_path: own_path.chain(facts.site_packages.iter().cloned()).collect(),
            locale: locale::choose(options, caller),
            env_files,
            root: &root.path,
            options,
            caller,
            here,
        };
        let installation = Installation::find(&options.layout, &context.here)?;
        let logs = LogDestination::new(&context, &installation)?;
        let sockets =
            root.sockets(options.layout.socket_prefix.as_deref().map(|p| context.here.absolute(p)), caller)?;
        let entry = Entry::new(&context);
        let server = server::server(&context, &entry, sites, &label, &account, &installation, &logs, &sockets, facts)?;
        let tools = Tools::new(&options.debugging, &context.here, &root.path);
        let eggs = options
            .application
            .python_eggs
            .as_ref()
            .map(|directory| ("--python-eggs", context.here.absolute(directory)));
        let service = options.monitoring.enable_telemetry.then(|| ("--server-root", telemetry::directory(&root.path)));
        let outputs = tools.outputs().map(|(tool, directory)| (tool.option, directory.to_owned()));
        let logs_directory = logs.own_directory().map(|directory| ("--log-directory", directory));
        let pid_directory = server.pid_file.parent().map(|directory| ("--pid-file", directory.to_owned()));
        let control = Control::new(&context, &server, &installation, logs.startup())?;
        Ok(Self {
            directories: [logs_directory, pid_directory].into_iter().flatten().collect(),
            used_by_root: used_by_root(options, &server, &control),
            handler: Handler::application(options, &entry, &tools),
            telemetry: options
                .monitoring
                .enable_telemetry
                .then(|| (telemetry::script_path(&root.path), telemetry::script(&options.monitoring, &root.path))),
            resources: Handler::resources(options, &context.here, &tools)?,
            control,
            options: options.clone(),
            working_directory: context.working_directory,
            python_path: context.python_path,
            locale: context.locale,
            env_files: context.env_files,
            written_by_application: eggs.into_iter().chain(service).chain(outputs).collect(),
            tools,
            sockets,
            account,
            server,
            logs,
            root,
        })
    }
}

/// The files of the options whose content root would obey.
fn used_by_root(options: &Options, server: &Server, control: &Control) -> Vec<(&'static str, Utf8PathBuf)> {
    let includes = server.includes.iter().map(|file| ("--include-file", file.clone()));
    let rules =
        options.content.rewrite_rules.as_ref().map(|_| ("--rewrite-rules", server.content.rewrite_rules.clone()));
    let variables =
        options.identity.envvars_script.as_ref().map(|_| ("--envvars-script", control.envvars().to_owned()));
    includes.chain(rules).chain(variables).collect()
}
