//! What the supervisor is told, for configurations of all kinds.

use super::*;
use crate::directives::configuration::{InterpreterSection, Preload};

const LOG: LogStyle = LogStyle { level: Level::Info, format: Format::Text };

fn apache() -> User {
    User { uid: 33, gid: 33, name: b"www-data".to_vec(), home: Some(b"/var/www".to_vec()) }
}

fn around(children: Option<(User, u32)>) -> Surroundings {
    Surroundings {
        generation: 1,
        parent: 2,
        socket_prefix: "/run/wsgi".to_owned(),
        children,
        users_vary: false,
        package: None,
        server: Server { maximum_processes: 1, threads_per_process: 1, ..Server::default() },
        single_applications: BTreeSet::new(),
        scripts: ReachableScripts::default(),
        servers: 1,
        log: LOG,
        vhost: b"localhost".to_vec(),
        timeout: 60,
    }
}

fn configured(options: GroupOptions) -> Configuration {
    let group = Group { name: b"g".to_vec(), origin: Origin::default(), options };
    Configuration { groups: vec![group], ..Configuration::EMPTY }
}

fn only(configuration: &Configuration, children: Option<(User, u32)>) -> WireGroup {
    let log = |_: &Group| LOG;
    configure(configuration, &around(children), log).groups.remove(0)
}

#[test]
fn naming_processes_means_more_than_one_may_exist() {
    let plain = only(&configured(GroupOptions::default()), None);
    assert_eq!((plain.processes, plain.daemon.multiprocess), (1, false));
    let named = only(&configured(GroupOptions { processes: Some(1), ..Default::default() }), None);
    assert_eq!((named.processes, named.daemon.multiprocess), (1, true));
    assert_eq!(plain.spawn.identity, None);
}

#[test]
fn the_default_identity_is_apaches() {
    let identity = only(&configured(GroupOptions::default()), Some((apache(), 7))).spawn.identity.unwrap();
    assert_eq!((identity.uid, identity.gid, &identity.name[..]), (33, 7, &b"www-data"[..]));
    let user = User { uid: 65534, gid: 1, name: b"nobody".to_vec(), home: None };
    let options = GroupOptions { user: Some(user), group: Some(9), ..Default::default() };
    let group = only(&configured(options), Some((apache(), 7)));
    let identity = group.spawn.identity.unwrap();
    assert_eq!((identity.uid, identity.gid), (65534, 9));
    assert_eq!(group.spawn.socket_user, Some(33));
}

#[test]
fn whoever_connects_owns_the_socket_and_is_admitted() {
    let user = |uid| User { uid, gid: 1, name: b"u".to_vec(), home: None };
    let own = GroupOptions { user: Some(user(7)), ..Default::default() };
    let given = GroupOptions { socket_user: Some(user(9)), ..own.clone() };
    for (options, users_vary, expected) in
        [(&own, false, 33), (&own, true, 7), (&given, false, 9), (&given, true, 9), (&Default::default(), true, 33)]
    {
        let around = Surroundings { users_vary, ..around(Some((apache(), 33))) };
        let log = |_: &Group| LOG;
        let group = configure(&configured(options.clone()), &around, log).groups.remove(0);
        assert_eq!((group.spawn.socket_user, group.daemon.children), (Some(expected), Some(expected)));
    }
}

#[test]
fn the_group_option_beats_the_directive() {
    let mut configuration = configured(GroupOptions::default());
    configuration.python.home = Some(b"/all".to_vec());
    let spawn = only(&configuration, None).spawn;
    assert_eq!((spawn.python_home, &spawn.python_home_from[..]), (Some("/all".into()), "WSGIPythonHome"));
    configuration.groups[0].options.python_home = Some(b"/own".to_vec());
    assert_eq!(only(&configuration, None).spawn.python_home, Some("/own".into()));
}

#[test]
fn layers_go_from_general_to_specific() {
    let section = |group: Option<&str>, application: Option<&str>, interval: f64| InterpreterSection {
        process_group: group.map(|g| g.into()),
        application_group: application.map(|a| a.into()),
        settings: InterpreterSettings { switch_interval: Some(interval), ..Default::default() },
    };
    let mut configuration = configured(GroupOptions::default());
    configuration.interpreters.python_path = vec![b"/embedded".to_vec()];
    configuration.sections =
        vec![section(Some("g"), Some("a"), 3.0), section(Some("other"), None, 9.0), section(Some("g"), None, 2.0)];
    let layers = only(&configuration, None).daemon.interpreters;
    let intervals: Vec<_> = layers.iter().map(|l| l.switch_interval).collect();
    assert_eq!(intervals, [None, Some(2.0), Some(3.0)]);
    assert!(layers[0].python_path.is_empty());
}

#[test]
fn free_threading_is_for_whole_processes() {
    let section = |process: Option<&str>, application: Option<&str>, on: bool| InterpreterSection {
        process_group: process.map(|g| g.into()),
        application_group: application.map(|a| a.into()),
        settings: InterpreterSettings { free_threading: Some(on), ..Default::default() },
    };
    let wanted = |sections: Vec<InterpreterSection>| {
        let configuration = Configuration { sections, ..configured(GroupOptions::default()) };
        only(&configuration, None).daemon.free_threading
    };
    assert!(!wanted(vec![section(None, Some("a"), true)]));
    assert!(!wanted(vec![section(Some("other"), None, true)]));
    assert!(wanted(vec![section(Some("g"), None, true), section(None, None, false)]));
    assert!(!wanted(vec![section(None, None, true), section(None, None, false)]));
}

#[test]
fn scripts_limits_and_names_travel() {
    let options = GroupOptions {
        cpu_time_limit: 1,
        memory_limit: 5,
        display_name: Some(b"%{GROUP}".to_vec()),
        ..Default::default()
    };
    let mut configuration = configured(options);
    configuration.preloads = vec![
        Preload { script: b"/a".to_vec(), process_group: b"g".to_vec(), application_group: vec![], callable: vec![] },
        Preload { script: b"/b".to_vec(), process_group: vec![], application_group: vec![], callable: vec![] },
    ];
    let group = only(&configuration, None);
    assert_eq!(group.daemon.scripts.len(), 1);
    assert_eq!(group.daemon.display_name, Some("(wsgi:g)".into()));
    let limits: Vec<_> = group.spawn.limits.iter().map(|l| (l.soft, l.hard)).collect();
    assert_eq!(limits, [(1, 7), (5, 5)]);
}
