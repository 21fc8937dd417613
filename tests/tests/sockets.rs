//! Addresses that somebody else has when a program is restored, and what later images will lack.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use ckpt_tests::{Launch, Place, Program, is_root, not_run, restorer};

/// A place with the image of a program that listens at several addresses, and its process id.
fn image(test: &str) -> (Place, u32) {
    let place = Place::new(test);
    let mut process = Program::compile("socket_listening.c").start(&place);
    let pid = process.pid();
    process.checkpoint();
    process.kill();
    place.release();
    (place, pid)
}

/// Restores it; the exit code and what the restorer says.
fn restore(place: &Place) -> (Option<i32>, String) {
    let _ = std::fs::remove_file(place.file("restorer.err"));
    let status = Launch::restorer(["myckpt"]).start(place).wait();
    (status.code(), place.text("restorer.err"))
}

fn assert_refused(place: &Place, address: &str) {
    let (code, said) = restore(place);
    assert_eq!(code, Some(123), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains(address) && said.contains("EADDRINUSE") && said.contains("end what has them"),
        "{said}"
    );
}

#[test]
fn a_port_that_somebody_else_has_is_named() {
    let place = Place::new("port_taken");
    let mut process = Program::compile("socket_standard.c").start(&place);
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", process.pid()));
    let inode = std::fs::read_link(format!("/proc/{}/fd/1", process.pid())).expect("it is open");
    let inode = inode
        .to_string_lossy()
        .replace(|c: char| !c.is_ascii_digit(), "");
    let table = table.expect("/proc is mounted");
    let line = table
        .lines()
        .find(|line| line.contains(&format!(" {inode} ")));
    let local = line.and_then(|line| line.split_whitespace().nth(1));
    let port = local.and_then(|local| local.split(':').nth(1));
    let port = u16::from_str_radix(port.expect("it listens"), 16).expect("a port is a number");
    process.checkpoint();
    process.kill();
    let somebody = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    assert_refused(&place, &format!("127.0.0.1:{port}"));
    drop(somebody);
    place.release();
    let (code, said) = restore(&place);
    assert_eq!(code, Some(42), "{said}");
}

#[test]
fn a_name_that_somebody_else_has_is_named() {
    let (place, pid) = image("abstract_name_taken");
    let name = format!("ckpt-{pid}");
    let address = SocketAddr::from_abstract_name(&name).expect("a name can be any");
    let somebody = UnixListener::bind_addr(&address).expect("the name is free");
    assert_refused(&place, &format!("@{name}"));
    drop(somebody);
    let (code, said) = restore(&place);
    assert_eq!(code, Some(42), "{said}");
}

#[test]
fn a_path_at_which_somebody_else_listens_is_left_alone() {
    let (place, _) = image("path_taken");
    std::fs::remove_file(place.file("name")).expect("it was left behind");
    let somebody = UnixListener::bind(place.file("name")).expect("the name is free");
    assert_refused(&place, "name");
    assert!(place.file("name").exists(), "it was removed");
    drop(somebody);
    let (code, said) = restore(&place);
    assert_eq!(code, Some(42), "what is left behind is replaced: {said}");
}

/// A stream socket that has a name and does not listen.
fn bound_stream(path: &Path) -> OwnedFd {
    // SAFETY: (1) zeros are an address; (2) the descriptor is new, and nobody else's; (3) the address is as long as it says.
    unsafe {
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        for (to, &from) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
            *to = from as libc::c_char;
        }
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        assert!(fd >= 0, "a socket");
        let fd = OwnedFd::from_raw_fd(fd);
        let size = size_of_val(&address) as libc::socklen_t;
        let bound = libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size);
        assert_eq!(bound, 0, "the name is free");
        fd
    }
}

/// Somebody whose socket is of another type, whether it listens yet or not: it is asked whether it is there, and hears nothing of that.
#[test]
fn a_path_at_which_somebody_has_another_socket_is_left_alone() {
    let (place, _) = image("path_taken_otherwise");
    let path = place.file("mailbox");
    std::fs::remove_file(&path).expect("it was left behind");
    let listener = UnixListener::bind(&path).expect("the name is free");
    listener.set_nonblocking(true).expect("it can be");
    assert_refused(&place, "mailbox");
    let heard = listener.accept().expect_err("nobody connects");
    assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    drop(listener);

    std::fs::remove_file(&path).expect("it is there");
    let _bound = bound_stream(&path);
    let inode = || std::fs::metadata(&path).expect("it is there").ino();
    let before = inode();
    assert_refused(&place, "mailbox");
    assert_eq!(inode(), before, "it was replaced");
}

#[test]
fn a_file_in_the_place_of_a_socket_is_left_alone() {
    let (place, _) = image("path_is_a_file");
    std::fs::remove_file(place.file("name")).expect("it was left behind");
    place.write("name", b"precious");
    assert_refused(&place, "name");
    assert_eq!(place.text("name"), "precious");
}

