//! Sockets between replicas and a core: a path on one machine, or TCP.
//!
//! A unix socket is for processes of one user; both ends look who is there. It
//! knows nothing of what is said.

use crate::store::without_secrets;
use rustix::net::Shutdown;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where a core listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreAddress {
    /// Host and port.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text is no address of a core. Write it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no address of a core: write core://host:port, or core:///path/to/socket for one on \
     this machine", .0.escape_default()
)]
pub struct AddressError(String);

impl FromStr for CoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<CoreAddress, AddressError> {
        // It may have been meant for a store, and have a password.
        let wrong = || AddressError(shown(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let is_path = rest.len() > 1 && rest.starts_with('/');
        match scheme {
            "core" | "unix" if is_path => Ok(CoreAddress::Unix(rest.into())),
            "core" | "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
                let is_port = port.parse::<u16>().is_ok();
                let is_host = !host.is_empty() && !host.contains(['/', '@']);
                if is_port && is_host {
                    Ok(CoreAddress::Tcp(rest.to_owned()))
                } else {
                    Err(wrong())
                }
            }
            _ => Err(wrong()),
        }
    }
}

/// An address as it may be shown: of one that may be of something else, no user and no password.
fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some(("core" | "unix" | "tcp", rest)) if !rest.contains('@') => text.to_owned(),
        None if !text.contains(['@', ':']) => text.to_owned(),
        _ => without_secrets(text),
    }
}

impl fmt::Display for CoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreAddress::Tcp(host) => write!(f, "core://{host}"),
            CoreAddress::Unix(path) => write!(f, "core://{}", path.display()),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects within about `timeout`.
    pub(crate) fn connect(address: &CoreAddress, timeout: Duration) -> io::Result<Stream> {
        match address {
            CoreAddress::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            CoreAddress::Tcp(host) => {
                let mut failed = io::ErrorKind::AddrNotAvailable.into();
                for address in host.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, timeout) {
                        Ok(stream) => return Stream::tcp(stream),
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
        }
    }

    fn tcp(stream: TcpStream) -> io::Result<Stream> {
        // A group is written whole: there is nothing to wait for.
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    pub(crate) fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
        }
    }

    /// Whether both ends are on this machine and of one user.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Stream::Unix(_))
    }

    /// Whether the other end may be trusted for being this user's own process (or root's).
    pub(crate) fn is_own(&self) -> bool {
        let Stream::Unix(stream) = self else { return false };
        let peer = socket_peercred(stream);
        peer.is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
    }

    pub(crate) fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(read))?;
                stream.set_write_timeout(Some(write))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(read))?;
                stream.set_write_timeout(Some(write))
            }
        }
    }

    /// Ends both directions for all clones. A socket that is closed already is no fault.
    pub(crate) fn close(&self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Both),
        };
    }

    /// Reads nothing more, for all clones.
    pub(crate) fn close_reading(&self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Read),
            Stream::Unix(stream) => stream.shutdown(std::net::Shutdown::Read),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket on which a core listens. One in the file system goes with it.
#[derive(Debug)]
pub struct CoreListener {
    socket: Socket,
    address: CoreAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl CoreListener {
    /// Listens. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// When the address is in use or can't be had.
    pub fn bind(address: &CoreAddress) -> io::Result<CoreListener> {
        match address {
            CoreAddress::Tcp(host) => {
                let socket = TcpListener::bind(host)?;
                let address = CoreAddress::Tcp(socket.local_addr()?.to_string());
                Ok(CoreListener { socket: Socket::Tcp(socket), address })
            }
            CoreAddress::Unix(path) => {
                if UnixStream::connect(path).is_ok() {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                match fs::symlink_metadata(path) {
                    Ok(found) if is_socket(&found) => fs::remove_file(path)?,
                    Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                    Err(_) => {}
                }
                let socket = UnixListener::bind(path)?;
                // Who comes before this is looked at all the same: see `Stream::is_own`.
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok(CoreListener { socket: Socket::Unix(socket), address: address.clone() })
            }
        }
    }

    /// Where it listens, for replicas.
    #[must_use]
    pub fn address(&self) -> &CoreAddress {
        &self.address
    }

    pub(crate) fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => Stream::tcp(socket.accept()?.0),
            Socket::Unix(socket) => Ok(Stream::Unix(socket.accept()?.0)),
        }
    }

    /// Ends a waiting [`CoreListener::accept`] and all to come.
    pub(crate) fn close(&self) {
        let socket = match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        };
        // On Linux this wakes who accepts; a socket that is closed already is no fault.
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }
}

fn is_socket(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.file_type().is_socket()
}

impl Drop for CoreListener {
    fn drop(&mut self) {
        if let CoreAddress::Unix(path) = &self.address {
            // Only a left-over: the next start replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, address) in [
            ("core://shop:7070", CoreAddress::Tcp("shop:7070".into())),
            ("core://[::1]:7070", CoreAddress::Tcp("[::1]:7070".into())),
            ("core:///run/kilat.sock", CoreAddress::Unix("/run/kilat.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()));
            assert_eq!(address.to_string(), text);
        }
        for (text, same) in [
            ("tcp://a:1", "core://a:1"),
            ("unix:///a", "core:///a"),
            ("tcp://a:65535", "core://a:65535"),
        ] {
            assert_eq!(text.parse::<CoreAddress>(), same.parse());
        }
        for text in [
            "",
            "core",
            "core://",
            "core:///",
            "core://host",
            "core://:1",
            "core://a:65536",
            "redis://a:1",
            "unix://a:1",
            "tcp:///path",
            "core://a@b:1",
            "core://a/b:1",
        ] {
            assert!(text.parse::<CoreAddress>().is_err(), "{text}");
        }
    }
}
