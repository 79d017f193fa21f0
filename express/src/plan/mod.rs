//! From options to a plan: paths made absolute, the user looked up, Apache and its modules found, every default filled in.
//!
//! A [`Plan`] looks at the machine but changes nothing. [`crate::files::render`] turns it into texts, which are then written.

mod account;
mod apache;
mod apachectl;
mod content;
mod daemon;
mod error;
mod handler;
mod locale;
mod logs;
mod network;
mod path;
mod root;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::{Environment, Hosting, Place, RunAs, Server, Sites, Sizes, Wsgi};

use apachectl::Control;

pub use account::Account;
pub use apache::{Installation, on_path, program};
pub use content::mount_point;
pub use error::PlanError;
use handler::Handler;
pub use handler::WELCOME;
pub use logs::Places;
pub use path::Folder;
pub use root::{Root, Sockets};

use crate::facts::Facts;
use crate::options::{ApplicationType, Options, pairs};

/// What the caller's surroundings are.
#[derive(Debug)]
pub struct Caller {
    /// The current folder.
    pub folder: Utf8PathBuf,
    /// Environment variables that are text.
    pub variables: BTreeMap<String, String>,
    /// The effective user.
    pub uid: u32,
    /// The command line, for the record.
    pub command: Vec<String>,
}

impl Caller {
    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What all parts of a plan are made from.
pub struct Context<'a> {
    /// The options, checked.
    pub options: &'a Options,
    /// The caller's surroundings.
    pub caller: &'a Caller,
    /// Where relative paths start.
    pub here: Folder<'a>,
    /// The server root.
    pub root: &'a Utf8Path,
    /// The folder that the application runs in.
    pub working_directory: Utf8PathBuf,
    /// Folders for the module search path.
    pub python_path: Vec<Utf8PathBuf>,
    /// The application's locale.
    pub locale: String,
    /// Files with variables for the application's processes.
    pub env_files: Vec<Utf8PathBuf>,
}