#[test]
fn a_file_at_a_removed_name_is_left_alone() {
    let place = Place::new("removed_name_taken");
    let mut process = Program::compile("socket_removed_name.c").start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    place.write("box", b"precious");
    let (_, said) = restore(&place);
    let lines = said
        .lines()
        .filter(|line| line.contains("/box, whose file had been removed, cannot be given to it"));
    assert_eq!(lines.count(), 1, "{said}");
    assert_eq!(place.text("box"), "precious");
}

/// A restorer that may not become another user.
#[test]
fn peers_of_other_users_are_told_of() {
    let setpriv = "/usr/bin/setpriv";
    if !is_root() || !Path::new(setpriv).exists() {
        return not_run("other_peers", "it takes root, and setpriv");
    }
    let place = Place::new("other_peers");
    let mut process = Program::compile("socket_peer_credentials.c").start(&place);
    process.checkpoint();
    process.kill();
    place.release();
    let launch = Launch::plain(setpriv).args(["--bounding-set", "-setuid,-setgid"]);
    let launch = launch.arg(restorer()).arg("myckpt");
    // The program misses them.
    assert_ne!(launch.start(&place).wait().code(), Some(42));
    let said = place.text("err");
    let lines = said.lines().filter(|line| line.contains("SO_PEERCRED"));
    assert_eq!(lines.count(), 1, "{said}");
}

#[test]
fn a_datagram_that_was_begun_is_told_of() {
    let place = Place::new("begun_datagram");
    let mut process = Program::compile("socket_udp_begun.c").start(&place);
    process.checkpoint();
    process.assert_told("MSG_MORE", 2);
}

#[test]
fn what_is_set_and_cannot_be_read_is_told_of() {
    let place = Place::new("lost_settings");
    let mut process = Program::compile("socket_lost_settings.c").start(&place);
    process.checkpoint();
    process.assert_told("SO_ATTACH_REUSEPORT_CBPF", 1);
    let keys = process.errors().contains("a key was set");
    process.assert_told("TCP_MD5SIG", keys.into());
    process.checkpoint();
    process.assert_told("SO_ATTACH_REUSEPORT_CBPF", 2);
    // What the restored sockets lack is not said once more.
    process.kill();
    let mut restored = Launch::restorer(["myckpt"]).start(&place);
    restored.checkpoint();
    restored.assert_told("SO_ATTACH_REUSEPORT_CBPF", 2);
}

#[test]
fn an_empty_message_that_later_images_will_lack_is_told_of() {
    let place = Place::new("empty_messages");
    let mut process = Program::compile("socket_empty_messages.c").start(&place);
    process.checkpoint();
    // Of five pairs, four have some.
    process.assert_told("an empty message", 4);
    process.kill();
    let other = Place::new("no_empty_messages");
    let mut process = Program::compile("plain.c").start(&other);
    process.checkpoint();
    assert!(
        !process.errors().contains("warning"),
        "{}",
        process.errors()
    );
}

/// Also by a checkpoint that then fails.
#[test]
fn an_empty_message_before_a_refusal_is_told_of() {
    let place = Place::new("empty_refused");
    let mut process = Program::compile("refused_behind_empty_message.c").start(&place);
    let line = process
        .try_checkpoint("myckpt")
        .expect_err("the checkpoint must be refused");
    assert!(line.contains("holds a lock"), "{line}");
    let said = place.text("err");
    assert!(said.contains("an empty message waits"), "{said}");
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}

#[test]
fn connections_that_were_not_accepted_are_told_of() {
    let place = Place::new("not_accepted");
    let mut process = Program::compile("socket_not_accepted.c").start(&place);
    process.checkpoint();
    let said = process.errors();
    let lost = |count: &str| {
        let text = format!("{count} that the program has not accepted yet");
        said.lines().filter(|line| line.contains(&text)).count()
    };
    assert_eq!(lost("2 connections"), 1, "{said}");
    assert_eq!(lost("1 connection"), 2, "{said}");
    process.kill();
    place.release();
    let (code, said) = restore(&place);
    assert_eq!(code, Some(42), "{said}");
    assert!(!said.contains("other processes"), "{said}");
}

#[test]
fn errors_that_wait_are_told_of() {
    let place = Place::new("socket_errors");
    let mut process = Program::compile("socket_errors.c").start(&place);
    process.checkpoint();
    let said = process.errors();
    let warnings = said
        .lines()
        .filter(|line| line.contains("an error waits in the socket"));
    // The connection's, and the one of a datagram that nobody was there for.
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 2, "{said}");
    assert!(
        said.contains("told that the connection has ended"),
        "{said}"
    );
    assert!(said.contains("finds neither"), "{said}");
    place.release();
    assert_eq!(process.wait().code(), Some(42), "{}", place.text("err"));
}
