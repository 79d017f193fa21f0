use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;

use super::*;
use crate::user::Ids;

/// Somebody else, who needs no entry in any database.
const OTHER: u32 = 54_321;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(directory: &Path, name: &str, mode: u32) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "A=1\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn mode_of(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

/// Only root can make a file somebody else's.
fn cannot_give_away() -> bool {
    let cannot = !rustix::process::geteuid().is_root();
    if cannot {
        eprintln!("NOT RUN: files of other users need root");
    }
    cannot
}

#[test]
fn ones_own_file_is_read() {
    let scratch = scratch();
    let path = file(scratch.path(), "a/secrets", 0o600);
    assert_eq!(read(&path, 4, None).unwrap(), b"A=1\n");
    assert!(matches!(read(&path, 3, None), Err(FileError::TooLong { max: 3, .. })));
    assert!(matches!(read(Path::new("secrets"), 4, None), Err(FileError::Relative { .. })));
    assert!(matches!(read(scratch.path(), 4, None), Err(FileError::NotRegular { .. })));
    let nothing = read(&scratch.path().join("a/nothing"), 4, None).unwrap_err();
    assert!(nothing.to_string().contains("a/nothing: No such file"), "{nothing}");
}

#[test]
fn what_others_may_write_to_is_refused_wherever_it_is_on_the_way() {
    let scratch = scratch();
    let path = file(scratch.path(), "open/below/secrets", 0o600);
    fs::set_permissions(scratch.path().join("open"), Permissions::from_mode(0o777)).unwrap();
    let error = read(&path, 100, None).unwrap_err().to_string();
    assert!(error.starts_with("everybody may write to the directory") && error.contains("open, "), "{error}");
    assert!(error.contains("chmod o-w") && !error.contains("below"), "{error}");
    fs::set_permissions(scratch.path().join("open"), Permissions::from_mode(0o1777)).unwrap();
    assert!(read(&path, 100, None).is_ok(), "what is in a sticky directory stays its owner's");
    let error = read(&file(scratch.path(), "secrets", 0o602), 100, None).unwrap_err().to_string();
    assert!(error.starts_with("everybody may write to the file"), "{error}");
}

#[test]
fn a_group_with_others_in_it_must_not_write() {
    if cannot_give_away() {
        return;
    }
    let scratch = scratch();
    let path = file(scratch.path(), "shared/secrets", 0o640);
    let directory = scratch.path().join("shared");
    fs::set_permissions(&directory, Permissions::from_mode(0o775)).unwrap();
    assert!(read(&path, 100, None).is_ok(), "root's own group");
    chown(&directory, None, Some(OTHER)).unwrap();
    let error = read(&path, 100, None).unwrap_err().to_string();
    assert!(error.contains("the group gid 54321 may write") && error.contains("chmod g-w"), "{error}");
}

#[test]
fn a_link_at_the_end_is_never_followed_and_one_on_the_way_only_if_it_is_ones_own() {
    let scratch = scratch();
    let path = file(scratch.path(), "real/secrets", 0o600);
    symlink(&path, scratch.path().join("link")).unwrap();
    assert!(matches!(read(&scratch.path().join("link"), 100, None), Err(FileError::Link { .. })));
    assert!(check_file(&scratch.path().join("link"), &Owners::own()).is_ok());
    assert!(matches!(check_file(scratch.path(), &Owners::own()), Err(FileError::NotRegular { .. })));
    assert!(matches!(check_file(&path.join("below"), &Owners::own()), Err(FileError::NotDirectory { .. })));
    fs::create_dir(scratch.path().join("deep")).unwrap();
    symlink("../real", scratch.path().join("deep/way")).unwrap();
    assert!(read(&scratch.path().join("deep/way/secrets"), 100, None).is_ok());
    symlink("round", scratch.path().join("round")).unwrap();
    assert!(matches!(read(&scratch.path().join("round/secrets"), 100, None), Err(FileError::Loop { .. })));
    if !cannot_give_away() {
        std::os::unix::fs::lchown(scratch.path().join("deep/way"), Some(OTHER), None).unwrap();
        let error = read(&scratch.path().join("deep/way/secrets"), 100, None).unwrap_err();
        assert!(matches!(error, FileError::Owner { kind: Kind::Link, owner: OTHER, .. }), "{error}");
        std::os::unix::fs::lchown(scratch.path().join("link"), Some(OTHER), None).unwrap();
        let error = check_file(&scratch.path().join("link"), &Owners::own()).unwrap_err();
        assert!(matches!(error, FileError::Owner { kind: Kind::Link, owner: OTHER, .. }), "{error}");
    }
}

#[test]
fn a_fifo_keeps_nobody_waiting() {
    let scratch = scratch();
    let path = scratch.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(matches!(read(&path, 100, None), Err(FileError::NotRegular { .. })));
    assert!(matches!(check_file(&path, &Owners::own()), Err(FileError::NotRegular { .. })));
}