/// What to run, decided in every detail.
#[derive(Debug)]
pub struct Plan {
    /// The options that it was made from.
    pub options: Options,
    /// Apache's configuration.
    pub server: Server,
    /// The folder for everything generated.
    pub root: Root,
    /// Folders to make where they are missing, with the options that name them.
    pub folders: Vec<(&'static str, Utf8PathBuf)>,
    /// Files that root's shell or Apache would read and do as they say, with the options that name them.
    pub used_by_root: Vec<(&'static str, Utf8PathBuf)>,
    /// A folder that the application writes to.
    pub python_eggs: Option<Utf8PathBuf>,
    /// The sockets of the daemons.
    pub sockets: Sockets,
    /// What the application's script is told.
    pub handler: Handler,
    /// What the script behind `--add-handler` is told.
    pub resources: Option<Handler>,
    /// The control script.
    pub control: Control,
    /// Whom the server runs as.
    pub account: Account,
    /// The folder that the application runs in.
    pub working_directory: Utf8PathBuf,
    /// Folders for the module search path.
    pub python_path: Vec<Utf8PathBuf>,
    /// Where the logs go.
    pub logs: Places,
    /// The application's locale.
    pub locale: String,
    /// Files with variables for the application's processes.
    pub env_files: Vec<Utf8PathBuf>,
}

/// The application as the options describe it.
struct Entry {
    kind: ApplicationType,
    /// Path or name; for a static site the folder.
    point: String,
}

impl Entry {
    fn new(context: &Context) -> Self {
        let Options { application, content, .. } = context.options;
        let kind = application.application_type;
        let given = application.entry_point.as_ref().or(application.entry.as_ref());
        match (kind, given) {
            (ApplicationType::Static, folder) => {
                let folder = content.document_root.as_ref().map(|f| f.as_str()).or(folder.map(String::as_str));
                Self { kind, point: context.here.absolute(folder.unwrap_or(".")).into() }
            }
            (_, None) => Self { kind: ApplicationType::Script, point: context.root.join("default.wsgi").into() },
            (ApplicationType::Module, Some(name)) => Self { kind, point: name.clone() },
            (_, Some(path)) => Self { kind, point: context.here.absolute(path).into() },
        }
    }
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
        let here = Folder::new(&caller.folder);
        let account = Account::find(options.identity.user.as_deref(), options.identity.group.as_deref(), caller.uid)?;
        let sites = network::sites(options, &here)?;
        let label = format!("{}:{}", sites.address.as_deref().unwrap_or("localhost"), sites.port);
        let root = Root::choose(options.layout.server_root.as_deref().map(|r| here.absolute(r)), &label, caller);
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
        let logs = Places::new(&context, &installation)?;
        let sockets =
            root.sockets(options.layout.socket_prefix.as_deref().map(|p| context.here.absolute(p)), caller)?;
        let entry = Entry::new(&context);
        let server = context.server(&entry, sites, &label, &account, &installation, &logs, &sockets, facts)?;
        let python_eggs = options.application.python_eggs.as_ref().map(|folder| context.here.absolute(folder));
        let logs_folder = logs.own_folder().map(|folder| ("--log-directory", folder));
        let pid_folder = server.pid_file.parent().map(|folder| ("--pid-file", folder.to_owned()));
        let control = Control::new(&context, &server, &installation, logs.startup())?;
        Ok(Self {
            folders: [logs_folder, pid_folder].into_iter().flatten().collect(),
            used_by_root: used_by_root(options, &server, &control),
            handler: Handler::application(options, entry.kind, &entry.point),
            resources: Handler::resources(options, &context.here)?,
            control,
            options: options.clone(),
            working_directory: context.working_directory,
            python_path: context.python_path,
            locale: context.locale,
            env_files: context.env_files,
            python_eggs,
            sockets,
            account,
            server,
            logs,
            root,
        })
    }
}

/// The files of the options whose content root would carry out.
fn used_by_root(options: &Options, server: &Server, control: &Control) -> Vec<(&'static str, Utf8PathBuf)> {
    let includes = server.includes.iter().map(|file| ("--include-file", file.clone()));
    let rules =
        options.content.rewrite_rules.as_ref().map(|_| ("--rewrite-rules", server.content.rewrite_rules.clone()));
    let variables =
        options.identity.envvars_script.as_ref().map(|_| ("--envvars-script", control.envvars().to_owned()));
    includes.chain(rules).chain(variables).collect()
}

impl Context<'_> {
    #[allow(clippy::too_many_arguments, reason = "the parts that a server is put together from")]
    fn server(
        &self,
        entry: &Entry,
        sites: Sites,
        label: &str,
        account: &Account,
        installation: &Installation,
        logs: &Places,
        sockets: &Sockets,
        facts: &Facts,
    ) -> Result<Server, PlanError> {
        let Options { capacity, monitoring, proxying, .. } = self.options;
        let mpm = installation.mpm(&capacity.server_mpm)?;
        let requests = u64::from(capacity.processes.unwrap_or(1)) * u64::from(capacity.threads);
        let mut hosting = (entry.kind != ApplicationType::Static).then(|| daemon::hosting(self, label));
        let sizes = match &hosting {
            Some(Hosting { place: Place::Embedded { .. }, .. }) => {
                Sizes::embedded(mpm, capacity.processes.unwrap_or(1).into(), capacity.threads.into())
            }
            _ => Sizes::new(mpm, requests, capacity.max_clients.map(u64::from), capacity.fractions()),
        };
        if let Some(Hosting { place: Place::Daemons { settings, .. }, .. }) = &mut hosting {
            settings.push(("worker-limit", daemon::worker_limit(sizes.max_workers, requests).to_string()));
        }
        let mut server = Server {
            pid_file: self.here.absolute_or(self.options.layout.pid_file.as_deref(), || self.root.join("httpd.pid")),
            run_as: RunAs { user: account.user.clone(), group: account.group.clone() },
            library: facts.library(),
            modules: Vec::new(),
            sizes,
            connection: network::connection(self.options),
            logs: logs.logs(&self.options.logging),
            content: content::content(self, entry, installation, mpm)?,
            proxy: network::proxy(self.options),
            access: network::access(self.options, &self.here, label)?,
            status_page: monitoring.server_status,
            metrics: monitoring.server_metrics,
            wsgi: Wsgi {
                python_home: facts.prefix.clone(),
                socket_prefix: sockets.prefix.clone(),
                settings: daemon::directives(self.options),
                services: daemon::services(self, logs)?,
                trusted_proxies: proxying.trust_proxy.clone(),
                trusted_headers: proxying.trust_proxy_header.clone(),
                ignore_activity: self.options.timeouts.ignore_activity.clone(),
                hosting,
            },
            environment: Environment {
                set: pairs(&self.options.identity.setenv).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                pass: self.options.identity.passenv.clone(),
            },
            includes: self.here.existing_all("--include-file", &self.options.content.include_file)?,
            root: self.root.to_owned(),
            sites,
            mpm,
        };
        server.modules = installation.modules(&server.needed_modules(), mpm, &facts.module)?;
        Ok(server)
    }
}