#[test]
fn a_file_of_the_user_is_read_with_the_users_rights_only() {
    if cannot_give_away() {
        return;
    }
    let scratch = scratch();
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
    let user = Ids { uid: OTHER, gid: OTHER, groups: vec![OTHER] };
    let path = file(scratch.path(), "theirs/secrets", 0o600);
    let directory = scratch.path().join("theirs");
    for place in [&directory, &path] {
        chown(place, Some(OTHER), Some(OTHER)).unwrap();
    }
    assert!(matches!(read(&path, 100, None), Err(FileError::Owner { owner: OTHER, .. })));
    assert!(is_of(&path, OTHER) && !is_of(&path, OTHER + 1) && is_of(&directory.join("nothing"), OTHER));
    let stranger = Ids { uid: OTHER + 1, ..user.clone() };
    assert!(matches!(read(&path, 100, Some(&stranger)), Err(FileError::Owner { owner: OTHER, .. })));
    assert_eq!(read(&path, 100, Some(&user)).unwrap(), b"A=1\n");
    // What root could read, behind a hard link and behind a directory that the user has exchanged.
    let roots = file(scratch.path(), "roots/secrets", 0o600);
    fs::hard_link(&roots, directory.join("hard")).unwrap();
    assert!(matches!(read(&directory.join("hard"), 100, Some(&user)), Err(FileError::Io { .. })));
    symlink(roots.parent().unwrap(), directory.join("way")).unwrap();
    std::os::unix::fs::lchown(directory.join("way"), Some(OTHER), None).unwrap();
    assert!(matches!(read(&directory.join("way/secrets"), 100, Some(&user)), Err(FileError::Io { .. })));
    assert_eq!(read(&roots, 100, None).unwrap(), b"A=1\n", "this thread's rights are as they were");
}

#[test]
fn directories_are_made_with_their_mode_and_left_alone_afterwards() {
    let scratch = scratch();
    let path = scratch.path().join("a/b");
    assert!(make_directory(&path, Access::of_mode(0o711), &Owners::own()).unwrap());
    assert_eq!((mode_of(&path), mode_of(path.parent().unwrap())), (0o711, 0o755));
    assert!(!make_directory(&path, Access::of_mode(0o700), &Owners::own()).unwrap());
    assert_eq!(mode_of(&path), 0o711);
    symlink("a", scratch.path().join("link")).unwrap();
    let link = scratch.path().join("link");
    assert!(matches!(make_directory(&link, Access::of_mode(0o700), &Owners::own()), Err(FileError::Link { .. })));
    if !cannot_give_away() {
        let given = path.join("eggs");
        assert!(make_directory(&given, Access::of_mode(0o700).given_to(OTHER, OTHER), &Owners::own()).unwrap());
        assert_eq!(given.metadata().unwrap().uid(), OTHER);
        let error = make_directory(&given.join("x"), Access::of_mode(0o700), &Owners::own()).unwrap_err();
        assert!(matches!(error, FileError::Owner { owner: OTHER, .. }), "{error}");
    }
}

#[test]
fn only_a_socket_that_was_just_bound_is_given_away() {
    if cannot_give_away() {
        return;
    }
    let scratch = scratch();
    let path = scratch.path().join("s");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    give_socket(&path, OTHER).unwrap();
    assert_eq!(path.symlink_metadata().unwrap().uid(), OTHER);
    assert!(give_socket(&path, 0).is_err(), "it is not this process's any more");
    let victim = file(scratch.path(), "victim", 0o600);
    for (name, link) in [("hard", true), ("soft", false)] {
        let name = scratch.path().join(name);
        if link {
            fs::hard_link(&victim, &name).unwrap()
        } else {
            symlink(&victim, &name).unwrap()
        }
        assert!(give_socket(&name, OTHER).is_err());
    }
    assert_eq!(victim.metadata().unwrap().uid(), 0);
}

#[test]
fn directories_of_another_user_may_be_passed_but_their_links_are_not_followed() {
    if cannot_give_away() {
        return;
    }
    let scratch = scratch();
    let path = file(scratch.path(), "theirs/roots/conf", 0o600);
    let theirs = scratch.path().join("theirs");
    symlink(theirs.join("roots"), theirs.join("way")).unwrap();
    std::os::unix::fs::lchown(theirs.join("way"), Some(OTHER), None).unwrap();
    chown(&theirs, Some(OTHER), None).unwrap();
    let owners = Owners::own().and_directories_of(OTHER);
    assert!(check_file(&path, &Owners::own()).is_err() && check_file(&path, &owners).is_ok());
    assert!(matches!(check_file(&theirs.join("way/conf"), &owners), Err(FileError::Owner { kind: Kind::Link, .. })));
}

#[test]
fn files_are_replaced_whole_and_links_are_not_followed() {
    let scratch = scratch();
    let victim = file(scratch.path(), "victim", 0o600);
    let path = scratch.path().join("conf");
    symlink(&victim, &path).unwrap();
    write(&path, b"new", Access::of_mode(0o640), &Owners::own()).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode_of(&path)), (b"new".to_vec(), 0o640));
    assert_eq!(fs::read(&victim).unwrap(), b"A=1\n");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2, "nothing else is left");
}
